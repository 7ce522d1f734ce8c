#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What scripts/check says of a failed test: its name, why, how to run it alone and its last lines,
at once and again at the end; in a small project made for it."""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import check  # noqa: E402

PROJECT = """project('small')
sh = find_program('sh')
test('good', sh, args: ['-c', 'echo fine'])
test('long', sh, args: ['-c', 'seq 100; echo last words >&2; printf "\\\\033[31mred\\\\n"; exit 3'])
test('mute', sh, args: ['-c', 'exit 1'])
test('slow', sh, args: ['-c', 'echo before; exec sleep 100'], timeout: 2)
"""
NAMES = ["good", "long", "mute", "slow"]


def run_small(folder):
    """Returns the outcome and what was said."""
    with open(os.path.join(folder, "meson.build"), "w", encoding="utf-8") as f:
        f.write(PROJECT)
    flavour = check.Flavour("build", "a small project", "gcc", [], None, 1)
    flavour.path = os.path.join(folder, "build")
    subprocess.run(["meson", "setup", flavour.path, folder], check=True, stdout=subprocess.DEVNULL)
    outcome, said = check.Outcome(), io.StringIO()
    with contextlib.redirect_stdout(said):
        check.run_tests(flavour, NAMES, check.Child(time.monotonic() + 100), outcome)
    return outcome, said.getvalue()


def main():
    with tempfile.TemporaryDirectory(prefix="stackd-check-") as folder:
        outcome, said = run_small(folder)
    texts = dict(zip(NAMES[1:], outcome.failed))
    expected = [
        ("one passed", outcome.passed == 1 and len(outcome.failed) == 3),
        ("how to run it alone", "alone: scripts/check build/long" in texts.get("long", "")),
        ("the last lines", "    | 100\n" in texts.get("long", "") and "    | 10\n" not in texts["long"]),
        ("both of its outputs", "    | last words" in texts.get("long", "")),
        ("nothing a terminal obeys", "    | ?[31mred" in texts.get("long", "")),
        ("how many were left out", "lines before these)" in texts.get("long", "")),
        ("a silent one", "(it printed nothing)" in texts.get("mute", "")),
        ("one that hangs", "TIMEOUT" in texts.get("slow", "") and "    | before" in texts["slow"]),
        ("all of it at once", all(text in said for text in outcome.failed)),
    ]
    wrong = [what for what, holds in expected if not holds]
    if wrong:
        print(f"wrong: {', '.join(wrong)}\n--- said:\n{said}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
