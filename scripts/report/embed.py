#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""embed.py FILE... - the files as C strings, for a program that writes reports by itself."""

import os
import re
import sys

ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "?": "\\?"}
LINE = 100


def literal(text):
    """In pieces: no escape may be cut, and none may swallow what follows."""
    pieces = []
    for at in range(0, len(text), LINE):
        piece = ""
        for byte in text[at:at + LINE].encode():
            c = chr(byte)
            piece += ESCAPES.get(c) or (c if 0x20 <= byte < 0x7f else f"\\{byte:03o}")
        pieces.append(f'\t"{piece}"')
    return "\n".join(pieces) or '\t""'


print("/* SPDX-License-Identifier: BSD-2-Clause */\n/* Made from scripts/report. */\n#include \"lab/report_assets.h\"")
for path in sys.argv[1:]:
    name = re.sub(r"\W", "_", os.path.basename(path))
    with open(path, encoding="utf-8") as f:
        print(f"\nconst char report_{name}[] =\n{literal(f.read())};")
