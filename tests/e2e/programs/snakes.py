# SPDX-License-Identifier: BSD-2-Clause
"""Python's own servers: http.server, asyncio, socketserver's threads."""

import lab
from helpers import PORT, PYTHON, ends_well, same, says, served

MANY_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
"""

ASYNCIO_SERVER = MANY_FILES + """
import asyncio, sys
async def echo(r, w):
    while (b := await r.read(65536)):
        w.write(b); await w.drain()
    w.close()
async def main():
    s = await asyncio.start_server(echo, sys.argv[1], 7007, backlog=1024)
    print("listening", flush=True)
    await s.serve_forever()
asyncio.run(main())
"""

# all are open at once before the first sends
ASYNCIO_CLIENT = MANY_FILES + """
import asyncio, random, sys
async def one(n, r, w):
    data = random.Random(n).randbytes(50000)
    async def send():
        w.write(data); await w.drain(); w.write_eof()
    task = asyncio.create_task(send())
    assert await r.read(-1) == data
    await task; w.close()
async def main():
    ends = await asyncio.gather(*[asyncio.open_connection(sys.argv[1], 7007) for n in range(int(sys.argv[2]))])
    await asyncio.gather(*[one(n, *e) for n, e in enumerate(ends)])
    print("good")
asyncio.run(asyncio.wait_for(main(), 90))
"""

SOCKETSERVER = """
import socketserver, sys
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while (b := self.request.recv(65536)):
            self.request.sendall(b)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True; request_queue_size = 200; daemon_threads = True
with Server((sys.argv[1], 7008), Echo) as s:
    print("listening", flush=True)
    s.serve_forever()
"""

THREAD_CLIENTS = """
import random, socket, sys, threading
failed = []
def one(n):
    data = random.Random(n).randbytes(200000)
    try:
        with socket.create_connection((sys.argv[1], 7008)) as s:
            def send():
                s.sendall(data); s.shutdown(socket.SHUT_WR)
            t = threading.Thread(target=send); t.start()
            if s.makefile("rb").read() != data: failed.append(n)
            t.join()
    except OSError as e:
        failed.append((n, e))
threads = [threading.Thread(target=one, args=(n,)) for n in range(100)]
for t in threads: t.start()
for t in threads: t.join()
print("failed", failed) if failed else print("good")
sys.exit(bool(failed))
"""


def http_server(net):
    server = net.run_spawn(PYTHON, "-m", "http.server", PORT)
    url = f"http://{lab.STACK4}:{PORT}/data"
    lab.check(served(net.peer_sh, url), f"http.server does not serve: {server.output()}")
    clients = [net.peer_spawn("curl", "-sS", "-m", "60", "-o", f"out{i}", url) for i in range(8)]
    for i, c in enumerate(clients):
        ends_well(c, 60)
        same(f"out{i}", "data")


def both_roles(net, server, client, *words):
    """The same server and client, once each through stackd."""
    for spawn_server, spawn_client, address in ((net.run_spawn, net.peer_spawn, lab.STACK4),
                                                (net.peer_spawn, net.run_spawn, lab.PEER4)):
        s = spawn_server(PYTHON, "-c", server, address)
        says(s, "listening")
        c = spawn_client(PYTHON, "-c", client, address, *words)
        ends_well(c)
        lab.check("good" in c.output(), c.output()[-2000:])


def asyncio(net):
    both_roles(net, ASYNCIO_SERVER, ASYNCIO_CLIENT, "1000")


def socketserver(net):
    both_roles(net, SOCKETSERVER, THREAD_CLIENTS)
