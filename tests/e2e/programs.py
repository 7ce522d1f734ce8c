# SPDX-License-Identifier: BSD-2-Clause
"""programs.py PROGRAM DRIVER - an unmodified program of Debian's does real work through stackd, with
the kernel as its peer."""

import json
import os

import lab

PORT = "8080"


def served_by_kernel(net, data):
    """A stock nginx on the peer that serves TMP; its port."""
    return nginx(net.peer_spawn, net, lab.PEER4, 1, "peer")


def nginx(spawn, net, address, workers, name):
    conf = os.path.join(lab.TMP, f"nginx-{name}.conf")
    with open(conf, "w") as f:
        f.write(f"""
daemon off; user root; worker_processes {workers}; pid {lab.TMP}/nginx-{name}.pid; error_log {lab.TMP}/nginx-{name}.err;
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; keepalive_requests 100000;
  client_body_temp_path {lab.TMP}/body-{name}; proxy_temp_path {lab.TMP}/proxy-{name};
  fastcgi_temp_path {lab.TMP}/fastcgi-{name}; uwsgi_temp_path {lab.TMP}/uwsgi-{name}; scgi_temp_path {lab.TMP}/scgi-{name};
  server {{ listen {address}:{PORT}; root {lab.TMP}; }} }}
""")
    return spawn("nginx", "-c", conf)


def served(net, fetch, url):
    return lab.wait_for(lambda: "200" in fetch("curl", "-s", "-o", "/dev/null", "-m", "2", "-w", "%{http_code}", url,
                                               ok=False), 15, 0.2)


def test_curl(net, data):
    served_by_kernel(net, data)
    url = f"http://{lab.PEER4}:{PORT}/data"
    lab.check(served(net, net.peer_sh, url), "nginx on the kernel does not serve")
    for i in range(5):
        net.run("curl", "-sS", "-m", "60", "-o", "out", url)
        lab.check(lab.sha("out") == lab.sha(data), "wrong bytes")
    # several transfers on one connection, and in parallel
    net.run("curl", "-sS", "-m", "60", "-Z", *[w for i in range(8) for w in ("-o", f"out{i}", url)])
    for i in range(8):
        lab.check(lab.sha(f"out{i}") == lab.sha(data), "wrong bytes in parallel")
    refused = lab.sh(*net.through("curl", "-s", "-m", "5", "-w", "%{exitcode}", f"http://{lab.PEER4}:9/"), ok=False)
    lab.check(refused.strip().endswith("7"), f"a refused connection is not told: {refused}")


def test_wget(net, data):
    served_by_kernel(net, data)
    url = f"http://{lab.PEER4}:{PORT}/data"
    lab.check(served(net, net.peer_sh, url), "nginx on the kernel does not serve")
    net.run("wget", "-q", "-T", "20", "-O", "out", url)
    lab.check(lab.sha("out") == lab.sha(data), "wrong bytes")


def run_nginx(net, data, workers):
    server = nginx(net.run_spawn, net, lab.STACK4, workers, "stack")
    url = f"http://{lab.STACK4}:{PORT}/data"
    lab.check(served(net, net.peer_sh, url), f"nginx does not serve: {server.output()}")
    for _ in range(3):
        net.peer_sh("curl", "-sS", "-m", "60", "-o", "out", url)
        lab.check(lab.sha("out") == lab.sha(data), "wrong bytes")
    lab.random_file("small", 1000, 5)
    for keep in ([], ["-k"]):
        text = net.peer_sh("ab", "-q", "-n", "2000", "-c", "20", *keep, f"http://{lab.STACK4}:{PORT}/small", timeout=120)
        lab.check("Complete requests:      2000" in text and "Failed requests:        0" in text, text)
    lab.check(server.stop() == 0, f"nginx did not stop in order: {server.output()}")


def test_nginx(net, data):
    run_nginx(net, data, 1)


def test_nginx_workers(net, data):
    run_nginx(net, data, 3)


def iperf3(run, *words):
    text = run("iperf3", "-J", *words, timeout=150)
    result = json.loads(text)
    lab.check("error" not in result, result.get("error"))
    return result["end"]["sum_received"]["bits_per_second"] / 1e6


def test_iperf3(net, data):
    net.peer_spawn("iperf3", "-s", "-B", lab.PEER4)
    net.run_spawn("iperf3", "-s", "-B", lab.STACK4)
    lab.check(lab.wait_for(lambda: ":5201" in net.peer_sh("ss", "-ltn")), "iperf3 on the kernel does not listen")
    lab.check(lab.wait_for(lambda: net.show("listeners")["listeners"]), "iperf3 through stackd does not listen")
    seconds = os.environ.get("STACKD_IPERF_SECONDS", "3")
    for words in ([], ["-R"], ["-P", "8"], ["-P", "8", "-R"]):
        rate = iperf3(net.run, "-c", lab.PEER4, "-t", seconds, *words)
        print(f"client through stackd {' '.join(words)}: {rate:.0f} Mbit/s")
        lab.check(rate > 100, f"only {rate:.1f} Mbit/s with {words}")
        rate = iperf3(net.peer_sh, "-c", lab.STACK4, "-t", seconds, *words)
        print(f"server through stackd {' '.join(words)}: {rate:.0f} Mbit/s")
        lab.check(rate > 100, f"only {rate:.1f} Mbit/s to the server with {words}")


def redis_answers(run, address):
    return lab.wait_for(lambda: "PONG" in run("redis-cli", "-h", address, "-p", "6390", "ping", ok=False), 15, 0.2)


def test_redis(net, data):
    server = net.run_spawn("redis-server", "--port", "6390", "--bind", lab.STACK4, "--protected-mode", "no",
                           "--dir", lab.TMP, "--save", "")
    lab.check(redis_answers(net.peer_sh, lab.STACK4), f"redis does not answer: {server.output()[-2000:]}")
    net.peer_sh("redis-benchmark", "-h", lab.STACK4, "-p", "6390", "-q", "-n", "20000", "-c", "50", "-t",
                "set,get,lpush,lrange_100", timeout=120)
    # the snapshot's fork shares the sockets for a while
    net.peer_sh("redis-cli", "-h", lab.STACK4, "-p", "6390", "bgsave")
    net.peer_sh("redis-benchmark", "-h", lab.STACK4, "-p", "6390", "-q", "-n", "20000", "-c", "50", "-t", "set",
                timeout=120)
    lab.check(lab.wait_for(lambda: "rdb_bgsave_in_progress:0" in net.peer_sh(
        "redis-cli", "-h", lab.STACK4, "-p", "6390", "info", "persistence")), "the snapshot does not end")
    lab.check("ok" in net.peer_sh("redis-cli", "-h", lab.STACK4, "-p", "6390", "info", "persistence"), "snapshot failed")
    server.stop()
    # and the client's role
    net.peer_spawn("redis-server", "--port", "6390", "--bind", lab.PEER4, "--protected-mode", "no", "--dir", "/tmp",
                   "--save", "")
    lab.check(redis_answers(net.peer_sh, lab.PEER4), "redis on the kernel does not answer")
    text = net.run("redis-benchmark", "-h", lab.PEER4, "-p", "6390", "-q", "-n", "20000", "-c", "50", "-t", "set,get")
    lab.check("requests per second" in text, text)


MEMCACHED_CHECK = """
import socket, sys
s = socket.create_connection((sys.argv[1], 11311)); f = s.makefile("rb")
value = bytes(range(97, 123)) * 2000
for i in range(200):
    s.sendall(b"set k%d 0 0 %d\\r\\n" % (i, len(value)) + value + b"\\r\\n")
    assert f.readline() == b"STORED\\r\\n"
for i in range(200):
    s.sendall(b"get k%d\\r\\n" % i)
    assert f.readline().startswith(b"VALUE k%d" % i)
    assert f.read(len(value) + 2) == value + b"\\r\\n"
    assert f.readline() == b"END\\r\\n"
print("good")
"""


def test_memcached(net, data):
    server = net.run_spawn("memcached", "-u", "root", "-l", lab.STACK4, "-p", "11311", "-U", "0", "-t", "4")
    lab.check(lab.wait_for(lambda: net.show("listeners")["listeners"]), f"does not listen: {server.output()}")
    clients = [net.peer_spawn("python3", "-c", MEMCACHED_CHECK, lab.STACK4) for _ in range(8)]
    for c in clients:
        lab.check(c.wait(60) == 0 and "good" in c.output(), c.output())


def test_http_server(net, data):
    server = net.run_spawn("python3", "-m", "http.server", PORT)
    url = f"http://{lab.STACK4}:{PORT}/data"
    lab.check(served(net, net.peer_sh, url), f"http.server does not serve: {server.output()}")
    clients = [net.peer_spawn("curl", "-sS", "-m", "60", "-o", f"out{i}", url) for i in range(8)]
    for i, c in enumerate(clients):
        lab.check(c.wait(60) == 0, c.output())
        lab.check(lab.sha(f"out{i}") == lab.sha(data), "wrong bytes")


ECHO = """
import asyncio, sys
async def echo(r, w):
    while (b := await r.read(65536)):
        w.write(b); await w.drain()
    w.close()
async def main():
    s = await asyncio.start_server(echo, sys.argv[1], 7007)
    print("listening", flush=True)
    await s.serve_forever()
asyncio.run(main())
"""

ECHO_CLIENTS = """
import asyncio, random, sys
async def one(n):
    r, w = await asyncio.open_connection(sys.argv[1], 7007)
    data = random.Random(n).randbytes(100000)
    async def send():
        w.write(data); await w.drain(); w.write_eof()
    task = asyncio.create_task(send())
    assert await r.read(-1) == data
    await task; w.close()
async def main():
    await asyncio.wait_for(asyncio.gather(*[one(n) for n in range(int(sys.argv[2]))]), 90)
    print("good")
asyncio.run(main())
"""


def test_asyncio(net, data):
    server = net.run_spawn("python3", "-c", ECHO, lab.STACK4)
    lab.check(lab.wait_for(lambda: "listening" in server.output()), server.output())
    client = net.peer_spawn("python3", "-c", ECHO_CLIENTS, lab.STACK4, "200")
    lab.check(client.wait(100) == 0, client.output()[-2000:])
    other = net.peer_spawn("python3", "-c", ECHO, lab.PEER4)
    lab.check(lab.wait_for(lambda: "listening" in other.output()), other.output())
    client = net.run_spawn("python3", "-c", ECHO_CLIENTS, lab.PEER4, "200")
    lab.check(client.wait(100) == 0, client.output()[-2000:])


def test_openssl(net, data):
    lab.sh("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days",
           "1", "-subj", "/CN=stackd")
    server = net.run_spawn("openssl", "s_server", "-accept", f"{lab.STACK4}:4433", "-key", "key.pem", "-cert", "cert.pem",
                           "-WWW", "-quiet")
    lab.check(lab.wait_for(lambda: net.show("listeners")["listeners"]), f"does not listen: {server.output()}")
    net.peer_sh("curl", "-sSk", "-m", "30", "-o", "out", f"https://{lab.STACK4}:4433/data")
    lab.check(lab.sha("out") == lab.sha(data), "wrong bytes")


def test_socat(net, data):
    server = net.run_spawn("socat", f"TCP-LISTEN:7100,bind={lab.STACK4},reuseaddr,fork", "EXEC:cat")
    lab.check(lab.wait_for(lambda: net.show("listeners")["listeners"]), f"does not listen: {server.output()}")
    text = net.peer_sh("sh", "-c", f"socat -t 10 - TCP:{lab.STACK4}:7100 <data | sha256sum", timeout=60)
    lab.check(text.split()[0] == lab.sha(data), "wrong bytes by socat")
    receiver = net.peer_spawn("sh", "-c", f"nc -l {lab.PEER4} 7201 >out")
    lab.check(lab.wait_for(lambda: ":7201" in net.peer_sh("ss", "-ltn")), receiver.output())
    lab.sh("sh", "-c", " ".join(net.through("nc", "-N", lab.PEER4, "7201")) + " <data", timeout=60)
    lab.check(receiver.wait(20) == 0 and lab.sha("out") == lab.sha(data), "wrong bytes by nc")


HAPROXY = """
global
  maxconn 200
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
frontend f
  bind {here}:8000
  default_backend b
backend b
  server s {there}:8080
"""


def test_haproxy(net, data):
    served_by_kernel(net, data)
    with open("haproxy.cfg", "w") as f:
        f.write(HAPROXY.format(here=lab.STACK4, there=lab.PEER4))
    server = net.run_spawn("haproxy", "-db", "-f", "haproxy.cfg")
    url = f"http://{lab.STACK4}:8000"
    lab.check(served(net, net.peer_sh, url + "/data"), f"haproxy does not serve: {server.output()}")
    net.peer_sh("curl", "-sS", "-m", "60", "-o", "out", url + "/data")
    lab.check(lab.sha("out") == lab.sha(data), "wrong bytes")
    lab.random_file("small", 1000, 5)
    text = net.peer_sh("ab", "-q", "-k", "-n", "5000", "-c", "20", url + "/small", timeout=120)
    lab.check("Failed requests:        0" in text, text)


def test_loaders(net, data):
    """wrk and ab, whose ends are stackd's."""
    served_by_kernel(net, data)
    url = f"http://{lab.PEER4}:{PORT}"
    lab.check(served(net, net.peer_sh, url + "/data"), "nginx on the kernel does not serve")
    lab.random_file("small", 1000, 5)
    text = net.run("wrk", "-t2", "-c32", "-d2s", url + "/small", timeout=60)
    lab.check("Requests/sec" in text and "Socket errors" not in text and "Non-2xx" not in text, text)
    for keep in ([], ["-k"]):
        text = net.run("ab", "-q", "-n", "3000", "-c", "20", *keep, url + "/small", timeout=120)
        lab.check("Failed requests:        0" in text, text)


def test_git(net, data):
    lab.sh("sh", "-c", "git init -q r && cp data r/f && cd r && git add f && git -c user.name=x -c user.email=x@x commit "
           "-qm x && cd .. && git clone -q --bare r r.git && git -C r.git update-server-info")
    served_by_kernel(net, data)
    lab.check(served(net, net.peer_sh, f"http://{lab.PEER4}:{PORT}/data"), "nginx on the kernel does not serve")
    net.run("git", "clone", "-q", f"http://{lab.PEER4}:{PORT}/r.git", "cloned", timeout=60)
    lab.check(lab.sha("cloned/f") == lab.sha(data), "wrong bytes")


def test(program, driver, shards="1"):
    with lab.Lab(driver=driver, shards=int(shards)) as net:
        net.start()
        data = lab.random_file("data", 20 << 20)
        globals()["test_" + program](net, data)


if __name__ == "__main__":
    lab.main(test)
