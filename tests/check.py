#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The part of scripts/check behind the packages: builds each flavour, runs its tests, counts."""

import fnmatch
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SECONDS_MAX = 75 * 60  # for everything
LINES_SHOWN = 40  # of what a failed test printed
IN_PROCESS = ("unit", "plugins", "sim", "fuzz")  # suites that need no namespace and no daemon


class Flavour:
    def __init__(self, folder, what, compiler, options, suites, patience):
        self.folder, self.what, self.compiler = folder, what, compiler
        self.options, self.suites, self.patience = options, suites, patience
        self.path = os.path.join(ROOT, folder)


FLAVOURS = [
    Flavour("build", "gcc, warnings are errors", "gcc", [], None, 3),
    Flavour(
        "build-asan",
        "clang, address and undefined behaviour sanitizers",
        "clang",
        ["-Db_sanitize=address,undefined", "-Db_lundef=false"],
        IN_PROCESS,
        6,
    ),
    Flavour(
        "build-tsan",
        "gcc, thread sanitizer",
        "gcc",
        ["-Db_sanitize=thread", "-Db_lundef=false", "-Dc_args=-Wno-tsan"],
        ("unit", "plugins", "sim"),
        8,
    ),
]

PASSED = ("OK", "EXPECTEDFAIL")
SKIPPED = ("SKIP",)


class Outcome:
    def __init__(self):
        self.passed, self.skipped, self.failed = 0, [], []

    def add(self, flavour, name, result, seconds, printed):
        if result in PASSED:
            self.passed += 1
        elif result in SKIPPED and os.environ.get("CI") != "true":
            self.skipped.append(f"skipped: {name} in {flavour.folder}")
        else:
            self.fail(flavour, name, f"{result}, {seconds:.1f} s", printed)

    def fail(self, flavour, name, why, printed=""):
        """Says it at once, a run may be cut off before its end, and keeps it for the end."""
        head = f"failed: {name} in {flavour.folder} ({why}); alone: scripts/check {flavour.folder}/{name}"
        self.failed.append("\n".join([head, *last_lines(printed)]))
        say(self.failed[-1])

    def fail_build(self, flavour, why, log):
        self.failed.append(f"failed: the build in {flavour.folder} ({why}); alone: {log}")


class Child:
    """The one program that runs now, in a session of its own so that ^C reaches only us."""

    def __init__(self, deadline):
        self.deadline, self.process = deadline, None

    def run(self, command, env, log, on_line):
        """Returns the exit status, or None when the time was over."""
        with open(log, "w", encoding="utf-8", errors="replace") as out:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            signal.alarm(max(1, int(self.deadline - time.monotonic())))
            try:
                for line in self.process.stdout:
                    out.write(line)
                    on_line(line.rstrip("\n"))
                return self.process.wait()
            except TimeoutError:
                return None
            finally:
                signal.alarm(0)
                self.stop()

    def stop(self):
        """meson ends its tests on SIGTERM, and they what they made."""
        process, self.process = self.process, None
        if process is None or process.poll() is not None:
            return
        for number, patience in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
            try:
                os.killpg(process.pid, number)
                process.wait(patience)
                return
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def say(text):
    print(text, flush=True)


def last_lines(printed):
    """What of a failed test's output goes into our own, indented; bytes that are no text are shown."""
    lines = [re.sub(r"[^\t -~\u00a0-\uffff]", "?", line) for line in printed.rstrip().splitlines()]
    if len(lines) > LINES_SHOWN:
        lines = [f"({len(lines) - LINES_SHOWN} lines before these)", *lines[-LINES_SHOWN:]]
    return [f"    | {line[:400]}" for line in lines] or ["    | (it printed nothing)"]


def environment(flavour):
    env = dict(os.environ, CC=flavour.compiler, PYTHONDONTWRITEBYTECODE="1", LC_ALL="C.UTF-8")
    env["ASAN_OPTIONS"] = "detect_stack_use_after_return=1:strict_string_checks=1"
    env["UBSAN_OPTIONS"] = "halt_on_error=1:print_stacktrace=1"
    env["TSAN_OPTIONS"] = "halt_on_error=1:second_deadlock_stack=1"
    for name in ("DESTDIR", "MAKEFLAGS", "CFLAGS", "LDFLAGS"):
        env.pop(name, None)
    return env


def read_text(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except OSError:
        return ""


def set_up(flavour, child):
    """Configures, unless that has been done.  Returns an error or None.

    build/ may be the developer's own, with other options; the others are ours alone."""
    ours = " ".join([flavour.compiler, *flavour.options])
    stamp = os.path.join(flavour.path, "check.options")
    if os.path.exists(os.path.join(flavour.path, "build.ninja")):
        if not flavour.options or read_text(stamp) == ours:
            # so that tests registered since then are known
            refresh = ["ninja", "-C", flavour.path, "build.ninja"]
            child.run(refresh, environment(flavour), os.path.join(flavour.path, "setup.log"), lambda line: None)
            return None
    shutil.rmtree(flavour.path, ignore_errors=True)
    os.makedirs(flavour.path)
    log = os.path.join(flavour.path, "setup.log")
    lines = []
    command = ["meson", "setup", flavour.path, ROOT, *flavour.options]
    status = child.run(command, environment(flavour), log, lines.append)
    if status != 0:
        say("\n".join(lines[-15:]))
        return "meson setup failed" if status is not None else "no time left"
    with open(stamp, "w", encoding="utf-8") as f:
        f.write(ours)
    return None


class Progress:
    """[12/340] on a terminal in place, elsewhere now and then."""

    def __init__(self):
        self.tty, self.last = sys.stdout.isatty(), time.monotonic()

    def show(self, line):
        match = re.match(r"\[\d+/\d+\]", line)
        if match and self.tty:
            sys.stdout.write(f"\r   compiling {match.group()}\033[K")
            sys.stdout.flush()
        elif match and time.monotonic() - self.last > 20:
            self.last = time.monotonic()
            say(f"   compiling {match.group()}")

    def end(self):
        if self.tty:
            sys.stdout.write("\r\033[K")


def compile_all(flavour, child):
    """Returns an error or None."""
    log = os.path.join(flavour.path, "compile.log")
    progress, lines = Progress(), []

    def on_line(line):
        lines.append(line)
        progress.show(line)

    # -k 0: all errors at once
    status = child.run(["ninja", "-k", "0", "-C", flavour.path], environment(flavour), log, on_line)
    progress.end()
    if status == 0:
        return None
    errors = [l for l in lines if re.search(r"error:|^FAILED:|undefined reference", l)]
    say("\n".join(errors[:20] or lines[-20:]))
    return "does not compile" if status is not None else "no time left"


def all_tests(flavour):
    """{name: suite}; meson knows them once it is configured."""
    out = subprocess.run(
        ["meson", "introspect", "--tests", flavour.path],
        env=environment(flavour),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {t["name"]: t["suite"][0].split(":")[-1] for t in json.loads(out)}


def chosen(flavour, tests, wanted):
    """The tests of this flavour that the arguments name; all without arguments."""

    def matches(name, suite, word):
        folder, _, rest = word.rpartition("/")
        return folder in ("", flavour.folder) and (rest == suite or fnmatch.fnmatchcase(name, rest))

    return [
        name
        for name, suite in tests.items()
        if (flavour.suites is None or suite in flavour.suites)
        and (not wanted or any(matches(name, suite, w) for w in wanted))
    ]


def read_results(flavour, log_base):
    results = {}
    try:
        with open(os.path.join(flavour.path, "meson-logs", f"{log_base}.json"), encoding="utf-8") as f:
            for line in f:
                entry = json.loads(line)
                printed = "\n".join(entry.get(s, "").rstrip() for s in ("stdout", "stderr")).strip("\n")
                results[entry["name"].split(" / ")[-1]] = entry["result"], entry["duration"], printed
    except (OSError, ValueError):
        pass
    return results


def run_tests(flavour, names, child, outcome):
    def on_line(line):
        match = re.match(r"\s*(\d+/\d+) (?:\S+ / )?(\S+)\s+([A-Z]+)\s+([\d.]+)s", line)
        if match:
            say(f"   {match.group(1):>8}  {match.group(3):<8} {match.group(2)}  {match.group(4)} s")

    base = "check"
    stale = os.path.join(flavour.path, "meson-logs", f"{base}.json")
    if os.path.exists(stale):
        os.unlink(stale)
    # no address randomisation: the sanitizers' runtimes do not find their room under all of it
    command = ["setarch", "-R"] if flavour.suites else []
    command += ["meson", "test", "-C", flavour.path, "--no-rebuild", "--logbase", base]
    command += ["--num-processes", str(os.cpu_count()), "--timeout-multiplier", str(flavour.patience), *names]
    log = os.path.join(flavour.path, "meson-logs", "check.out")
    why = f"did not run, see {os.path.relpath(log, ROOT)}"
    try:
        if child.run(command, environment(flavour), log, on_line) is None:
            why = f"not finished after {SECONDS_MAX // 60} minutes for everything"
    except KeyboardInterrupt:
        why = None
        raise
    finally:
        results = read_results(flavour, base)
        for name in names:
            if name in results and (why or results[name][0] in PASSED):
                outcome.add(flavour, name, *results[name])
            elif why:
                outcome.fail(flavour, name, why, results[name][2] if name in results else "")


def give_back(flavour):
    """Under sudo the build belongs to whom the checkout belongs."""
    owner = os.stat(ROOT)
    if owner.st_uid == 0 or not os.path.isdir(flavour.path):
        return
    for folder, folders, files in os.walk(flavour.path):
        for name in [".", *folders, *files]:
            os.chown(os.path.join(folder, name), owner.st_uid, owner.st_gid, follow_symlinks=False)


def check_flavour(flavour, wanted, child, outcome):
    say(f"== {flavour.folder}: {flavour.what}")
    error = set_up(flavour, child) or compile_all(flavour, child)
    if error:
        outcome.fail_build(flavour, error, f"ninja -C {flavour.folder}, log in {flavour.folder}/compile.log")
        return
    names = chosen(flavour, all_tests(flavour), wanted)
    if names:
        say(f"== {flavour.folder}: {len(names)} tests")
        run_tests(flavour, names, child, outcome)


def find_tests(wanted, child):
    """The tests as the first flavour knows them; exits when an argument names none."""
    error = set_up(FLAVOURS[0], child)
    if error:
        say(f"failed: the build in {FLAVOURS[0].folder} ({error})\n0 passed, 1 failed, 0 skipped")
        sys.exit(1)
    tests = all_tests(FLAVOURS[0])
    for word in wanted:
        if not any(chosen(f, tests, [word]) for f in FLAVOURS):
            say(f"check: there is no test or suite {word!r}; scripts/check --list names them")
            sys.exit(2)
    return tests


def list_tests(tests):
    for name, suite in sorted(tests.items(), key=lambda t: (t[1], t[0])):
        folders = [f.folder for f in FLAVOURS if name in chosen(f, tests, [])]
        say(f"{suite:8} {name:40} {' '.join(folders)}")


def interrupt(number, frame):
    raise KeyboardInterrupt


def too_late(number, frame):
    raise TimeoutError


def main(wanted):
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    signal.signal(signal.SIGALRM, too_late)
    child, outcome = Child(time.monotonic() + SECONDS_MAX), Outcome()
    interrupted = False
    try:
        if wanted == ["--list"]:
            list_tests(find_tests([], child))
            return 0
        tests = find_tests(wanted, child) if wanted else None
        for flavour in FLAVOURS:
            if tests is None or chosen(flavour, tests, wanted):
                check_flavour(flavour, wanted, child, outcome)
    except KeyboardInterrupt:
        interrupted = True
        child.stop()
        say("check: interrupted")
    finally:
        for flavour in FLAVOURS:
            give_back(flavour)
    for line in outcome.skipped + outcome.failed:
        say(line)
    if outcome.failed:
        say("all that they printed: BUILD/meson-logs/check.txt")
    say(f"{outcome.passed} passed, {len(outcome.failed)} failed, {len(outcome.skipped)} skipped")
    return 130 if interrupted else 1 if outcome.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
