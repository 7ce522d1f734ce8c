# SPDX-License-Identifier: BSD-2-Clause
"""The rows of scripts/bench: for each, what stackd runs with, the programs, and the targets."""

import csv
import fnmatch
import json
import os
from dataclasses import dataclass, field

from build import BUILD, Failed
from hosts import PEER, STACK

KERNEL_A, KERNEL_B = "10.9.1.2", "10.9.1.1"  # the second pair: kernel TCP at both ends
RR_CLIENT = os.path.join(BUILD, "tests/bench/rr-client")
RR_SERVER = os.path.join(BUILD, "tests/bench/rr-server")


@dataclass
class Side:
    """Where one round's load goes: through stackd or not."""

    name: str
    a: str  # the address of the end in namespace a, where stackd is
    b: str  # that of the kernel's end in namespace b
    through: bool


# Where the parties of a placed row run: the client, the kernel's server and the shard, stackd's program.
CLIENT_CPU, SERVER_CPU, PROGRAM_CPU = "0", "1", "0"

STACKD, KERNEL = Side("stackd", STACK, PEER, True), Side("kernel", KERNEL_A, KERNEL_B, False)


@dataclass
class Row:
    name: str
    what: str
    unit: str
    run: object  # (bench, side, seconds) -> figure, or (figure, Gbit)
    first: float
    aim: float
    driver: str = "af_packet"
    better: str = "more"
    servers: object = None  # (bench) -> None: starts what serves on both sides
    options: list = field(default_factory=list)
    offloads: bool = True  # of the kernel's own pair
    placed: bool = False  # latency depends on which CPUs have to be woken, so each party has its own

    def met(self, ratio, target):
        return ratio >= target if self.better == "more" else ratio <= target


# -- iperf3: the client is in namespace a, the kernel's server in b --

def iperf_server(bench):
    bench.serve("b", None, ["iperf3", "-s"], (PEER, 5201), (KERNEL_B, 5201))


def iperf(*words):
    def run(bench, side, seconds):
        text = bench.load("a", side, ["iperf3", "-J", "-c", side.b, "-t", str(max(1, round(seconds))), *words], seconds)
        result = json.loads(text)
        if "error" in result:
            raise Failed(f"iperf3: {result['error']}")
        got = result["end"]["sum_received"]
        return got["bits_per_second"] / 1e9, got["bytes"] * 8 / 1e9
    return run


# -- request and response: the server is in namespace a, the kernel's client in b --

def both_sides(command):
    """A server through stackd and one on the kernel, both in namespace a."""
    def serve(bench):
        for side in (STACKD, KERNEL):
            program, port = command(bench, side.a, side.name)
            bench.serve("a", side, program, (side.a, port))
    return serve


def rr_server(*words):
    return both_sides(lambda bench, address, name: ([RR_SERVER, *words, address, "7000"], 7000))


def rr_run(connections, figure):
    def run(bench, side, seconds):
        text = bench.load("b", KERNEL, [RR_CLIENT, side.a, "7000", str(int(seconds * 1000)), connections], seconds)
        result = json.loads(text)
        return result["median_us"] if figure == "median" else result["transactions"] / result["seconds"]
    return run


# -- stock servers --

def nginx(bench, address, name):
    d = bench.hosts.dir
    conf = bench.hosts.path(f"nginx-{name}.conf")
    with open(conf, "w", encoding="utf-8") as f:
        f.write(f"""
daemon off; user root; worker_processes 1; pid {d}/nginx-{name}.pid; error_log {d}/nginx-{name}.err;
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; open_file_cache max=10;
  client_body_temp_path {d}/body-{name}; proxy_temp_path {d}/proxy-{name}; fastcgi_temp_path {d}/fastcgi-{name};
  uwsgi_temp_path {d}/uwsgi-{name}; scgi_temp_path {d}/scgi-{name};
  server {{ listen {address}:8080; root {d}/www; }} }}
""")
    os.makedirs(bench.hosts.path("www"), exist_ok=True)
    with open(bench.hosts.path("www/small"), "wb") as f:
        f.write(b"x" * 1024)
    return ["nginx", "-c", conf], 8080


def wrk(bench, side, seconds):
    text = bench.load("b", KERNEL, ["wrk", "-t", "1", "-c", "64", "-d", f"{max(1, round(seconds))}s",
                                    f"http://{side.a}:8080/small"], seconds)
    if "Non-2xx" in text or "Socket errors" in text:
        raise Failed(f"wrk: {text}")
    return float(text.split("Requests/sec:")[1].split()[0])


def redis(_bench, address, name):
    return ["redis-server", "--port", "6390", "--bind", address, "--protected-mode", "no", "--save", "",
            "--dir", _bench.hosts.dir, "--dbfilename", f"{name}.rdb"], 6390


def redis_benchmark(bench, side, seconds):
    text = bench.load("b", KERNEL, ["redis-benchmark", "-h", side.a, "-p", "6390", "-P", "1", "-c", "50", "-n",
                                    str(int(60000 * seconds)), "-t", "get", "--csv"], seconds)
    rows = list(csv.reader(text.strip().splitlines()))
    return float(rows[-1][1])


ROWS = [
    Row("receive_af_packet", "bulk receive, one stream, iperf3 -R", "Gbit/s", iperf("-R"), 0.7, 1.1,
        servers=iperf_server),
    Row("send_af_packet", "bulk send, one stream, iperf3", "Gbit/s", iperf(), 0.7, 1.1, servers=iperf_server),
    Row("receive_af_xdp", "the same by AF_XDP, against the kernel with TSO", "Gbit/s", iperf("-R"), 0.5, 1.0, "af_xdp",
        servers=iperf_server),
    Row("send_af_xdp", "the same by AF_XDP, against the kernel with TSO", "Gbit/s", iperf(), 0.5, 1.0, "af_xdp",
        servers=iperf_server),
    Row("receive_af_xdp_plain", "the same by AF_XDP, against the kernel without offloads", "Gbit/s", iperf("-R"), 1.0,
        1.5, "af_xdp", servers=iperf_server, offloads=False),
    Row("send_af_xdp_plain", "the same by AF_XDP, against the kernel without offloads", "Gbit/s", iperf(), 1.0, 1.5,
        "af_xdp", servers=iperf_server, offloads=False),
    Row("rr_1_spinning", "1 byte there and back, 1 connection, stackd.spin = 100ms", "us", rr_run("1", "median"), 0.5, 0.25,
        better="less", servers=rr_server(), options=["stackd.spin=100ms"], placed=True),
    Row("rr_1", "1 byte there and back, 1 connection, adaptive", "us", rr_run("1", "median"), 1.1, 0.6, better="less",
        servers=rr_server(), placed=True),
    Row("rr_64", "1 byte there and back, 64 connections, one thread", "1/s", rr_run("64", "rate"), 0.9, 1.6,
        servers=rr_server()),
    Row("connect", "connect, request, close: one after the other", "1/s", rr_run("connect", "rate"), 1.5, 3.0,
        servers=rr_server("-1"), placed=True),
    Row("nginx", "nginx by wrk, 64 keep-alive connections, 1 KB", "1/s", wrk, 0.8, 1.5, servers=both_sides(nginx)),
    Row("redis", "redis-benchmark -P 1 -c 50 -t get", "1/s", redis_benchmark, 0.8, 1.5, servers=both_sides(redis)),
]
CPU_FIRST, CPU_AIM = 1.5, 1.0  # CPU seconds per Gbit, AF_PACKET, bulk


def select(names):
    if not names:
        return ROWS
    chosen = [r for r in ROWS if any(fnmatch.fnmatch(r.name, n) for n in names)]
    for n in names:
        if not any(fnmatch.fnmatch(r.name, n) for r in ROWS):
            raise Failed(f"there is no row {n}; rows: {' '.join(r.name for r in ROWS)}")
    return chosen
