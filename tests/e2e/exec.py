# SPDX-License-Identifier: BSD-2-Clause
"""exec.py DRIVER [SHARDS] - connections that change the process.  Servers that start a program for each: as its
standard input and output, as a descriptor that it is told of, and as what is accepted by a program that took the
place of the one that listened.  A server that passes each to a worker over a unix socket (SCM_RIGHTS)."""

import sys

import lab

INETD = """
import socket, subprocess, sys
s = socket.create_server((sys.argv[1], 7007), backlog=100); print("listening", flush=True)
kids = []
for i in range(int(sys.argv[2])):
    c = s.accept()[0]
    if i % 3 == 0:    # inetd's way
        p = subprocess.Popen(["cat"], stdin=c, stdout=c)
    elif i % 3 == 1:  # the number is told
        code = "import socket, sys; s = socket.socket(fileno=int(sys.argv[1]))\\n" \
               "while (b := s.recv(65536)): s.sendall(b)"
        p = subprocess.Popen([sys.executable, "-c", code, str(c.fileno())], pass_fds=(c.fileno(),))
    else:             # by posix_spawn, to a shell
        import os
        p = os.posix_spawn("/bin/sh", ["sh", "-c", "exec cat"], os.environ, file_actions=[
            (os.POSIX_SPAWN_DUP2, c.fileno(), 0), (os.POSIX_SPAWN_DUP2, c.fileno(), 1)])
    c.close(); kids.append(p)
for p in kids:
    assert (p.wait() if hasattr(p, "wait") else os.waitpid(p, 0)[1]) == 0
print("served", flush=True)
"""

LISTENER = """
import os, socket, sys
s = socket.create_server((sys.argv[1], 7008)); s.set_inheritable(True)
os.execv(sys.executable, [sys.executable, "-c",
    "import socket, sys; s = socket.socket(fileno=int(sys.argv[1])); print('took over', flush=True)\\n"
    "for i in range(10):\\n"
    "    c = s.accept()[0]\\n"
    "    while (b := c.recv(65536)): c.sendall(b)\\n"
    "    c.close()", str(s.fileno())])
"""

PASSING = """
import os, socket, sys
ours, theirs = socket.socketpair()
kids = []
for n in range(3):
    if (pid := os.fork()) == 0:
        ours.close()
        while True:
            byte, fds, _, _ = socket.recv_fds(theirs, 1, 1)
            if not byte: os._exit(0)
            c = socket.socket(fileno=fds[0])
            while (b := c.recv(65536)): c.sendall(b)
            c.close()
    kids.append(pid)
theirs.close()
s = socket.create_server((sys.argv[1], 7010)); print("listening", flush=True)
for i in range(int(sys.argv[2])):
    c = s.accept()[0]
    socket.send_fds(ours, [b"c"], [c.fileno()])
    c.close()
ours.close()
for pid in kids: assert os.waitpid(pid, 0)[1] == 0
# nobody takes the next one
a, b = socket.socketpair(); c = s.accept()[0]
c.sendall(b"left"); socket.send_fds(a, [b"c"], [c.fileno()]); c.close(); a.close(); b.close()
# to a program without the library: what it has reads as ended, and ends with it
import subprocess
a, b = socket.socketpair(); c = s.accept()[0]; socket.send_fds(a, [b"c"], [c.fileno()]); c.close()
code = "import os, socket, sys; s = socket.socket(fileno=int(sys.argv[1])); " \\
       "assert os.read(socket.recv_fds(s, 1, 1)[1][0], 1) == b''"
env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
subprocess.run([sys.executable, "-c", code, str(b.fileno())], pass_fds=(b.fileno(),), env=env, check=True)
print("served", flush=True)
"""

ENDS = """
import socket, sys
c = socket.create_connection((sys.argv[1], 7010)); assert c.makefile("rb").read() == b"left"
c = socket.create_connection((sys.argv[1], 7010)); c.settimeout(20)
try: assert c.recv(1) == b""
except ConnectionResetError: pass
print("good")
"""

CLIENT = """
import random, socket, sys, threading
def one(i):
    data = random.Random(i).randbytes(200_000)
    c = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    t = threading.Thread(target=lambda: (c.sendall(data), c.shutdown(socket.SHUT_WR))); t.start()
    with c.makefile("rb") as f: assert f.read() == data, i
    t.join(); c.close()
for i in range(int(sys.argv[3])): one(i)
print("good")
"""


def ask(net, port, count):
    client = net.peer_spawn("python3", "-c", CLIENT, lab.STACK4, str(port), str(count))
    lab.check(client.wait(60) == 0 and "good" in client.output(), client.output())


def serve(net, word, *cmd):
    server = net.run_spawn(*cmd)
    lab.check(lab.wait_for(lambda: word in server.output(), 20), server.output())
    return server


def test(driver, shards="1"):
    with lab.Lab(driver=driver, shards=int(shards)) as net:
        net.start()
        server = serve(net, "listening", sys.executable, "-c", INETD, lab.STACK4, "12")
        ask(net, 7007, 12)
        lab.check(server.wait(30) == 0 and "served" in server.output(), server.output())
        server = serve(net, "took over", sys.executable, "-c", LISTENER, lab.STACK4)
        ask(net, 7008, 10)
        lab.check(server.wait(30) == 0, server.output())
        serve(net, "listening", "socat", "-d", "-d", f"TCP-LISTEN:7009,bind={lab.STACK4},reuseaddr,fork", "EXEC:cat,nofork")
        ask(net, 7009, 5)
        server = serve(net, "listening", sys.executable, "-c", PASSING, lab.STACK4, "12")
        ask(net, 7010, 12)
        client = net.peer_spawn("python3", "-c", ENDS, lab.STACK4)
        lab.check(client.wait(60) == 0 and "good" in client.output(), client.output())
        lab.check(server.wait(30) == 0 and "served" in server.output(), server.output())
        lab.check(lab.wait_for(lambda: not net.connections()), f"left over: {net.connections()}")


if __name__ == "__main__":
    lab.main(test)
