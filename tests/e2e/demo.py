# SPDX-License-Identifier: BSD-2-Clause
"""demo.py - scripts/demo says what happened and leaves nothing behind: run through, kept and ended, twice at
once, interrupted, with a build that fails, and not as root."""

import os
import signal
import subprocess
import sys

import lab

SCRIPT = os.path.join(lab.ROOT, "scripts", "lib", "demo.py")
SMALL = ["--size", "100K", "--loss", "0%", "--plugins", "sack"]


def start(*options, **env):
    return subprocess.Popen([sys.executable, SCRIPT, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            stdin=subprocess.DEVNULL, env={**os.environ, "STACKD_BUILD": lab.BUILD, **env})


def ended(p, code, text):
    said = p.communicate(timeout=200)[0]
    lab.check(p.returncode == code and text in said, f"exit {p.returncode}, not {code} with {text!r}: {said[-3000:]}")


def nothing_is_left():
    lab.check("stackd-demo" not in lab.sh("ip", "netns", "list"), "a network namespace")
    lab.check(not os.path.exists("/run/stackd-demo"), "/run/stackd-demo")
    running = "\n".join(l for l in lab.sh("ps", "-eo", "stat,args").splitlines() if not l.startswith("Z"))
    lab.check("nginx" not in running and "stackd.rundir=/run/stackd-demo" not in running, f"processes: {running}")


def interrupted_when(there):
    p = start("--size", "20M", "--rate", "1mbit", "--plugins", "sack")
    lab.check(lab.wait_for(lambda: there() or p.poll() is not None, 120), "the demo does not get on")
    p.send_signal(signal.SIGINT)
    ended(p, 130, "")
    nothing_is_left()


def test():
    lab.sh("mount", "-t", "tmpfs", "tmpfs", "/run")
    os.makedirs("/run/netns")
    # by its text: a checkout in /root is not another user's to enter
    with open(os.path.join(lab.ROOT, "scripts", "demo"), encoding="utf-8") as script:
        done = subprocess.run(["sh", "-s"], stdin=script, capture_output=True, text=True, check=False, user=65534,
                              group=65534, extra_groups=[], cwd="/")
    lab.check(done.returncode == 1 and "has to be root" in done.stderr, f"not root: {done.stderr}")
    ended(start(*SMALL, STACKD_BUILD="/run/no-build", CC="/bin/false"), 1, "the build failed")
    nothing_is_left()
    ended(start("--loss", "much", "--plugins", "sack"), 1, "wants a share")
    nothing_is_left()
    first = start("--keep", *SMALL)
    lab.check(lab.wait_for(lambda: os.path.exists("/run/stackd-demo") or first.poll() is not None, 120), "no demo")
    second = start(*SMALL)
    ended(second, 1, "another stackd-demo runs now")
    ended(first, 0, "To end it")
    lab.check("stackd-demo-a" in lab.sh("ip", "netns", "list"), "it stays up")
    ended(start("--end"), 0, "taking down")
    nothing_is_left()
    interrupted_when(lambda: os.path.exists("/run/stackd-demo"))
    interrupted_when(lambda: os.path.exists("/run/stackd-demo/run/control.sock"))


if __name__ == "__main__":
    lab.main(test)
