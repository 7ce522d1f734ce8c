/* SPDX-License-Identifier: BSD-2-Clause */
/* TCP_INFO: in Linux's layout, and as it has to be. */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ends.h"
#include "observe.h"

enum { FIN_WAIT_2 = 5, CLOSED = 7 }; /* of TCP_INFO; the two headers can't be had together */

static char buf[20000];

static struct tcp_info info_of(int fd)
{
	struct tcp_info i = {0};
	socklen_t len = sizeof(i);

	need(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &len) == 0);
	return i;
}

static void layout(void)
{
	struct ends e = ends_open();
	struct tcp_info i;
	socklen_t len;
	const int sizes[] = {0, 1, 8, 104, 192};

	section("layout");
	for (size_t n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
		char what[40];

		len = (socklen_t)sizes[n];
		snprintf(what, sizeof(what), "into %d bytes", sizes[n]);
		result(what, getsockopt(e.fd, IPPROTO_TCP, TCP_INFO, &i, &len));
		snprintf(what, sizeof(what), "into %d bytes gives", sizes[n]);
		say(what, "%d", (int)len);
	}
	result("set", setsockopt(e.fd, IPPROTO_TCP, TCP_INFO, &i, sizeof(i)));
	ends_close(&e);
}

static void states(void)
{
	struct ends e = ends_open();
	int fd = new_socket(0), listener = listen_at(next_port(), 3);
	struct sockaddr_storage ss;
	socklen_t len = own_addr(&ss, next_port());

	section("states");
	say("fresh", "%d", info_of(fd).tcpi_state);
	need(bind(fd, (struct sockaddr *)&ss, len) == 0);
	say("bound", "%d", info_of(fd).tcpi_state);
	say("listening", "%d", info_of(listener).tcpi_state);
	say("connected", "%d", info_of(e.fd).tcpi_state);
	other_shut(&e, SHUT_WR);
	await(e.fd, POLLRDHUP);
	say("the other end has shut", "%d", info_of(e.fd).tcpi_state);
	shutdown(e.fd, SHUT_WR);
	await_state(e.fd, CLOSED);
	say("both have", "%d", info_of(e.fd).tcpi_state);
	close(fd);
	close(listener);
	ends_close(&e);
	e = ends_open();
	shutdown(e.fd, SHUT_WR);
	await_state(e.fd, FIN_WAIT_2);
	say("we have shut", "%d", info_of(e.fd).tcpi_state);
	ends_close(&e);
	e = ends_open();
	other_reset(&e);
	await(e.fd, POLLHUP);
	say("reset", "%d", info_of(e.fd).tcpi_state);
	ends_close(&e);
}

/* On our wire, MTU 1500, the numbers are known. */
static void after_data(void)
{
	struct ends e = ends_open();
	struct tcp_info i;

	section("after data");
	need(send(e.fd, buf, 10000, 0) == 10000);
	need(other_recv(&e, 10000) == 10000);
	other_send(&e, 3000);
	need(recv(e.fd, buf, 3000, MSG_WAITALL) == 3000);
	for (int n = 0; n < 2000 && (i = info_of(e.fd)).tcpi_bytes_acked < 10000; n++)
		pause_ms(2);
	if (!ends_local()) {
		say("snd_mss", "%u", i.tcpi_snd_mss);
		say("pmtu", "%u", i.tcpi_pmtu);
		say("advmss", "%u", i.tcpi_advmss);
	}
	say("timestamps, SACK, window scale", "%d %d %d", !!(i.tcpi_options & TCPI_OPT_TIMESTAMPS),
	    !!(i.tcpi_options & TCPI_OPT_SACK), !!(i.tcpi_options & TCPI_OPT_WSCALE));
	say("unacked, sacked, lost, retrans", "%u %u %u %u", i.tcpi_unacked, i.tcpi_sacked,
	    i.tcpi_lost, i.tcpi_retrans);
	say("retransmits, probes, backoff", "%u %u %u", i.tcpi_retransmits, i.tcpi_probes,
	    i.tcpi_backoff);
	say("ca_state", "%u", i.tcpi_ca_state);
	say("total_retrans", "%u", i.tcpi_total_retrans);
	/* Linux counts the SYN's own number too, where it was sent */
	say("bytes_acked", "%d", i.tcpi_bytes_acked == 10000 || i.tcpi_bytes_acked == 10001);
	say("bytes_received", "%llu", (unsigned long long)i.tcpi_bytes_received);
	say("bytes_sent", "%llu", (unsigned long long)i.tcpi_bytes_sent);
	say("bytes_retrans", "%llu", (unsigned long long)i.tcpi_bytes_retrans);
	say("notsent_bytes", "%u", i.tcpi_notsent_bytes);
	say("an RTT in reason", "%d", i.tcpi_rtt > 0 && i.tcpi_rtt < 5000000);
	say("min_rtt in reason", "%d", i.tcpi_min_rtt > 0 && i.tcpi_min_rtt < 5000000);
	say("an RTO in reason", "%d", i.tcpi_rto >= 200000 && i.tcpi_rto < 20000000);
	say("cwnd at least the first", "%d", i.tcpi_snd_cwnd >= 10);
	say("ssthresh", "%s", i.tcpi_snd_ssthresh == 0x7fffffff ? "infinite" : "set");
	say("segments went and came", "%d %d", i.tcpi_segs_out > 0, i.tcpi_segs_in > 0);
	say("data segments went and came", "%d %d", i.tcpi_data_segs_out > 0,
	    i.tcpi_data_segs_in > 0);
	say("max_pacing_rate", "%d", i.tcpi_max_pacing_rate == (__u64)-1);
	say("rcv_space", "%d", i.tcpi_rcv_space > 0);
	say("reordering", "%u", i.tcpi_reordering);
	ends_close(&e);
}

int main(int argc, char **argv)
{
	observe_start(argc, argv);
	layout();
	states();
	after_data();
	return observe_end();
}
