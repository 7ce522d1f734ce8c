# SPDX-License-Identifier: BSD-2-Clause
"""wire.py DRIVER - what leaves stackd, judged by tshark: no malformed frame, no wrong sum; ping over
both families; ARP and neighbour discovery; a closed port answers with RST."""

import os

import lab


def test(driver):
    pcap = os.path.join(lab.TMP, "wire.pcap")
    with lab.Lab(driver=driver) as net:
        # what has to be right on a wire is seen only when nothing is left to an offload
        net.peer_sh("ethtool", "-K", "vb", "tso", "off", "gso", "off", "gro", "off", "rx", "off", ok=False)
        lab.sh("ethtool", "-K", "va", "tx", "off", ok=False)
        net.start()
        tcpdump = net.peer_spawn(*lab.capture(pcap))
        lab.wait_for(lambda: "listening" in tcpdump.output())
        net.peer_sh("ping", "-c", "3", "-i", "0.05", "-W", "2", lab.STACK4)
        net.peer_sh("ping", "-6", "-c", "3", "-i", "0.05", "-W", "2", lab.STACK6)
        net.peer_sh("ping", "-c", "2", "-i", "0.05", "-W", "2", "-s", "1400", lab.STACK4)
        refused = net.peer_sh("curl", "-sS", "-m", "5", f"http://{lab.STACK4}:81/", ok=False)
        lab.check(refused == "", "a closed port gave data")
        data = lab.random_file(os.path.join(lab.TMP, "data"), 1 << 20)
        server = net.peer_spawn("python3", "-m", "http.server", "-d", lab.TMP, "8000", "--bind", "::")
        lab.wait_for(lambda: "Serving" in server.output() or net.peer_sh("ss", "-ltn").find(":8000") > 0)
        for address in (lab.PEER4, f"[{lab.PEER6}]"):
            out = os.path.join(lab.TMP, "out")
            net.run("curl", "-sS", "-g", "-m", "20", "-o", out, f"http://{address}:8000/data")
            lab.check(lab.sha(out) == lab.sha(data), "wrong bytes")
        tcpdump.stop()
        wrong = lab.wrong_frames(pcap, f"ip.src == {lab.STACK4} || ipv6.src == {lab.STACK6} || "
                                       f"arp.src.proto_ipv4 == {lab.STACK4}")
        lab.check(not wrong, "tshark finds fault with:\n" + "\n".join(wrong[:20]))
        ours = lab.sh("tshark", "-r", pcap, "-Y", f"tcp && ip.src == {lab.STACK4}", "-T", "fields", "-e",
                      "tcp.flags.reset", timeout=120).split()
        lab.check("1" in ours or "True" in ours, "no RST for the closed port was seen")
        lab.check(len(ours) > 10, "hardly any TCP from stackd was captured")


if __name__ == "__main__":
    lab.main(test)
