# SPDX-License-Identifier: BSD-2-Clause
"""limits.py DRIVER - more sockets than a client may have, a storm of forks, and what an idle connection costs."""

import re
import signal
import time

import lab

SINK = """
import resource, socket
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", 7000)); s.listen(4096); print("listening", flush=True)
held = []
while True: held.append(s.accept())
"""

MANY = """
import errno, resource, socket, struct, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
held, why = [], 0
for i in range(int(sys.argv[2])):
    try:
        s = socket.socket()
        s.connect((sys.argv[1], 7000))
        held.append(s)
    except OSError as e:
        s.close()
        why = e.errno
        break
print("held", len(held), errno.errorcode.get(why, why), flush=True)
if sys.argv[3:] == ["again"]:
    for s in held[:10]:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    del held[:10]
    time.sleep(0.2)
    for i in range(10):
        held.append(socket.create_connection((sys.argv[1], 7000)))
    print("again", flush=True)
time.sleep(600)
"""

SERVER = """
import resource, selectors, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
s = socket.create_server((sys.argv[1], 7001), backlog=4096); print("listening", flush=True)
s.setblocking(False); poll = selectors.DefaultSelector(); poll.register(s, selectors.EVENT_READ)
had = 0
while had < int(sys.argv[2]) or len(poll.get_map()) > 1:
    for key, _ in poll.select():
        if key.fileobj is s:
            try: c = s.accept()[0]
            except BlockingIOError: continue
            c.setblocking(False); poll.register(c, selectors.EVENT_READ); had += 1
        elif (b := key.fileobj.recv(100)): key.fileobj.sendall(b)
        else: poll.unregister(key.fileobj); key.fileobj.close()
print("served", had, flush=True)
"""

ASK = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
held = [socket.create_connection((sys.argv[1], 7001)) for _ in range(int(sys.argv[2]))]
for s in held: s.sendall(b"x")
for s in held: assert s.recv(1) == b"x"
for s in held: s.close()
print("good")
"""

FORKS = """
import os, socket, sys
s = socket.create_connection((sys.argv[1], 7000))
kids = []
for i in range(100):
    pid = os.fork()
    if pid == 0:
        s.sendall(b"x")
        if i % 2: os.kill(os.getpid(), 9)
        c = socket.create_connection((sys.argv[1], 7000))
        os._exit(0)
    kids.append(pid)
for k in kids: os.waitpid(k, 0)
s.sendall(b"parent")
print("forked", flush=True)
"""


def memory_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return {m[1]: int(m[2]) for m in re.finditer(r"^(\w+): +(\d+) kB", f.read(), re.M)}


def held(p):
    lab.check(lab.wait_for(lambda: "held" in p.output(), 60), f"no connections: {p.output()[-2000:]}")
    return p.output().split("held", 1)[1].split()[:2]


def start_sink(net):
    sink = net.peer_spawn("python3", "-c", SINK)
    lab.check(lab.wait_for(lambda: "listening" in sink.output(), 10), "no server")
    return sink


def test(driver):
    with lab.Lab(driver=driver) as net:
        net.peer_sh("sysctl", "-qw", "net.core.somaxconn=4096", "net.ipv4.tcp_max_syn_backlog=4096", ok=False)
        net.start()
        sink = start_sink(net)
        first = net.run_spawn("python3", "-c", MANY, lab.PEER4, "10")
        held(first)
        before = memory_kb(net.stackd.pid)
        many = net.run_spawn("python3", "-c", MANY, lab.PEER4, "5000")
        lab.check(held(many) == ["5000", "0"], f"5000 connections: {many.output()}")
        time.sleep(1)
        after = memory_kb(net.stackd.pid)
        cost = {k: (after[k] - before[k]) * 1024 // 5000 for k in ("Rss", "Anonymous", "Shared_Dirty", "Private_Dirty")}
        print(f"an idle connection costs, in bytes of stackd: {cost}", flush=True)
        lab.check(cost["Anonymous"] < 8192, f"{cost['Anonymous']} bytes of anonymous memory for an idle connection")
        many.stop(signal.SIGKILL)
        sink.stop(signal.SIGKILL)  # it has kept its descriptors
        sink = start_sink(net)

        # half of sockets_per_client can be opened by itself
        full = net.run_spawn("python3", "-c", MANY, lab.PEER4, "17000", "again")
        lab.check(held(full) == ["16384", "ENOBUFS"], f"17000 connections on one client: {full.output()[-500:]}")
        lab.check(lab.wait_for(lambda: "again" in full.output(), 10), f"closing made no room: {full.output()[-900:]}")
        full.stop(signal.SIGKILL)

        # ten thousand accepted by one server, each of which answers
        server = net.run_spawn("python3", "-c", SERVER, lab.STACK4, "10000")
        lab.check(lab.wait_for(lambda: "listening" in server.output(), 10), server.output())
        crowd = net.peer_spawn("python3", "-c", ASK, lab.STACK4, "10000")
        lab.check(crowd.wait(100) == 0 and "good" in crowd.output(), crowd.output()[-900:])
        lab.check(server.wait(30) == 0 and "served 10000" in server.output(), server.output()[-900:])

        lab.check("forked" in net.run("python3", "-c", FORKS, lab.PEER4), "100 forks")
        first.stop(signal.SIGKILL)
        sink.stop(signal.SIGKILL)  # its ends were left half open
        lab.check(lab.wait_for(lambda: not net.show("clients")["clients"], 10), f"left: {net.show('clients')}")
        lab.check(lab.wait_for(lambda: not net.connections(), 10), f"left: {net.connections()[:3]}")


if __name__ == "__main__":
    lab.main(test)
