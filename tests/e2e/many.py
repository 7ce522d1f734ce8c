# SPDX-License-Identifier: BSD-2-Clause
"""many.py DRIVER [SHARDS [HELD [CHURNED]]] - very many connections, of an unmodified server and of an unmodified client:
HELD at once with data on each, then CHURNED opened, used and closed; nothing may be left behind.

The million: sudo STACKD_BUILD=build python3 tests/e2e/many.py af_packet 1 10000 1000000"""

import os
import re
import subprocess
import sys

import lab

MANY = os.path.join(lab.BUILD, "tests", "e2e", "many")
PORTS = "16"  # so that ports in TIME-WAIT don't run out
WIDTH = "200"


def memory_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return {m[1]: int(m[2]) for m in re.finditer(r"^(\w+): +(\d+) kB", f.read(), re.M)}


class Talker:
    """many hold: told by its input when to go on."""

    def __init__(self, words):
        self.log = open("hold.log", "w+", encoding="utf-8")
        self.popen = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=self.log, stderr=subprocess.STDOUT, text=True)

    def says(self, word, seconds):
        def found():
            with open("hold.log", encoding="utf-8") as f:
                return word in f.read() or self.popen.poll() is not None
        lab.wait_for(found, seconds)
        with open("hold.log", encoding="utf-8") as f:
            text = f.read()
        lab.check(word in text, f"no '{word}': {text[-500:]}")

    def tell(self):
        self.popen.stdin.write("again\n")
        self.popen.stdin.flush()

    def end(self, seconds=60):
        self.popen.stdin.close()
        lab.check(self.popen.wait(seconds) == 0, "hold did not end well")


def footprint(net, server):
    """What could be left behind: memory, descriptors, connections, slots."""
    memory = net.show("memory")
    return {"anonymous kB": memory_kb(net.stackd.pid)["Anonymous"],
            "descriptors of stackd": len(os.listdir(f"/proc/{net.stackd.pid}/fd")),
            "connections": len(net.connections()),
            "sockets of clients": [c.get("sockets") for c in net.show("clients")["clients"]],
            "memory": memory}


def hold(net, words, count):
    client = Talker(words)
    client.says("held", 100)
    held = [c for c in net.connections() if c.get("state") == "ESTAB"]
    lab.check(len(held) == count, f"{len(held)} connections are there instead of {count}")
    kb = memory_kb(net.stackd.pid)["Anonymous"]
    client.tell()
    client.says("again", 60)
    client.end()
    return kb


def only_idle(net):
    return not net.connections()


def one_way(net, way, spawn, through, address, held, churned):
    words = [*through, MANY, "hold", address, "7000", PORTS]
    first = footprint(net, way)
    kb = hold(net, [*words, str(held)], held)
    lab.check(lab.wait_for(lambda: only_idle(net), 30, 0.2), f"left: {net.connections()[:3]}")
    print(f"{way}: {held} held, {(kb - first['anonymous kB']) * 1024 // held} bytes of anonymous memory each", flush=True)
    warm = None
    for count in (max(churned // 10, 1), churned):
        client = spawn(MANY, "churn", address, "7000", PORTS, str(count), WIDTH)
        lab.check(client.wait(60 + count // 500) == 0, client.output())
        lab.check(lab.wait_for(lambda: only_idle(net), 30, 0.2), f"left: {net.connections()[:3]}")
        lab.check(lab.wait_for(lambda: not net.show("conns")["conns"], 30, 0.2), "TIME-WAIT does not end")
        print(f"{way}: {client.output().strip()}", flush=True)
        seen = footprint(net, way)
        print(f"{way}: {seen}", flush=True)
        if warm:
            compare(warm, seen)
        warm = seen


def compare(warm, after):
    grown = after["anonymous kB"] - warm["anonymous kB"]
    lab.check(grown < 4096 or "STACKD_SANITIZED" in os.environ, f"stackd grew by {grown} kB")
    for what in ("descriptors of stackd", "sockets of clients"):
        lab.check(after[what] == warm[what], f"{what}: {warm[what]} before and {after[what]} after")


def test(driver, shards="1", held="10000", churned="50000"):
    with lab.Lab(driver=driver, shards=int(shards), extra=["stackd.sockets_per_client=65536", "tcp.time_wait=1s"]) as net:
        for setting in ("net.core.somaxconn=4096", "net.ipv4.tcp_max_syn_backlog=4096", "net.ipv4.tcp_tw_reuse=1",
                        "net.ipv4.ip_local_port_range=10000 65535"):
            net.peer_sh("sysctl", "-qw", setting, ok=False)
        net.start()
        for way, spawn_server, spawn, through, address in (
                ("server", net.run_spawn, net.peer_spawn, ["ip", "netns", "exec", "peer"], lab.STACK4),
                ("client", net.peer_spawn, net.run_spawn, net.through(), lab.PEER4)):
            server = spawn_server(MANY, "server", address, "7000", PORTS)
            lab.check(lab.wait_for(lambda: "listening" in server.output(), 20), server.output())
            one_way(net, way, spawn, through, address, int(held), int(churned))
            server.stop(9)
        lab.check(lab.wait_for(lambda: not net.show("clients")["clients"], 10), f"left: {net.show('clients')}")
        lab.check(not net.show("listeners")["listeners"], f"left: {net.show('listeners')}")


if __name__ == "__main__":
    lab.main(test)
