#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Style and structure as a test: one line per violation, file:line and the rule.

  tidy.py [--root DIR] [includes] [headers] [sizes] [purity] [licence]
  tidy.py --shrink      lowers tests/tidy_ratchet.txt to what is true now, never raises it

The include order is the table tests/layers.txt; functions and files that are too long today stand
in tests/tidy_ratchet.txt, which may only shrink."""

import concurrent.futures
import os
import re
import subprocess
import sys

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
CODE_FOLDERS = ("stackd", "libclient", "plugins", "xdp", "tests")
INCLUDE_FOLDERS = ("stackd", "plugins", "libclient", "xdp")

# Functions of libc and the kernel that the core may not call.  A member (x->open) is another thing.
IMPURE = """
    clock_gettime gettimeofday time clock nanosleep usleep sleep timerfd_create
    malloc calloc realloc reallocarray free strdup strndup asprintf aligned_alloc posix_memalign
    mmap munmap mremap madvise memfd_create sbrk
    printf fprintf vprintf vfprintf dprintf puts fputs putchar fputc perror syslog
    open openat creat close read write pread pwrite readv writev lseek fopen fclose fread fwrite
    ioctl fcntl dup dup2 pipe pipe2 poll ppoll select epoll_create1 epoll_wait epoll_ctl eventfd
    socket bind connect accept accept4 send sendto sendmsg recv recvfrom recvmsg
    setsockopt getsockopt getaddrinfo syscall
    rand random srand srandom drand48 getrandom getentropy
    getenv setenv exit _exit abort system fork execve kill signal sigaction raise
    pthread_create pthread_mutex_lock pthread_mutex_unlock pthread_cond_wait
""".split()


class Source:
    """A file with its comments and strings told apart; line numbers stay."""

    def __init__(self, root, path):
        self.path = path
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as f:
            self.text = f.read()
        self.lines = self.text.split("\n")
        if self.lines[-1] == "":
            self.lines.pop()
        self.comments = []  # (line, text)
        self.code = self.split_off(strings=True)
        self.bare = self.split_off(strings=False)

    def split_off(self, strings):
        token = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
        comments = []

        def replace(match):
            piece = match.group()
            if piece.startswith("/"):
                comments.append((self.text.count("\n", 0, match.start()) + 1, piece))
            elif strings:
                return piece
            return re.sub(r"[^\n]", " ", piece)

        out = token.sub(replace, self.text)
        self.comments = comments
        return out.split("\n")

    def includes(self):
        for number, line in enumerate(self.code, 1):
            match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            if match:
                yield number, match.group(2), match.group(1) == '"'

    def functions(self):
        """(line, name, lines) of every function whose brace stands at the margin."""
        start = None
        for number, line in enumerate(self.bare, 1):
            if line.rstrip() == "{" and number > 1 and ")" in self.bare[number - 2]:
                start = number - 1
                while start > 1 and re.match(r"\S|\s+\S", self.bare[start - 2]) and not re.search(
                    r"[;}]\s*$|^\s*#", self.bare[start - 2]
                ):
                    start -= 1
            elif line.rstrip() == "}" and start is not None:
                signature = " ".join(self.bare[start - 1 : number]).split("{")[0]
                names = [n for n in re.findall(r"(\w+)\s*\(", signature) if n != "__attribute__"]
                yield start, names[0] if names else "?", number - start + 1
                start = None


class Tree:
    def __init__(self, root):
        self.root = root
        self.paths = sorted(self.walk())
        self.sources = {}
        self.layers, self.lists = self.read_table()

    def walk(self):
        for folder, folders, files in os.walk(self.root):
            if "meson-private" in folders:  # a build
                folders.clear()
                continue
            folders[:] = [
                f
                for f in folders
                if not f.startswith(".")
                and f != "__pycache__"
                and not os.path.isdir(os.path.join(folder, f, "meson-private"))  # a build, of any name
            ]
            for name in files:
                yield os.path.relpath(os.path.join(folder, name), self.root)

    def source(self, path):
        if path not in self.sources:
            self.sources[path] = Source(self.root, path)
        return self.sources[path]

    def c_files(self, *ends):
        return [p for p in self.paths if p.split("/")[0] in CODE_FOLDERS and p.endswith(ends)]

    def read_table(self):
        layers, lists = {}, {"generated": [], "pure": [], "nameless": [], "names": [], "vendored": []}
        with open(os.path.join(self.root, "tests/layers.txt"), encoding="utf-8") as f:
            for line in f:
                if ":" in line and not line.startswith("#"):
                    name, words = line.split(":", 1)
                    (lists if name in lists else layers)[name] = words.split()
        return layers, lists

    def layer_of(self, path):
        folder = os.path.dirname(path)
        while folder and folder not in self.layers:
            folder = os.path.dirname(folder)
        return folder

    def resolve(self, path, name):
        known = set(self.paths)
        for folder in (os.path.dirname(path), *INCLUDE_FOLDERS):
            candidate = os.path.normpath(os.path.join(folder, name))
            if candidate in known:
                return candidate
        return None


def is_under(path, words):
    return any(path.startswith(w) if w.endswith("/") else path == w for w in words)


def check_includes(tree):
    graph = {}
    for path in tree.c_files(".c", ".h"):
        layer = tree.layer_of(path)
        allowed = tree.layers.get(layer, ["*"])
        graph[path] = []
        for number, name, quoted in tree.source(path).includes():
            target = tree.resolve(path, name)
            if target is None:
                if quoted and layer and os.path.basename(name) not in tree.lists["generated"]:
                    yield path, number, f'includes: there is no "{name}"'
                continue
            graph[path].append((number, target))
            if "*" in allowed or tree.layer_of(target) == layer or is_under(target, allowed):
                continue
            yield path, number, f"includes: {layer} may not include {target} (tests/layers.txt)"
    yield from find_circles(graph)


def find_circles(graph):
    done = set()

    def visit(path, way):
        for number, target in graph.get(path, []):
            if target in way:
                circle = way[way.index(target) :] + [target]
                yield path, number, "includes: circle " + " -> ".join(circle)
            elif target not in done:
                yield from visit(target, way + [target])
        done.add(path)

    for path in graph:
        if path not in done:
            yield from visit(path, [path])


def check_headers(tree):
    compiler = os.environ.get("CC", "gcc")
    includes = [f"-I{os.path.join(tree.root, f)}" for f in INCLUDE_FOLDERS]

    def compile_alone(path):
        own = os.path.join(tree.root, os.path.dirname(path))
        command = [compiler, "-std=gnu17", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
        command += [*includes, f"-I{own}", "-include", os.path.join(tree.root, path), "-x", "c", "/dev/null"]
        return path, subprocess.run(command, capture_output=True, text=True, check=False)

    headers = [p for p in tree.c_files(".h") if not p.startswith("tests/")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, result in pool.map(compile_alone, headers):
            errors = [l for l in result.stderr.split("\n") if "error:" in l]
            if result.returncode != 0:
                first = errors[0] if errors else result.stderr.strip()
                yield path, 1, f"headers: does not compile alone: {first}"


def sizes(tree):
    """What is too long: {(kind, name): (path, line, lines)}"""
    out = {}
    for path in tree.c_files(".c", ".h", ".py", ".sh"):
        source = tree.source(path)
        if len(source.lines) > FILE_LINES_MAX:
            out["file", path] = path, FILE_LINES_MAX + 1, len(source.lines)
        if path.endswith((".c", ".h")):
            for line, name, lines in source.functions():
                if lines > FUNCTION_LINES_MAX:
                    out["function", f"{path}:{name}"] = path, line, lines
    return out


def ratchet_path(tree):
    return os.path.join(tree.root, "tests/tidy_ratchet.txt")


def read_ratchet(tree):
    allowed = {}
    with open(ratchet_path(tree), encoding="utf-8") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                kind, name, lines = line.split()
                allowed[kind, name] = int(lines)
    return allowed


def check_sizes(tree):
    allowed, found = read_ratchet(tree), sizes(tree)
    limits = {"file": FILE_LINES_MAX, "function": FUNCTION_LINES_MAX}
    for (kind, name), (path, line, lines) in sorted(found.items()):
        limit = allowed.get((kind, name), limits[kind])
        if lines > limit:
            yield path, line, f"sizes: {kind} {name} has {lines} lines, {limit} are allowed"
    for key, lines in sorted(allowed.items()):
        now = found[key][2] if key in found else 0
        if now < lines:
            what = f"{key[0]} {key[1]} is down to {now}" if now else f"{key[0]} {key[1]} needs no exception"
            yield "tests/tidy_ratchet.txt", 1, f"sizes: {what}; run tests/tidy/tidy.py --shrink"


def shrink(tree):
    allowed, found = read_ratchet(tree), sizes(tree)
    with open(ratchet_path(tree), encoding="utf-8") as f:
        kept = [line for line in f if line.startswith("#")]
    for key in sorted(allowed):
        if key in found:
            kept.append(f"{key[0]} {key[1]} {min(allowed[key], found[key][2])}\n")
    with open(ratchet_path(tree), "w", encoding="utf-8") as f:
        f.writelines(kept)


def check_purity(tree):
    call = re.compile(r"(?<![\w.>])(" + "|".join(IMPURE) + r")\s*\(")
    names = "|".join(tree.lists["names"])
    word = re.compile(rf"(?<![A-Za-z0-9])({names})(?![A-Za-z0-9])", re.I)
    for path in tree.c_files(".c", ".h"):
        source = tree.source(path)
        if is_under(path, tree.lists["pure"]):
            for number, line in enumerate(source.bare, 1):
                for match in call.finditer(line):
                    yield path, number, f"purity: the core may not call {match.group(1)}()"
        if is_under(path, tree.lists["nameless"]):
            for number, line in enumerate(source.code, 1):
                for match in word.finditer(line):
                    yield path, number, f"purity: the core knows no plugin by name ({match.group(1)})"
            for number, comment in source.comments:
                match = word.search(comment)
                if match and "RFC" not in comment:
                    yield path, number, f"purity: a comment names {match.group(1)} without its RFC"


def check_licence(tree):
    for path in tree.paths:
        if is_under(path, tree.lists["vendored"]):
            continue
        is_source = path.endswith((".c", ".h", ".py", ".sh", ".pml")) or path.endswith("meson.build")
        if path.startswith("scripts/") or is_source:
            head = tree.source(path).lines[:3]
            if not any("SPDX-License-Identifier: BSD-2-Clause" in line for line in head):
                yield path, 1, "licence: no SPDX-License-Identifier: BSD-2-Clause in the first three lines"


CHECKS = {
    "includes": check_includes,
    "headers": check_headers,
    "sizes": check_sizes,
    "purity": check_purity,
    "licence": check_licence,
}


def main(args):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if args[:1] == ["--root"]:
        root, args = args[1], args[2:]
    tree = Tree(root)
    if args == ["--shrink"]:
        shrink(tree)
        return 0
    for name in args:
        if name not in CHECKS:
            print(f"tidy.py: no check {name!r}; there are: {' '.join(CHECKS)}", file=sys.stderr)
            return 2
    violations = [v for name in args or CHECKS for v in CHECKS[name](tree)]
    for path, line, rule in violations:
        print(f"{path}:{line}: {rule}")
    print(f"{len(violations)} violations in {len(tree.paths)} files")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
