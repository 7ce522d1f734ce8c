#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""api_says.py LIBSTACKD ROOT - stackd.h, the map of symbols and the library name the same functions; the header
has a comment on each and compiles alone as C and as C++."""

import os
import re
import subprocess
import sys

LIBRARY, ROOT = sys.argv[1:3]


def text(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def sh(*cmd, **kw):
    return subprocess.run(cmd, check=True, stdout=subprocess.PIPE, text=True, **kw).stdout


HEADER = text("libclient", "stackd.h")
DECLARED = re.findall(r"^STACKD_API [^;]*?\b(stackd_\w+)\(", HEADER, re.M)


def same(what, names):
    missing, more = set(DECLARED) - set(names), set(names) - set(DECLARED)
    assert not missing, f"{what}: lacks {sorted(missing)}"
    assert not more, f"{what}: has {sorted(more)}, which stackd.h has not"


def exported():
    names = [line.split()[-1].split("@")[0] for line in sh("nm", "-D", "--defined-only", LIBRARY).splitlines()]
    return [n for n in names if n != "STACKD_1" and not n.startswith("__")]  # sanitizers have their own


def compiles(compiler, *flags):
    source = '#include "stackd.h"\nint main(void) { return stackd_version() < STACKD_VERSION; }\n'
    sh(compiler, *flags, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", os.path.join(ROOT, "libclient"), "-",
       input=source)


def blocks_have_comments():
    """Between an empty line and a group of declarations there is a comment."""
    for block in HEADER.split("\n\n"):
        if "\nSTACKD_API" in "\n" + block.replace("#define STACKD_API", ""):
            assert "/*" in block, f"no comment on:\n{block}"


assert len(DECLARED) == len(set(DECLARED)) and len(DECLARED) > 40, "what does stackd.h declare?"
same("libstackd.map", re.findall(r"\b(stackd_\w+);", text("libclient", "libstackd.map")))
same("libstackd.so", exported())
blocks_have_comments()
compiles("clang", "-std=c11", "-x", "c", "-D_GNU_SOURCE")
compiles("clang++", "-std=c++11", "-x", "c++")
