# SPDX-License-Identifier: BSD-2-Clause
"""hostile.py DRIVER [SHARDS] - processes that misbehave at client.sock, while a curl goes on undisturbed."""

import os
import pwd
import signal
import sys
import time

import lab

CASES = ["wrong_messages", "wrong_fds", "attaches", "deaf", "bad_indices", "repeats", "stuck_eventfd", "one_user", "rule_sets",
         "crowd"]
# what could do harm by itself anyway is trusted to write eventfds directly, and has no limits of its own
AS_NOBODY = ["stuck_eventfd", "one_user", "rule_sets"]
SIZE = 40 << 20

SERVER = """
import http.server, os
os.chdir("/run/stackd-test/www")
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def curl(net, name):
    return net.run_spawn("curl", "-sS", "--limit-rate", "8M", "-o", f"{lab.TMP}/{name}",
                         f"http://{lab.PEER4}:8000/file")


def finish(net, p, name, digest):
    lab.check(p.wait(60) == 0, f"curl during {name}: {p.output()}")
    lab.check(lab.sha(f"{lab.TMP}/{name}") == digest, f"{name}: other bytes than were sent")


def as_nobody(*cmd):
    nobody = pwd.getpwnam("nobody")
    return ("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", *cmd)


def stopped_client(net):
    """SIGSTOP in mid-transfer: it holds its memory, and nobody waits for it."""
    p = curl(net, "stopped")
    time.sleep(1)
    os.kill(p.pid, signal.SIGSTOP)
    other = net.run("curl", "-sS", "-o", "/dev/null", "-w", "%{size_download}", f"http://{lab.PEER4}:8000/file")
    lab.check(other == str(SIZE), f"a second curl beside a stopped one got {other} bytes")
    os.kill(p.pid, signal.SIGKILL)
    p.wait()


def test(driver, shards="1"):
    tool = os.environ.get("STACKD_HOSTILE", os.path.join(lab.BUILD, "tests/e2e/hostile"))
    with lab.Lab(driver=driver, shards=int(shards)) as net:
        os.mkdir(f"{lab.TMP}/www")
        digest = lab.sha(lab.random_file(f"{lab.TMP}/www/file", SIZE))
        net.start("stackd.allow=uid:root, uid:nobody", "stackd.clients_per_user=40",
                  "stackd.rule_sets_per_user=20")
        server = net.peer_spawn("python3", "-c", SERVER)
        lab.wait_for(lambda: "000" in lab.sh("ip", "netns", "exec", "peer", "ss", "-ltn"))
        before = open_files(net.stackd.pid)
        for case in CASES:
            good = curl(net, case)
            lab.check(lab.wait_for(lambda: len(net.connections()) == 1, 10), f"{case}: the curl did not connect")
            words = as_nobody(tool, net.rundir, case) if case in AS_NOBODY else (tool, net.rundir, case)
            said = lab.sh(*words, timeout=100)
            print(f"{case}: {said.splitlines()[-2:]}", flush=True)
            finish(net, good, case, digest)
        stopped_client(net)
        lab.wait_for(lambda: not net.show("clients")["clients"])
        after = open_files(net.stackd.pid)
        lab.check(after <= before + 2, f"{after} open files of stackd, {before} before")
        drops = net.drops()
        for name in ("client_bad_message", "client_bad_handle", "client_bad_index", "client_refused"):
            lab.check(drops.get(name, 0) > 0, f"{name} was not counted: {drops}")
        log = net.stackd.output()
        for sentence in ("expected", "the first request must be HELLO", "no such event queue, or no eventfd",
                         "submission queue index outside its ring", "clients are the limit", "stackd.clients_per_user",
                         "stackd.rule_sets_per_user"):
            lab.check(sentence in log, f"not in the log: {sentence}\n{log[-3000:]}")
        lab.check(not net.show("clients")["clients"], "clients are left")
        lab.check(not net.show("listeners")["listeners"], "listeners are left")
        server.stop(signal.SIGKILL)


if __name__ == "__main__":
    lab.main(test)
