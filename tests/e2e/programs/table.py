# SPDX-License-Identifier: BSD-2-Clause
"""The unmodified programs that run through stackd: a table.  Tests, build/programs.md and README's table are made of it.

This file imports nothing of the tests, so it can be read without root and without their needs."""

AF_PACKET, AF_XDP = "af_packet", "af_xdp"
BOTH = (AF_PACKET, AF_XDP)
ONE = (AF_PACKET,)


class Program:
    """`name`: of the test; `shown`: in the table; `package`: whose version counts; `roles`: stackd's side;
    `does`: what must have succeeded, byte for byte; `limit`: what it can't, or ""; `fails`: why it doesn't work at all;
    `test`: "file.function"; `drivers`, `shards`: with which it runs."""

    def __init__(self, name, test, package, roles, does, shown=None, limit="", fails="", drivers=ONE, shards=(1,)):
        self.name, self.test, self.package, self.roles, self.does = name, test, package, roles, does
        self.shown = shown or name
        self.limit, self.fails, self.drivers, self.shards = limit, fails, drivers, shards

    def verdict(self):
        if self.fails:
            return f"doesn't: {self.fails}"
        return f"works; {self.limit}" if self.limit else "works"

    def runs(self):
        """The words of the runner, once per driver and number of shards."""
        if self.fails:
            return []
        return [[self.name, d, "1"] for d in self.drivers] + \
            [[self.name, self.drivers[0], str(n)] for n in self.shards if n != 1]


PROGRAMS = [
    Program("curl", "web.curl", "curl", "client", "20 MB five times, eight at once, a refused connection", drivers=BOTH),
    Program("wget", "web.wget", "wget", "client", "20 MB"),
    Program("nginx", "web.nginx", "nginx-light|nginx-core|nginx", "server",
            "1 and 3 workers: 20 MB, 50 files of 1 MB by sendfile, 10,000 requests with and 10,000 without keep-alive",
            drivers=BOTH, shards=(1, 2)),
    Program("nginx_reload", "web.nginx_reload", "nginx-light|nginx-core|nginx", "server",
            "`nginx -s reload` three times under 20,000 requests: none fails that would not with the kernel",
            shown="nginx, reloaded"),
    Program("haproxy", "web.haproxy", "haproxy", "both", "two nginx behind it with health checks: 20 MB, 10,000 requests"),
    Program("wrk", "web.wrk", "wrk", "client", "64 connections, no errors"),
    Program("ab", "web.apachebench", "apache2-utils", "client", "5000 requests with and 5000 without keep-alive"),
    Program("node", "web.node", "nodejs", "both",
            "http server and client: 500 requests on 16 keep-alive connections, 20 MB down, 20 MB up"),
    Program("http_server", "snakes.http_server", "python3", "server", "20 MB to eight clients at once",
            shown="python3 http.server"),
    Program("asyncio", "snakes.asyncio", "python3", "both", "echo, 1000 connections open at once, 50 KB each way on each",
            shown="python3 asyncio", drivers=BOTH, shards=(1, 2)),
    Program("socketserver", "snakes.socketserver", "python3", "both", "100 threads echo 200 KB each",
            shown="python3 socketserver"),
    Program("redis", "stores.redis", "redis-server", "server",
            "BGSAVE again and again under redis-benchmark with 50 connections; the snapshot holds every key",
            shown="redis-server"),
    Program("redis_benchmark", "stores.redis_benchmark", "redis-tools", "client", "50 connections, pipelines of 1 and 16",
            shown="redis-benchmark"),
    Program("memcached", "stores.memcached", "memcached", "server", "4 threads, 8 clients, 1600 values of 52 KB there and back"),
    Program("postgresql", "stores.postgresql", "postgresql-15", "server",
            "pgbench with 16 connections, and with one per transaction: the books agree; COPY of 20 MB there and back",
            shown="PostgreSQL", limit="its user has to be in `allow`"),
    Program("pgbench", "stores.pgbench_client", "postgresql-client-15|postgresql-15", "client",
            "the same two loads and COPY, psql and pgbench", shown="pgbench, psql"),
    Program("iperf3", "streams.iperf3", "iperf3", "both", "1, 4 and 8 streams in both directions", drivers=BOTH),
    Program("openssl", "streams.openssl", "openssl", "both", "s_server and s_client: 20 MB over TLS"),
    Program("socat", "streams.socat", "socat", "both", "20 MB echoed; as server a fork and exec per connection"),
    Program("netcat", "streams.netcat", "netcat-openbsd", "both", "20 MB"),
    Program("ssh", "remote.ssh_client", "openssh-client", "client", "a command; scp of 100 MB there and back",
            shown="ssh, scp"),
    Program("sshd", "remote.ssh_server", "openssh-server", "server", "commands; scp of 100 MB there and back"),
    Program("sshd_inetd", "remote.ssh_inetd", "openssh-server", "server",
            "started by an inetd and by socat, the socket on 0 to 2: commands; scp of 100 MB there and back",
            shown="sshd -i"),
    Program("rsync", "remote.rsync_ssh", "rsync", "client", "200 small files and 20 MB there and back",
            shown="rsync over ssh"),
    Program("rsyncd", "remote.rsync_daemon", "rsync", "both", "rsync:// of 200 small files and 20 MB there and back",
            shown="rsync daemon"),
    Program("git", "remote.git", "git", "client", "clone over plain http; clone and push over smart http",
            shown="git over http"),
    Program("git_protocol", "remote.git_protocol", "git", "client", "clone", shown="git over git://"),
    Program("git_backend", "remote.git_backend", "git", "server", "clone and push by smart http from python3's CGI server",
            shown="git http-backend"),
    Program("git_daemon", "remote.git_daemon", "git", "server", "clone", shown="git daemon"),
]


def find(name):
    return next((p for p in PROGRAMS if p.name == name), None)


if __name__ == "__main__":
    for program in PROGRAMS:
        for words in program.runs():
            print(",".join(words))
