# SPDX-License-Identifier: BSD-2-Clause
"""bad.py CASE - what goes wrong is said clearly, harms nobody else, and leaves nothing behind."""

import os
import signal
import subprocess
import time

import lab


def refused(net, *options, code=2, says=""):
    cmd = [net.tool("stackd")]
    for o in options:
        cmd += ["-o", o]
    done = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
    lab.check(done.returncode == code, f"{options}: exit {done.returncode}, expected {code}: {done.stdout}")
    lab.check(says in done.stdout, f"{options}: does not say '{says}': {done.stdout}")
    return done.stdout


def xdp_on(interface):
    return "xdp" in lab.sh("ip", "-d", "link", "show", interface)


def config(net):
    base = net.options()
    refused(net, *base, "tcp.recovrey=gbn", says="recovery")
    refused(net, *base, "tcp.recovery=nosuch", says="nosuch")
    refused(net, *base, "plugin rfc6298.min=5x", says="min")
    refused(net, *base, "interface va.fault=loss 200%", says="loss")
    refused(net, "stackd.shards=1", says="interface")
    refused(net, f"stackd.rundir={net.rundir}", "interface nosuch0.address=10.9.0.2/24", code=1, says="nosuch0")
    bad = os.path.join(lab.TMP, "bad.conf")
    with open(bad, "w") as f:
        f.write("[stackd]\nshards = 1\n[tcp]\nccc = cubic\n")
    done = subprocess.run([net.tool("stackd"), "-c", bad], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lab.check(done.returncode == 2 and "bad.conf:4" in done.stdout, done.stdout)
    lab.check(not xdp_on("va"), "a refused configuration touched the interface")


def killed_daemon(net):
    """The daemon dies under its clients: each hears of it at once, the interface is as it was."""
    net.start()
    net.peer_spawn("python3", "-c", "import socket\ns = socket.socket(); s.bind(('0.0.0.0', 7000)); s.listen(9)\n"
                   "held = []\nwhile True: held.append(s.accept())")
    lab.wait_for(lambda: ":7000" in net.peer_sh("ss", "-ltn"))
    c = net.run_spawn("python3", "-c", "import socket, sys\ns = socket.create_connection((sys.argv[1], 7000))\n"
                      "print('up', flush=True)\ntry: s.recv(1); print('eof')\n"
                      "except OSError as e: print('error', e.errno)", lab.PEER4)
    lab.check(lab.wait_for(lambda: "up" in c.output()), c.output())
    net.stackd.popen.kill()
    net.stackd.popen.wait()
    start = time.monotonic()
    c.wait(5)
    lab.check(time.monotonic() - start < 2, "the client noticed late")
    lab.check("error 104" in c.output(), f"expected ECONNRESET: {c.output()}")
    lab.check(lab.wait_for(lambda: not xdp_on("va"), 3), "an XDP program is left behind")
    net.stackd = None
    net.start()  # and it comes up again
    net.stop()
    lab.check(not xdp_on("va"), "an XDP program is left behind after an orderly stop")


def killed_client(net):
    """A client dies in mid-transfer: its connections are reset, everything it had is free again."""
    net.start()
    sink = net.peer_spawn("python3", "-c", "import socket\ns = socket.socket(); s.bind(('0.0.0.0', 7000)); s.listen(9)\n"
                          "while True:\n c, _ = s.accept()\n try:\n  while c.recv(65536): pass\n  print('eof', flush=True)\n"
                          " except ConnectionResetError: print('reset', flush=True)")
    lab.wait_for(lambda: ":7000" in net.peer_sh("ss", "-ltn"))
    for i in range(3):
        c = net.run_spawn("python3", "-c", "import socket, sys\ns = socket.create_connection((sys.argv[1], 7000))\n"
                          "print('up', flush=True)\nwhile True: s.sendall(bytes(65536))", lab.PEER4)
        lab.check(lab.wait_for(lambda: "up" in c.output()), c.output())
        time.sleep(0.3)
        c.popen.kill()
        c.popen.wait()
        lab.check(lab.wait_for(lambda: sink.output().count("reset") == i + 1, 5), f"not reset: {sink.output()}")
        lab.check(lab.wait_for(lambda: not net.connections(), 5), f"left behind: {net.connections()}")
        lab.check(lab.wait_for(lambda: not net.show("clients")["clients"], 5), "the client is still known")
    net.stop()


def port_in_use(net):
    net.start()
    text = "import socket, time\ns = socket.socket(); s.bind(('0.0.0.0', 7000)); s.listen(1); print('up', flush=True); time.sleep(60)"
    first = net.run_spawn("python3", "-c", text)
    lab.check(lab.wait_for(lambda: "up" in first.output()), first.output())
    second = net.run_spawn("python3", "-c", text)
    lab.check(second.wait(10) != 0 and "Address already in use" in second.output(), second.output())
    first.stop(signal.SIGKILL)
    lab.check(lab.wait_for(lambda: not net.show("listeners")["listeners"], 5), "the listener is left behind")
    third = net.run_spawn("python3", "-c", text)
    lab.check(lab.wait_for(lambda: "up" in third.output()), third.output())


def no_daemon(net):
    done = subprocess.run([net.tool("stackd-run"), "-s", net.rundir, "--require", "true"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    lab.check(done.returncode != 0 and "stackd" in done.stdout, f"{done.returncode} {done.stdout}")
    done = subprocess.run([net.tool("stackd-run"), "-s", net.rundir, "echo", "hello"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    lab.check(done.returncode == 0 and done.stdout == "hello\n" and done.stderr, f"{done}")
    done = subprocess.run([net.tool("stackdctl"), "-s", net.rundir, "show", "conns"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    lab.check(done.returncode == 3, f"stackdctl without a daemon: exit {done.returncode}, {done.stdout}")


def change_plugin(net):
    """A plugin changed by configuration takes effect for the next connection, and by -o for a process."""
    net.start()
    net.peer_spawn("python3", "-c", "import socket\ns = socket.socket(); s.bind(('0.0.0.0', 7000)); s.listen(9)\n"
                   "held = []\nwhile True: held.append(s.accept())")
    lab.wait_for(lambda: ":7000" in net.peer_sh("ss", "-ltn"))
    hold = "import socket, sys, time\ns = socket.create_connection((sys.argv[1], 7000))\ntime.sleep(60)"
    net.run_spawn("python3", "-c", hold, lab.PEER4)
    lab.check(lab.wait_for(net.connections), "no connection")
    net.ctl("set", "tcp.recovery", "gbn")
    net.run_spawn("python3", "-c", hold, lab.PEER4)
    lab.wait_for(lambda: len(net.connections()) == 2)
    net.run_spawn("python3", "-c", hold, lab.PEER4, options=["tcp.recovery=sack,reno", "tcp.cc=newreno"])
    lab.wait_for(lambda: len(net.connections()) == 3)
    text = net.ctl("show", "conns", "-i")
    for word in ("racktlp", "gbn", "sack", "newreno"):
        lab.check(word in text, f"'{word}' is not in:\n{text}")
    out = lab.sh(net.tool("stackdctl"), "-s", net.rundir, "set", "tcp.recovery", "nonsense", ok=False)
    lab.check(len(net.connections()) == 3, out)


def test(case, driver):
    with lab.Lab(driver=driver) as net:
        globals()[case](net)


if __name__ == "__main__":
    lab.main(test)
