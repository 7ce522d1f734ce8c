# SPDX-License-Identifier: BSD-2-Clause
"""idle.py DRIVER - an idle stackd with open connections uses no CPU, nor does a blocked program."""

import time

import lab

HOLD = """
import socket, sys, time
held = []
for i in range(int(sys.argv[2])):
    held.append(socket.create_connection((sys.argv[1], 7000)))
print("held", flush=True)
held[0].recv(1)
"""

SINK = """
import socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", 7000)); s.listen(1000); print("listening", flush=True)
held = []
while True: held.append(s.accept())
"""


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def program_pid(pid):
    """The program itself: stackd-run has become it by exec, so it is the same process."""
    return pid


def test(driver):
    with lab.Lab(driver=driver) as net:
        net.start()
        sink = net.peer_spawn("python3", "-c", SINK)
        lab.wait_for(lambda: "listening" in sink.output())
        hold = net.run_spawn("python3", "-c", HOLD, lab.PEER4, "200")
        lab.check(lab.wait_for(lambda: "held" in hold.output(), 20), f"no connections: {hold.output()}")
        lab.check(len(net.connections()) == 200, f"{len(net.connections())} connections, expected 200")
        time.sleep(3)  # what is still under way from the opening
        before = cpu_seconds(net.stackd.pid), cpu_seconds(program_pid(hold.pid))
        time.sleep(10)
        after = cpu_seconds(net.stackd.pid), cpu_seconds(program_pid(hold.pid))
        lab.check(after[0] - before[0] <= 0.01, f"stackd used {after[0] - before[0]:.2f} s of CPU in 10 s idle")
        lab.check(after[1] - before[1] <= 0.01, f"the program used {after[1] - before[1]:.2f} s while blocked")


if __name__ == "__main__":
    lab.main(test)
