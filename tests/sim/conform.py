#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""conform.py STACKD_LAB CC INCLUDE PLUGIN...: the plugins that ship conform, and each of these bad ones
is found out by the rule that it breaks."""

import os
import subprocess
import sys
import tempfile

HEAD = """
#include <stdlib.h>
#include "stackd_plugin.h"
"""
CC = """
#define KIND SP_CC
static void open(const struct sp_conn *c, void *st, struct sp_cc_out *o) { }
static const struct sp_cc_ops ops = {.size = sizeof(ops), .open = open, .on_ack = on_ack};
"""
TAIL = """
const struct sp_plugin SP_SYMBOL = {
	.abi_major = SP_ABI_MAJOR, .abi_minor = SP_ABI_MINOR, .size = sizeof(struct sp_plugin), .kind = KIND,
	.name = "bad", .version = "1", .license = "BSD-2-Clause", .summary = "breaks a rule", .ops = &ops,
};
"""
# name: (source, the rule that fails)
BAD = {
    "nothing": ("int nothing;", "loads"),
    "no-window": ("""
static void on_ack(const struct sp_conn *c, void *st, const struct sp_ack *a, bool r, struct sp_cc_out *o)
{ o->cwnd = 1; }""" + CC, "cwnd is one MSS at least"),
    "late-ack": ("""
#define KIND SP_ACK
static sp_ns on_data(const struct sp_conn *c, void *st, const struct sp_seg *s)
{ return c->now + 700000000ull; }
static const struct sp_ack_ops ops = {.size = sizeof(ops), .on_data = on_data};""",
                 "an ACK is delayed by less than 500 ms"),
    "no-rto": ("""
#define KIND SP_RTO
static void open(const struct sp_conn *c, void *st, struct sp_rto_est *e) { }
static void on_rtt(const struct sp_conn *c, void *st, sp_ns rtt, bool ambiguous, struct sp_rto_est *e)
{ e->rto = 0; }
static const struct sp_rto_ops ops = {.size = sizeof(ops), .open = open, .on_rtt = on_rtt};""", "the RTO is above 0"),
    "memory": ("""
static unsigned n;
static void on_ack(const struct sp_conn *c, void *st, const struct sp_ack *a, bool r, struct sp_cc_out *o)
{ o->cwnd = c->mss * (2 + n++ % 13); }""" + CC, "the same seed gives the same"),
    "crash": ("""
static void on_ack(const struct sp_conn *c, void *st, const struct sp_ack *a, bool r, struct sp_cc_out *o)
{ abort(); }""" + CC, "neither crashes"),
    "never-again": ("""
#define KIND SP_RECOVERY
static void on_timer(const struct sp_conn *c, void *st, struct sp_verdict *v) { v->episode = SP_TIMEOUT; }
static const struct sp_recovery_ops ops = {.size = sizeof(ops), .on_timer = on_timer};""",
                    "delivers all, and right: 2 % loss"),
}


def conform(lab, path):
    run = subprocess.run([lab, "conform", "--seeds", "2", path], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True)
    return run.returncode, run.stdout


def bad(lab, cc, include, folder, name):
    source, rule = BAD[name]
    path = os.path.join(folder, name)
    with open(path + ".c", "w") as f:
        f.write(HEAD + source + (TAIL if "KIND" in source else ""))
    subprocess.run([*cc.split(), "-shared", "-fPIC", "-I", include, "-o", path + ".so", path + ".c"], check=True)
    code, text = conform(lab, path + ".so")
    found = [line for line in text.splitlines() if line.startswith("FAIL  " + rule)]
    if code != 1 or not found:
        return f"{name}: exit {code}, no FAIL for '{rule}':\n{text}"
    return None


def main():
    lab, cc, include, *plugins = sys.argv[1:]
    wrong = []
    for path in plugins:
        code, text = conform(lab, path)
        if code:
            wrong.append(f"{path}: exit {code}\n{text}")
    with tempfile.TemporaryDirectory() as folder:
        wrong += filter(None, (bad(lab, cc, include, folder, name) for name in BAD))
    print("\n".join(wrong) or f"{len(plugins)} conform, {len(BAD)} do not")
    sys.exit(bool(wrong))


main()
