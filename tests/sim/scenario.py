#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""scenario.py STACKD_LAB: the counts of the textbook, written down here once more, against what
`stackd-lab scenario --json` says; and that the segments it lists are what it counts."""

import json
import subprocess
import sys

# scenario: recovery -> (sent, retransmitted, acks, ACK numbers or None)
BOOK = {
    "fig3.26": {"gbn": (10, 4, 9, [0, 1, 1, 1, 1, 2, 3, 4, 5]), "sr": (7, 1, 6, [0, 1, 3, 4, 5, 2]),
                "textbook": (7, 1, 6, None)},
    "p37": {"gbn": (9, 4, 8, [1, 1, 1, 1, 2, 3, 4, 5]), "sr": (6, 1, 5, [1, 3, 4, 5, 2]),
            "textbook": (6, 1, 5, [2, 2, 2, 2, 6])},
    "two-lost": {"gbn": (9, 4, 7, None), "sr": (7, 2, 5, None), "textbook": (7, 2, 5, [2, 2, 2, 4, 6])},
    "ack-lost": {"gbn": (5, 0, 5, None), "sr": (6, 1, 6, None), "textbook": (5, 0, 5, None)},
    "last-ack-lost": {"gbn": (6, 1, 6, None), "sr": (6, 1, 6, None), "textbook": (6, 1, 6, None)},
    "all-acks-lost": {"gbn": (10, 5, 10, None), "sr": (10, 5, 10, None), "textbook": (6, 1, 6, None)},
    "premature": {"gbn": (10, 5, 10, None), "sr": (10, 5, 10, None), "textbook": (6, 1, 6, None)},
    "fig3.34": {"textbook": (2, 1, 2, [100, 100])},
    "fig3.35": {"textbook": (3, 1, 3, [100, 120, 120])},
    "fig3.36": {"textbook": (2, 0, 2, [100, 120])},
    "fig3.37": {"textbook": (6, 1, 5, [100, 100, 100, 100, 157])},
    "fig3.27": {"sr N=3": None, "sr N=2": None},
    "stop-and-wait": {"gbn N=1": None, "gbn N=3": None},
}
CONVERSATIONS = ["handshake", "close", "close-simultaneous", "close-half", "close-reset", "telnet",
                 "zero-window", "delayed-ack", "rto"]


def check(play, want, wrong):
    name = f"{play['scenario']}, {play['recovery']}"
    got = (play["sent"], play["retransmitted"], play["acks"])
    if got != want[:3]:
        wrong.append(f"{name}: {got}, the book: {want[:3]}")
    if want[3] and play["ack_numbers"] != want[3]:
        wrong.append(f"{name}: ACKs {play['ack_numbers']}, the book: {want[3]}")
    if len(play["ack_numbers"]) != play["acks"]:
        wrong.append(f"{name}: {play['acks']} ACKs, but {len(play['ack_numbers'])} numbers")
    data = [s for s in play["segments"] if s["from"] == "A"]
    if len(data) != play["sent"] or sum(s["retransmission"] for s in data) != play["retransmitted"]:
        wrong.append(f"{name}: the segments listed are not the ones counted")
    if play["machine"] != "core":
        wrong.append(f"{name}: on {play['machine']}")


def main():
    run = subprocess.run([sys.argv[1], "scenario", "--json"], stdout=subprocess.PIPE)
    plays = {(p["scenario"], p["recovery"]): p for p in json.loads(run.stdout)}
    wrong = [] if run.returncode == 0 else [f"exit {run.returncode}"]
    for scenario, by_recovery in BOOK.items():
        for recovery, want in by_recovery.items():
            play = plays.get((scenario, recovery))
            if not play:
                wrong.append(f"{scenario}, {recovery}: missing")
            elif want:
                check(play, want, wrong)
    for name in CONVERSATIONS:
        if (name, "textbook") not in plays:
            wrong.append(f"{name}: missing")
    for (scenario, recovery), play in plays.items():
        for fact in play["facts"]:
            if not fact["ok"]:
                wrong.append(f"{scenario}, {recovery}: {fact['what']}: {fact['got']}")
        if not play["facts"]:
            wrong.append(f"{scenario}, {recovery}: states nothing")
    acks = [s["ack"] for s in plays["ack-lost", "sr"]["segments"] if s["from"] == "B"]
    if acks != [100, 200, 100, 100, 100, 500]:  # the second is lost, and none after it tells of its segment
        wrong.append(f"ack-lost, sr: ACKs that are not individual: {acks}")
    time = {r: plays["p37", r]["done_ms"] for r in ("gbn", "sr", "textbook")}
    if not time["textbook"] < min(time["gbn"], time["sr"]):
        wrong.append(f"P37: TCP is not the first: {time}")
    print("\n".join(wrong) or f"{len(plays)} plays as in the book")
    sys.exit(bool(wrong))


main()
