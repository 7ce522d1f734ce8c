# SPDX-License-Identifier: BSD-2-Clause
"""client.py CASE DRIVER - libstackd's own things against the real daemon: the example program, MSG_MORE,
and a program and a plugin built out of the tree against what `meson install` has put down."""

import json
import os
import re
import subprocess

import lab

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLE = os.path.join(lab.BUILD, "libclient", "stackd-echo")

ECHO = """
import socket, sys, threading
def echo(c):
    while (b := c.recv(1 << 16)):
        c.sendall(b)
    c.close()
s = socket.create_server((sys.argv[1], 7007)); print("listening", flush=True)
while True:
    threading.Thread(target=echo, args=(s.accept()[0],), daemon=True).start()
"""

THERE_AND_BACK = """
import socket, sys, threading, random
data = random.Random(7).randbytes(int(sys.argv[2]))
c = socket.create_connection((sys.argv[1], 7007))
def send():
    c.sendall(data); c.shutdown(socket.SHUT_WR)
t = threading.Thread(target=send); t.start()
f = c.makefile("rb")
assert f.read() == data
t.join(); print("good")
"""


def echo_server(net, program=EXAMPLE, mode="server", port=7007, options=()):
    server = net.spawn(program, "-s", net.rundir, *options, mode, lab.STACK4, str(port))
    lab.check(lab.wait_for(lambda: "through stackd" in server.output()), f"does not serve: {server.output()}")
    return server


def echo_client(net, size, program=EXAMPLE, options=()):
    text = lab.sh(program, "-s", net.rundir, *options, "-n", str(size), "client", lab.PEER4, "7007", timeout=100)
    lab.check(text.startswith("stackd") and "all as sent" in text, text)
    print(text.strip())


def echoes(net, *options):
    server = echo_server(net, options=options)
    clients = [net.peer_spawn("python3", "-c", THERE_AND_BACK, lab.STACK4, str(n)) for n in (1, 100_000, 30_000_000)]
    for c in clients:
        lab.check(c.wait(100) == 0 and "good" in c.output(), c.output())
    server.popen.terminate()
    server.popen.wait()


def test_example(net):
    echoes(net)
    echoes(net, "-z")
    kernel = net.peer_spawn("python3", "-c", ECHO, lab.PEER4)
    lab.check(lab.wait_for(lambda: "listening" in kernel.output()), kernel.output())
    echo_client(net, 100_000_000)
    echo_client(net, 100_000_000, options=["-z"])
    echo_client(net, 1000, options=["-o", "tcp.recovery=gbn", "-o", "tcp.cc=newreno"])
    chosen_plugins(net)


def chosen_plugins(net):
    """By socket; what a listener has chosen is its connections'."""
    echo_server(net, port=7008, options=["-p", "recovery=gbn", "-p", "rto=linux"])
    client = net.peer_spawn(EXAMPLE, "-k", "-n", "1G", "rounds", lab.STACK4, "7008")
    lab.check(lab.wait_for(lambda: net.show("conns", "sport", "7008")["conns"]), client.output())
    conn = net.show("conns", "-i", "sport", "7008")["conns"][0]
    lab.check((conn["recovery"], conn["rto_plugin"]) == ("gbn", "linux"), f"not the listener's choice: {conn}")
    client.popen.kill()
    done = run_example(net, "-p", "cc=nosuch", "client", lab.PEER4, "7007")
    lab.check(done.returncode == 1 and "No such file" in done.stderr, f"unknown plugin: {done}")


def run_example(net, *words):
    return subprocess.run([EXAMPLE, *words], env=dict(os.environ, STACKD_RUNDIR=net.rundir), timeout=60, text=True,
                          capture_output=True, check=False)


RATE = (r"(stackd|kernel)( without a copy)?: (\d+) bytes (sent|received) in [\d.]+ s, [\d.]+ Gbit/s, "
        r"[\d.]+ CPU seconds, all as sent")
ROUNDS = (r"stackd( without a copy)?: (\d+) rounds of 64 bytes in [\d.]+ s, \d+/s, median ([\d.]+) us, "
          r"p99 ([\d.]+) us, .*all as sent")


def measured(pattern, text):
    found = re.search(pattern, text)
    lab.check(found, f"no measurement: {text}")
    print(found.group(0))
    return found


def bulk_out(net, *options):
    sink = net.peer_spawn(EXAMPLE, "-k", "sink", lab.PEER4, "7009")
    lab.check(lab.wait_for(lambda: "through the kernel" in sink.output()), sink.output())
    done = run_example(net, *options, "-n", "200M", "bulk", lab.PEER4, "7009")
    lab.check(done.returncode == 0, done.stderr)
    got = measured(RATE, done.stdout)
    lab.check(got.group(1, 3, 4) == ("stackd", "200000000", "sent"), done.stdout)
    lab.check(bool(got.group(2)) == bool(options), done.stdout)
    lab.check(lab.wait_for(lambda: "received" in sink.output()), sink.output())
    lab.check(measured(RATE, sink.output()).group(3) == "200000000", sink.output())
    sink.popen.kill()
    sink.popen.wait()


def bulk_in(net, port, *options):
    sink = echo_server(net, mode="sink", port=port, options=options)
    text = net.peer_sh(EXAMPLE, "-k", "-t", "0.5", "bulk", lab.STACK4, str(port))
    sent = measured(RATE, text).group(3)
    lab.check(lab.wait_for(lambda: "received" in sink.output()), sink.output())
    got = measured(RATE, sink.output())
    lab.check(got.group(1, 3) == ("stackd", sent) and bool(got.group(2)) == bool(options), sink.output())


def test_bench(net):
    """The example as a measure: both directions, both ways of reading and writing, rounds."""
    for i, options in enumerate(([], ["-z"])):
        bulk_out(net, *options)
        bulk_in(net, 7010 + i, *options)
    echo = net.peer_spawn(EXAMPLE, "-k", "server", lab.PEER4, "7007")
    lab.check(lab.wait_for(lambda: "through the kernel" in echo.output()), echo.output())
    for options, rounds in ((["-n", "2K"], 2000), (["-z", "-n", "2K"], 2000), (["-t", "0.2"], 0)):
        done = run_example(net, *options, "rounds", lab.PEER4, "7007")
        got = measured(ROUNDS, done.stdout)
        lab.check(not rounds or int(got.group(2)) == rounds, done.stdout)
        lab.check(float(got.group(3)) <= float(got.group(4)), done.stdout)
    bad_words(net)


def bad_words(net):
    wrong = [[], ["client"], ["client", "a"], ["nosuch", "127.0.0.1", "1"], ["-x", "client", "127.0.0.1", "1"],
             ["client", "127.0.0.1", "1", "more"], ["-n", "0", "client", "127.0.0.1", "1"],
             ["-n", "1X", "client", "127.0.0.1", "1"], ["-n", "-1", "client", "127.0.0.1", "1"],
             ["-n", "99999999999G", "client", "127.0.0.1", "1"], ["-n", "1KK", "client", "127.0.0.1", "1"],
             ["-t", "0", "bulk", "127.0.0.1", "1"], ["-t", "x", "bulk", "127.0.0.1", "1"],
             ["-t", "1", "-n", "1", "bulk", "127.0.0.1", "1"], ["-t", "1", "client", "127.0.0.1", "1"],
             ["-n", "1", "server", "127.0.0.1", "1"], ["-l", "2M", "bulk", "127.0.0.1", "1"],
             ["-k", "-z", "client", "127.0.0.1", "1"], ["-k", "-p", "cc=cubic", "client", "127.0.0.1", "1"],
             ["-p", "cc", "client", "127.0.0.1", "1"], ["-p", "nosuch=x", "client", "127.0.0.1", "1"],
             ["-o", "recovery=gbn", "client", "127.0.0.1", "1"]]
    for words in wrong:
        done = run_example(net, *words)
        lab.check(done.returncode == 2 and "usage:" in done.stderr and not done.stdout, f"{words}: {done}")
    done = run_example(net, "-z", "server", "127.0.0.1", "7011")
    lab.check(done.returncode == 1 and "the kernel's" in done.stderr, f"-z on loopback: {done}")
    done = run_example(net, "--help")
    lab.check(done.returncode == 0 and "usage:" in done.stdout, f"--help: {done}")


MORE = """
import socket, struct, sys
c = socket.create_connection((sys.argv[1], 7007))
c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for i in range(200):
    c.send(b"head", socket.MSG_MORE if sys.argv[2] == "more" else 0); c.send(b"body")
    n = 0
    while n < 8: n += len(c.recv(8 - n))
c.send(b"tail", socket.MSG_MORE)   # held back, but not for ever
assert c.recv(4) == b"tail"
info = c.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
print("segments", struct.unpack_from("I", info, 156)[0])
"""


def test_more(net):
    kernel = net.peer_spawn("python3", "-c", ECHO, lab.PEER4)
    lab.check(lab.wait_for(lambda: "listening" in kernel.output()), kernel.output())
    text = net.run("python3", "-c", MORE, lab.PEER4, "more")
    segments = int(re.search(r"segments (\d+)", text).group(1))
    lab.check(200 < segments <= 210, f"MSG_MORE: {segments} segments for 200 pairs of writes")


CROWD = """
import socket, threading, sys, resource, time
def echo(c):
    while (b := c.recv(100)):
        c.sendall(b)
    c.close()
l = socket.create_server((sys.argv[1], 7007), backlog=500); print("listening", flush=True)
threads = [threading.Thread(target=echo, args=(l.accept()[0],)) for _ in range(int(sys.argv[2]))]
for t in threads: t.start()
time.sleep(1)
a = resource.getrusage(resource.RUSAGE_SELF); time.sleep(1); b = resource.getrusage(resource.RUSAGE_SELF)
print("switches", b.ru_nvcsw - a.ru_nvcsw, flush=True)
for t in threads: t.join()
"""

CROWD_CLIENT = """
import socket, sys, time
c = [socket.create_connection((sys.argv[1], 7007)) for _ in range(int(sys.argv[2]))]
time.sleep(2.5)
for turn in range(5):
    for s in c: s.sendall(b"x")
    for s in c: assert s.recv(1) == b"x"
print("good")
"""


def test_crowd(net):
    """More threads than event queues, each in recv: all sleep, and each wakes up for its own."""
    server = net.run_spawn("python3", "-c", CROWD, lab.STACK4, "400")
    lab.check(lab.wait_for(lambda: "listening" in server.output()), server.output())
    client = net.peer_spawn("python3", "-c", CROWD_CLIENT, lab.STACK4, "400")
    lab.check(client.wait(60) == 0 and "good" in client.output(), client.output())
    lab.check(server.wait(20) == 0, server.output())
    switches = int(server.output().split("switches")[1].split()[0])
    lab.check(switches < 400, f"{switches} context switches in a second of rest")


def guide_plugin():
    """The plugin that the guide shows whole."""
    with open(os.path.join(ROOT, "docs", "plugin-guide.md"), encoding="utf-8") as f:
        return re.search(r"```c\n(/\* aimd\.c \*/.*?)```", f.read(), re.S).group(1)


def page_example():
    """The program that libstackd(3) shows whole."""
    with open(os.path.join(ROOT, "docs", "libstackd.3.scd"), encoding="utf-8") as f:
        return re.search(r"```\n(/\* fetch\.c .*?)```", f.read(), re.S).group(1).replace("\\\\", "\\")


def fetch_page(net, flags, libdir):
    with open("fetch.c", "w", encoding="utf-8") as f:
        f.write(page_example())
    lab.sh("cc", "-Wall", "-Wextra", "-Werror", *flags("--cflags"), "-o", "fetch", "fetch.c", *flags("--libs"),
           f"-Wl,-rpath,{libdir}", timeout=60)
    os.makedirs("www")
    lab.random_file("www/index.html", 300_000)
    server = net.peer_spawn("python3", "-u", "-m", "http.server", "-d", "www", "-b", lab.PEER4, "8000")
    lab.check(lab.wait_for(lambda: "Serving" in server.output()), server.output())
    env = dict(os.environ, STACKD_RUNDIR=net.rundir)
    with open("got", "wb") as out:
        done = subprocess.run(["./fetch", lab.PEER4, "8000"], env=env, stdout=out, stderr=subprocess.PIPE, timeout=60,
                              check=False)
    lab.check(done.returncode == 0, f"libstackd(3)'s example: {done.stderr}")
    with open("got", "rb") as got, open("www/index.html", "rb") as page:
        lab.check(got.read().partition(b"\r\n\r\n")[2] == page.read(), "libstackd(3)'s example: another page")


def installed_flags(prefix):
    pc = lab.sh("find", prefix, "-name", "stackd.pc").strip()
    lab.check(pc, "no stackd.pc was installed")
    env = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(pc))

    def ask(what):
        variable = f"--define-variable=prefix={prefix}/usr/local"
        return lab.sh("pkg-config", variable, what, "stackd", env=env).split()
    return ask


def test_installed(net):
    prefix = os.path.join(lab.TMP, "installed")
    lab.sh("meson", "install", "--no-rebuild", "-C", lab.BUILD, "--destdir", prefix, timeout=60)
    flags = installed_flags(prefix)
    libdir = flags("--variable=libdir")[0]
    sources = [os.path.join(ROOT, "libclient", "example", name) for name in ("stackd_echo.c", "echo_stream.c")]
    lab.sh("cc", "-D_GNU_SOURCE", "-Wall", "-Werror", *flags("--cflags"), "-o", "echo", *sources, *flags("--libs"),
           f"-Wl,-rpath,{libdir}", timeout=60)
    program = os.path.join(lab.TMP, "echo")
    lab.check(prefix in lab.sh("ldd", program), "not linked to the installed library")
    echo_server(net, program)
    client = net.peer_spawn("python3", "-c", THERE_AND_BACK, lab.STACK4, "100000")
    lab.check(client.wait(60) == 0, client.output())
    with open("aimd.c", "w", encoding="utf-8") as f:
        f.write(guide_plugin())
    lab.sh("cc", "-shared", "-fPIC", "-O2", "-fvisibility=hidden", *flags("--cflags"), "-o", "aimd.so", "aimd.c")
    lab.check("aimd" in net.ctl("plugins", "./aimd.so"), "stackdctl does not read the guide's plugin")
    net.ctl("set", "tcp.cc=" + os.path.join(lab.TMP, "aimd.so"))
    kernel = net.peer_spawn("python3", "-c", ECHO, lab.PEER4)
    lab.check(lab.wait_for(lambda: "listening" in kernel.output()), kernel.output())
    echo_client(net, 1_000_000, program)
    fetch_page(net, flags, libdir)


def test(case, driver):
    with lab.Lab(driver=driver) as net:
        net.start()
        globals()["test_" + case](net)


if __name__ == "__main__":
    lab.main(test)
