# SPDX-License-Identifier: BSD-2-Clause
"""device.py DRIVER [SHARDS] - SO_BINDTODEVICE where stackd has two interfaces (va, vc) and the kernel a third (ka):
listeners and connections of one interface alone."""

import sys

import lab

SERVER = """
import socket, sys, threading
def serve(s, name):
    while True:
        c = s.accept()[0]
        assert c.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\\0").decode() == name
        c.sendall((name or "any").encode()); c.close()
for arg in sys.argv[1:]:
    name, port = arg.split(":")
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if name: s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode())
    s.bind(("", int(port))); s.listen(16)
    threading.Thread(target=serve, args=(s, name)).start()
print("listening", flush=True)
"""

ASK = """
import socket, sys
try:
    c = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20); print(c.recv(100).decode())
except ConnectionRefusedError: print("refused")
"""

CLIENT = """
import errno, socket, sys
def by(name, address):
    s = socket.socket(); s.settimeout(20)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
    assert s.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16) == name + b"\\0"
    s.connect((address, 7003)); return s
for name, peer, own in ((b"va", "10.9.0.1", "10.9.0.2"), (b"vc", "10.11.0.1", "10.11.0.2"), (b"ka", "10.10.0.1", "10.10.0.2")):
    s = by(name, peer); assert s.getsockname()[0] == own, s.getsockname()
    s.sendall(b"x" * 100_000); s.shutdown(socket.SHUT_WR); assert len(s.makefile("rb").read()) == 100_000
    s.close()
for name, peer in ((b"vc", "10.9.0.1"), (b"va", "10.11.0.1"), (b"va", "10.10.0.1"), (b"va", "10.9.0.2")):
    try: by(name, peer); assert 0
    except OSError as e: assert e.errno == errno.ENETUNREACH, (name, peer, e)
try: by(b"nosuch", "10.9.0.1"); assert 0
except OSError as e: assert e.errno == errno.ENODEV
print("good")
"""


def link(ours, theirs, net, kernel):
    lab.sh("ip", "link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", "peer")
    lab.sh("sysctl", "-qw", f"net.ipv6.conf.{ours}.disable_ipv6=1", ok=False)
    lab.sh("ip", "link", "set", ours, "up")
    net.peer_sh("ip", "link", "set", theirs, "up")
    net.peer_sh("ip", "addr", "add", "10.10.0.1/24" if kernel else "10.11.0.1/24", "dev", theirs)
    if kernel:
        lab.sh("ip", "addr", "add", "10.10.0.2/24", "dev", ours)


def test(driver, shards="1"):
    second = [f"interface vc.driver={driver}", "interface vc.address=10.11.0.2/24"]
    with lab.Lab(driver=driver, shards=int(shards), extra=second) as net:
        link("vc", "vd", net, False)
        link("ka", "kb", net, True)
        net.start()
        server = net.run_spawn(sys.executable, "-c", SERVER, "va:7001", "vc:7001", "vc:7002", "ka:7001", ":7004")
        lab.check(lab.wait_for(lambda: "listening" in server.output(), 20), server.output())

        def ask(address, port, answer):
            got = net.peer_sh("python3", "-c", ASK, address, port).strip()
            lab.check(got == answer, f"{address}:{port} answers {got}, not {answer}")

        for _ in range(5):
            ask("10.9.0.2", "7001", "va")
            ask("10.11.0.2", "7001", "vc")
            ask("10.10.0.2", "7001", "ka")
            ask("10.9.0.2", "7002", "refused")
            ask("10.11.0.2", "7002", "vc")
        ask("10.11.0.2", "7004", "any")
        net.peer_spawn("socat", "TCP-LISTEN:7003,reuseaddr,fork", "EXEC:cat")
        lab.check(lab.wait_for(lambda: ":7003" in net.peer_sh("ss", "-ltn"), 20), "socat does not listen")
        lab.check("good" in net.run(sys.executable, "-c", CLIENT), "a client")
        lab.check(lab.wait_for(lambda: not net.connections(), 20), f"left over: {net.connections()}")


if __name__ == "__main__":
    lab.main(test)
