# SPDX-License-Identifier: BSD-2-Clause
"""lines.py CASE DRIVER [SHARDS] - stackd's sockets in a foreign event loop: stackd-lines on libevent, without a preloaded
library, and the kernel's sockets as its clients."""

import os
import signal

import lab

PROGRAM = os.path.join(lab.BUILD, "libclient", "stackd-lines")

# Many connections in one thread; each says its lines, closes its half, and reads to the end.
MANY = """
import random, selectors, socket, sys
address, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
r = random.Random(seed); print("seed", seed, flush=True)
def text():
    sizes = [r.choice((0, 1, 5, 80, 3000)) for _ in range(r.randrange(1, 60))]
    lines = [r.randbytes(n).replace(b"\\n", b"-") for n in sizes]
    return b"\\n".join(lines)     # mostly without a newline at the end
sel = selectors.DefaultSelector()
class Talk:
    def __init__(self):
        self.out = text(); self.got = []
        lines = self.out.split(b"\\n")
        self.want = b"\\n".join(l[::-1] for l in lines)
        self.s = socket.create_connection((address, 7007)); self.s.setblocking(False)
        sel.register(self.s, selectors.EVENT_READ | selectors.EVENT_WRITE, self)
    def write(self):
        self.out = self.out[self.s.send(self.out[:r.randrange(1, 20000)]):] if self.out else b""
        if not self.out:
            self.s.shutdown(socket.SHUT_WR); sel.modify(self.s, selectors.EVENT_READ, self)
    def read(self):
        b = self.s.recv(1 << 16)
        if b: self.got.append(b); return
        assert not self.out and b"".join(self.got) == self.want, (len(self.want), len(b"".join(self.got)))
        sel.unregister(self.s); self.s.close()
talks = [Talk() for _ in range(count)]
print("connected", flush=True)
while sel.get_map():
    for key, events in sel.select(60) or sys.exit("nothing for a minute"):
        if events & selectors.EVENT_WRITE: key.data.write()
        if events & selectors.EVENT_READ: key.data.read()
print("good", flush=True)
"""

# Says much and reads nothing until it can say no more; then reads all.
DEAF = """
import socket, sys, threading, time
line = bytes(i % 96 + 32 for i in range(999)) + b"\\n"
total = 60_000_000
c = socket.create_connection((sys.argv[1], 7007)); c.settimeout(60)
said = 0; done = threading.Event()
def say():
    global said
    for _ in range(total // len(line)): c.sendall(line); said += len(line)
    c.shutdown(socket.SHUT_WR); done.set()
threading.Thread(target=say, daemon=True).start()
before = -1
while before != said or said == 0:
    before = said; time.sleep(0.5)
print("stuck", flush=True); sys.stdin.readline()
assert not done.is_set(), "the server takes everything from one who reads nothing"
want = line[:-1][::-1] + b"\\n"; f = c.makefile("rb"); n = 0
for got in f:
    assert got == want; n += len(got)
assert n == total // len(line) * len(line), n
print("good", flush=True)
"""

ONE_LINE = """
import socket, sys
c = socket.create_connection((sys.argv[1], 7007)); c.settimeout(60)
c.sendall(b"abc\\n"); f = c.makefile("rb")
assert f.readline() == b"cba\\n"
print("good", flush=True)
"""

ENDLESS_LINE = """
import socket, sys
c = socket.create_connection((sys.argv[1], 7007)); c.settimeout(60)
try:
    while True: c.sendall(bytes(1 << 16))
except (ConnectionResetError, BrokenPipeError): print("good", flush=True)
"""


def start(net):
    server = net.spawn(PROGRAM, "-s", net.rundir, lab.STACK4, "7007")
    lab.check(lab.wait_for(lambda: "through stackd" in server.output()), f"does not serve: {server.output()}")
    with open(f"/proc/{server.pid}/environ", encoding="utf-8") as f:
        lab.check("LD_PRELOAD" not in f.read(), "something is preloaded")
    return server


def client(net, program, *words):
    done = net.peer_spawn("python3", "-c", program, lab.STACK4, *words)
    lab.check(done.wait(100) == 0 and "good" in done.output(), done.output())


def finish(server, words):
    lab.check(server.stop(signal.SIGTERM) == 0, server.output())
    lab.check(words in server.output(), f"{words} expected: {server.output()}")


def test_many(net):
    server = start(net)
    client(net, MANY, "300", os.environ.get("SEED", "1"))
    client(net, MANY, "1", "2")
    # what is connected and silent costs no time
    idle = net.peer_spawn("python3", "-c", IDLE, lab.STACK4)
    lab.check(lab.wait_for(lambda: "connected" in idle.output(), 30), idle.output())
    before = cpu_ticks(server)
    idle.wait(60)
    lab.check(cpu_ticks(server) - before < os.sysconf("SC_CLK_TCK"), "the loop turns without work")
    client(net, ONE_LINE)
    finish(server, "502 connections")


IDLE = """
import socket, sys, time
c = [socket.create_connection((sys.argv[1], 7007)) for _ in range(200)]
print("connected", flush=True); time.sleep(3)
"""


def cpu_ticks(p):
    with open(f"/proc/{p.pid}/stat", encoding="utf-8") as f:
        words = f.read().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


def private_kb(p):
    with open(f"/proc/{p.pid}/status", encoding="utf-8") as f:
        return int(next(line for line in f if line.startswith("RssAnon")).split()[1])


def test_pressure(net):
    """One who doesn't read stops being read from; the others are served, and memory stays."""
    server = start(net)
    deaf = net.peer_spawn("sh", "-c", 'mkfifo go; exec python3 -c "$0" "$1" <>go', DEAF, lab.STACK4)
    lab.check(lab.wait_for(lambda: "stuck" in deaf.output(), 60), deaf.output())
    lab.check(private_kb(server) < 40_000, f"{private_kb(server)} KB for one who does not read")
    client(net, ONE_LINE)
    client(net, ENDLESS_LINE)
    with open("go", "w", encoding="utf-8") as go:
        go.write("go\n")
    lab.check(deaf.wait(100) == 0 and "good" in deaf.output(), deaf.output())
    client(net, ONE_LINE)
    finish(server, "4 connections, 60002 lines")
    bad_words(net)


def bad_words(net):
    for words in ([], ["-x", lab.STACK4, "1"], [lab.STACK4], [lab.STACK4, "1", "2"]):
        p = net.spawn(PROGRAM, *words)
        lab.check(p.wait(20) == 2 and "usage:" in p.output(), f"{words}: {p.output()}")
    p = net.spawn(PROGRAM, "-s", "/nonexistent", lab.STACK4, "1")
    lab.check(p.wait(20) == 1 and "No such file" in p.output(), p.output())


def test(case, driver, shards="1"):
    with lab.Lab(driver=driver, shards=int(shards)) as net:
        net.start()
        globals()["test_" + case](net)


if __name__ == "__main__":
    lab.main(test)
