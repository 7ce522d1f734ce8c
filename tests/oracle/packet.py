# SPDX-License-Identifier: BSD-2-Clause
"""IPv4 packets with TCP in them: from the words of a script to bytes, and from bytes to words."""

import re
import socket
import struct

OWN, PEER = "192.168.0.1", "192.0.2.1"
PEER_ISN = 1000000
FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, ".": 16, "U": 32, "E": 64, "W": 128}
M32 = 0xFFFFFFFF


def checksum(data):
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Numbers:
    """What a conversation's numbers are relative to."""

    def __init__(self, own_port, peer_port):
        self.own_port, self.peer_port = own_port, peer_port
        self.iss = None  # the stack's, once it was seen in a SYN
        self.tsval = 0  # the stack's latest

    def ack(self, n):
        return ((self.iss or 0) + n) & M32


def options(text, n):
    """The option bytes for "mss 1460,sackOK,ts 100 =,wscale 7,nop,eol,sack 1:2,raw 0203"."""
    out = b""
    for word in filter(None, (w.strip() for w in text.split(","))):
        name, *args = word.split()
        if name == "mss":
            out += struct.pack("!BBH", 2, 4, int(args[0]))
        elif name == "wscale":
            out += struct.pack("!BBB", 3, 3, int(args[0]))
        elif name == "sackOK":
            out += b"\4\2"
        elif name == "ts":
            ecr = n.tsval if args[1] == "=" else int(args[1])
            out += struct.pack("!BBII", 8, 10, int(args[0]), ecr)
        elif name == "sack":
            edges = [n.ack(int(e)) for a in args for e in a.split(":")]
            out += struct.pack(f"!BB{len(edges)}I", 5, 2 + 4 * len(edges), *edges)
        elif name == "nop":
            out += b"\1"
        elif name == "eol":
            out += b"\0"
        elif name == "raw":
            out += bytes.fromhex(args[0])
        else:
            raise ValueError(f"unknown option {word!r}")
    return out + b"\1" * (-len(out) % 4)


def build(line, n):
    """The packet of a line "FLAGS seq N [ack N] [win N] [len N] [urg N] [head N] [badsum] [<OPTIONS>]"."""
    opts = re.search(r"<(.*)>", line)
    words = re.sub(r"<.*>", "", line).split()
    flags = sum(FLAGS[f] for f in words[0] if f != "-")
    bad = "badsum" in words
    words = [w for w in words[1:] if w != "badsum"]
    v = dict(zip(words[::2], (int(w) for w in words[1::2])))
    unknown = set(v) - {"seq", "ack", "win", "len", "urg", "head"}
    if unknown:
        raise ValueError(f"unknown words {unknown} in {line!r}")
    opt = options(opts.group(1) if opts else "", n)
    seq = (PEER_ISN + v.get("seq", 0)) & M32
    ack = n.ack(v["ack"]) if "ack" in v else 0
    head = v.get("head", 5 + len(opt) // 4)
    payload = bytes(((v.get("seq", 0) + i) * 31 + 3) & 255 for i in range(v.get("len", 0)))
    tcp = struct.pack("!HHIIBBHHH", n.peer_port, n.own_port, seq, ack, head << 4, flags, v.get("win", 65535),
                      0, v.get("urg", 0)) + opt + payload
    pseudo = socket.inet_aton(PEER) + socket.inet_aton(OWN) + struct.pack("!BBH", 0, 6, len(tcp))
    total = checksum(pseudo + tcp) ^ (0x5555 if bad else 0)
    tcp = tcp[:16] + struct.pack("!H", total) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0,
                     socket.inet_aton(PEER), socket.inet_aton(OWN))
    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + tcp


def read_options(data, n):
    """As words; what a stack is free to choose (its timestamp, its scale) is left out."""
    out, at = [], 0
    while at < len(data):
        kind = data[at]
        if kind == 0:
            break
        if kind == 1:
            at += 1
            continue
        size = data[at + 1]
        body = data[at + 2:at + size]
        at += size
        if kind == 2:
            out.append(f"mss {struct.unpack('!H', body)[0]}")
        elif kind == 3:
            out.append("wscale")
        elif kind == 4:
            out.append("sackOK")
        elif kind == 5:
            edges = [(e - PEER_ISN) & M32 for e in struct.unpack(f"!{len(body) // 4}I", body)]
            out.append("sack " + " ".join(f"{a}:{b}" for a, b in zip(edges[::2], edges[1::2])))
        elif kind == 8:
            val, ecr = struct.unpack("!II", body)
            n.tsval = val
            out.append(f"ts ecr {ecr}")
        else:
            out.append(f"option {kind}")
    return out


def describe(packet, n):
    """What the stack said, in words that two right stacks have in common; None: not about TCP."""
    if packet[0] >> 4 != 4:
        return None
    if packet[9] == 1:
        return f"ICMP {packet[20]}/{packet[21]}"
    if packet[9] != 6:
        return None
    tcp = packet[(packet[0] & 15) * 4:]
    own, peer, seq, ack, head, flags, win, _, urg = struct.unpack("!HHIIBBHHH", tcp[:20])
    if peer != n.peer_port:
        return None
    if flags & 2:
        n.iss = seq
        n.own_port = own
    if own != n.own_port:
        return None
    head = (head >> 4) * 4
    length = len(tcp) - head
    opts = read_options(tcp[20:head], n)
    raw, seq = seq, (seq - (n.iss or 0)) & M32
    if seq > 1 << 31:
        seq -= 1 << 32
    out = "".join(f for f in "SFRUEW." if flags & FLAGS[f]) or "-"  # PSH is the sender's affair
    out += " zero" if raw == 0 else f" {seq}:{seq + length}({length})"
    if flags & 16:
        out += f" ack {(ack - PEER_ISN) & M32}"
    if win == 0 and not flags & 4:
        out += " win 0"
    if flags & 32:
        out += f" urg {urg}"
    return out + (" <" + ",".join(sorted(opts)) + ">" if opts else "")
