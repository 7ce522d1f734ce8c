#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""check_register.py ROOT - every test that docs/rfc9293.md and docs/ledger.md name, as PROGRAM/function, exists and is
run by its program; every row has six cells and says something, and what is met names a test."""
import os
import re
import sys

SOURCES = {
    "tcp": "tests/unit/tcp/test_{}.c",
    "net": "tests/unit/net/test_{}.c",
    "sock": "tests/unit/sock/test_{}.c",
    "plugins": "tests/plugins/{}.c",
}
TEST = r"\b(tcp|net|sock|plugins)[-_]\w+/\w+|\b(client-|e2e_)\w+"


def read(root, path):
    full = os.path.join(root, path)
    if not os.path.exists(full):
        return ""
    with open(full, encoding="utf-8") as f:
        return f.read()


def problems(root, page):
    for number, line in enumerate(read(root, page).splitlines(), 1):
        cells = [c.strip() for c in line.strip("|").split(" | ")]
        if re.match(r"\| (MUST|SHLD|MAY|REC)-\d", line):
            if len(cells) != 6:
                yield number, f"{len(cells)} cells"
            elif all(c == "-" for c in cells[3:]):
                yield number, "says nothing"
            elif cells[3] != "-" and not re.search(TEST + "|binds applications", cells[3]):
                yield number, "no test named"
        for area, program, test in re.findall(r"\b(tcp|net|sock|plugins)[-_](\w+)/(\w+)", line):
            text = read(root, SOURCES[area].format(program))
            defined = re.search(rf"^static void {test}\(void \*\*", text, re.M)
            if not defined or len(re.findall(rf"\b{test}\b", text)) < 2:
                yield number, f"no test {area} {program}/{test}"


def main(root):
    found = [(page, *p) for page in ("docs/rfc9293.md", "docs/ledger.md") for p in problems(root, page)]
    for page, number, what in found:
        print(f"{page}:{number}: {what}")
    return 1 if found else 0


sys.exit(main(sys.argv[1]))
