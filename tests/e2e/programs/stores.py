# SPDX-License-Identifier: BSD-2-Clause
"""Databases and caches, and their load generators."""

import glob
import os
import re
import shutil

import lab
from helpers import ends_well, listens, peer_listens


def redis_server(spawn, address, folder):
    os.makedirs(folder, exist_ok=True)
    return spawn("redis-server", "--port", "6390", "--bind", address, "--protected-mode", "no", "--dir", folder,
                 "--save", "")


def cli(net, *words):
    return net.peer_sh("redis-cli", "-h", lab.STACK4, "-p", "6390", *words)


def redis(net):
    """Snapshots are forks that hold the sockets while the parent serves on."""
    folder = os.path.join(lab.TMP, "redis")
    server = redis_server(net.run_spawn, lab.STACK4, folder)
    listens(net, 6390, server)
    net.peer_sh("redis-benchmark", "-h", lab.STACK4, "-p", "6390", "-q", "-n", "20000", "-c", "50", "-r", "100000",
                "-t", "set,get,lpush,lrange_100", timeout=120)
    load = net.peer_spawn("redis-benchmark", "-h", lab.STACK4, "-p", "6390", "-q", "-n", "100000", "-c", "50", "-r",
                          "100000", "-d", "200", "-t", "set")
    snapshots = 0
    while load.alive():
        cli(net, "bgsave")
        lab.check(lab.wait_for(lambda: "rdb_bgsave_in_progress:0" in cli(net, "info", "persistence"), 30),
                  "the snapshot does not end")
        snapshots += 1
    ends_well(load)
    lab.check("rdb_last_bgsave_status:ok" in cli(net, "info", "persistence") and snapshots, "a snapshot failed")
    lab.check("PONG" in cli(net, "ping"), "redis does not answer after its snapshots")
    cli(net, "bgsave")
    lab.check(lab.wait_for(lambda: "rdb_bgsave_in_progress:0" in cli(net, "info", "persistence"), 30), "no end")
    text = lab.sh("redis-check-rdb", os.path.join(folder, "dump.rdb"))
    size = re.search(r"\d+", cli(net, "dbsize")).group(0)
    lab.check(f"{size} keys read" in text, f"the snapshot does not hold {size} keys: {text}")
    server.stop()


def redis_benchmark(net):
    server = redis_server(net.peer_spawn, lab.PEER4, os.path.join(lab.TMP, "redis"))
    peer_listens(net, 6390, server)
    for pipeline in ("1", "16"):
        text = net.run("redis-benchmark", "-h", lab.PEER4, "-p", "6390", "-q", "-n", "20000", "-c", "50", "-P", pipeline,
                       "-t", "set,get")
        lab.check(text.count("requests per second") == 2 and "rror" not in text, text)


MEMCACHED_CHECK = """
import socket, sys
s = socket.create_connection((sys.argv[1], 11311)); f = s.makefile("rb")
value = bytes(range(97, 123)) * 2000
for i in range(200):
    s.sendall(b"set k%d 0 0 %d\\r\\n" % (i, len(value)) + value + b"\\r\\n")
    assert f.readline() == b"STORED\\r\\n"
for i in range(200):
    s.sendall(b"get k%d\\r\\n" % i)
    assert f.readline().startswith(b"VALUE k%d" % i)
    assert f.read(len(value) + 2) == value + b"\\r\\n"
    assert f.readline() == b"END\\r\\n"
print("good")
"""


def memcached(net):
    server = net.run_spawn("memcached", "-u", "root", "-l", lab.STACK4, "-p", "11311", "-U", "0", "-t", "4")
    listens(net, 11311, server)
    clients = [net.peer_spawn("python3", "-c", MEMCACHED_CHECK, lab.STACK4) for _ in range(8)]
    for c in clients:
        lab.check(c.wait(60) == 0 and "good" in c.output(), c.output())


# ---- PostgreSQL: it runs as its own user, whom `allow` has to name ----

POSTGRES_CONF = """
port = 5433
unix_socket_directories = ''
shared_buffers = 32MB
fsync = off
max_connections = 60
"""


def postgres_bin(name):
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    lab.check(found, f"PostgreSQL's {name} is not installed")
    return found[-1]


def new_cluster(name):
    data = os.path.join(lab.TMP, name)
    os.makedirs(data)
    shutil.chown(data, "postgres", "postgres")
    lab.sh(*lab.as_user("postgres"), postgres_bin("initdb"), "-D", data, "-A", "trust", "-N", "--locale=C", "-E",
           "UTF8")
    with open(os.path.join(data, "postgresql.conf"), "a", encoding="utf-8") as f:
        f.write(POSTGRES_CONF)
    with open(os.path.join(data, "pg_hba.conf"), "a", encoding="utf-8") as f:
        f.write("host all all 10.9.0.0/24 trust\n")
    return data


def psql(run, address, *words):
    return run(postgres_bin("psql"), "-h", address, "-p", "5433", "-U", "postgres", "-Atq", "-v", "ON_ERROR_STOP=1", *words)


def pgbench(run, address):
    """Real transactions, then what they must leave behind: four sums that are equal."""
    place = ("-h", address, "-p", "5433", "-U", "postgres", "postgres")
    run(postgres_bin("pgbench"), "-i", "-q", "-s", "2", *place, timeout=60)
    text = run(postgres_bin("pgbench"), "-c", "16", "-j", "4", "-t", "100", "-M", "prepared", *place, timeout=100)
    lab.check("actually processed: 1600/1600" in text and "failed transactions: 0" in text, text)
    run(postgres_bin("pgbench"), "-n", "-c", "4", "-t", "25", "-C", *place, timeout=100)
    sums = psql(run, address, "-c", "select (select sum(abalance) from pgbench_accounts), (select sum(bbalance) from "
                "pgbench_branches), (select sum(tbalance) from pgbench_tellers), (select sum(delta) from pgbench_history), "
                "(select count(*) from pgbench_history)").strip().split("|")
    lab.check(len(set(sums[:4])) == 1 and sums[4] == "1700", f"the books do not agree: {sums}")


def copied(run, address):
    """20 MB through COPY in both directions."""
    psql(run, address, "-c", "create table t (line text)")
    psql(run, address, "-c", "\\copy t from 'lines'")
    psql(run, address, "-c", "\\copy t to 'lines-back'")
    lab.check(lab.sha("lines") == lab.sha("lines-back"), "COPY changed the bytes")


def postgres_ready(server):
    """It listens before it serves."""
    lab.check(lab.wait_for(lambda: "ready to accept connections" in server.output(), 30),
              f"PostgreSQL does not become ready: {server.output()[-2000:]}")


def postgresql(net):
    lab.sh("sh", "-c", "head -c 15000000 data | base64 >lines")
    data = new_cluster("pg-stack")
    server = net.run_spawn(postgres_bin("postgres"), "-D", data, "-h", lab.STACK4, user="postgres")
    postgres_ready(server)
    listens(net, 5433, server)
    pgbench(net.peer_sh, lab.STACK4)
    copied(net.peer_sh, lab.STACK4)
    lab.check(server.stop() == 0, f"PostgreSQL did not stop in order: {server.output()[-2000:]}")


def pgbench_client(net):
    lab.sh("sh", "-c", "head -c 15000000 data | base64 >lines")
    data = new_cluster("pg-peer")
    server = net.peer_spawn(*lab.as_user("postgres"), postgres_bin("postgres"), "-D", data, "-h", lab.PEER4)
    postgres_ready(server)
    peer_listens(net, 5433, server)
    pgbench(net.run, lab.PEER4)
    copied(net.run, lab.PEER4)
