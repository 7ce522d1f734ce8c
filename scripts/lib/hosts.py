# SPDX-License-Identifier: BSD-2-Clause
"""Two hosts joined by a veth pair: stackd's side (namespace NAME-a, interface va) and a stock Linux
kernel (namespace NAME-b, interface vb, TCP cubic).  Owns the namespaces, /run/NAME and every process
started in them, and takes all of it away again; what an earlier run left behind goes first."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time

from build import Failed, tool

STACK, PEER, PREFIX = "10.9.0.2", "10.9.0.1", "10.9.0.0/24"


def sh(*command, ok=False, timeout=30):
    """A command's standard output; Failed when it fails, unless ok."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                          text=True, errors="replace", timeout=timeout, check=False)
    if done.returncode and not ok:
        raise Failed(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def wait_for(what, timeout=10.0, step=0.02):
    end = time.monotonic() + timeout
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(step)
    return True


class Hosts:
    def __init__(self, name):
        self.name, self.a, self.b = name, f"{name}-a", f"{name}-b"
        self.dir = f"/run/{name}"
        self.rundir = os.path.join(self.dir, "run")
        self.processes = []
        self.lock = None

    # -- up and down --

    def claim(self):
        """One at a time; the name falls with the process that holds it, however it ends, and leaves no file."""
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            lock.bind(f"\0{self.name}")
        except OSError as e:
            lock.close()
            raise Failed(f"another {self.name} runs now") from e
        self.lock = lock

    def left_behind(self):
        names = sh("ip", "netns", "list", ok=True).split()
        return self.a in names or self.b in names or os.path.exists(self.dir)

    def up(self):
        os.makedirs(self.rundir)
        try:
            for namespace in (self.a, self.b):
                sh("ip", "netns", "add", namespace)
                sh("ip", "-n", namespace, "link", "set", "lo", "up")
        except Failed as e:
            raise Failed(f"network namespaces can't be made here (in a container without the right to?): {e}") from e
        try:
            sh("ip", "link", "add", "va", "netns", self.a, "type", "veth", "peer", "name", "vb", "netns", self.b)
        except Failed as e:
            raise Failed(f"this kernel makes no veth pair: {e}") from e
        sh("ip", "-n", self.a, "link", "set", "va", "up")
        sh("ip", "-n", self.b, "link", "set", "vb", "up")
        sh("ip", "-n", self.b, "addr", "add", f"{PEER}/24", "dev", "vb", "noprefixroute")
        # cubic by the route: a namespace may not choose it by sysctl unless the host allows it
        sh("ip", "-n", self.b, "route", "add", PREFIX, "dev", "vb", "src", PEER, "congctl", "cubic")

    def down(self):
        """Ends every process in the two namespaces, known or not, and removes all; but only what is ours."""
        if not self.lock:
            return
        for p in reversed(self.processes):
            if p.poll() is None:
                p.terminate()
        for p in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(5)
        for namespace in (self.a, self.b):
            self.end_processes(namespace)
            sh("ip", "netns", "del", namespace, ok=True)
        shutil.rmtree(self.dir, ignore_errors=True)
        self.processes = []

    @staticmethod
    def end_processes(namespace):
        def pids():
            return [int(p) for p in sh("ip", "netns", "pids", namespace, ok=True).split()]

        for sig in (signal.SIGTERM, signal.SIGKILL):
            for pid in pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sig)
            if wait_for(lambda: not pids(), 5):
                return

    # -- processes --

    def path(self, name):
        return os.path.join(self.dir, name)

    def spawn(self, namespace, log, *command):
        """A program in the background, in a session of its own: ^C is ours alone."""
        with open(self.path(log), "ab") as out:
            p = subprocess.Popen(["ip", "netns", "exec", namespace, *command], stdout=out, stderr=subprocess.STDOUT,
                                 stdin=subprocess.DEVNULL, start_new_session=True)
        self.processes.append(p)
        return p

    def said(self, log):
        with contextlib.suppress(OSError), open(self.path(log), errors="replace", encoding="utf-8") as f:
            return f.read().strip()
        return ""

    def start_stackd(self, options):
        command = [tool("stackd"), "-o", f"stackd.rundir={self.rundir}"]
        for o in options:
            command += ["-o", o]
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.path("stackd.log"))
        p = self.spawn(self.a, "stackd.log", *command)
        control = os.path.join(self.rundir, "control.sock")
        served = wait_for(lambda: p.poll() is not None or (os.path.exists(control) and subprocess.run(
            [*self.ctl_command(), "wait", "--timeout", "10"], capture_output=True, check=False).returncode == 0), 15)
        if not served or p.poll() is not None:
            failed = Failed(f"stackd does not start:\n{self.said('stackd.log')}")
            failed.bad_option = p.poll() == 2  # no other driver would help
            p.kill()
            self.processes.remove(p)
            raise failed
        return p

    # -- stackdctl and stackd-run --

    def ctl_command(self):
        return [tool("stackdctl"), "-s", self.rundir]

    def show(self, *words):
        return json.loads(sh(*self.ctl_command(), "--json", "show", *words))

    def counters(self):
        return {c["name"]: c["count"] for c in self.show("drops", "-a")["counters"]}

    def through(self, *command, options=()):
        """A program through stackd, as a command line."""
        words = [w for o in options for w in ("-o", o)]
        return ["ip", "netns", "exec", self.a, tool("stackd-run"), "-s", self.rundir, "--require", *words, *command]

    def kernel_counters(self):
        """TCP counters of the kernel's side: the names and numbers nstat shows."""
        out = {}
        text = sh("ip", "netns", "exec", self.b, "cat", "/proc/net/snmp", "/proc/net/netstat")
        rows = text.splitlines()
        for names, values in zip(rows[::2], rows[1::2]):
            group, *words = names.split()
            out.update({group.rstrip(":") + n: int(v) for n, v in zip(words, values.split()[1:])})
        return out
