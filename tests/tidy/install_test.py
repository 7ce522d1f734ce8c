#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""install_test.py BUILD: `meson install` into a DESTDIR gives every path that users rely on, and the tools
there start."""

import fnmatch
import os
import shutil
import subprocess
import sys
import tempfile

PATHS = [
    "bin/stackd", "bin/stackdctl", "bin/stackd-run", "bin/stackd-lab", "lib*/libstackd.so", "lib*/pkgconfig/stackd.pc",
    "include/stackd/stackd.h", "include/stackd/plugin.h", "lib*/stackd/preload.so", "lib*/stackd/packetdrill.so",
    "lib/systemd/system/stackd.service", "share/doc/stackd/stackd.conf.example",
]
PATHS += [f"lib*/stackd/plugins/{name}.so" for name in ("gbn", "sr", "textbook", "reno", "sack", "racktlp", "rfc6298",
                                                         "quick", "cubic", "newreno")]
PAGES = ["man8/stackd.8", "man5/stackd.conf.5", "man1/stackdctl.1", "man1/stackd-run.1", "man1/stackd-lab.1",
         "man3/libstackd.3"]


def main():
    build = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="stackd-install-") as folder:
        env = {k: v for k, v in os.environ.items() if k != "DESTDIR"}
        done = subprocess.run(["meson", "install", "--no-rebuild", "-C", build, "--destdir", folder], env=env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        files = [os.path.relpath(os.path.join(at, f), folder) for at, _, names in os.walk(folder) for f in names]
        wanted = PATHS + [f"share/man/{p}*" for p in PAGES if shutil.which("scdoc")]
        wrong = [f"{p} is missing" for p in wanted if not fnmatch.filter(files, f"*/{p}")]
        for tool in ("stackd", "stackdctl", "stackd-lab"):
            for path in fnmatch.filter(files, f"*/bin/{tool}"):
                said = subprocess.run([os.path.join(folder, path), "--version"], capture_output=True, text=True, check=False)
                if said.returncode or tool not in said.stdout:
                    wrong.append(f"{path} --version: exit {said.returncode}: {said.stderr[-500:]}")
    if done.returncode or wrong:
        print("\n".join([f"meson install: exit {done.returncode}", done.stdout[-2000:], *wrong]))
        sys.exit(1)
    print(f"{len(files)} files")


main()
