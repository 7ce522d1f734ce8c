# SPDX-License-Identifier: BSD-2-Clause
"""scripts/demo behind the packages: builds, sets two hosts up, transfers a file both ways through
stackd once per recovery plugin, compares, writes the report."""

import argparse
import contextlib
import filecmp
import os
import platform
import random
import signal
import subprocess
import sys
import threading
import time

import build
from build import BUILD, ROOT, Failed
from hosts import PEER, STACK, Hosts, sh, wait_for

sys.path.insert(0, os.path.join(ROOT, "scripts", "report"))
import report  # pylint: disable=wrong-import-position

PORT = 8080
PLUGINS = ["gbn", "sr", "textbook", "reno", "sack", "racktlp"]
SAMPLE_SECONDS = 0.025
TRANSFER_SECONDS_MAX = 90
HONEST = {
    "download": "Here the kernel sends (cubic, its own SACK and RACK) and stackd receives: the plugin decides only what "
                "the receiver keeps and reports. Segments, retransmissions and time-outs are the kernel's.",
    "upload": "Here stackd sends, so the recovery plugin decides what is sent again and when; congestion control is "
              "stackd's cubic each time. Segments, retransmissions and time-outs are stackd's.",
}
COLUMNS = ["plugin", "time s", "Mbit/s", "segments", "sent again", "time-outs", "bytes equal"]


class Run:
    """One transfer: what it took, and samples (seconds, bytes, cwnd bytes) on the way."""

    def __init__(self, plugin, direction):
        self.plugin, self.direction = plugin, direction
        self.seconds = self.segments = self.again = self.timeouts = 0
        self.samples = []
        self.error = ""

    def mbit(self, size):
        return size * 8 / self.seconds / 1e6 if self.seconds else 0

    def row(self, size):
        if self.error:
            return [self.plugin, self.error, "", "", "", "", "NO"]
        return [self.plugin, f"{self.seconds:.2f}", f"{self.mbit(size):.1f}", self.segments, self.again,
                self.timeouts, "yes"]


class Sampler(threading.Thread):
    """Looks at the connection every few milliseconds, as `stackdctl show conns -i` does."""

    def __init__(self, hosts, run):
        super().__init__(daemon=True)
        self.hosts, self.run_, self.over = hosts, run, threading.Event()
        self.start_time = time.monotonic()

    def run(self):
        count = "bytes_acked" if self.run_.direction == "upload" else "bytes_received"
        while not self.over.wait(SAMPLE_SECONDS):
            with contextlib.suppress(Failed, ValueError, subprocess.TimeoutExpired):
                for c in self.hosts.show("conns", "-i")["conns"]:
                    if c["peer"].endswith(f":{PORT}") and c["state"] != "TIME-WAIT":
                        at = round(time.monotonic() - self.start_time, 3)
                        self.run_.samples.append((at, c.get(count, 0), c.get("cwnd_bytes", 0)))

    def stop(self):
        self.over.set()
        self.join()


class Demo:
    def __init__(self, options):
        self.o = options
        self.hosts = Hosts("stackd-demo")
        self.runs = []
        self.mode = ""
        self.stackd = None

    # -- the two hosts --

    def set_up(self):
        h = self.hosts
        if h.left_behind():
            print("demo: taking down what an earlier demo left")
            h.down()
        if self.o.end:
            return
        print(f"demo: building into {BUILD}", flush=True)
        build.build()
        h.up()
        os.makedirs(h.path("www/up"))
        self.make_file()
        self.start_nginx()
        self.start_stackd()

    def make_file(self):
        with open(self.hosts.path("www/file"), "wb") as f:
            f.write(random.Random(1).randbytes(self.o.size))

    def start_nginx(self):
        h, d = self.hosts, self.hosts.dir
        with open(h.path("nginx.conf"), "w", encoding="utf-8") as f:
            f.write(f"""
daemon off; user root; worker_processes 1; pid {d}/nginx.pid; error_log {d}/nginx.err;
events {{ worker_connections 256; }}
http {{ access_log off; sendfile on;
  client_body_temp_path {d}/body; proxy_temp_path {d}/proxy; fastcgi_temp_path {d}/fastcgi;
  uwsgi_temp_path {d}/uwsgi; scgi_temp_path {d}/scgi; client_max_body_size 0;
  server {{ listen {PEER}:{PORT}; root {d}/www; location /up/ {{ dav_methods PUT; }} }} }}
""")
        p = h.spawn(h.b, "nginx.log", "nginx", "-c", h.path("nginx.conf"))
        url = f"http://{PEER}:{PORT}/"
        if not wait_for(lambda: p.poll() is None and sh(
                "ip", "netns", "exec", h.b, "curl", "-s", "-o", "/dev/null", "-m", "2", "-w", "%{http_code}", url,
                ok=True) not in ("", "000"), 10, 0.1):
            raise Failed(f"nginx does not start: {h.said('nginx.log')} {h.said('nginx.err')}")

    def start_stackd(self):
        h = self.hosts
        fault = f"loss {self.o.loss}, delay {self.o.delay}, rate {self.o.rate}, seed {self.o.seed}"
        options = [f"interface va.address={STACK}/24", f"interface va.fault={fault}"]
        try:
            self.stackd = h.start_stackd([*options, "interface va.driver=af_xdp"])
        except Failed as e:
            if e.bad_option:
                raise
            print(f"demo: no AF_XDP here; going on with AF_PACKET, whose frames hold up to 64 KB, so that a loss\n"
                  f"demo: takes many segments at once.  stackd said:\n{e}", flush=True)
            self.stackd = h.start_stackd([*options, "interface va.driver=af_packet"])
            sh("ip", "netns", "exec", h.b, "ethtool", "-K", "vb", "tso", "off", "gso", "off", ok=True)
        self.mode = h.said("stackd.log").splitlines()[0].replace("stackd: ", "", 1)
        print(f"demo: {self.mode}\ndemo: fault = {fault} (each direction); the peer is this kernel's TCP, cubic")

    # -- transfers --

    def transfer(self, plugin, direction):
        h, r = self.hosts, Run(plugin, direction)
        copy = h.path("www/up/" + plugin) if direction == "upload" else h.path("copy")
        with contextlib.suppress(FileNotFoundError):
            os.remove(copy)
        file = ["-T", h.path("www/file"), f"http://{PEER}:{PORT}/up/{plugin}"] if direction == "upload" else \
            ["-o", copy, f"http://{PEER}:{PORT}/file"]
        command = h.through("curl", "-sS", "-f", "-m", str(TRANSFER_SECONDS_MAX), "-w", "%{stderr}%{time_total}\n",
                            *file, options=[f"tcp.recovery={plugin}"])
        before, kernel_before = h.counters(), h.kernel_counters()
        sampler = Sampler(h, r)
        sampler.start()
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        sampler.stop()
        if self.stackd.poll() is not None:
            raise Failed(f"stackd ended in the {direction} with {plugin}, exit {self.stackd.returncode}:\n"
                         f"{h.said('stackd.log')[-2000:]}")
        self.count(r, before, kernel_before)
        if done.returncode:
            r.error = f"curl: exit {done.returncode}: {done.stderr.strip()[:80]}"
        elif not os.path.exists(copy) or not filecmp.cmp(copy, h.path("www/file"), shallow=False):
            r.error = "the copy differs"
        else:
            r.seconds = float(done.stderr.split()[-1])
            r.samples = [s for s in r.samples if s[1] <= self.o.size and s[0] < r.seconds]
            r.samples.append((round(r.seconds, 3), self.o.size, r.samples[-1][2] if r.samples else 0))
        return r

    def count(self, r, before, kernel_before):
        """The sender's own counts."""
        now, kernel = self.hosts.counters(), self.hosts.kernel_counters()
        if r.direction == "upload":
            r.segments = now["tx_data_segments"] - before["tx_data_segments"]
            r.again = now["tx_retransmits"] - before["tx_retransmits"]
            r.timeouts = now["timeouts"] - before["timeouts"]
        else:
            r.segments = kernel["TcpOutSegs"] - kernel_before["TcpOutSegs"]
            r.again = kernel["TcpRetransSegs"] - kernel_before["TcpRetransSegs"]
            r.timeouts = kernel["TcpExtTCPTimeouts"] - kernel_before["TcpExtTCPTimeouts"]

    def direction(self, direction):
        size = self.o.size
        print(f"\n{direction} of {size / 1e6:.1f} MB by unmodified curl through stackd; nginx on the kernel at the other "
              f"end.\n{HONEST[direction]}\n")
        layout = "{:<10}{:>9}{:>9}{:>10}{:>12}{:>11}{:>13}"
        print(layout.format(*COLUMNS), flush=True)
        for plugin in self.o.plugins:
            r = self.transfer(plugin, direction)
            self.runs.append(r)
            print(f"{plugin:<10} FAILED: {r.error}" if r.error else layout.format(*map(str, r.row(size))), flush=True)

    # -- what is left --

    def report(self):
        parts = []
        by = {d: [r for r in self.runs if r.direction == d] for d in ("upload", "download")}
        parts.append(report.bars("Goodput per recovery plugin", "Mbit/s", self.o.plugins, [
            (d, [round(r.mbit(self.o.size), 2) for r in runs]) for d, runs in by.items()]))
        for d, runs in by.items():
            word = "acknowledged" if d == "upload" else "received"
            parts += [report.heading(d.capitalize()), report.text(HONEST[d]),
                      report.table(COLUMNS, [r.row(self.o.size) for r in runs]),
                      report.lines(f"Bytes {word} over time", "seconds", "MB", [
                          (r.plugin, [s[0] for s in r.samples], [round(s[1] / 1e6, 4) for s in r.samples]) for r in runs])]
        parts.append(report.lines("Congestion window of stackd's uploads", "seconds", "KB", [
            (r.plugin, [s[0] for s in r.samples], [round(s[2] / 1e3, 1) for s in r.samples]) for r in by["upload"]]))
        parts += [report.heading("Made with"), report.facts([
            ("stackd's side", self.mode), ("link", f"veth; loss {self.o.loss} and delay {self.o.delay} in each direction, "
                                           f"rate {self.o.rate}, seed {self.o.seed}: made by stackd's fault wrapper"),
            ("other side", f"Linux {platform.release()} TCP cubic, nginx"), ("file", f"{self.o.size} random bytes"),
            ("sampled", f"every {SAMPLE_SECONDS * 1000:.0f} ms by stackdctl show conns -i"),
            ("command", "sudo scripts/demo " + " ".join(sys.argv[1:]))])]
        path = os.path.join(BUILD, "demo.html")
        report.write(path, "One file, six recovery plugins",
                     "The same file through the same lossy link, once per recovery plugin of stackd; one run each, so small "
                     "differences mean nothing. A veth pair says nothing about hardware.", parts)
        owner = os.stat(BUILD)
        os.chown(path, owner.st_uid, owner.st_gid)
        print(f"\nreport: {path}")

    def play(self):
        run = " ".join(self.hosts.through("PROGRAM")).replace(" --require", "").replace(" PROGRAM", "")
        ctl = " ".join(self.hosts.ctl_command())
        print(f"""
It stays up.  To play on, as root:
  {run} curl -o /dev/null http://{PEER}:{PORT}/file
  {run} -o tcp.recovery=gbn curl -T {self.hosts.path('www/file')} http://{PEER}:{PORT}/up/again
  {run} python3 -m http.server -b {STACK} 8000 &
  ip netns exec {self.hosts.b} curl http://{STACK}:8000/
  {ctl} show conns -i
  {ctl} show drops
  {ctl} show interfaces
  {ctl} set tcp.recovery reno
To end it: sudo {ROOT}/scripts/demo --end""")


def size(text):
    units = {"K": 10 ** 3, "M": 10 ** 6, "G": 10 ** 9}
    value = int(float(text[:-1]) * units[text[-1]]) if text[-1:] in units else int(text)
    if not 1 <= value <= 10 ** 9:
        raise argparse.ArgumentTypeError("from 1 byte to 1G")
    return value


def plugins(text):
    return text.split(",")


def arguments():
    p = argparse.ArgumentParser(prog="demo")
    p.add_argument("--keep", action="store_true", help="leave it up")
    p.add_argument("--end", action="store_true", help="take down what --keep left")
    p.add_argument("--loss", default="2%")
    p.add_argument("--delay", default="5ms", help="of each direction")
    p.add_argument("--rate", default="100mbit")
    p.add_argument("--seed", type=int, default=7)
    p.add_argument("--size", type=size, default="3M", help="of the file; K, M, G")
    p.add_argument("--plugins", type=plugins, default=PLUGINS, help="gbn,sr,...")
    return p.parse_args()


def interrupted(number, _frame):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main():
    options = arguments()
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, interrupted)
    demo = Demo(options)
    kept = False
    try:
        demo.hosts.claim()
    except Failed as e:
        print(f"demo: {e}", file=sys.stderr)
        return 1
    try:
        demo.set_up()
        if options.end:
            return 0
        for direction in ("download", "upload"):
            demo.direction(direction)
        demo.report()
        if options.keep:
            demo.play()
            kept = True
        return 1 if any(r.error for r in demo.runs) else 0
    except Failed as e:
        print(f"demo: {e}", file=sys.stderr)
        return 1
    finally:
        if not kept:
            demo.hosts.down()


if __name__ == "__main__":
    sys.exit(main())
