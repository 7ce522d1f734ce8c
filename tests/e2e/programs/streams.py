# SPDX-License-Identifier: BSD-2-Clause
"""Programs that move one stream: iperf3, openssl, socat, netcat."""

import json

import lab
from helpers import ends_well, listens, peer_listens, piped, same, scaled


def one_iperf3(run, seconds, *words):
    text = run("iperf3", "-J", "-t", seconds, *words, timeout=int(seconds) + 60)
    result = json.loads(text)
    lab.check("error" not in result, result.get("error"))
    return result["end"]["sum_received"]["bits_per_second"] / 1e6


def iperf3(net):
    seconds = scaled("STACKD_IPERF_SECONDS", "1")
    peer_listens(net, 5201, net.peer_spawn("iperf3", "-s", "-B", lab.PEER4))
    listens(net, 5201, net.run_spawn("iperf3", "-s", "-B", lab.STACK4))
    for streams in ("1", "4", "8"):
        for back in ((), ("-R",)):
            for role, run, address in (("client", net.run, lab.PEER4), ("server", net.peer_sh, lab.STACK4)):
                rate = one_iperf3(run, seconds, "-c", address, "-P", streams, *back)
                print(f"{role} through stackd, {streams} streams {' '.join(back)}: {rate:.0f} Mbit/s", flush=True)
                lab.check(rate > 20, f"only {rate:.1f} Mbit/s")


def certificate():
    lab.sh("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days",
           "1", "-subj", "/CN=stackd")


def s_server(address):
    return ("openssl", "s_server", "-accept", f"{address}:4433", "-key", "key.pem", "-cert", "cert.pem", "-WWW", "-quiet")


def openssl(net):
    certificate()
    listens(net, 4433, net.run_spawn(*s_server(lab.STACK4)))
    net.peer_sh("curl", "-sSk", "-m", "30", "-o", "out", f"https://{lab.STACK4}:4433/data")
    same("out", "data")
    peer_listens(net, 4433, net.peer_spawn(*s_server(lab.PEER4)))
    with open("request", "wb") as f:
        f.write(b"GET /data HTTP/1.0\r\n\r\n")
    # s_client leaves when its input ends, unless told that quiet means to wait
    lab.sh(*piped(net, ["openssl", "s_client", "-quiet", "-ign_eof", "-connect", f"{lab.PEER4}:4433"], "request", "answer"))
    lab.sh("sh", "-c", f"tail -c {lab.os.path.getsize('data')} answer >out")
    same("out", "data", "s_client")


def socat(net):
    echo = "reuseaddr,fork"
    listens(net, 7100, net.run_spawn("socat", f"TCP-LISTEN:7100,bind={lab.STACK4},{echo}", "EXEC:cat"))
    net.peer_sh("sh", "-c", f"socat -t 10 - TCP:{lab.STACK4}:7100 <data >out", timeout=60)
    same("out", "data", "socat as server")
    peer_listens(net, 7100, net.peer_spawn("socat", f"TCP-LISTEN:7100,bind={lab.PEER4},{echo}", "EXEC:cat"))
    lab.sh(*piped(net, ["socat", "-t", "10", "-", f"TCP:{lab.PEER4}:7100"], "data", "out"), timeout=60)
    same("out", "data", "socat as client")


def netcat(net):
    receiver = net.peer_spawn("sh", "-c", f"exec nc -l {lab.PEER4} 7201 >out")
    peer_listens(net, 7201, receiver)
    lab.sh(*piped(net, ["nc", "-N", lab.PEER4, "7201"], "data"), timeout=60)
    ends_well(receiver, 20)
    same("out", "data", "nc as client")
    receiver = net.spawn(*piped(net, ["nc", "-l", lab.STACK4, "7202"], target="out2", before="exec "))
    listens(net, 7202, receiver)
    net.peer_sh("sh", "-c", f"nc -N {lab.STACK4} 7202 <data", timeout=60)
    ends_well(receiver, 20)
    same("out2", "data", "nc as server")
