# SPDX-License-Identifier: BSD-2-Clause
"""What the runs of the programs' tests saw, and the table that is made of it.

Each run leaves BUILD/programs/NAME.DRIVER.SHARDS; BUILD/programs.md has a row for each program of table.py."""

import os
import subprocess

import table

HEAD = ("| program | version | stackd's side | driver | what it did | |", "|---|---|---|---|---|---|")
DRIVERS = {"af_packet": "AF_PACKET", "af_xdp": "AF_XDP"}


ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def build():
    return os.environ.get("STACKD_BUILD", os.path.join(ROOT, "build"))


def folder():
    return os.path.join(build(), "programs")


def path_of(program, driver, shards):
    return os.path.join(folder(), f"{program.name}.{driver}.{shards}")


def version(package):
    """Debian's version of the first of the packages that is installed, without revisions."""
    for name in package.split("|"):
        done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", name], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if done.stdout.startswith("ii "):
            return done.stdout[3:].split(":")[-1].split("-")[0].split("+")[0]
    return "-"


def forget(program, driver, shards):
    """Before a run: what an earlier one saw no longer counts."""
    if os.path.exists(path_of(program, driver, shards)):
        os.remove(path_of(program, driver, shards))


def remember(program, driver, shards):
    os.makedirs(folder(), exist_ok=True)
    with open(path_of(program, driver, shards), "w", encoding="utf-8") as f:
        f.write(version(program.package) + "\n")
    with open(os.path.join(build(), "programs.md"), "w", encoding="utf-8") as f:
        f.write("\n".join(rows()) + "\n")


def seen(program):
    """The runs of a program that succeeded: their drivers and the version."""
    drivers, found = [], "-"
    for _, driver, shards in program.runs():
        path = path_of(program, driver, shards)
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                found = f.read().strip()
            drivers.append(DRIVERS[driver] + (f" ({shards} shards)" if shards != "1" else ""))
    return drivers, found


def row(program):
    drivers, found = seen(program)
    complete = len(drivers) == len(program.runs())
    verdict = program.verdict() if complete else "failed, or was not run" if not drivers else "worked with some drivers"
    return f"| {program.shown} | {found} | {program.roles} | {', '.join(drivers)} | {program.does} | {verdict} |"


def rows():
    return [*HEAD, *[row(p) for p in table.PROGRAMS]]


def essence(text):
    """A row without what depends on the machine: the version and the order of drivers."""
    cells = [c.strip() for c in text.strip().strip("|").split("|")]
    return (cells[0], *cells[2:])


def expected():
    """The rows' essence when everything has run."""
    result = []
    for p in table.PROGRAMS:
        drivers = [DRIVERS[d] + (f" ({s} shards)" if s != "1" else "") for _, d, s in p.runs()]
        result.append((p.shown, p.roles, ", ".join(drivers), p.does, p.verdict()))
    return result
