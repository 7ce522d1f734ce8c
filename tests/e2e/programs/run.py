# SPDX-License-Identifier: BSD-2-Clause
"""run.py PROGRAM DRIVER [SHARDS] - an unmodified program of Debian's does real work through stackd, with the kernel as
its peer.  table.py has the list.  What was seen is written to BUILD/programs/ and BUILD/programs.md."""

import importlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import lab  # noqa: E402
import record  # noqa: E402
import table  # noqa: E402
import web  # noqa: E402


def test(name, driver, shards="1"):
    program = table.find(name)
    lab.check(program, f"{name} is not in table.py")
    module, function = program.test.split(".")
    record.forget(program, driver, shards)
    with lab.Lab(driver=driver, shards=int(shards), users=("postgres",) if name == "postgresql" else ()) as net:
        net.start()
        web.files(net)
        getattr(importlib.import_module(module), function)(net)
    record.remember(program, driver, shards)


if __name__ == "__main__":
    lab.main(test)
