#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Each rule of tidy.py finds what it is for, in a small tree made for it, and nothing else."""

import contextlib
import io
import os
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy  # noqa: E402

SPDX = "/* SPDX-License-Identifier: BSD-2-Clause */\n"
GOOD = {
    "tests/layers.txt": "stackd/base:\nstackd/tcp: stackd/base/\nstackd: *\n"
    "generated: made.skel.h\npure: stackd/base/ stackd/tcp/\nnameless: stackd/tcp/\nnames: gbn\n"
    "vendored: scripts/theirs.js\n",
    "tests/tidy_ratchet.txt": "# none\n",
    "stackd/base/a.h": SPDX + "#include <stdint.h>\nstruct a { uint32_t x; };\n",
    "stackd/tcp/b.h": SPDX + '#include "base/a.h"\nstruct b { struct a a; };\n',
    "stackd/tcp/b.c": SPDX + '#include "tcp/b.h"\n#include "made.skel.h"\n'
    '/* malloc(1) and "free(" */\nint f(void)\n{\n\treturn ops->open(1) + d.close("printf(");\n}\n',
}


def long_function(lines):
    return SPDX + "int\nf(void)\n{\n" + "\t;\n" * (lines - 4) + "}\n"


CASES = [
    ({}, None),
    ({"stackd/base/c.c": SPDX + '#include "tcp/b.h"\n'}, "stackd/base/c.c:2: includes: stackd/base may not"),
    ({"stackd/base/c.c": SPDX + "#include <tcp/b.h>\n"}, "stackd/base/c.c:2: includes: stackd/base may not"),
    ({"stackd/base/c.c": SPDX + '#include "none.h"\n'}, 'stackd/base/c.c:2: includes: there is no "none.h"'),
    (
        {"stackd/base/c.h": SPDX + '#include "base/d.h"\n', "stackd/base/d.h": SPDX + '\n#include "base/c.h"\n'},
        "stackd/base/d.h:3: includes: circle stackd/base/c.h -> stackd/base/d.h -> stackd/base/c.h",
    ),
    ({"stackd/base/c.h": SPDX + "struct c { uint32_t x; };\n"}, "stackd/base/c.h:1: headers: does not compile"),
    ({"stackd/main.c": long_function(70)}, None),
    ({"stackd/main.c": long_function(71)}, "stackd/main.c:2: sizes: function stackd/main.c:f has 71 lines"),
    ({"stackd/main.c": SPDX + "\n" * 600}, "stackd/main.c:601: sizes: file stackd/main.c has 601 lines"),
    (
        {"stackd/main.c": long_function(80), "tests/tidy_ratchet.txt": "function stackd/main.c:f 80\n"},
        None,
    ),
    (
        {"stackd/main.c": long_function(79), "tests/tidy_ratchet.txt": "function stackd/main.c:f 80\n"},
        "tests/tidy_ratchet.txt:1: sizes: function stackd/main.c:f is down to 79",
    ),
    ({"tests/tidy_ratchet.txt": "file x.c 700\n"}, "tests/tidy_ratchet.txt:1: sizes: file x.c needs no exception"),
    ({"stackd/tcp/c.c": SPDX + "int x = time(0);\n"}, "stackd/tcp/c.c:2: purity: the core may not call time()"),
    ({"stackd/main.c": SPDX + "int x = time(0);\n"}, None),
    ({"stackd/tcp/c.c": SPDX + "int gbn_on;\n"}, "stackd/tcp/c.c:2: purity: the core knows no plugin"),
    ({"stackd/tcp/c.c": SPDX + 'char *x = "gbn";\n'}, "stackd/tcp/c.c:2: purity: the core knows no plugin"),
    ({"stackd/tcp/c.c": SPDX + "/* like gbn */\n"}, "stackd/tcp/c.c:2: purity: a comment names gbn"),
    ({"stackd/tcp/c.c": SPDX + "/* gbn, RFC 9293 */\n"}, None),
    ({"stackd/tcp/c.c": "int x;\n"}, "stackd/tcp/c.c:1: licence:"),
    ({"scripts/run": "#!/bin/sh\n"}, "scripts/run:1: licence:"),
    ({"scripts/theirs.js": "x\n"}, None),
    ({"scripts/theirs.json": "x\n"}, "scripts/theirs.json:1: licence:"),
]


def run_case(extra):
    with tempfile.TemporaryDirectory() as root:
        for path, text in {**GOOD, **extra}.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                f.write(text)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status = tidy.main(["--root", root])
        return status, out.getvalue().split("\n")[:-2]


def main():
    failed = 0
    for number, (extra, expected) in enumerate(CASES):
        status, lines = run_case(extra)
        right = status == (1 if expected else 0) and len(lines) >= bool(expected)
        right = right and all(line.startswith(expected or "-") for line in lines[:1])
        if not right or (not expected and lines):
            failed += 1
            print(f"case {number}: expected {expected!r}, got {lines}")
    print(f"{len(CASES)} cases, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
