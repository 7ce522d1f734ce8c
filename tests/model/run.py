#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""run.py MODEL.pml - every state of the model: no assertion fails and nobody sleeps for ever (-safety),
and what is waited for comes (the formula `served`, weak fairness).  Then each variant that the model's
head names "Wrong on purpose" is tried: it must fail, else the model couldn't notice that mistake."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

SAFETY = ["-DSAFETY", "-DNOCLAIM"]
LIVENESS = ["-DNFAIR=4"]


def command(words, directory):
    done = subprocess.run(words, cwd=directory, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def errors(model, directory, define, build, options):
    """How many errors spin's verifier finds; it must have seen every state."""
    command(["spin", "-a"] + [f"-D{d}" for d in define] + [model], directory)
    command(["cc", "-O1", "-w", "-DMEMLIM=1500", "-DVECTORSZ=2048", "-o", "pan", "pan.c"] + build, directory)
    text = command(["./pan", "-m1000000"] + options, directory)
    found = re.search(r"State-vector .*, errors: (\d+)", text)
    states = re.search(r"(\S+) states, stored", text)
    if not found or "Search not completed" in text and found.group(1) == "0" or "truncated" in text:
        sys.exit(f"{model} {define}: not searched to the end:\n{text}")
    return int(found.group(1)), states.group(1)


def main(path):
    model = os.path.basename(path)
    with open(path, encoding="ascii") as f:
        variants = re.search(r"Wrong on purpose: ([A-Z_, \n*]+)\.", f.read())
    variants = re.findall(r"[A-Z_]{2,}", variants.group(1))
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        for name in (model, "tso.pml"):
            shutil.copy(os.path.join(os.path.dirname(path), name), directory)
        for what, build, options in (("safety", SAFETY, []), ("liveness", LIVENESS, ["-a", "-f"])):
            n, states = errors(model, directory, ["LIVENESS"] if what == "liveness" else [], build, options)
            print(f"{'ok' if n == 0 else 'FAILED'}: {model} {what}: {states} states, {n} errors")
            failed += n != 0
        for v in variants:
            n, states = errors(model, directory, [v], SAFETY, [])
            print(f"{'ok' if n else 'FAILED'}: {model} with {v}: {'an error is found' if n else 'no error is found'}")
            failed += n == 0
    return 1 if failed else 0


if not shutil.which("spin"):
    print("spin is not installed")
    sys.exit(77)
sys.exit(main(os.path.abspath(sys.argv[1])))
