# SPDX-License-Identifier: BSD-2-Clause
"""look.py CASE DRIVER - stackdctl's watch, trace, capture and drain against connections that run."""

import json
import os
import signal
import subprocess
import time

import lab

SINK = """
import socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", 7000)); s.listen(64); print("listening", flush=True)
while True:
    c, _ = s.accept()
    got = 0
    while True:
        try: d = c.recv(65536)
        except OSError: break
        if not d: break
        got += len(d)
    print("got", got, flush=True)
    c.close()
"""

SEND = """
import socket, sys, time
s = socket.create_connection((sys.argv[1], 7000))
for i in range(int(sys.argv[2])):
    s.sendall(bytes(10000))
    if len(sys.argv) > 3: time.sleep(float(sys.argv[3]))
s.close()
print("sent", flush=True)
"""

SLOW = ["1000000", "0.02"]  # a connection that lives as long as the test wants


def sink(net):
    p = net.peer_spawn("python3", "-c", SINK)
    lab.check(lab.wait_for(lambda: "listening" in p.output(), 20), "no server")
    return p


def sender(net, *how, options=()):
    return net.run_spawn("python3", "-c", SEND, lab.PEER4, *(how or SLOW), options=options)


def one_connection(net):
    lab.check(lab.wait_for(lambda: [c for c in net.connections() if c["state"] == "ESTAB"], 20), "no connection")
    c = [c for c in net.connections() if c["state"] == "ESTAB"][0]
    return c["local"], c["peer"]


def ctl(net, *words):
    """A command of stackdctl in the background."""
    return net.spawn(net.tool("stackdctl"), "-s", net.rundir, *words)


def refused(net, code, text, *words):
    done = subprocess.run([net.tool("stackdctl"), "-s", net.rundir, *words], capture_output=True, text=True, timeout=60,
                          errors="replace", check=False)
    lab.check(done.returncode == code, f"{words}: exit {done.returncode}, not {code}: {done.stderr}")
    lab.check(text in done.stderr, f"{words}: does not say {text!r}: {done.stderr}")


def watch(net):
    sender(net)
    one_connection(net)
    p = ctl(net, "watch")
    lab.check(lab.wait_for(lambda: p.output().count("Shard") >= 3, 30), f"three screens: {p.output()[-2000:]}")
    lab.check(":7000" in p.output() and "\x1b" not in p.output(), f"the connection, as plain text: {p.output()[-2000:]}")
    lab.check(p.stop(signal.SIGINT) == 0, f"^C ends it: {p.output()[-500:]}")

    p = ctl(net, "--json", "watch", "dport", "7000")
    lab.check(lab.wait_for(lambda: p.output().count("\n") >= 3, 30), f"three lines: {p.output()[-2000:]}")
    last = json.loads(p.output().split("\n")[2])
    lab.check(last["conns"][0]["out_bits"] > 0 and last["shards"][0]["tx_frames"] > 0, f"rates: {last}")
    p.stop(signal.SIGKILL)
    refused(net, 1, "is no filter", "watch", "nonsense")


def trace(net):
    refused(net, 1, "usage: trace", "trace")
    refused(net, 1, "no such connection", "trace", "10.9.0.2:1", "10.9.0.1:2")
    p = ctl(net, "trace", "dport", "7000")
    j = ctl(net, "--json", "trace", "dport", "7000")
    time.sleep(0.3)
    sender(net, "300", options=["tcp.recovery=sack"])
    lab.check(lab.wait_for(lambda: " ended" in p.output() and '"end"' in j.output(), 60), f"the end: {p.output()[-900:]}")
    text = p.output()
    for what in ("sent SYN", "acked 0:", "new data", "rtt", "cwnd:", "rto:", "enters recovery", "sack: again"):
        lab.check(what in text, f"{what!r} is missing: {text[:3000]} ... {text[-1000:]}")
    lab.check(p.stop(signal.SIGINT) == 0, "^C ends it")
    j.stop(signal.SIGINT)
    events = [json.loads(l) for l in j.output().splitlines()]
    sent = sum(e["len"] for e in events if e["event"] == "send" and not e["again"])
    lab.check(sent == 3000000, f"each byte was sent once for the first time: {sent}")
    lab.check(any(e["episode"] == "enters recovery" and e["recovery"] == "sack" for e in events), "an episode")

    sender(net)
    local, peer = one_connection(net)
    one = ctl(net, "trace", f"{local}-{peer}")
    lab.check(lab.wait_for(lambda: "acked" in one.output(), 20), "events of one connection")
    net.ctl("kill", local, peer)
    lab.check(one.wait(20) == 0 and " ended" in one.output(), f"ends with it: {one.output()[-500:]}")


def tshark(path, *words):
    return lab.sh("tshark", "-r", path, *words, timeout=120)


def capture(net):
    refused(net, 1, "va", "capture", "vx", "-w", "-")
    refused(net, 1, "no such connection", "capture", "10.9.0.2:1", "10.9.0.1:2", "-w", "-")
    refused(net, 1, "no-such-dir", "capture", "-w", "/no-such-dir/x")
    refused(net, 2, "-w needs", "capture", "-w")
    refused(net, 1, "--json", "--json", "capture", "-w", "-")
    p = ctl(net, "capture", "va", "-w", lab.TMP + "/all.pcapng")
    lab.check(lab.wait_for(lambda: os.path.exists(lab.TMP + "/all.pcapng"), 20), "no file")
    time.sleep(0.3)
    sender(net, "300")
    lab.check(lab.wait_for(lambda: "got 3000000" in net.sink.output(), 60), "the transfer")
    sender(net)
    local, peer = one_connection(net)
    one = ctl(net, "capture", local, peer, "-w", lab.TMP + "/one.pcapng")
    lab.check(lab.wait_for(lambda: os.path.exists(lab.TMP + "/one.pcapng") and
                           os.path.getsize(lab.TMP + "/one.pcapng") > 100000, 30), "no frames of one connection")
    lab.check(one.stop(signal.SIGINT) == 0 and p.stop(signal.SIGINT) == 0, f"^C: {p.output()} {one.output()}")
    lab.check("frames captured" in p.output() and " 0 dropped" in p.output(), f"what was captured: {p.output()}")
    said = int(p.output().split("frames captured")[0].split()[-1])
    rows = tshark(lab.TMP + "/all.pcapng", "-T", "fields", "-e", "frame.interface_name", "-e", "tcp.dstport", "-e",
                  "frame.comment").splitlines()
    lab.check(len(rows) == said, f"{said} said, {len(rows)} read by tshark")
    lab.check(all(r.startswith("va\t") for r in rows), f"of va: {rows[:3]}")
    lab.check(any("enters recovery" in r for r in rows), "a verdict as comment")
    lab.check(any("again" in r and "\t7000\t" in r for r in rows), "why it was sent again")
    new = tshark(lab.TMP + "/all.pcapng", "-Y", 'tcp.stream == 0 && frame.comment contains "new data"', "-T", "fields",
                 "-e", "tcp.len").split()
    lab.check(sum(map(int, new)) == 3000000, f"all that was sent: {sum(map(int, new))}")
    again = json.loads(lab.sh(net.tool("stackd-lab"), "replay", "--json", lab.TMP + "/all.pcapng", timeout=120))
    lab.check(again["captured"]["bytes"] == 3000000 and again["ours"]["bytes"] > 14480, f"replayed: {again['ours']}")
    ends = set(tshark(lab.TMP + "/one.pcapng", "-T", "fields", "-e", "tcp.stream").split())
    lab.check(ends == {"0"}, f"one connection: {ends}")
    lab.check(not lab.wrong_frames(lab.TMP + "/one.pcapng", "ip.src == 10.9.0.1 && _ws.malformed"), "malformed")
    gone(net)


def gone(net):
    """A reader that stops reading is no trouble, one that is killed is noticed; then the daemon goes."""
    slow = subprocess.Popen([net.tool("stackdctl"), "-s", net.rundir, "capture", "-w", "-"], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    before = net.connections()[0]["send_q"]
    time.sleep(1.5)
    lab.check(net.stackd.alive() and before is not None, "stackd waits for nobody")
    slow.kill()
    slow.communicate()
    p = ctl(net, "trace", "dport", "7000")
    lab.check(lab.wait_for(lambda: "acked" in p.output(), 20), f"others see on: {p.output()[-300:]}")
    c = ctl(net, "capture", "-w", lab.TMP + "/last.pcapng")
    lab.check(lab.wait_for(lambda: os.path.exists(lab.TMP + "/last.pcapng") and
                           os.path.getsize(lab.TMP + "/last.pcapng") > 0, 20), "no last capture")
    net.stackd.stop()
    for what in (p, c):
        lab.check(what.wait(20) == 3 and "went away" in what.output(), f"a daemon that goes: {what.output()[-500:]}")


def drain(net):
    p = sender(net)
    one_connection(net)
    refused(net, 1, "1 connection left", "drain", "--timeout", "0.3")
    late = net.run_spawn("python3", "-c", SEND, lab.PEER4, "1")
    lab.check(late.wait(30) == 1 and "Network is down" in late.output(), f"a new one: {late.output()[-500:]}")
    lab.check(net.drops()["tcp_draining"] >= 1, "counted")
    waits = ctl(net, "drain")
    time.sleep(0.5)
    lab.check(waits.alive() and p.alive(), "the old one goes on")
    p.stop(signal.SIGKILL)
    lab.check(waits.wait(30) == 0 and "no connection" in waits.output(), f"the last is gone: {waits.output()}")
    net.ctl("drain", "off")
    lab.check(net.run_spawn("python3", "-c", SEND, lab.PEER4, "1").wait(30) == 0, "as before")
    refused(net, 2, "only --timeout", "drain", "x", "y")


def test(case, driver):
    fault = "loss 2%, delay 2ms, seed 5" if case in ("trace", "capture") else ""
    with lab.Lab(driver=driver, fault=fault) as net:
        net.start()
        net.sink = sink(net)
        {"watch": watch, "trace": trace, "capture": capture, "drain": drain}[case](net)


if __name__ == "__main__":
    lab.main(test)
