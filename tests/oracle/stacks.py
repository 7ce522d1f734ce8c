# SPDX-License-Identifier: BSD-2-Clause
"""The two stacks that a script is run on, with the same few calls: Linux behind a TUN device in this
network namespace, in real time, and stackd's TCP behind packetdrill's calls, in virtual time."""

import ctypes
import errno
import fcntl
import os
import select
import socket
import stat
import struct
import time

from packet import OWN, PEER

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
DEVICE = "oracle"
SYSCTL = {
    "tcp_ecn": 0, "tcp_sack": 1, "tcp_dsack": 1, "tcp_timestamps": 1, "tcp_window_scaling": 1, "tcp_fastopen": 0,
    "tcp_early_retrans": 0, "tcp_recovery": 0, "tcp_syncookies": 0, "tcp_challenge_ack_limit": 0x7FFFFFFF,
    "tcp_invalid_ratelimit": 0, "tcp_moderate_rcvbuf": 0, "tcp_congestion_control": "reno", "tcp_mtu_probing": 0,
    "tcp_rfc1337": 1, "conf/all/rp_filter": 0, "ip_nonlocal_bind": 0,
}
# what a script may set: level, name
OPTIONS = {
    "nodelay": (socket.IPPROTO_TCP, socket.TCP_NODELAY),
    "cork": (socket.IPPROTO_TCP, socket.TCP_CORK),
    "keepalive": (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    "keepidle": (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
    "keepintvl": (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
    "keepcnt": (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
    "linger2": (socket.IPPROTO_TCP, socket.TCP_LINGER2),
    "maxseg": (socket.IPPROTO_TCP, socket.TCP_MAXSEG),
    "user_timeout": (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
}
STATES = ["", "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSE", "CLOSE-WAIT",
          "LAST-ACK", "LISTEN", "CLOSING"]


class Tun:
    def __init__(self, fd):
        self.fd = fd

    def fileno(self):
        return self.fd

    def read(self):
        return os.read(self.fd, 65536)

    def write(self, packet):
        os.write(self.fd, packet)


def tun():
    """None: this kernel has none."""
    try:
        if not os.path.exists("/dev/net/tun"):
            os.makedirs("/dev/net", exist_ok=True)
            os.mknod("/dev/net/tun", stat.S_IFCHR | 0o666, os.makedev(10, 200))
        fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
        return Tun(fd)
    except OSError:
        return None


class Veth:
    """In place of a TUN device: the other end of a veth pair."""

    OTHER, MAC = "script", ("02:00:00:00:00:01", "02:00:00:00:00:02")

    def __init__(self, sh):
        self.sh = sh
        sh("ip", "link", "add", DEVICE, "address", self.MAC[0], "gso_max_segs", "1", "type", "veth",
           "peer", "name", self.OTHER, "address", self.MAC[1])
        sh("sysctl", "-qw", f"net.ipv6.conf.{self.OTHER}.disable_ipv6=1", ok=False)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)

    def up(self):
        self.sh("ip", "link", "set", self.OTHER, "arp", "off", "up")
        self.socket.bind((self.OTHER, 0x0800))
        self.sh("ip", "neigh", "add", PEER, "lladdr", self.MAC[1], "dev", DEVICE, "nud", "permanent")

    def fileno(self):
        return self.socket.fileno()

    def read(self):
        packet, address = self.socket.recvfrom(65536)
        return None if address[2] == socket.PACKET_OUTGOING else packet

    def write(self, packet):
        self.socket.sendto(packet, (self.OTHER, 0x0800, 0, 0, bytes.fromhex(self.MAC[0].replace(":", ""))))


class Linux:
    """Real time: after each step it is waited until nothing has come for `quiet_s`."""

    name = "linux"

    def __init__(self, sh):
        self.quiet_s = 0.01
        self.wire = tun() or Veth(sh)
        sh("sysctl", "-qw", f"net.ipv6.conf.{DEVICE}.disable_ipv6=1", ok=False)
        sh("ip", "addr", "add", f"{OWN}/32", "dev", DEVICE)
        sh("ip", "link", "set", DEVICE, "up")
        if isinstance(self.wire, Veth):
            self.wire.up()
        # no delayed ACK and no time-out gets in between
        sh("ip", "route", "add", f"{PEER}/32", "dev", DEVICE, "src", OWN, "quickack", "1", "rto_min", "20s")
        for key, value in SYSCTL.items():
            path = "/proc/sys/net/ipv4/" + key
            if os.path.exists(path):
                with open(path, "w") as f:
                    f.write(str(value))

    def begin(self, flags=""):
        del flags  # settings of stackd
        self.drain(0)

    def drain(self, wait_s):
        out, end = [], time.monotonic() + wait_s
        while select.select([self.wire], [], [], max(0, end - time.monotonic()))[0]:
            packet = self.wire.read()
            if packet:
                out.append(packet)
            end = max(end, time.monotonic() + min(wait_s, self.quiet_s))
        return out

    def inject(self, packet):
        self.wire.write(packet)

    def settle(self, seconds=0):
        """What was sent by now."""
        return self.drain(max(seconds, self.quiet_s))

    def socket(self):
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        return s.detach()

    @staticmethod
    def wrap(fd):
        return socket.socket(fileno=fd)

    def call(self, fd, function):
        s = self.wrap(fd)
        try:
            return function(s)
        except OSError as e:
            return -e.errno
        finally:
            s.detach()

    def bind(self, fd, port):
        return self.call(fd, lambda s: s.bind((OWN, port)) or 0)

    def listen(self, fd):
        return self.call(fd, lambda s: s.listen(8) or 0)

    def accept(self, fd):
        def accept(s):
            new, _ = s.accept()
            new.setblocking(False)
            return new.detach()
        return self.call(fd, accept)

    def connect(self, fd, port):
        return self.call(fd, lambda s: s.connect((PEER, port)) or 0)

    def send(self, fd, data, flags):
        return self.call(fd, lambda s: s.send(data, flags | socket.MSG_NOSIGNAL))

    def recv(self, fd, size):
        return self.call(fd, lambda s: len(s.recv(size)))

    def shutdown(self, fd, how):
        return self.call(fd, lambda s: s.shutdown(how) or 0)

    def setsockopt(self, fd, level, name, value):
        return self.call(fd, lambda s: s.setsockopt(level, name, value) or 0)

    def getsockopt(self, fd, level, name, size):
        return self.call(fd, lambda s: s.getsockopt(level, name, size))

    def poll(self, fd):
        p = select.poll()
        p.register(fd, select.POLLIN | select.POLLOUT | select.POLLRDHUP)
        return dict(p.poll(0)).get(fd, 0)

    def close(self, fd):
        os.close(fd)
        return 0

    def end(self):
        self.drain(0)


class Timeval(ctypes.Structure):
    _fields_ = [("sec", ctypes.c_long), ("usec", ctypes.c_long)]


class Pollfd(ctypes.Structure):
    _fields_ = [("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short)]


# the order of packetdrill's table; None: not needed here
CALLS = ["free", "socket", "bind", "listen", "accept", "connect", None, None, "recv", None, None, None, None, "send",
         None, None, "fcntl", None, "close", "shutdown", "getsockopt", "setsockopt", "poll", "netdev_send", None,
         "usleep", None, None, None, None, None, None]


class Stackd:
    """Virtual time: a fresh stack for each script."""

    name = "stackd"
    FLAGS = ("tcp.recovery=sack,reno,tcp.rto=rfc6298,plugin rfc6298.min=20s,tcp.ack=each,tcp.cc=newreno,"
             "tcp.challenge_ack_limit=0,tcp.syncookies=never")

    def __init__(self, path):
        self.lib = ctypes.CDLL(path, use_errno=True)
        self.quiet_s = 0.01
        self.table = None

    def begin(self, flags=""):
        self.table = (ctypes.c_void_p * (1 + len(CALLS)))()
        self.lib.packetdrill_interface_init(f"{OWN},{self.FLAGS}{flags}".encode(), self.table)
        self.open = set()

    def do(self, name, *args):
        """The result, or -errno."""
        kinds = [ctypes.c_void_p] + [ctypes.c_long if isinstance(a, int) else ctypes.c_void_p for a in args]
        function = ctypes.CFUNCTYPE(ctypes.c_long if name in ("recv", "send") else ctypes.c_int, *kinds,
                                    use_errno=True)(self.table[1 + CALLS.index(name)])
        plain = [ctypes.cast(a, ctypes.c_void_p) if not isinstance(a, int) and a is not None else a for a in args]
        result = function(self.table[0], *plain)
        return -ctypes.get_errno() if result == -1 else result

    @staticmethod
    def address(host, port):
        return ctypes.create_string_buffer(struct.pack("=HH4s8x", socket.AF_INET, socket.htons(port),
                                                       socket.inet_aton(host)), 16)

    def inject(self, packet):
        self.do("netdev_send", ctypes.create_string_buffer(packet, len(packet)), len(packet))

    def settle(self, seconds=0):
        self.do("usleep", int(max(seconds, self.quiet_s) * 1e6))
        buf, out = ctypes.create_string_buffer(65536), []
        self.lib.oracle_pending.restype = ctypes.c_size_t
        self.lib.oracle_pending.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
        while True:
            size = self.lib.oracle_pending(self.table[0], buf, len(buf))
            if not size:
                return out
            out.append(buf.raw[:size])

    def opened(self, fd):
        if fd >= 0:
            self.open.add(fd)
        return fd

    def socket(self):
        return self.opened(self.do("socket", socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, 0))

    def bind(self, fd, port):
        return self.do("bind", fd, self.address(OWN, port), 16)

    def listen(self, fd):
        return self.do("listen", fd, 8)

    def accept(self, fd):
        new = self.opened(self.do("accept", fd, None, None))
        if new >= 0:
            self.do("fcntl", new, fcntl.F_SETFL, os.O_NONBLOCK)
        return new

    def connect(self, fd, port):
        return self.do("connect", fd, self.address(PEER, port), 16)

    def send(self, fd, data, flags):
        return self.do("send", fd, ctypes.create_string_buffer(data, len(data) or 1), len(data), flags)

    def recv(self, fd, size):
        return self.do("recv", fd, ctypes.create_string_buffer(size), size, 0)

    def shutdown(self, fd, how):
        return self.do("shutdown", fd, how)

    def setsockopt(self, fd, level, name, value):
        data = value if isinstance(value, bytes) else struct.pack("=i", value)
        return self.do("setsockopt", fd, level, name, ctypes.create_string_buffer(data, len(data)), len(data))

    def getsockopt(self, fd, level, name, size):
        buf, length = ctypes.create_string_buffer(size), ctypes.c_uint32(size)
        result = self.do("getsockopt", fd, level, name, buf, ctypes.pointer(length))
        return result if result < 0 else buf.raw[:length.value]

    def poll(self, fd):
        p = Pollfd(fd, select.POLLIN | select.POLLOUT | select.POLLRDHUP, 0)
        self.do("poll", ctypes.pointer(p), 1, 0)
        return p.revents

    def close(self, fd):
        self.open.discard(fd)
        return self.do("close", fd)

    def end(self):
        """Its descriptors stay with the kernel."""
        self.do("free")
        for fd in self.open:
            os.close(fd)


def result_text(result):
    return errno.errorcode.get(-result, str(result)) if isinstance(result, int) and result < 0 else str(result)
