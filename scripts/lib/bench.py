# SPDX-License-Identifier: BSD-2-Clause
"""scripts/bench behind the packages: runs each row on stackd and on the kernel in turn, counts CPU
time, prints the table and writes JSON."""

import argparse
import contextlib
import glob
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time

import build
import rows
from build import BUILD, Failed, tool
from hosts import PEER, PREFIX, STACK, Hosts, sh, wait_for

TICK = os.sysconf("SC_CLK_TCK")


def cpu_of(pid):
    """User and system seconds of a process, all its threads."""
    with contextlib.suppress(OSError, IndexError), open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        words = f.read().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / TICK
    return 0.0


def ksoftirqd():
    out = []
    for path in glob.glob("/proc/[0-9]*/comm"):
        with contextlib.suppress(OSError), open(path, encoding="utf-8") as f:
            if f.read().startswith("ksoftirqd/"):
                out.append(int(path.split("/")[2]))
    return out


def descendants(pid):
    out = [pid]
    with contextlib.suppress(OSError):
        for task in glob.glob(f"/proc/{pid}/task/*/children"):
            with open(task, encoding="utf-8") as f:
                for child in f.read().split():
                    out += descendants(int(child))
    return out


class Bench:
    def __init__(self):
        self.hosts = Hosts("stackd-bench")
        self.stackd = None
        self.mode = ""
        self.serving = []  # (side name or None for both, process)
        self.soft = ksoftirqd()
        self.load_cpu = 0.0
        self.placed = False

    # -- the two hosts --

    def up(self):
        h = self.hosts
        h.claim()
        if h.left_behind():
            h.down()
        h.up()
        sh("ip", "link", "add", "ka", "netns", h.a, "type", "veth", "peer", "name", "kb", "netns", h.b)
        for namespace, device, address in ((h.a, "ka", rows.KERNEL_A), (h.b, "kb", rows.KERNEL_B)):
            sh("ip", "-n", namespace, "link", "set", device, "up")
            sh("ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", device, "noprefixroute")
            sh("ip", "-n", namespace, "route", "add", "10.9.1.0/24", "dev", device, "src", address, "congctl", "cubic")
            sh("ip", "netns", "exec", namespace, "sysctl", "-qw", "net.ipv4.ip_local_port_range=10000 65000", ok=True)
        sh("ip", "-n", h.b, "route", "change", PREFIX, "dev", "vb", "src", PEER, "congctl", "cubic")

    def set_offloads(self, on):
        for namespace, device in ((self.hosts.a, "ka"), (self.hosts.b, "kb")):
            word = "on" if on else "off"
            sh("ip", "netns", "exec", namespace, "ethtool", "-K", device, "tso", word, "gso", word, ok=True)

    def begin(self, row):
        self.set_offloads(row.offloads)
        self.placed = row.placed and os.cpu_count() > 1
        where = [f"stackd.cpus={rows.SERVER_CPU}"] if self.placed else []
        self.stackd = self.hosts.start_stackd([f"interface va.driver={row.driver}", f"interface va.address={STACK}/24",
                                               *where, *row.options])
        self.mode = self.hosts.said("stackd.log").splitlines()[0].replace("stackd: interface va: ", "", 1)
        row.servers(self)

    def end(self):
        for p in [p for _, p in reversed(self.serving)] + [self.stackd]:
            if p is None or p.poll() is not None:
                continue
            p.send_signal(signal.SIGTERM)
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        self.serving, self.stackd = [], None
        for namespace in (self.hosts.a, self.hosts.b):
            self.hosts.end_processes(namespace)

    # -- what rows use --

    def namespace(self, letter):
        return self.hosts.a if letter == "a" else self.hosts.b

    def on_cpu(self, cpu, command):
        return ["taskset", "-c", cpu, *command] if self.placed else command

    def command(self, side, program):
        through = side is not None and side.through
        return [tool("stackd-run"), "-s", self.hosts.rundir, "--require", *program] if through else program

    def serve(self, letter, side, program, *ends):
        """A server that stays for the row; returns when it listens at every end (address, port)."""
        log = f"server-{side.name if side else 'both'}.log"
        cpu = rows.PROGRAM_CPU if side and side.through else rows.SERVER_CPU
        p = self.hosts.spawn(self.namespace(letter), log, *self.on_cpu(cpu, self.command(side, program)))
        self.serving.append((side.name if side else None, p))

        def answers(address, port):
            other = self.hosts.b if letter == "a" else self.hosts.a
            if address == PEER:
                return True  # the kernel has no address on stackd's side to try it from
            return subprocess.run(["ip", "netns", "exec", other, "nc", "-z", "-w", "1", address, str(port)],
                                  capture_output=True, check=False).returncode == 0

        for address, port in ends:
            if not wait_for(lambda a=address, o=port: p.poll() is not None or answers(a, o), 10, 0.1) \
                    or p.poll() is not None:
                raise Failed(f"{program[0]} does not serve: {self.hosts.said(log)[-500:]}")

    def load(self, letter, side, program, seconds):
        """Runs a load program to its end; its output.  Its CPU time is kept."""
        with open(self.hosts.path("load.out"), "w+", encoding="utf-8") as out, \
                open(self.hosts.path("load.err"), "w+", encoding="utf-8") as err:
            command = self.on_cpu(rows.CLIENT_CPU, self.command(side, program))
            p = subprocess.Popen(["ip", "netns", "exec", self.namespace(letter), *command], stdout=out, stderr=err,
                                 stdin=subprocess.DEVNULL, start_new_session=True)
            status, usage = self.reap(p, seconds * 3 + 15)
            out.seek(0)
            err.seek(0)
            text, said = out.read(), err.read()
        self.load_cpu = usage.ru_utime + usage.ru_stime if usage else 0.0
        if status != 0:
            raise Failed(f"{os.path.basename(program[0])}: {'no end' if status is None else f'exit {status}'}: "
                         f"{(said or text).strip()[-300:]}")
        return text

    @staticmethod
    def reap(p, limit):
        end = time.monotonic() + limit
        while True:
            pid, status, usage = os.wait4(p.pid, os.WNOHANG)
            if pid:
                p.returncode = os.waitstatus_to_exitcode(status)
                return p.returncode, usage
            if time.monotonic() > end:
                os.killpg(p.pid, signal.SIGKILL)
                p.wait()
                return None, None
            time.sleep(0.01)

    # -- rounds --

    def standing_cpu(self, side):
        """stackd (only where it works), the servers of this side, and the kernel's softirq threads."""
        pids = list(self.soft)
        if side.through:
            pids += descendants(self.stackd.pid)
        for name, p in self.serving:
            if name in (None, side.name):
                pids += descendants(p.pid)
        return sum(cpu_of(p) for p in set(pids))

    def once(self, row, side, seconds):
        if not side.through:
            time.sleep(0.3)  # a shard that looks for work keeps a CPU awake, which helps the kernel's latency
        before = self.standing_cpu(side)
        began = time.monotonic()
        got = row.run(self, side, seconds)
        took = time.monotonic() - began
        cpu = self.standing_cpu(side) - before + self.load_cpu
        figure, gbit = got if isinstance(got, tuple) else (got, None)
        # per unit of work: Gbit, or transactions
        work = gbit if gbit is not None else (took / figure * 1e6 if row.unit == "us" else figure * took)
        if self.stackd.poll() is not None:
            raise Failed(f"stackd ended, exit {self.stackd.returncode}: {self.hosts.said('stackd.log')[-500:]}")
        return figure, cpu / work

    def row(self, row, rounds, seconds):
        result = {"name": row.name, "what": row.what, "unit": row.unit, "better": row.better, "first": row.first,
                  "aim": row.aim, "driver": row.driver, "offloads": "on" if row.offloads else "kernel's pair off"}
        try:
            self.begin(row)
            result["mode"] = self.mode
            runs = []
            for i in range(rounds + 1):
                order = (rows.STACKD, rows.KERNEL) if i % 2 else (rows.KERNEL, rows.STACKD)
                both = {side.name: self.once(row, side, seconds if i else seconds / 4) for side in order}
                if i:  # the first warms up
                    runs.append(both)
            result.update(self.judge(row, runs))
        except (Failed, OSError, ValueError, KeyError, IndexError) as e:
            result["error"] = f"{type(e).__name__}: {e}" if not isinstance(e, Failed) else str(e)
        finally:
            self.end()
        return result

    @staticmethod
    def judge(row, runs):
        def column(side, n):
            return [r[side][n] for r in runs]

        ratio = statistics.median(s / k for s, k in zip(column("stackd", 0), column("kernel", 0)))
        cpu = statistics.median(s / k if k else 0 for s, k in zip(column("stackd", 1), column("kernel", 1)))
        return {"stackd": statistics.median(column("stackd", 0)), "kernel": statistics.median(column("kernel", 0)),
                "ratio": ratio, "cpu_ratio": cpu, "cpu_stackd": statistics.median(column("stackd", 1)),
                "cpu_kernel": statistics.median(column("kernel", 1)), "met_first": row.met(ratio, row.first),
                "met_aim": row.met(ratio, row.aim),
                "runs": {side: [round(v, 4) for v in column(side, 0)] for side in ("stackd", "kernel")}}


LAYOUT = "{:<21} {:<7}{:>9} {:<15}{:>9} {:<15}{:>6}{:>6}  {:>5}{:>5} {}"


def number(v):
    return f"{v:.0f}" if v >= 1000 else f"{v:.1f}" if v >= 30 else f"{v:.2f}"


def spread(values):
    return f"[{number(min(values))}-{number(max(values))}]"


def line(r):
    if "error" in r:
        return f"{r['name']:<21} FAILED: {' '.join(r['error'].split())[:160]}"
    met = "aim" if r["met_aim"] else "first" if r["met_first"] else "NO"
    return LAYOUT.format(r["name"], r["unit"], number(r["stackd"]), spread(r["runs"]["stackd"]), number(r["kernel"]),
                         spread(r["runs"]["kernel"]), f"{r['ratio']:.2f}", f"{r['cpu_ratio']:.2f}", f"{r['first']:g}",
                         f"{r['aim']:g}", met)


def cpu_rows(results):
    """CPU seconds per Gbit, from the bulk rows of AF_PACKET."""
    for r in results:
        if r["unit"] == "Gbit/s" and r["driver"] == "af_packet" and "error" not in r:
            v = r["cpu_ratio"]
            yield {"name": "cpu_" + r["name"], "what": "CPU seconds per Gbit, all parties", "unit": "s/Gbit",
                   "better": "less", "first": rows.CPU_FIRST, "aim": rows.CPU_AIM, "driver": r["driver"],
                   "mode": r["mode"], "stackd": r["cpu_stackd"], "kernel": r["cpu_kernel"], "ratio": v, "cpu_ratio": v,
                   "met_first": v <= rows.CPU_FIRST, "met_aim": v <= rows.CPU_AIM,
                   "runs": {"stackd": [round(r["cpu_stackd"], 4)], "kernel": [round(r["cpu_kernel"], 4)]}}


def versions():
    iperf = sh("iperf3", "--version").split("\n", 1)[0]
    stackd = sh(tool("stackd"), "--version", ok=True).strip() or "stackd"
    kind = sh("meson", "introspect", "--buildoptions", BUILD, ok=True)
    with contextlib.suppress(ValueError):
        kind = {o["name"]: o["value"] for o in json.loads(kind)}["buildtype"]
    return f"{stackd} ({kind}), Linux {platform.release()}, {os.cpu_count()} CPUs, {iperf}"


def arguments():
    p = argparse.ArgumentParser(prog="bench")
    p.add_argument("names", nargs="*", metavar="NAME")
    p.add_argument("--json", metavar="FILE")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=2.0, help="of each round")
    p.add_argument("--quick", action="store_true", help="rounds of one second")
    p.add_argument("--list", action="store_true")
    o = p.parse_args()
    if o.rounds < 1 or o.seconds <= 0:
        p.error("at least one round, of some time")
    return o


def interrupted(signal_number, _frame):
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, signal.SIG_IGN)
    raise SystemExit(128 + signal_number)


def measure(options, chosen):
    bench = Bench()
    results = []
    try:
        build.build(["tests/bench/rr-server", "tests/bench/rr-client"])
        bench.up()
        print(f"{versions()}\nveth, MTU 1500, offloads on unless a row says otherwise; the kernel's TCP uses cubic at every "
              f"end. Two pairs between the\nsame two namespaces: stackd to kernel, and kernel to kernel. No figure of "
              f"hardware. Median [least-most] of {options.rounds} rounds.\n", flush=True)
        print(LAYOUT.format("row", "unit", "stackd", "", "kernel", "", "ratio", "cpu", "first", "aim", "met"), flush=True)
        for row in chosen:
            results.append(bench.row(row, options.rounds, 1.0 if options.quick else options.seconds))
            print(line(results[-1]), flush=True)
    finally:
        bench.end()
        bench.hosts.down()
    for r in list(cpu_rows(results)):
        results.append(r)
        print(line(r))
    return results


def main():
    options = arguments()
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, interrupted)
    try:
        chosen = rows.select(options.names)
        if options.list:
            for r in chosen:
                print(f"{r.name:<21} {r.what}")
            return 0
        results = measure(options, chosen)
    except Failed as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1
    modes = {f"{r['driver']}: {r['mode']}" for r in results if "mode" in r}
    print("\n" + "\n".join(sorted(modes)))
    print("cpu: the ratio of CPU seconds (stackd, programs, ksoftirqd) for the same work")
    placed = " ".join(r.name for r in chosen if r.placed)
    if placed:
        print(f"{placed}: the client and stackd's server program on CPU {rows.CLIENT_CPU}, stackd's shard and the "
              f"kernel's server on CPU {rows.SERVER_CPU};\nleft alone, the scheduler has the kernel's two ends now on "
              "one CPU, now on two, and one CPU needs no wake-up")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump(results, f, indent=1)
            f.write("\n")
    return 1 if any("error" in r for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
