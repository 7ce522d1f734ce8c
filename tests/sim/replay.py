#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""replay.py STACKD_LAB: captures made here, in each format that is read; what ours sends in them; files
that are refused, and damaged ones (SEED)."""

import json
import os
import random
import struct
import subprocess
import sys
import tempfile

LAB = sys.argv[1]
US, PEER = b"\x0a\x09\x00\x02", b"\x0a\x09\x00\x01"
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ISS, IRS = 0xfffffff0, 5000  # ours goes round within the first bytes


def frame(ours, flags, seq, ack, length=0, options=b""):
    src, dst, ports = (US, PEER, (40000, 80)) if ours else (PEER, US, (80, 40000))
    seq, ack = (ISS + seq, IRS + ack) if ours else (IRS + seq, ISS + ack)
    tcp = struct.pack("!HHIIBBHHH", *ports, seq & 0xffffffff, ack & 0xffffffff if flags & ACK else 0,
                      (20 + len(options)) // 4 << 4, flags, 60000, 0, 0) + options + bytes(length)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0, src, dst)
    return b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + ip + tcp


MSS = b"\2\4\x05\xb4"
# (ms, ours, frame): 4380 bytes there, the second segment lost and sent again, 100 bytes back, both close
TALK = [
    (0, True, frame(True, SYN, 0, 0, options=MSS)), (10, False, frame(False, SYN | ACK, 0, 1, options=MSS)),
    (10.1, True, frame(True, ACK, 1, 1)),
    (10.2, True, frame(True, ACK, 1, 1, 1460)), (10.3, True, frame(True, ACK, 1461, 1, 1460)),
    (10.4, True, frame(True, ACK | PSH, 2921, 1, 1460)),
    (20.2, False, frame(False, ACK, 1, 1461)), (20.4, False, frame(False, ACK, 1, 1461)),
    (210, True, frame(True, ACK, 1461, 1, 1460)), (1220, False, frame(False, ACK, 1, 4381)),
    (1230, False, frame(False, ACK | PSH, 1, 4381, 100)), (1230.1, True, frame(True, ACK, 4381, 101)),
    (1240, True, frame(True, FIN | ACK, 4381, 101)), (1250, False, frame(False, FIN | ACK, 101, 4382)),
    (1250.1, True, frame(True, ACK, 4382, 102)),
]


def pcap(talk, order="<", nano=False, link=1, keep=65535):
    out = struct.pack(order + "IHHiIII", 0xa1b23c4d if nano else 0xa1b2c3d4, 2, 4, 0, 0, keep, link)
    for ms, _, f in talk:
        s, part = divmod(round(ms * (1e6 if nano else 1e3)), 10 ** (9 if nano else 6))
        out += struct.pack(order + "IIII", 1700000000 + s, part, len(f[:keep]), len(f)) + f[:keep]
    return out


def block(order, kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def pcapng(talk, order="<", flags=True, link=1, kind=6):
    out = block(order, 0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, -1))
    out += block(order, 1, struct.pack(order + "HHI", link, 0, 0) + struct.pack(order + "HHBxxxHH", 9, 1, 9, 0, 0))
    for ms, ours, f in talk:
        at = 1700000000 * 10 ** 9 + round(ms * 1e6)
        body = struct.pack(order + "IIIII", 0, at >> 32, at & 0xffffffff, len(f), len(f)) + f + bytes(-len(f) % 4)
        if flags:
            body += struct.pack(order + "HH", 1, 5) + b"hello\0\0\0"
            body += struct.pack(order + "HHIHH", 2, 4, 2 if ours else 1, 0, 0)
        out += block(order, kind, body)
    return out


def replay(folder, data, *options):
    path = os.path.join(folder, "capture")
    with open(path, "wb") as f:
        f.write(data)
    return subprocess.run([LAB, "replay", *options, path], capture_output=True, text=True, errors="replace", timeout=60,
                          check=False)


def flip(talk):
    return [(ms, not ours, f) for ms, ours, f in talk]


def conversations(folder, wrong):
    files = {"pcap": pcap(TALK), "pcap, ns": pcap(TALK, nano=True), "pcap, big-endian": pcap(TALK, ">"),
             "pcapng": pcapng(TALK), "pcapng, big-endian": pcapng(TALK, ">"), "no flags": pcapng(TALK, flags=False)}
    shown = set()
    for name, data in files.items():
        done = replay(folder, data, "--json")
        if done.returncode:
            wrong.append(f"{name}: exit {done.returncode}: {done.stderr}")
            continue
        shown.add(done.stdout)
    if len(shown) != 1:
        wrong.append(f"the same talk in another format is another talk: {len(shown)}")
        return
    r = json.loads(shown.pop())
    ours = [s for s in r["segments"] if s["from"] == "ours"]
    facts = [
        ("local", r["local"] == "10.9.0.2:40000"), ("captured", r["captured"]["bytes"] == 4380),
        ("sent again", r["captured"]["again"] == 1 and r["ours"]["again"] >= 1),
        ("all bytes", r["ours"]["bytes"] == 4380 and r["beyond"] == 0),
        ("ours opens", ours[0]["flags"] == "S" and ours[0]["ms"] == 0),
        ("the text of the peer is acknowledged", any(s["ack"] == 100 for s in ours)),
        ("ours closes", any("F" in s["flags"] for s in ours)),
    ]
    wrong += [f"{what}: {r['ours']} {ours}" for what, holds in facts if not holds]
    other = json.loads(replay(folder, pcapng(flip(TALK)), "--json").stdout)
    got = [s for s in other["segments"] if s["from"] == "ours"]
    if other["local"] != "10.9.0.1:80" or got[0]["flags"] != "S." or other["ours"]["bytes"] != 100:
        wrong.append(f"in the acceptor's place: {other['ours']}")
    text = replay(folder, pcap(TALK), "-o", "tcp.recovery=gbn", "--paced").stdout
    if "sent again" not in text or "captured" not in text:
        wrong.append(f"text: {text[-500:]}")


def refusals(folder, wrong):
    for what, data, says in [
            ("empty", b"", "neither"), ("text", b"hello, world\n" * 9, "neither"),
            ("another link", pcap(TALK, link=113), "link type 113"), ("another link", pcapng(TALK, link=276), "276"),
            ("cut packets", pcap(TALK, keep=96), "cut short"), ("no SYN", pcap(TALK[3:]), "SYN"),
            ("no answer", pcap(TALK[:1]), "not answered"), ("simple blocks", pcapng(TALK, kind=3), "without time")]:
        done = replay(folder, data)
        if done.returncode != 2 or says not in done.stderr:
            wrong.append(f"{what}: exit {done.returncode}: {done.stderr}")
    for options, says in [(["-n", "2"], "1 conversation"), (["--end", "x"], "usage"), (["-o", "tcp.x=1"], "x")]:
        done = replay(folder, pcap(TALK), *options)
        if done.returncode != 2 or says not in done.stderr:
            wrong.append(f"{options}: exit {done.returncode}: {done.stderr}")


def damaged(folder, wrong):
    seed = int(os.environ.get("SEED", "1"))
    print(f"SEED={seed}")
    r = random.Random(seed)
    for i in range(60):
        data = bytearray(r.choice([pcap, pcapng])(TALK))
        for _ in range(r.randint(0, 6)):
            data[r.randrange(len(data))] = r.choice([0, 1, 0x7f, 0xff, r.randrange(256)])
        done = replay(folder, bytes(data[:r.randint(0, len(data))]) if r.random() < 0.5 else bytes(data))
        if done.returncode not in (0, 2):
            wrong.append(f"damaged {i}: exit {done.returncode}: {done.stderr[-800:]}")


def main():
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        conversations(folder, wrong)
        refusals(folder, wrong)
        damaged(folder, wrong)
    print("\n".join(wrong) or "as it should be")
    sys.exit(bool(wrong))


main()
