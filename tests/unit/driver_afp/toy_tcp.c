/* SPDX-License-Identifier: BSD-2-Clause */
#include "toy_tcp.h"

#include <assert.h>
#include <string.h>

enum { IP_AT = 14, TCP_AT = 34, FIN = 1, SYN = 2, PSH = 8, ACK = 16, MSS = 1448 };

static const uint8_t our_ip[4] = {10, 99, 0, 2}, peer_ip[4] = {10, 99, 0, 1};

uint8_t toy_tcp_byte(uint64_t position)
{
	return (uint8_t)(position * 7 + (position >> 8));
}

uint32_t toy_sum(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (; len > 1; p += 2, len -= 2) {
		sum += get_be16(p);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return len ? sum + (uint32_t)*p * 256 : sum;
}

uint16_t toy_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static void ip_header(uint8_t *ip, uint16_t total)
{
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put_be16(ip + 2, total);
	ip[6] = 0x40; /* don't fragment */
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, our_ip, 4);
	memcpy(ip + 16, peer_ip, 4);
	put_be16(ip + 10, (uint16_t)~toy_fold(toy_sum(ip, 20, 0)));
}

static uint32_t tcp_header(const struct toy_tcp *t, uint8_t *tcp, uint8_t flags, uint32_t data_len)
{
	/* MSS 1460 only: with no time stamps every segment of the peer has 1460 bytes; window scale
	 * 10 */
	static const uint8_t options[8] = {2, 4, 0x05, 0xb4, 3, 3, 10, 0};
	uint32_t len = flags & SYN ? 28 : 20;

	memset(tcp, 0, len);
	put_be16(tcp, t->port);
	put_be16(tcp + 2, t->peer_port);
	put_be32(tcp + 4, t->snd_nxt);
	put_be32(tcp + 8, t->rcv_nxt);
	tcp[12] = (uint8_t)(len / 4 << 4);
	tcp[13] = flags;
	put_be16(tcp + 14, 0xffff);
	if (flags & SYN)
		memcpy(tcp + 20, options, 8);
	uint32_t pseudo = toy_sum(peer_ip, 4, toy_sum(our_ip, 4, 6 + len + data_len));
	put_be16(tcp + 16, toy_fold(pseudo));
	return len;
}

static int send_segment(struct toy_tcp *t, uint8_t flags, const struct span *data, uint8_t count)
{
	uint8_t head[128];
	uint32_t data_len = 0;
	struct tx_frame f = {
	    .head = head, .csum_start = TCP_AT, .csum_offset = 16, .csum_partial = true};

	for (uint8_t i = 0; i < count; i++) {
		f.data[i] = data[i];
		data_len += data[i].len;
	}
	f.data_count = count;
	memcpy(head, t->peer_mac, 6);
	memcpy(head + 6, t->mac, 6);
	put_be16(head + 12, 0x0800);
	uint32_t tcp_len = tcp_header(t, head + TCP_AT, flags, data_len);
	ip_header(head + IP_AT, (uint16_t)(20 + tcp_len + data_len));
	f.head_len = (uint16_t)(TCP_AT + tcp_len);
	f.gso_size = data_len > MSS ? MSS : 0;
	int e = t->driver->ops->tx(t->driver, 0, &f);
	if (e == 0)
		t->snd_nxt += data_len + (flags & (SYN | FIN) ? 1 : 0);
	return e;
}

int toy_tcp_send(struct toy_tcp *t, const struct span *data, uint8_t count)
{
	int e = send_segment(t, ACK | PSH, data, count);

	t->driver->ops->flush(t->driver, 0);
	return e;
}

static void check_content(struct toy_tcp *t, const uint8_t *data, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (data[i] != toy_tcp_byte(t->received + i))
			t->content_ok = false;
}

static void note(struct toy_tcp *t, const struct frame *f)
{
	t->frames++;
	t->csum[f->csum]++;
	if (f->len > t->largest)
		t->largest = f->len;
	if (f->gso_size > 0) {
		t->gso_frames++;
		t->gso_size = f->gso_size;
	}
}

static void input(struct toy_tcp *t, const struct frame *f)
{
	const uint8_t *p = f->span[0].base, *tcp = p + TCP_AT;

	if (f->len < TCP_AT + 20 || get_be16(p + 12) != 0x0800 || p[IP_AT + 9] != 6)
		return;
	uint32_t head = TCP_AT + (uint32_t)(tcp[12] >> 4) * 4;
	uint32_t data_len = get_be16(p + IP_AT + 2) + 14u - head;
	if (tcp[13] & SYN) {
		*t = (struct toy_tcp){.driver = t->driver, .content_ok = true, .snd_nxt = 1000};
		memcpy(t->mac, p, 6);
		memcpy(t->peer_mac, p + 6, 6);
		t->peer_port = get_be16(tcp);
		t->port = get_be16(tcp + 2);
		t->rcv_nxt = get_be32(tcp + 4) + 1;
		send_segment(t, SYN | ACK, NULL, 0);
		t->established = true;
		return;
	}
	if (data_len == 0 || !t->established)
		return;
	note(t, f);
	if (get_be32(tcp + 4) == t->rcv_nxt) {
		check_content(t, p + head, data_len);
		t->rcv_nxt += data_len;
		t->received += data_len;
	}
	send_segment(t, ACK, NULL, 0);
}

void toy_tcp_poll(struct toy_tcp *t)
{
	struct frame frames[FRAME_BURST_MAX];
	uint32_t n = t->driver->ops->rx(t->driver, 0, frames, FRAME_BURST_MAX);

	for (uint32_t i = 0; i < n; i++)
		input(t, &frames[i]);
	t->driver->ops->flush(t->driver, 0);
	t->driver->ops->rx_release(t->driver);
}
