# SPDX-License-Identifier: BSD-2-Clause
"""transfer.py DRIVER FAMILY SIZE_MB SHARDS [FAULT] - a file each way between an unmodified program
through stackd and one on the kernel, compared by SHA-256."""

import os
import sys

import lab

SERVER = """
import socket, sys, hashlib
family, port, path, mode = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, int(sys.argv[2]), sys.argv[3], sys.argv[4]
s = socket.socket(family, socket.SOCK_STREAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], port)); s.listen(5); print("listening", flush=True)
c, _ = s.accept()
if mode == "take":
    with open(path, "wb") as f:
        while True:
            b = c.recv(1 << 18)
            if not b: break
            f.write(b)
else:
    with open(path, "rb") as f:
        while True:
            b = f.read(1 << 18)
            if not b: break
            c.sendall(b)
c.close(); s.close()
"""

CLIENT = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
c = socket.create_connection((sys.argv[1], int(sys.argv[2])))
path, mode = sys.argv[3], sys.argv[4]
if mode == "take":
    with open(path, "wb") as f:
        while True:
            b = c.recv(1 << 18)
            if not b: break
            f.write(b)
else:
    with open(path, "rb") as f:
        while True:
            b = f.read(1 << 18)
            if not b: break
            c.sendall(b)
c.close()
"""


def difference(data, out):
    """Where the copy goes wrong, and how: a flipped bit, a shifted range, a missing end."""
    with open(data, "rb") as f, open(out, "rb") as g:
        want, got = f.read(), g.read()
    step = 4096
    blocks = [i for i in range(0, len(want), step) if want[i:i + step] != got[i:i + step]]
    first = [(i, want[i], got[i]) for b in blocks[:4] for i in range(b, min(b + step, len(want), len(got)))
             if want[i] != got[i]]
    return f"{len(got)} bytes for {len(want)}, {len(blocks)} blocks of {step} differ; (offset, sent, read): {first[:16]}"


def one_way(net, here_serves, data, sends_here, family, port, timeout):
    """One file; here_serves: stackd's side listens; sends_here: stackd's side has the file."""
    address = {(True, "4"): lab.STACK4, (True, "6"): lab.STACK6,
               (False, "4"): lab.PEER4, (False, "6"): lab.PEER6}[(here_serves, family)]
    out = os.path.join(lab.TMP, "out")
    server_sends = sends_here == here_serves
    server = ["python3", "-c", SERVER, address, str(port), data if server_sends else out,
              "give" if server_sends else "take"]
    client = ["python3", "-c", CLIENT, address, str(port), out if server_sends else data,
              "take" if server_sends else "give"]
    s = net.run_spawn(*server) if here_serves else net.peer_spawn(*server)
    lab.check(lab.wait_for(lambda: "listening" in s.output() or not s.alive()), "the server does not listen")
    c = net.peer_spawn(*client) if here_serves else net.run_spawn(*client)
    lab.check(c.wait(timeout) == 0, f"client: {c.output()[-2000:]}")
    lab.check(s.wait(30) == 0, f"server: {s.output()[-2000:]}")
    lab.check(lab.sha(out) == lab.sha(data),
              f"wrong bytes: stackd {'serves' if here_serves else 'connects'}, "
              f"{'sends' if sends_here else 'receives'}, IPv{family}: {difference(data, out)}")
    os.unlink(out)


def test(driver, family, size_mb, shards, fault=""):
    mode = "native" if fault and driver == "af_xdp" else ""
    data = lab.random_file(os.path.join(lab.TMP, "data"), int(size_mb) << 20)
    timeout = 60 + int(size_mb) * (3 if fault else 1)
    with lab.Lab(driver=driver, shards=int(shards), fault=fault, mode=mode) as net:
        net.start()
        port = 5000
        for here_serves in (False, True):
            for sends_here in (False, True):
                port += 1
                one_way(net, here_serves, data, sends_here, family, port, timeout)
        lab.check(not net.connections(), f"connections are left: {net.connections()}")


if __name__ == "__main__":
    lab.main(test)
