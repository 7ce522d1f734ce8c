/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/individual.h"

#include <string.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "base/checksum.h"

#define ETH_LEN	   14u
#define IP_LEN	   20u
#define TCP_LEN	   20u
#define OPTION_LEN 12u /* two NOPs, SACK with one block */
#define PROTO_TCP  6u

/* The end of what is told without a gap. */
static uint64_t in_order(const struct ranges *told)
{
	return told->count > 0 && told->r[0].begin == 0 ? told->r[0].end : 0;
}

static void put_sums(uint8_t *ip, uint32_t tcp_len)
{
	struct addr src = addr_from4(ip + 12), dst = addr_from4(ip + 16);
	uint8_t *tcp = ip + IP_LEN;
	uint16_t sum;

	put_be16(ip + 10, 0);
	sum = checksum_finish(checksum_add(0, ip, IP_LEN));
	memcpy(ip + 10, &sum, 2);
	put_be16(tcp + 16, 0);
	sum = checksum_finish(checksum_add(checksum_pseudo(&src, &dst, PROTO_TCP, tcp_len), tcp, tcp_len));
	memcpy(tcp + 16, &sum, 2);
}

uint32_t individual_ack(const uint8_t *frame, uint32_t len, const struct ranges *told, struct range asked,
			uint32_t iss, uint8_t out[static INDIVIDUAL_FRAME_MAX])
{
	uint8_t *ip = out + ETH_LEN, *tcp = ip + IP_LEN;
	uint64_t una = in_order(told);
	uint32_t tcp_len = TCP_LEN;

	if (len != ETH_LEN + IP_LEN + TCP_LEN || get_be16(frame + 12) != 0x0800)
		return 0;
	memcpy(out, frame, len);
	put_be32(tcp + 8, iss + 1 + (uint32_t)una);
	if (asked.end > una) {
		static const uint8_t head[] = {1, 1, 5, 10};

		memcpy(tcp + TCP_LEN, head, sizeof(head));
		put_be32(tcp + TCP_LEN + 4, iss + 1 + (uint32_t)asked.begin);
		put_be32(tcp + TCP_LEN + 8, iss + 1 + (uint32_t)asked.end);
		tcp_len += OPTION_LEN;
		tcp[12] = (uint8_t)(tcp_len / 4 << 4);
		put_be16(ip + 2, (uint16_t)(IP_LEN + tcp_len));
	}
	put_sums(ip, tcp_len);
	return ETH_LEN + IP_LEN + tcp_len;
}
