# SPDX-License-Identifier: BSD-2-Clause
"""Two hosts for end-to-end tests: stackd's side and a stock Linux kernel, joined by a veth pair.

A test calls lab.main(function).  It is run again inside its own network, mount and process
namespaces, so that nothing of it can be left behind, however it ends.  The test's own network
namespace is stackd's side (interface va, the kernel has no address there); the namespace "peer" is
the kernel's side (interface vb, 10.9.0.1 and fd00:9::1).
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("STACKD_BUILD", os.path.join(ROOT, "build"))
STACK4, PEER4, STACK6, PEER6 = "10.9.0.2", "10.9.0.1", "fd00:9::2", "fd00:9::1"
TMP = "/run/stackd-test"


class Failed(Exception):
    pass


def check(condition, message):
    if not condition:
        raise Failed(message)


def sh(*cmd, timeout=60, ok=True, **kw):
    """Runs a command, gives back its standard output as text."""
    done = subprocess.run(cmd, timeout=timeout, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, text=True, errors="replace", **kw)
    if ok and done.returncode:
        raise Failed(f"{' '.join(cmd)}: exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def as_user(user):
    """Words before a command that make it another user's."""
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"]


def wait_for(what, timeout=10, step=0.02):
    """Calls `what` until it is true."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(step)
    return False


class Process:
    """A program in the background whose output goes to a file."""

    def __init__(self, cmd, name, env=None):
        self.log = os.path.join(TMP, f"{name}.log")
        self.cmd = cmd
        with open(self.log, "wb") as out:
            self.popen = subprocess.Popen(cmd, stdout=out, stderr=subprocess.STDOUT,
                                          stdin=subprocess.DEVNULL, env=env)
        self.pid = self.popen.pid

    def output(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def alive(self):
        return self.popen.poll() is None

    def wait(self, timeout=60):
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"{' '.join(self.cmd)}: still running after {timeout} s\n{self.output()[-3000:]}")

    def stop(self, sig=signal.SIGTERM, timeout=10):
        if self.alive():
            self.popen.send_signal(sig)
        return self.wait(timeout)


class Lab:
    def __init__(self, driver="af_packet", shards=1, fault="", mode="", extra=(), mtu=1500, users=()):
        self.driver, self.shards, self.fault, self.mode = driver, shards, fault, mode
        self.extra, self.mtu, self.users = list(extra), mtu, list(users)
        self.rundir = os.path.join(TMP, "run")
        self.stackd = None
        self.count = 0
        self.processes = []

    # -- the two hosts --

    def wire(self):
        sh("ip", "netns", "add", "peer")
        sh("ip", "link", "add", "va", "mtu", str(self.mtu), "type", "veth", "peer", "name", "vb",
           "mtu", str(self.mtu), "netns", "peer")
        sh("sysctl", "-qw", "net.ipv6.conf.va.disable_ipv6=1", ok=False)
        sh("ip", "link", "set", "lo", "up")
        sh("ip", "link", "set", "va", "up")
        self.peer_sh("ip", "link", "set", "lo", "up")
        self.peer_sh("ip", "link", "set", "vb", "up")
        self.peer_sh("ip", "addr", "add", f"{PEER4}/24", "dev", "vb")
        self.peer_sh("ip", "addr", "add", f"{PEER6}/64", "dev", "vb", "nodad")
        # a new namespace may have another default, which only the route can change here
        self.peer_sh("ip", "route", "change", "10.9.0.0/24", "dev", "vb", "src", PEER4, "congctl", "cubic")

    def peer_sh(self, *cmd, **kw):
        return sh("ip", "netns", "exec", "peer", *cmd, **kw)

    def spawn(self, *cmd, env=None):
        self.count += 1
        p = Process(cmd, f"{self.count}-{os.path.basename(cmd[0])}", env)
        self.processes.append(p)
        return p

    def peer_spawn(self, *cmd, env=None):
        return self.spawn("ip", "netns", "exec", "peer", *cmd, env=env)

    # -- stackd --

    def options(self):
        o = [f"stackd.rundir={self.rundir}", f"stackd.shards={self.shards}",
             f"interface va.driver={self.driver}",
             f"interface va.address={STACK4}/24, {STACK6}/64"]
        if self.fault:
            o.append(f"interface va.fault={self.fault}")
        if self.mode:
            o.append(f"interface va.mode={self.mode}")
        if self.users:
            o.append("stackd.allow=" + " ".join(f"uid:{u}" for u in ["root", *self.users]))
        return o + self.extra

    def start(self, *more):
        cmd = [self.tool("stackd")]
        for o in self.options() + list(more):
            cmd += ["-o", o]
        self.stackd = self.spawn(*cmd)
        try:
            self.ctl("wait", "--timeout", "10")
        except Failed as e:
            raise Failed(f"stackd does not serve: {self.stackd.output()[-3000:]}\n{e}")
        return self.stackd

    @staticmethod
    def tool(name):
        folder = {"stackd": "stackd", "stackdctl": "stackd/ctl", "stackd-run": "libclient",
                  "stackd-lab": "stackd/lab"}[name]
        return os.path.join(BUILD, folder, name)

    def ctl(self, *words, **kw):
        return sh(self.tool("stackdctl"), "-s", self.rundir, *words, **kw)

    def show(self, *words):
        return json.loads(self.ctl("--json", "show", *words))

    def drops(self):
        return {d["name"]: d["count"] for d in self.show("drops")["counters"]}

    def run(self, *cmd, options=(), timeout=120, **kw):
        """A program through stackd; its standard output."""
        return sh(*self.through(*cmd, options=options), timeout=timeout, **kw)

    def through(self, *cmd, options=(), user=None):
        o = [w for option in options for w in ("-o", option)]
        if user:  # the build may lie where only root can read
            for name in ("stackd-run", "preload.so"):
                shutil.copy(os.path.join(BUILD, "libclient", name), TMP)
            return [*as_user(user), f"{TMP}/stackd-run", "-s", self.rundir, "--require", *o, *cmd]
        return [self.tool("stackd-run"), "-s", self.rundir, "--require", *o, *cmd]

    def run_spawn(self, *cmd, options=(), user=None):
        return self.spawn(*self.through(*cmd, options=options, user=user))

    def connections(self):
        return [c for c in self.show("conns")["conns"] if c.get("state") != "TIME-WAIT"]

    # -- the end --

    def stop(self):
        for p in reversed(self.processes):
            if p.alive() and p is not self.stackd:
                p.popen.kill()
                p.popen.wait()
        if self.stackd and self.stackd.alive():
            check(self.stackd.stop() == 0, f"stackd did not stop in order: {self.stackd.output()[-3000:]}")

    def __enter__(self):
        self.wire()
        return self

    def __exit__(self, kind, value, trace):
        if kind and self.stackd:
            print("--- stackd said:\n" + self.stackd.output()[-4000:], flush=True)
            for p in self.processes:
                if p is not self.stackd and p.output():
                    print(f"--- {' '.join(p.cmd)[-200:]} said:\n" + p.output()[-1500:], flush=True)
        for p in reversed(self.processes):
            if p.alive() and (p is not self.stackd or kind):
                p.popen.kill()
                p.popen.wait()
        if not kind:
            self.stop()
        sh("ip", "link", "del", "va", ok=False)
        sh("ip", "netns", "del", "peer", ok=False)


def capture(path, *cmd_filter):
    """A capture on the peer's end, to be judged by tshark."""
    return ["tcpdump", "-i", "vb", "-s", "0", "-w", path, "-U", *cmd_filter]


def wrong_frames(path, source):
    """What tshark finds malformed or wrongly summed among the frames from `source`."""
    text = sh("tshark", "-r", path, "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
              "-Y", f"({source}) && (_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || "
              "icmp.checksum.status == 0 || icmpv6.checksum.status == 0)", timeout=300, ok=False)
    return text.strip().splitlines()


def random_file(path, size, seed=1):
    """`size` pseudo-random bytes, the same for the same seed."""
    import random
    r = random.Random(seed)
    with open(path, "wb") as f:
        while size > 0:
            n = min(size, 1 << 20)
            f.write(r.randbytes(n))
            size -= n
    return path


def sha(path):
    return sh("sha256sum", path, timeout=300).split()[0]


def main(test):
    """Runs the test in namespaces of its own; exit 0, 1, or 77 (skipped: not root)."""
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces")
        sys.exit(77)
    if os.environ.get("STACKD_TEST_INSIDE") != "1":
        env = dict(os.environ, STACKD_TEST_INSIDE="1")
        os.execvpe("unshare", ["unshare", "-n", "-m", "-p", "--fork", "--kill-child", "--mount-proc",
                               sys.executable, *sys.argv], env)
    os.makedirs("/run/netns", exist_ok=True)
    os.makedirs(TMP, exist_ok=True)
    sh("mount", "-t", "tmpfs", "tmpfs", "/run/netns")
    sh("mount", "-t", "tmpfs", "tmpfs", TMP)
    os.makedirs(os.path.join(TMP, "run"))
    os.chdir(TMP)
    try:
        test(*sys.argv[1:])
    except Failed as e:
        print(f"FAILED: {e}", flush=True)
        sys.exit(1)
    print("ok")
