# SPDX-License-Identifier: BSD-2-Clause
"""OpenSSH, rsync and git: programs that start other programs."""

import os

import lab
from helpers import MB, PYTHON, listens, peer_listens, same, serve_from_peer, write

SSH_OPTIONS = ("-F", "none", "-i", "id", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o",
               "LogLevel=ERROR", "-o", "BatchMode=yes")


def sshd_config(address, port):
    """An sshd that takes root's key; in our own mount namespace root is not locked."""
    if not os.path.exists("id"):
        for name in ("id", "host"):
            lab.sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name)
        lab.sh("sh", "-c", "sed 's/^root:[^:]*:/root:*:/' /etc/shadow >shadow && chmod 600 shadow && "
               "mount --bind shadow /etc/shadow")
        os.makedirs("/run/sshd", exist_ok=True)
    return write(f"sshd-{port}.conf", f"""
ListenAddress {address}
Port {port}
HostKey {lab.TMP}/host
AuthorizedKeysFile {lab.TMP}/id.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
UseDNS no
Subsystem sftp internal-sftp
""")


def sshd(spawn, address, port):
    return spawn("/usr/sbin/sshd", "-D", "-e", "-f", sshd_config(address, port))


def scp_both_ways(run, address, port):
    where = f"root@{address}:{lab.TMP}"
    run("scp", "-q", *SSH_OPTIONS, "-P", port, "hundred", f"{where}/there", timeout=100)
    same("there", "hundred", "scp to the server")
    run("scp", "-q", *SSH_OPTIONS, "-P", port, f"{where}/there", "back", timeout=100)
    same("back", "hundred", "scp from the server")
    os.remove("there")
    os.remove("back")


def ssh_client(net):
    lab.random_file("hundred", 100 * MB, 9)
    peer_listens(net, 2022, sshd(net.peer_spawn, lab.PEER4, "2022"))
    lab.check(net.run("ssh", *SSH_OPTIONS, "-p", "2022", f"root@{lab.PEER4}", "echo hello") == "hello\n", "ssh")
    scp_both_ways(net.run, lab.PEER4, "2022")


def ssh_server(net):
    lab.random_file("hundred", 100 * MB, 9)
    listens(net, 2023, sshd(net.run_spawn, lab.STACK4, "2023"))
    for _ in range(5):
        text = net.peer_sh("ssh", *SSH_OPTIONS, "-p", "2023", f"root@{lab.STACK4}", "echo hello")
        lab.check(text == "hello\n", f"ssh: {text}")
    scp_both_ways(net.peer_sh, lab.STACK4, "2023")


# Accepts and starts a program for each connection, with the socket as its descriptors 0 to 2.
INETD = """
import os, signal, socket, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
l = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    c, _ = l.accept()
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for fd in range(3): os.dup2(c.fileno(), fd)
        os.execv(sys.argv[3], sys.argv[3:])
    c.close()
"""


def ssh_inetd(net):
    lab.random_file("hundred", 100 * MB, 9)
    words = ["/usr/sbin/sshd", "-i", "-f", sshd_config(lab.STACK4, "2024"), "-E", "sshd.log"]
    listens(net, 2024, net.run_spawn(PYTHON, "-c", INETD, lab.STACK4, "2024", *words))
    listens(net, 2025, net.run_spawn("socat", f"TCP-LISTEN:2025,bind={lab.STACK4},fork,reuseaddr",
                                     f"EXEC:{' '.join(words)},nofork"))
    for port in ("2024", "2025"):
        for _ in range(5):
            text = net.peer_sh("ssh", *SSH_OPTIONS, "-p", port, f"root@{lab.STACK4}", "echo hello")
            lab.check(text == "hello\n", f"ssh: {text}")
    scp_both_ways(net.peer_sh, lab.STACK4, "2024")


# ---- rsync ----


def tree(name):
    """A folder of some files, small and large."""
    os.makedirs(f"{name}/deep", exist_ok=True)
    for i in range(200):
        lab.random_file(f"{name}/deep/{i}", 1000 + 37 * i, i)
    os.link("data", f"{name}/data")


def same_tree(name):
    lab.sh("diff", "-r", "tree", name)
    lab.sh("rm", "-r", name)


def rsync_ssh(net):
    tree("tree")
    peer_listens(net, 2022, sshd(net.peer_spawn, lab.PEER4, "2022"))
    ssh = " ".join(["ssh", *SSH_OPTIONS, "-p", "2022"])
    net.run("rsync", "-a", "-e", ssh, "tree/", f"root@{lab.PEER4}:{lab.TMP}/copy/")
    same_tree("copy")
    net.run("rsync", "-a", "-e", ssh, f"root@{lab.PEER4}:{lab.TMP}/tree/", "copy/")
    same_tree("copy")


def rsyncd(spawn, address):
    write("rsyncd.conf", f"[files]\npath = {lab.TMP}\nread only = no\nuse chroot = no\nuid = root\ngid = root\n")
    return spawn("rsync", "--daemon", "--no-detach", "--config=rsyncd.conf", f"--address={address}", "--port=8730",
                 "--log-file=/dev/stdout")


def rsync_both_ways(run, address):
    run("rsync", "-a", "--port=8730", "tree/", f"rsync://{address}/files/copy/")
    same_tree("copy")
    run("rsync", "-a", "--port=8730", f"rsync://{address}/files/tree/", "copy/")
    same_tree("copy")


def rsync_daemon(net):
    tree("tree")
    listens(net, 8730, rsyncd(net.run_spawn, lab.STACK4))
    rsync_both_ways(net.peer_sh, lab.STACK4)
    peer_listens(net, 8730, rsyncd(net.peer_spawn, lab.PEER4))
    rsync_both_ways(net.run, lab.PEER4)


# ---- git ----

COMMIT = "git -c user.name=x -c user.email=x@x commit -qm"
GIT_CGI = f"""#!/bin/sh
GIT_PROJECT_ROOT={lab.TMP} GIT_HTTP_EXPORT_ALL=1 REMOTE_USER=x exec git http-backend
"""


def repository():
    lab.sh("sh", "-c", f"git init -q r && cp data r/f && cd r && git add f && {COMMIT} first && cd .. && git clone -q --bare "
           "r r.git && git -C r.git update-server-info && touch r.git/git-daemon-export-ok")
    os.makedirs("cgi-bin", exist_ok=True)
    write("cgi-bin/git", GIT_CGI)
    os.chmod("cgi-bin/git", 0o755)


def cloned(run, url):
    run("git", "clone", "-q", url, "cloned", timeout=60)
    same("cloned/f", "data", "git clone")
    lab.sh("rm", "-r", "cloned")


# it would run the script as nobody, whom git does not trust
CGI_SERVER = """
import http.server as h, os, sys
h.nobody_uid = os.getuid
h.test(h.CGIHTTPRequestHandler, h.ThreadingHTTPServer, port=8400, bind=sys.argv[1])
"""


def cgi_server(spawn, address):
    return spawn(PYTHON, "-c", CGI_SERVER, address)


def clone_and_push(run, address):
    """Smart HTTP by git http-backend."""
    url = f"http://{address}:8400/cgi-bin/git/r.git"
    run("git", "clone", "-q", url, "cloned", timeout=60)
    same("cloned/f", "data", "git clone over smart http")
    lab.sh("sh", "-c", f"cd cloned && cp ../mb g && git add g && {COMMIT} second")
    run("git", "-C", "cloned", "-c", "http.postBuffer=100m", "push", "-q", "origin", "HEAD", timeout=60)
    lab.check("second" in lab.sh("git", "-C", "r.git", "log", "--oneline"), "nothing was pushed")
    lab.sh("sh", "-c", "git -C r.git fsck --full && git -C r.git show HEAD:g >g")
    same("g", "mb", "git push over smart http")


def git(net):
    repository()
    serve_from_peer(net)
    cloned(net.run, f"http://{lab.PEER4}:8080/r.git")
    peer_listens(net, 8400, cgi_server(net.peer_spawn, lab.PEER4))
    clone_and_push(net.run, lab.PEER4)


def git_protocol(net):
    repository()
    daemon = net.peer_spawn("git", "daemon", f"--base-path={lab.TMP}", f"--listen={lab.PEER4}", "--reuseaddr")
    peer_listens(net, 9418, daemon)
    cloned(net.run, f"git://{lab.PEER4}/r.git")


def git_daemon(net):
    repository()
    daemon = net.run_spawn("git", "daemon", f"--base-path={lab.TMP}", f"--listen={lab.STACK4}", "--reuseaddr")
    listens(net, 9418, daemon)
    cloned(net.peer_sh, f"git://{lab.STACK4}/r.git")


def git_backend(net):
    repository()
    listens(net, 8400, cgi_server(net.run_spawn, lab.STACK4))
    clone_and_push(net.peer_sh, lab.STACK4)
