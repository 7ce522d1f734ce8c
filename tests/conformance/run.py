# SPDX-License-Identifier: BSD-2-Clause
"""run.py [--steady N] [--both] [NAME...] - the conformance programs on the kernel's TCP and through stackd.

Both times in the same picture: the program's host is 10.9.0.2, another host with a stock kernel is
10.9.0.1.  What they say is compared line by line; a difference is a failure, unless a row of the
table in docs/conformance.md knows it.  --both: with `listen = both`.  --steady N runs each N times on the
kernel alone: what isn't the same each time is no observation."""

import fnmatch
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

import lab  # noqa: E402

DOC = os.path.join(lab.ROOT, "docs", "conformance.md")
FOLDER = os.path.join(lab.BUILD, "tests", "conformance")
PAIR = ("local 4", "active 4", "passive 6")  # programs about one connection
ALONE = ("local 4",)
FAR = ("active 4", "passive 6")
BOTH = ("local 4", "local 6")
PROGRAMS = {
    "names": BOTH,
    "connect": BOTH,
    "stream": PAIR,
    "shutdown": PAIR,
    "reset": PAIR,
    "options": PAIR,
    "urgent": PAIR,
    "vectors": PAIR,
    "files": PAIR,
    "descriptors": PAIR,
    "wait": PAIR,
    "epoll": PAIR,
    "signals": PAIR,
    "handlers": PAIR,
    "processes": FAR,
    "ports": ALONE,
    "families": ALONE,
    "kinds": BOTH,
    "fortify": PAIR,
    "threads": PAIR,
    "stdio": PAIR,
    "info": PAIR,
    "device": ("local 4", "active 4", "passive 4", "passive 6"),
}
PATIENCE_S = 30
PORTS = range(7000, 31000, 100)  # each run has a hundred ports of its own: TIME-WAIT would be seen by the next


class World:
    """Two hosts: a program's command line in one, and its peer's socket in the other."""

    def __init__(self, net, name, prefix, peer_namespace):
        self.name, self.prefix, self.runs = name, prefix, 0
        self.sock = os.path.join(lab.TMP, f"{name}.peer")
        net.spawn("ip", "netns", "exec", peer_namespace, os.path.join(FOLDER, "conform_peer"), self.sock,
                  lab.PEER4, lab.STACK4, lab.PEER6, lab.STACK6)
        lab.check(lab.wait_for(lambda: os.path.exists(self.sock)), "conform_peer does not listen")

    def start(self, program, way):
        env = dict(os.environ, CONFORM_PEER=self.sock, CONFORM_PORT=str(PORTS[self.runs % len(PORTS)]), LC_ALL="C")
        self.runs += 1
        cmd = [*self.prefix, os.path.join(FOLDER, "conform_" + program), *way.split()]
        return subprocess.Popen(cmd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True)

    def finish(self, child):
        """Its observations, in order: [(key, value)]."""
        try:
            out, err = child.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)  # its children too
            out, err = child.communicate()
        seen, found = {}, []
        for line in out.splitlines():
            key, _, value = line.rpartition(": ")
            seen[key] = seen.get(key, 0) + 1
            found.append((key if seen[key] == 1 else f"{key} ({seen[key]})", value))
        if child.returncode or err:
            found.append(("exit", f"{child.returncode} {err.strip()[-300:]}"))
        return found


def kernel_world(net):
    """The same two hosts once more, with the kernel's TCP at both."""
    for name in ("here", "there"):
        lab.sh("ip", "netns", "add", name)
        lab.sh("ip", "-n", name, "link", "set", "lo", "up")
    lab.sh("ip", "-n", "here", "link", "add", "va", "type", "veth", "peer", "name", "vb", "netns", "there")
    for name, device, four, six in (("here", "va", lab.STACK4, lab.STACK6), ("there", "vb", lab.PEER4, lab.PEER6)):
        lab.sh("ip", "-n", name, "link", "set", device, "up")
        lab.sh("ip", "-n", name, "addr", "add", four + "/24", "dev", device)
        lab.sh("ip", "-n", name, "addr", "add", six + "/64", "dev", device, "nodad")
    return World(net, "kernel", ["ip", "netns", "exec", "here"], "there")


class Exception_:
    """A row of the table: | id | program: observation | Linux | stackd | why |; * matches anything."""

    def __init__(self, cells):
        self.id, self.where, self.kernel, self.stackd = cells[:4]
        self.used = False

    def covers(self, where, kernel, stackd):
        return (fnmatch.fnmatchcase(where, self.where) and fnmatch.fnmatchcase(kernel, self.kernel)
                and fnmatch.fnmatchcase(stackd, self.stackd))


def read_exceptions():
    with open(DOC, encoding="utf-8") as f:
        rows = [[c.strip().strip("`") for c in line.strip().strip("|").split("|")] for line in f
                if re.match(r"\| C\d+ \|", line)]
    return [Exception_(cells) for cells in rows]


def differences(kernel, stackd):
    """(key, kernel's value, stackd's value) of what isn't the same."""
    theirs, ours = dict(kernel), dict(stackd)
    for key in [k for k, _ in kernel] + [k for k, _ in stackd if k not in theirs]:
        a, b = theirs.get(key, "(not said)"), ours.get(key, "(not said)")
        if a != b:
            yield key, a, b


def compare(worlds, names, exceptions):
    lines, wrong, known = 0, [], 0
    for name in names:
        for way in PROGRAMS[name]:
            children = [w.start(name, way) for w in worlds]
            kernel, stackd = [w.finish(c) for w, c in zip(worlds, children)]
            lines += len(kernel)
            if ("end: reached", "yes") not in kernel:
                wrong.append(f"{name} {way}: did not come to its end on the kernel: {kernel[-1:]}")
            for key, a, b in differences(kernel, stackd):
                excuse = [e for e in exceptions if e.covers(f"{name}: {key}", a, b)]
                for e in excuse:
                    e.used = True
                known += bool(excuse)
                if not excuse:
                    wrong.append(f"{name} {way}: {key}: the kernel {a}, stackd {b}")
    return lines, wrong, known


def steady(world, names, times):
    wrong = []
    for name in names:
        for way in PROGRAMS[name]:
            began = time.monotonic()
            runs = [world.finish(world.start(name, way)) for _ in range(times)]
            print(f"{name} {way}: {time.monotonic() - began:.2f} s", flush=True)
            if ("end: reached", "yes") not in runs[0]:
                wrong.append(f"{name} {way}: did not come to its end: {runs[0][-2:]}")
            for later in runs[1:]:
                wrong += [f"{name} {way}: {key}: {a}, then {b}" for key, a, b in differences(runs[0], later)]
    return sorted(set(wrong))


def test(*words):
    words = list(words)
    times = int(words.pop(1)) if words and words[0] == "--steady" else 0
    shards = int(words.pop(1)) if words and words[0] == "--shards" else 1
    names = [w for w in words if not w.startswith("--")] or list(PROGRAMS)
    listen = ["stackd.listen=both"] if "--both" in words else []
    with lab.Lab(driver="af_packet", shards=shards, extra=listen) as net:
        kernel = kernel_world(net)
        if times:
            wrong = steady(kernel, names, times)
            lab.check(not wrong, "not the same each time:\n  " + "\n  ".join(wrong))
            return
        net.start()
        stackd = World(net, "stackd", net.through(), "peer")
        exceptions = read_exceptions()
        lines, wrong, known = compare([kernel, stackd], names, exceptions)
        print(f"{lines} observations, {known} known differences")
        if len(names) == len(PROGRAMS):
            for e in exceptions:
                if not e.used:
                    print(f"note: {e.id} of docs/conformance.md is no longer so")
        lab.check(not wrong, f"{len(wrong)} differ:\n  " + "\n  ".join(wrong))
        lab.check(net.stackd.alive(), "stackd has ended")


if __name__ == "__main__":
    lab.main(test)
