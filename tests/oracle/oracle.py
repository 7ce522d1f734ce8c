#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The kernel as an oracle: each script is run on Linux's TCP and on stackd's.  Where they differ, the
difference must stand in docs/oracle.md, line by line, under the script's name; and what stands there
must still be true.

  oracle.py SHIM.so [NAME...]        --show prints what both did
"""

import difflib
import glob
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

import lab  # noqa: E402
import script  # noqa: E402
import stacks  # noqa: E402

DOC = os.path.join(lab.ROOT, "docs", "oracle.md")
QUIET_S = (0.005, 0.02, 0.1)


def explained():
    """{script: (id, [line])} of the blocks in docs/oracle.md: a heading "### ID ...", then indented
    "    script NAME" and "    - what Linux did" or "    + what stackd did"."""
    found, key, name = {}, None, None
    with open(DOC, encoding="utf-8") as f:
        for line in f:
            heading = re.match(r"### (\S+)", line)
            if heading:
                key, name = heading.group(1).rstrip(":"), None
            entry = re.match(r"    script (\S+)", line)
            if entry:
                name = entry.group(1)
                lab.check(name not in found, f"docs/oracle.md explains {name} twice")
                found[name] = (key, [])
            elif name and re.match(r"    [-+] ", line):
                found[name][1].append(line.strip())
    return found


def difference(linux, stackd):
    return [line for line in (d.strip() for d in difflib.ndiff(linux, stackd)) if line[0] in "-+"]


def compare(systems, number, lines, expected):
    """[lines that differ], after as much patience as the difference needs."""
    stackd = script.Run(systems[1], number).run(lines)
    for quiet in QUIET_S:
        systems[0].quiet_s = quiet
        # ports of its own for each attempt
        linux = script.Run(systems[0], compare.attempts).run(lines)
        compare.attempts += 1
        differs = difference(linux, stackd)
        if differs == expected:
            break
    return differs, linux, stackd


compare.attempts = 0


def run(shim, *names):
    show = "--show" in names
    names = [n for n in names if n != "--show"]
    systems = [stacks.Linux(lab.sh), stacks.Stackd(shim)]
    scripts = [s for path in sorted(glob.glob(os.path.join(HERE, "*.script"))) for s in script.load(path)]
    known, wrong, ids = explained(), [], set()
    lab.check(len(scripts) == len({s[0] for s in scripts}), "two scripts have the same name")
    lab.check(set(known) <= {s[0] for s in scripts}, "docs/oracle.md explains a script that is none")
    for number, (name, sentence, lines) in enumerate(scripts):
        if names and name not in names:
            continue
        key, expected = known.get(name, (None, []))
        differs, linux, stackd = compare(systems, number, lines, expected)
        ids |= {key} if differs and key else set()
        if show:
            print(f"== {name}: {sentence}", *(f"  {l}" for l in difflib.ndiff(linux, stackd)), sep="\n")
        if differs != expected:
            wrong.append(name)
            print(f"== {name}: {sentence}", *(f"{n:3}. {l}" for n, l in enumerate(lines, 1)),
                  "differs by", *(f"    {d}" for d in differs),
                  *([f"but docs/oracle.md ({key}) says", *(f"    {e}" for e in expected)] if expected else []), sep="\n")
    print(f"{len(scripts)} scripts, {len(ids)} explained differences")
    lab.check(not wrong, "differences that docs/oracle.md doesn't explain: " + " ".join(wrong))


if __name__ == "__main__":
    lab.main(run)
