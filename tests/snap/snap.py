#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""snap.py STACKD_LAB [--update]: goodput and retransmissions by recovery, loss and round trip, compared
with the committed tables beside this file.  A change of behaviour is a diff that one can read; a
wanted one is renewed with --update and committed with its reason."""

import difflib
import os
import subprocess
import sys

TABLES = {
    "recovery": ["--recovery", "gbn,sr,textbook,reno,sack,racktlp", "--loss", "0,1%,5%", "--rtt",
                 "5ms,40ms,200ms", "--size", "512KB", "--seeds", "1..11"],
    "cc": ["--recovery", "racktlp", "--cc", "fixed,newreno,cubic,dctcp,bbr", "--loss", "0,1%", "--rtt", "40ms",
           "--rate", "2mbit,50mbit", "--size", "2MB", "--seeds", "1..5"],
    "ack": ["--recovery", "racktlp", "--ack", "each,delayed,quick,every-n", "--rto", "rfc6298,linux,textbook",
            "--loss", "1%", "--ack-loss", "1%", "--size", "512KB", "--seeds", "1..11"],
}


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    differs = False
    for name, options in TABLES.items():
        path = os.path.join(here, name + ".txt")
        run = subprocess.run([sys.argv[1], "sweep", *options], stdout=subprocess.PIPE, text=True)
        if run.returncode:
            sys.exit(f"{name}: sweep gave exit {run.returncode}\n{run.stdout}")
        now = [line.rstrip() + "\n" for line in run.stdout.splitlines()]
        if "--update" in sys.argv:
            with open(path, "w") as f:
                f.writelines(now)
            continue
        with open(path) as f:
            diff = list(difflib.unified_diff(f.readlines(), now, path, "now", n=0))
        sys.stdout.writelines(diff)
        differs |= bool(diff)
    if differs:
        print("\nif that is wanted: tests/snap/snap.py build/stackd/lab/stackd-lab --update")
    sys.exit(differs)


main()
