# SPDX-License-Identifier: BSD-2-Clause
"""run_says.py STACKD_RUN STATIC_PROGRAM - what stackd-run says, in one line, of programs it can't intercept."""

import os
import shutil
import subprocess
import sys
import tempfile

RUN, STATIC = sys.argv[1:]


def says(program, word, *more):
    """With --require it refuses, without it runs the program over the kernel; both times with the reason."""
    for option in (["--require"], []):
        p = subprocess.run([RUN, *option, program, *more], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        lines = p.stderr.splitlines()
        assert len(lines) >= 1 and word in lines[0] and program in lines[0], (program, p.stderr)
        assert (p.returncode == 1 and len(lines) == 1) if option else p.returncode == 0, (program, p)
        assert ("kernel" in lines[0]) != bool(option), lines


def cc(folder, name, source, *flags):
    path = os.path.join(folder, name)
    subprocess.run([os.environ.get("CC", "cc").split()[0], "-x", "c", "-", "-o", path, *flags], input=source, text=True, check=True)
    return path


def main():
    main_c = "int main(void) { return 0; }\n"
    with tempfile.TemporaryDirectory() as folder:
        says(STATIC, "statically linked")
        go = cc(folder, "go", main_c + "__attribute__((section(\".go.buildinfo\"), used)) static char b[16];\n")
        says(go, "Go program")
        cc(folder, "liburing.so.2", "void io_uring_x(void) {}\n", "-shared", "-fPIC", "-Wl,-soname,liburing.so.2")
        ring = cc(folder, "ring", "void io_uring_x(void); int main(void) { io_uring_x(); return 0; }\n",
                  "-x", "none", os.path.join(folder, "liburing.so.2"), "-Wl,-rpath," + folder)
        says(ring, "io_uring")
        script = os.path.join(folder, "script")
        with open(script, "w", encoding="utf-8") as f:
            f.write(f"#!{go} -x\n")
        os.chmod(script, 0o755)
        says(script, "Go program")
        if os.geteuid() == 0:
            other = shutil.copy("/bin/true", os.path.join(folder, "other"))
            os.chown(other, 65534, 65534)
            os.chmod(other, 0o4755)
            says(other, "setuid")
        plain = subprocess.run([RUN, "-s", folder, "--require", "/bin/true"], capture_output=True, text=True, timeout=30)
        assert plain.returncode == 1 and "no daemon" in plain.stderr, plain
    print("ok")


if __name__ == "__main__":
    main()
