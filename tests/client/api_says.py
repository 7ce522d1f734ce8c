#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""api_says.py LIBSTACKD ROOT - stackd.h, libstackd(3), the map of symbols and the library name the same functions;
the header has a comment on each and compiles alone as C and as C++, and the page's example compiles."""

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


def compiles(source, compiler, *flags):
    sh(compiler, *flags, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", os.path.join(ROOT, "libclient"), "-",
       input=source)


def prototypes(source):
    """Name and prototype without differences of layout."""
    found = re.findall(r"^[a-z]\w+ [^;{}()]*?\b(stackd_\w+)(\([^;{}]*?\));", source, re.M)
    return {name: " ".join(arguments.split()) for name, arguments in found}


def page_tells_all():
    page = text("docs", "libstackd.3.scd")
    synopsis, described = page.split("# FUNCTIONS")[0], page.split("# FUNCTIONS")[1].split("# PLUGINS")[0]
    same("libstackd(3), synopsis", prototypes(synopsis))
    header = prototypes(re.sub(r"^STACKD_API ", "", HEADER, flags=re.M))
    for name, arguments in prototypes(synopsis).items():
        assert header[name] == arguments, f"libstackd(3): {name}{arguments}, stackd.h: {header[name]}"
    same("libstackd(3), functions", re.findall(r"\*(stackd_\w+)\*", described))


def page_example():
    """The program that libstackd(3) shows whole, as the page prints it."""
    page = text("docs", "libstackd.3.scd")
    return re.search(r"```\n(/\* fetch\.c .*?)```", page, re.S).group(1).replace("\\\\", "\\")


def blocks_have_comments():
    """Between an empty line and a group of declarations there is a comment."""
    for block in HEADER.split("\n\n"):
        if "\nSTACKD_API" in "\n" + block.replace("#define STACKD_API", ""):
            assert "/*" in block, f"no comment on:\n{block}"


assert len(DECLARED) == len(set(DECLARED)) and len(DECLARED) > 40, "what does stackd.h declare?"
same("libstackd.map", re.findall(r"\b(stackd_\w+);", text("libclient", "libstackd.map")))
same("libstackd.so", exported())
blocks_have_comments()
page_tells_all()
ALONE = '#include "stackd.h"\nint main(void) { return stackd_version() < STACKD_VERSION; }\n'
compiles(ALONE, "clang", "-std=c11", "-x", "c", "-D_GNU_SOURCE")
compiles(ALONE, "clang++", "-std=c++11", "-x", "c++")
compiles(page_example(), "clang", "-x", "c")
