#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""run.py PROGRAM CORPUS [OPTION...]: a fuzzer over a corpus that it may not change; what it finds new
goes to a folder of its own and is forgotten, but for an input that fails."""

import os
import subprocess
import sys
import tempfile

program, corpus, options = sys.argv[1], sys.argv[2], sys.argv[3:]
# no options: not a fuzzer, it only runs what is there
with tempfile.TemporaryDirectory(prefix="stackd-fuzz-") as found:
    folders = [found, corpus] if options else [corpus]
    if options:
        options.append(f"-artifact_prefix={program}-")
    done = subprocess.run([program, *options, *folders], capture_output=True, text=True, errors="replace", check=False)
print("\n".join((done.stdout + done.stderr).splitlines()[-60:]))
if done.returncode != 0:
    print(f"failed: the input lies beside {program}, or is the last one that is named above")
sys.exit(1 if done.returncode != 0 else 0)
