# SPDX-License-Identifier: BSD-2-Clause
"""Builds what the scripts run, as the owner of the checkout, so that sudo leaves no files of root."""

import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("STACKD_BUILD", os.path.join(ROOT, "build"))
TOOLS = {"stackd": "stackd", "stackdctl": "stackd/ctl", "stackd-run": "libclient"}
TARGETS = [f"{folder}/{name}" for name, folder in TOOLS.items()] + ["libclient/preload.so"]


class Failed(Exception):
    """What a user has to be told; ends a script with exit 1."""

    bad_option = False  # stackd did not take its configuration


def tool(name):
    return os.path.join(BUILD, TOOLS[name], name)


def run(command, log, owner):
    env = dict(os.environ)
    who = {}
    if os.geteuid() == 0 and owner.st_uid != 0:
        who = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        env["HOME"] = "/tmp"
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                          text=True, errors="replace", env=env, check=False, **who)
    log.append(f"$ {' '.join(command)}\n{done.stdout}")
    return done.returncode == 0


def plugin_targets():
    listed = subprocess.run(["ninja", "-C", BUILD, "-t", "targets", "all"], capture_output=True, text=True, check=False)
    names = [line.partition(":")[0] for line in listed.stdout.splitlines()]
    return [n for n in names if n.startswith("plugins/") and n.endswith(".so")]


def build(more=()):
    """Sets build/ up if it isn't, and builds the tools, the plugins, and more."""
    owner = os.stat(BUILD if os.path.exists(BUILD) else ROOT)
    log = []
    good = os.path.exists(os.path.join(BUILD, "build.ninja")) or run(["meson", "setup", BUILD, ROOT], log, owner)
    good = good and run(["ninja", "-C", BUILD, *TARGETS, *plugin_targets(), *more], log, owner)
    if not good:
        raise Failed("the build failed:\n" + "\n".join(log)[-3000:] +
                     f"\nby hand: meson setup {BUILD} && ninja -C {BUILD}")
