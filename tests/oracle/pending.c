/* SPDX-License-Identifier: BSD-2-Clause */
/* pending.c - the packets that the stack has sent by now, without letting time pass. */
#include "packetdrill/adapter.h"

#include <stdlib.h>
#include <string.h>

size_t oracle_pending(void *ud, void *packet, size_t room);

/* How large the oldest is; 0: none. */
size_t oracle_pending(void *ud, void *packet, size_t room)
{
	struct adapter *a = ud;
	struct wire_packet *p = wire_take(a->wire);
	size_t len = p ? p->len : 0;

	if (len > room)
		len = room;
	if (p)
		memcpy(packet, p->bytes, len);
	free(p);
	return len;
}
