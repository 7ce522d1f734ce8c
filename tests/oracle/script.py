# SPDX-License-Identifier: BSD-2-Clause
"""Scripts: what is sent to a stack and asked of it, and what it was found to do.

  == NAME: sentence              begins a script
  < FLAGS seq N ...              a segment arrives (see packet.build)
  listen | accept | connect      on the script's port; the peer's is its own for each script
  send N | send N oob | send N more
  recv N | shutdown | shutdown rd | shutdown rdwr | close | reset | set NAME VALUE
  close listener
  state | error | poll           asked and noted
  with SECTION.KEY=VALUE         a setting of stackd for this script
  wait SECONDS                   real time for Linux: rarely
"""

import select
import socket
import struct

import packet
from stacks import OPTIONS, STATES, result_text

HOW = {"": socket.SHUT_WR, "rd": socket.SHUT_RD, "rdwr": socket.SHUT_RDWR}
SEND = {"": 0, "oob": socket.MSG_OOB, "more": socket.MSG_MORE}


def load(path):
    """[(name, sentence, [line])]"""
    scripts = []
    with open(path, encoding="utf-8") as f:
        for line in f:
            line = line.split("#")[0].strip()
            if line.startswith("=="):
                name, _, sentence = line[2:].partition(":")
                scripts.append((name.strip(), sentence.strip(), []))
            elif line:
                scripts[-1][2].append(line)
    return scripts


class Run:
    """One script on one stack; what happened is in `notes`, a line each."""

    def __init__(self, stack, number):
        self.stack, self.notes = stack, []
        self.numbers = packet.Numbers(8000 + number, 20000 + number)
        self.listener = self.fd = None

    def run(self, lines):
        self.stack.begin("".join(f",{l.split()[1]}" for l in lines if l.startswith("with")))
        try:
            number = 0
            for line in lines:
                result, seconds = self.step(line), 0
                if line.startswith("wait"):  # for what the step before brought about
                    seconds = float(line.split()[1])
                else:
                    number += 1
                if result is not None:
                    self.note(number, f"{line} = {result}")
                for p in self.stack.settle(seconds):
                    text = packet.describe(p, self.numbers)
                    if text:
                        self.note(number, f"> {text}")
        finally:
            self.tidy()
        return self.notes

    def note(self, number, text):
        self.notes.append(f"{number}. {text}")

    def tidy(self):
        """Nothing of this script may speak in the next."""
        for fd in (self.fd, self.listener):
            if fd is not None and fd >= 0:
                self.stack.setsockopt(fd, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))
                self.stack.close(fd)
        self.stack.settle()
        self.stack.end()

    def step(self, line):
        word, _, rest = line.partition(" ")
        if word == "<":
            self.stack.inject(packet.build(rest, self.numbers))
            return None
        if word in ("wait", "with"):
            return None
        return getattr(self, "do_" + word)(*rest.split())

    def do_listen(self):
        fd = self.listener = self.stack.socket()
        self.stack.setsockopt(fd, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.stack.bind(fd, self.numbers.own_port)
        return result_text(self.stack.listen(fd))

    def do_accept(self):
        fd = self.stack.accept(self.listener)
        if fd >= 0:
            self.fd = fd
            return "connection"
        return result_text(fd)

    def do_connect(self):
        self.fd = self.stack.socket()
        return result_text(self.stack.connect(self.fd, self.numbers.peer_port))

    def do_send(self, size, how=""):
        return result_text(self.stack.send(self.fd, b"d" * int(size), SEND[how]))

    def do_recv(self, size):
        return result_text(self.stack.recv(self.fd, int(size)))

    def do_shutdown(self, how=""):
        return result_text(self.stack.shutdown(self.fd, HOW[how]))

    def do_set(self, name, value):
        return result_text(self.stack.setsockopt(self.fd, *OPTIONS[name], int(value)))

    def do_close(self, what=""):
        if what:
            fd, self.listener = self.listener, None
        else:
            fd, self.fd = self.fd, None
        return result_text(self.stack.close(fd))

    def do_reset(self):
        self.stack.setsockopt(self.fd, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))
        return self.do_close()

    def do_state(self):
        info = self.stack.getsockopt(self.fd, socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        return STATES[info[0]] if isinstance(info, bytes) else result_text(info)

    def do_error(self):
        data = self.stack.getsockopt(self.fd, socket.SOL_SOCKET, socket.SO_ERROR, 4)
        number = struct.unpack("=i", data)[0] if isinstance(data, bytes) else data
        return result_text(-number) if number else "0"

    def do_poll(self):
        names = ["IN", "OUT", "ERR", "HUP", "RDHUP"]
        mask = self.stack.poll(self.fd)
        return "|".join(n for n in names if mask & getattr(select, "POLL" + n)) or "nothing"
