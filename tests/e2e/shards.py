# SPDX-License-Identifier: BSD-2-Clause
"""shards.py DRIVER SHARDS - many short connections both ways at once, listeners that close and clients
that are killed under them; then nothing may be left over, and no memory may have been lost."""

import os
import signal
import time

import lab

ECHO = """
import asyncio, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
async def serve(r, w):
    try:
        w.write(await r.readexactly(100))
        await w.drain()
        w.close()
        await w.wait_closed()
    except (OSError, asyncio.IncompleteReadError):
        w.close()
async def main():
    s = await asyncio.start_server(serve, sys.argv[1], int(sys.argv[2]), backlog=2000)
    print("listening", flush=True)
    if len(sys.argv) > 3:
        await asyncio.sleep(float(sys.argv[3]))
        s.close()
        print("closed", flush=True)
        return
    await s.serve_forever()
asyncio.run(main())
"""

CALLS = """
import asyncio, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
host, port, total, at_once = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
left, good, bad = total, 0, {}
async def caller(n):
    global left, good
    while left > 0:
        left -= 1
        try:
            r, w = await asyncio.open_connection(host, port)
            text = b"%099d." % left
            w.write(text)
            if await r.read() == text:
                good += 1
            else:
                bad["short"] = bad.get("short", 0) + 1
            w.close()
            await w.wait_closed()
        except OSError as e:
            bad[e.errno] = bad.get(e.errno, 0) + 1
async def main():
    await asyncio.gather(*(caller(n) for n in range(at_once)))
    print("good", good, "bad", bad, flush=True)
asyncio.run(main())
"""


def listening(p):
    lab.check(lab.wait_for(lambda: "listening" in p.output(), 20), f"no server: {p.output()}")


def rss_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith(("Pss_Anon:", "Pss_File:")))


def both_ways(net, total, at_once):
    out = net.run_spawn("python3", "-c", CALLS, lab.PEER4, "7001", str(total), str(at_once))
    back = net.peer_spawn("python3", "-c", CALLS, lab.STACK4, "7002", str(total), str(at_once))
    for p, way in ((out, "out"), (back, "in")):
        lab.check(p.wait(240) == 0, f"{way}: {p.output()[-2000:]}")
        lab.check(f"good {total} bad {{}}" in p.output(), f"{way}: {p.output()[-2000:]}")


def all_gone(net):
    return (not net.connections() and not net.show("clients")["clients"] and
            not net.show("listeners")["listeners"])


def test(driver, shards="2", total="10000"):
    with lab.Lab(driver=driver, shards=int(shards)) as net:
        net.start("tcp.time_wait=1s")
        net.peer_sh("sysctl", "-qw", "net.ipv4.tcp_tw_reuse=1", ok=False)
        net.peer_sh("sysctl", "-qw", "net.ipv4.tcp_max_syn_backlog=4096", "net.core.somaxconn=4096", ok=False)
        listening(net.peer_spawn("python3", "-c", ECHO, "0.0.0.0", "7001"))
        server = net.run_spawn("python3", "-c", ECHO, "0.0.0.0", "7002")
        listening(server)

        both_ways(net, 500, 500)
        both_ways(net, 1000, 100)
        time.sleep(2)
        before = rss_kb(net.stackd.pid)
        start = time.monotonic()
        both_ways(net, int(total), 500)
        took = time.monotonic() - start
        time.sleep(2)
        after = rss_kb(net.stackd.pid)
        print(f"{2 * int(total)} connections in {took:.1f} s, {before} kB before and {after} after", flush=True)
        # a sanitizer's own memory grows
        lab.check(after - before < 4096 or "STACKD_SANITIZED" in os.environ,
                  f"stackd grew from {before} to {after} kB")

        # a listener closes, and is killed, while it is being called
        for n, end in enumerate(("close", "kill")):
            port = str(7010 + n)
            brief = net.run_spawn("python3", "-c", ECHO, "0.0.0.0", port, *(["0.5"] if end == "close" else []))
            listening(brief)
            load = net.peer_spawn("python3", "-c", CALLS, lab.STACK4, port, "3000", "200")
            time.sleep(0.5)
            if end == "kill":
                brief.popen.kill()
            brief.wait(20)
            lab.check(load.wait(60) == 0, load.output()[-2000:])
        # a client is killed in the middle of its calls
        for delay in (0.3, 0.6, 0.9):
            load = net.run_spawn("python3", "-c", CALLS, lab.PEER4, "7001", "100000", "500")
            time.sleep(delay)
            load.popen.kill()
            load.wait()
        both_ways(net, 500, 100)
        server.stop(signal.SIGKILL)
        lab.check(lab.wait_for(lambda: all_gone(net), 10),
                  f"left over: {net.connections()[:3]} {net.show('clients')} {net.show('listeners')}")
        every = {d["name"]: d["count"] for d in net.show("drops", "-a")["counters"]}
        print({k: v for k, v in every.items() if v and ("shard" in k or "client" in k or "plugin" in k)})
        if int(shards) > 1:
            lab.check(every["shard_adopted"] > 0, "no connection was adopted by another shard")
        lab.check(every["client_attached"] == every["client_gone"], "clients are unaccounted for")

        # an orderly stop in the middle of everything
        server = net.run_spawn("python3", "-c", ECHO, "0.0.0.0", "7002")
        listening(server)
        net.run_spawn("python3", "-c", CALLS, lab.PEER4, "7001", "100000", "300")
        net.peer_spawn("python3", "-c", CALLS, lab.STACK4, "7002", "100000", "300")
        time.sleep(0.7)
        start = time.monotonic()
        lab.check(net.stackd.stop() == 0, "stackd did not end with 0")
        took = time.monotonic() - start
        lab.check(took < 2, f"stackd took {took:.1f} s to stop")


if __name__ == "__main__":
    lab.main(test)
