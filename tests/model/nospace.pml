/* SPDX-License-Identifier: BSD-2-Clause */
/* nospace.pml - a writer that finds no room sleeps; the daemon frees room as the peer acknowledges and
 * tells at a third free; once, at any time, it allows more.  That an event reaches its sleeper is event.pml's; here it is one bit.
 * Proven: the writer gets rid of all its bytes (docs/PROTOCOL.md, theorem 3).
 *
 * Wrong on purpose: NO_CLIENT_FENCE, NO_DAEMON_FENCE, NO_LOOK_AGAIN, CLEAR_LATE,
 * POST_WITHOUT_BARRIER. */
#define WORDS	4
#define PROCS	2
#define DAEMON	0
#define WRITER	1
#define NOSPACE 0 /* sock.tx_nospace */
#define HEAD	1 /* sock.tx_head */
#define TAIL	2 /* sock.tx_tail */
#define GROWN	3 /* sock.tx_limit, by as much */
#define LIMIT	3
#define BYTES	7

#include "tso.pml"

bool out; /* the writer's event queue holds STACKD_OUT */
byte written;

/* stream.c put, send_stack; wait.c sleep_until_ready with ready.c has_room */
proctype writer()
{
	byte tail;

	do
	:: tail == BYTES -> break
	:: tail < BYTES && tail - mem[HEAD] < LIMIT + mem[GROWN] -> tail++; written = tail; store(WRITER, TAIL, tail)
	:: tail < BYTES && tail - mem[HEAD] >= LIMIT + mem[GROWN] ->
		store(WRITER, NOSPACE, 1);
#ifndef NO_CLIENT_FENCE
		fence(WRITER);
#endif
		if
#ifndef NO_LOOK_AGAIN
		:: tail - mem[HEAD] < LIMIT + mem[GROWN]
		:: else ->
#else
		:: true ->
#endif
			out;
			out = false
		fi
	od
}

/* event.c news_acked, grow_tx */
inline acked()
{
	if
	:: grown = 3;
	   store(DAEMON, GROWN, grown)
	:: true
	fi;
	if
	:: head++
	:: head = mem[TAIL]
	fi;
	store(DAEMON, HEAD, head);
#ifndef NO_DAEMON_FENCE
	fence(DAEMON);
#endif
	if
	:: mem[NOSPACE] && mem[TAIL] - head <= LIMIT + grown - (LIMIT + grown) / 3 ->
#ifdef CLEAR_LATE
		out = true;
		store(DAEMON, NOSPACE, 0)
#else
		store(DAEMON, NOSPACE, 0);
#ifndef POST_WITHOUT_BARRIER
		fence(DAEMON); /* sock_post's exchange */
#endif
		out = true
#endif
	:: else
	fi
}

proctype daemon()
{
	byte head, grown;

end:	do
	:: mem[TAIL] != head -> acked()
	od
}

init
{
	atomic { run memory(DAEMON); run memory(WRITER); run writer(); run daemon() }
}

ltl served { <>(written == BYTES) }
