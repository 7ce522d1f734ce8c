#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""guide.py CC GUIDE.md HEADER CHECK - the guide's plugin compiles as the guide says, without a
warning, and passes the checks of constant data."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

compiler, guide, header, check = sys.argv[1:]
with open(guide, encoding="utf-8") as f:
    source = re.search(r"```c\n(.*?)```", f.read(), re.S).group(1)
with tempfile.TemporaryDirectory() as folder:
    os.mkdir(folder + "/stackd")
    shutil.copy(header, folder + "/stackd/plugin.h")
    with open(folder + "/aimd.c", "w", encoding="utf-8") as f:
        f.write(source)
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror",
                    "-I" + folder, "-o", folder + "/aimd.so", folder + "/aimd.c"], check=True)
    sys.exit(subprocess.run([check, folder + "/aimd.so"], check=False).returncode)
