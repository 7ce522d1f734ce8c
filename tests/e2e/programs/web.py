# SPDX-License-Identifier: BSD-2-Clause
"""Web clients, servers, a proxy and load generators."""

import re

import lab
from helpers import MB, PORT, listens, nginx_conf, same, scaled, serve_from_peer, served, write


def curl(net):
    url = serve_from_peer(net) + "/data"
    for _ in range(5):
        net.run("curl", "-sS", "-m", "60", "-o", "out", url)
        same("out", "data")
    net.run("curl", "-sS", "-m", "60", "-Z", *[w for i in range(8) for w in ("-o", f"out{i}", url)])
    for i in range(8):
        same(f"out{i}", "data", "wrong bytes in parallel")
    refused = lab.sh(*net.through("curl", "-s", "-m", "5", "-w", "%{exitcode}", f"http://{lab.PEER4}:9/"), ok=False)
    lab.check(refused.strip().endswith("7"), f"a refused connection is not told: {refused}")


def wget(net):
    url = serve_from_peer(net) + "/data"
    net.run("wget", "-q", "-T", "20", "-O", "out", url)
    same("out", "data")


def ab(run, url, count, *words):
    """Failed requests of `count`; ab itself goes on when the server resets."""
    text = run("ab", "-q", "-r", "-n", str(count), "-c", "20", *words, url, timeout=120)
    lab.check(f"Complete requests:      {count}" in text, text)
    return int(re.search(r"Failed requests: +(\d+)", text).group(1))


def reload_under_load(net, spawn, address, name):
    """Requests that fail while nginx is reloaded three times."""
    conf = nginx_conf(address, name, 2, "8081")
    server = spawn("nginx", "-c", conf)
    url = f"http://{address}:8081/small"
    lab.check(served(net.peer_sh, url), f"nginx does not serve: {server.output()}")
    load = net.peer_spawn("ab", "-q", "-r", "-n", "20000", "-c", "20", url)
    reloads = 0
    while load.alive() and reloads < 3:
        lab.sh("nginx", "-c", conf, "-s", "reload")
        reloads += 1
        lab.wait_for(lambda: not load.alive(), 0.3)
    lab.check(load.wait(100) == 0 and reloads, load.output())
    lab.check("Complete requests:      20000" in load.output(), load.output())
    lab.check(served(net.peer_sh, url), f"nginx does not serve after the reloads: {server.output()}")
    server.stop()
    return int(re.search(r"Failed requests: +(\d+)", load.output()).group(1))


def nginx(net):
    for workers in (1, 3):
        server = net.run_spawn("nginx", "-c", nginx_conf(lab.STACK4, f"stack{workers}", workers))
        url = f"http://{lab.STACK4}:{PORT}"
        lab.check(served(net.peer_sh, url + "/small"), f"nginx does not serve: {server.output()}")
        net.peer_sh("curl", "-sS", "-m", "60", "-o", "out", url + "/data")
        same("out", "data")
        net.peer_sh("curl", "-sS", "-m", "60", *[w for i in range(50) for w in ("-o", f"mb{i}", url + "/mb")])
        for i in range(50):
            same(f"mb{i}", "mb", "sendfile")
        for keep in ((), ("-k",)):
            failed = ab(net.peer_sh, url + "/small", 10000, *keep)
            lab.check(failed == 0, f"{failed} of 10,000 requests failed with {workers} workers {keep}")
        lab.check(server.stop() == 0, f"nginx did not stop in order: {server.output()}")


def nginx_reload(net):
    theirs = reload_under_load(net, net.peer_spawn, lab.PEER4, "theirs")
    ours = reload_under_load(net, net.run_spawn, lab.STACK4, "ours")
    lab.check(ours <= theirs, f"{ours} requests failed during reloads, {theirs} with the kernel")


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
  balance roundrobin
  http-response set-header X-Server %s
  server one {there}:8080 check inter 200ms
  server two {there}:8081 check inter 200ms
"""


def haproxy(net):
    for port in ("8080", "8081"):
        serve_from_peer(net, port=port)
    write("haproxy.cfg", HAPROXY.format(here=lab.STACK4, there=lab.PEER4))
    server = net.run_spawn("haproxy", "-db", "-f", "haproxy.cfg")
    url = f"http://{lab.STACK4}:8000"
    lab.check(served(net.peer_sh, url + "/data"), f"haproxy does not serve: {server.output()}")
    for i in range(4):
        net.peer_sh("curl", "-sS", "-m", "60", "-D", f"head{i}", "-o", "out", url + "/data")
        same("out", "data")
    heads = "".join(open(f"head{i}", encoding="utf-8").read() for i in range(4)).lower()
    lab.check("x-server: one" in heads and "x-server: two" in heads, heads)
    for keep in ((), ("-k",)):
        failed = ab(net.peer_sh, url + "/small", 5000, *keep)
        lab.check(failed == 0, f"{failed} of 5000 requests failed {keep}")


def wrk(net):
    url = serve_from_peer(net)
    seconds = scaled("STACKD_WRK_SECONDS", "2")
    text = net.run("wrk", "-t2", "-c64", f"-d{seconds}s", url + "/small", timeout=int(seconds) + 60)
    lab.check("Requests/sec" in text and "Socket errors" not in text and "Non-2xx" not in text, text)
    lab.check(int(re.search(r"(\d+) requests in", text).group(1)) > 1000, text)


def apachebench(net):
    url = serve_from_peer(net)
    for keep in ((), ("-k",)):
        failed = ab(net.run, url + "/small", 5000, *keep)
        lab.check(failed == 0, f"{failed} of 5000 requests failed {keep}")


NODE_SERVER = """
const http = require('http'), fs = require('fs'), crypto = require('crypto');
http.createServer((q, r) => {
  if (q.method === 'GET')
    return fs.createReadStream(q.url.slice(1)).pipe(r);
  const h = crypto.createHash('sha256');
  q.on('data', b => h.update(b)).on('end', () => r.end(h.digest('hex')));
}).listen(8300, process.argv[2], () => console.log('listening'));
"""

NODE_CLIENT = """
const http = require('http'), fs = require('fs'), crypto = require('crypto');
const agent = new http.Agent({keepAlive: true, maxSockets: 16});
const ask = (path, method, body) => new Promise((good, bad) => {
  const h = crypto.createHash('sha256'); let text = '';
  const q = http.request({host: process.argv[2], port: 8300, path, method, agent}, r => {
    r.on('data', b => { h.update(b); if (method === 'PUT') text += b; });
    r.on('end', () => good(method === 'PUT' ? text : h.digest('hex')));
  }).on('error', bad);
  body ? fs.createReadStream(body).pipe(q) : q.end();
});
const sha = f => crypto.createHash('sha256').update(fs.readFileSync(f)).digest('hex');
(async () => {
  const jobs = [];
  for (let i = 0; i < 500; i++) jobs.push(ask('/small', 'GET'));
  const wrong = (await Promise.all(jobs)).filter(x => x !== sha('small')).length;
  const down = await ask('/data', 'GET'), up = await ask('/', 'PUT', 'data');
  agent.destroy();
  if (wrong || down !== sha('data') || up !== sha('data')) { console.log('wrong', wrong, down, up); process.exit(1); }
  console.log('good');
})();
"""


def node(net):
    write("server.js", NODE_SERVER)
    write("client.js", NODE_CLIENT)
    server = net.run_spawn("node", "server.js", lab.STACK4)
    listens(net, 8300, server)
    lab.check("good" in net.peer_sh("node", "client.js", lab.STACK4, timeout=60), server.output())
    other = net.peer_spawn("node", "server.js", lab.PEER4)
    lab.check(lab.wait_for(lambda: "listening" in other.output(), 20), other.output())
    lab.check("good" in net.run("node", "client.js", lab.PEER4, timeout=60), other.output())


def files(net):
    """What the tests of this folder move."""
    lab.random_file("data", 20 * MB)
    lab.random_file("mb", MB, 3)
    lab.random_file("small", 1000, 5)
