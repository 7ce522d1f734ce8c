# SPDX-License-Identifier: BSD-2-Clause
"""both.py DRIVER [SHARDS] - `listen = both`: programs that listen on a wildcard serve stackd's address, an address of
the kernel's on another interface (10.10.0.2), and loopback, all at once: python's asyncio, nginx with two workers,
redis, and a server that blocks in accept.  Whatever ends does so on all of them."""

import os
import sys

import lab

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs"))
from helpers import listens, nginx_conf, same, served  # noqa: E402

KERNEL4 = "10.10.0.2"

ASYNCIO = """
import asyncio
async def serve(reader, writer):
    while data := await reader.read(65536):
        writer.write(data); await writer.drain()
    writer.close()
async def main():
    server = await asyncio.start_server(serve, None, 7001)  # 0.0.0.0 and ::
    print("listening", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""

BLOCKING = """
import socket, threading
def serve(c):
    with c:
        while data := c.recv(65536): c.sendall(data)
s = socket.create_server(("", 7002), backlog=64); print("listening", flush=True)
for _ in range(30): threading.Thread(target=serve, args=s.accept()[:1]).start()
"""

CLIENT = """
import random, socket, sys, threading
def one(i):
    data = random.Random(i).randbytes(100_000)
    c = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
    t = threading.Thread(target=lambda: (c.sendall(data), c.shutdown(socket.SHUT_WR))); t.start()
    with c.makefile("rb") as f: assert f.read() == data, i
    t.join(); c.close(); good.append(i)
good = []
clients = [threading.Thread(target=one, args=(i,)) for i in range(10)]
for t in clients: t.start()
for t in clients: t.join()
assert len(good) == 10
print("good")
"""

IN_USE = """
import errno, socket
k = socket.create_server(("127.0.0.1", 7003))
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try: s.bind(("", 7003)); s.listen(); assert 0
except OSError as e: assert e.errno == errno.EADDRINUSE
k.close(); s.bind(("", 7003)); s.listen()
print("good")
"""


def wire_kernel(net):
    """A second link, where both ends are the kernel's."""
    lab.sh("ip", "link", "add", "ka", "type", "veth", "peer", "name", "kb", "netns", "peer")
    lab.sh("ip", "addr", "add", f"{KERNEL4}/24", "dev", "ka")
    lab.sh("ip", "link", "set", "ka", "up")
    net.peer_sh("ip", "addr", "add", "10.10.0.1/24", "dev", "kb")
    net.peer_sh("ip", "link", "set", "kb", "up")


def places(net):
    """Each address with how to run a program that reaches it."""
    return ((lab.STACK4, net.peer_sh), (KERNEL4, net.peer_sh), ("127.0.0.1", lab.sh))


def is_closed(net, port):
    for address, run in places(net):
        code = f"import socket\ntry: socket.create_connection(('{address}', {port}), 5)\n" \
               "except ConnectionRefusedError: print('closed')"
        lab.check(lab.wait_for(lambda: "closed" in run("python3", "-c", code, ok=False), 20, 0.2),
                  f"{address}:{port} is still open")


def echo(net, program, port):
    server = net.run_spawn(sys.executable, "-c", program)
    lab.check(lab.wait_for(lambda: "listening" in server.output(), 20), server.output())
    clients = [net.peer_spawn("python3", "-c", CLIENT, address, port) for address in (lab.STACK4, KERNEL4)]
    clients.append(net.spawn("python3", "-c", CLIENT, "127.0.0.1", port))
    for c in clients:
        lab.check(c.wait(60) == 0 and "good" in c.output(), c.output() + server.output())
    if program is ASYNCIO:
        for address, run in ((lab.STACK6, net.peer_sh), ("::1", lab.sh)):
            lab.check("good" in run("python3", "-c", CLIENT, address, port), f"no echo from {address}")
        server.stop()
    else:
        lab.check(server.wait(30) == 0, server.output())
    is_closed(net, port)


def nginx(net):
    lab.random_file("data", 3 << 20)
    server = net.run_spawn("nginx", "-c", nginx_conf("0.0.0.0", "both", 2))
    for address, run in places(net):
        url = f"http://{address}:8080/data"
        lab.check(served(run, url), f"nginx does not serve {address}: {server.output()}")
        run("curl", "-sS", "-m", "60", "-Z", *[w for i in range(20) for w in ("-o", f"got{i}", url)])
        for i in range(20):
            same(f"got{i}", "data")
    lab.check(server.stop() == 0, f"nginx did not stop in order: {server.output()}")
    is_closed(net, 8080)


def redis(net):
    server = net.run_spawn("redis-server", "--port", "6390", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "")
    listens(net, 6390, server)
    for address, run in places(net):
        text = run("redis-benchmark", "-h", address, "-p", "6390", "-q", "-n", "5000", "-c", "20", "-t", "set,get")
        lab.check(text.count("requests per second") == 2, text)
        run("redis-cli", "-h", address, "-p", "6390", "bgsave")
    lab.check(server.stop() == 0, server.output())
    is_closed(net, 6390)


def test(driver, shards="1"):
    with lab.Lab(driver=driver, shards=int(shards), extra=["stackd.listen=both"]) as net:
        wire_kernel(net)
        net.start()
        echo(net, ASYNCIO, "7001")
        echo(net, BLOCKING, "7002")
        lab.check("good" in net.run(sys.executable, "-c", IN_USE), "no EADDRINUSE")
        nginx(net)
        redis(net)
        lab.check(lab.wait_for(lambda: not net.connections(), 20), f"left over: {net.connections()}")


if __name__ == "__main__":
    lab.main(test)
