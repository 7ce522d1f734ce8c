# SPDX-License-Identifier: BSD-2-Clause
"""What several programs' tests need: a web server on either side, files in both directions, waiting for a port."""

import os
import re

import lab

PORT = "8080"
MB = 1 << 20
PYTHON = "/usr/bin/python3"  # Debian's, whatever else PATH has


def nginx_conf(address, name, workers=1, port=PORT, root=None):
    conf = os.path.join(lab.TMP, f"nginx-{name}.conf")
    temp = " ".join(f"{kind}_temp_path {lab.TMP}/{kind}-{name};"
                    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open(conf, "w", encoding="utf-8") as f:
        f.write(f"""
daemon off; user root; worker_processes {workers}; pid {lab.TMP}/nginx-{name}.pid; error_log {lab.TMP}/nginx-{name}.err;
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; keepalive_requests 1000000; {temp}
  server {{ listen {address}:{port} backlog=1024; root {root or lab.TMP}; }} }}
""")
    return conf


def served(fetch, url, seconds=15):
    """Waits until `url` is answered with 200; `fetch` runs curl on the right side."""
    return lab.wait_for(lambda: "200" in fetch("curl", "-s", "-o", "/dev/null", "-m", "2", "-w", "%{http_code}", url,
                                               ok=False), seconds, 0.1)


def serve_from_peer(net, workers=1, port=PORT, root=None):
    """A stock nginx on the kernel's side that serves TMP; its URL."""
    net.peer_spawn("nginx", "-c", nginx_conf(lab.PEER4, f"peer{port}", workers, port, root))
    url = f"http://{lab.PEER4}:{port}"
    lab.check(served(net.peer_sh, url + "/small"), "nginx on the kernel does not serve")
    return url


def listens(net, port, server):
    """Waits until a program listens on stackd's side."""
    lab.check(lab.wait_for(lambda: any(line["local"].endswith(f":{port}") for line in net.show("listeners")["listeners"]), 20),
              f"nobody listens on {port}: {server.output()[-3000:]}")


def peer_listens(net, port, server):
    lab.check(lab.wait_for(lambda: re.search(rf":{port}\b", net.peer_sh("ss", "-ltn")), 20),
              f"nobody listens on {port} of the kernel: {server.output()[-3000:]}")


def same(path, data, what="wrong bytes"):
    lab.check(lab.sha(path) == lab.sha(data), f"{what}: {path}")


def says(server, word, seconds=20):
    lab.check(lab.wait_for(lambda: word in server.output(), seconds), f"no '{word}': {server.output()[-3000:]}")


def ends_well(process, seconds=100):
    lab.check(process.wait(seconds) == 0, f"{process.cmd}: {process.output()[-3000:]}")


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def scaled(name, default):
    """A volume that the environment scales up, e.g. STACKD_IPERF_SECONDS=60."""
    return os.environ.get(name, default)


def piped(net, words, source=None, target=None, before=""):
    """A shell line that runs a program through stackd with files as its standard input and output."""
    line = before + " ".join(net.through(*words))
    return ["sh", "-c", line + (f" <{source}" if source else "") + (f" >{target}" if target else "")]
