/* SPDX-License-Identifier: BSD-2-Clause */
/* submit.pml - two processes that share a socket after fork write to it, each by its own submission
 * queue; a shard polls, sleeps and is kicked.  The first process may be killed between any two of
 * its steps.  Proven: the shard never sleeps with bytes it hasn't seen (docs/PROTOCOL.md, theorem 1).
 *
 * Wrong on purpose: NO_CLIENT_FENCE, NO_SHARD_FENCE, NO_LOOK_AGAIN, MARK_LATE, NO_LOOK_AT_DEATH. */
#define WORDS	 6
#define PROCS	 3
#define SHARD	 2
#define SLEEPING 0 /* board.sleeping */
#define POSTED	 1 /* sock.tx_posted */
#define TAIL	 2 /* sock.tx_tail */
#define LOCK	 3 /* sock.tx_lock */
#define SQ	 4 /* +c: sq.tail of client c */
#ifdef LIVENESS
#define WRITES	 1
#else
#define WRITES	 2
#endif

#include "tso.pml"

bool kick[2];	 /* the eventfds, as edges that the shard's epoll holds */
bool gone, mail; /* client 0 was killed; the control thread's message about it */
byte seen;	 /* what the shard last read of tx_tail */

/* stream.c put, stream_sent; queue.c push, kick_if_asleep */
inline write_once()
{
	atomic { mem[LOCK] == 0 && len(buffer[me]) == 0; mem[LOCK] = me + 1 };
	tail = mem[TAIL];
	store(me, TAIL, tail + 1);
	store(me, LOCK, 0);
	exchange(me, POSTED, 1, old);
	if
	:: old == 0 ->
		sq++;
		store(me, SQ + me, sq);
#ifndef NO_CLIENT_FENCE
		fence(me);
#endif
		if
		:: mem[SLEEPING] -> kick[me] = true
		:: else
		fi
	:: else
	fi
}

proctype client(byte me)
{
	byte old, tail, sq, n;

	do
	:: n < WRITES -> write_once(); n++
	:: else -> break
	od
}

/* The same, but it may be killed anywhere; the lock it held is taken from it (lock.c owner_is_dead). */
proctype mortal(byte me)
{
	byte old, tail, sq, n;

	{
		do
		:: n < 1 -> write_once(); n++
		:: else -> break
		od
	} unless { gone }
}

proctype killer()
{
	if
	:: true -> goto spared
	:: true
	fi;
	gone = true;
	len(buffer[0]) == 0;
	if
	:: mem[LOCK] == 1 -> mem[LOCK] = 0
	:: else
	fi;
	mail = true;
spared:	skip
}

/* submit.c do_send; the mark is cleared before the cursor is read */
inline take_sent()
{
#ifdef MARK_LATE
	seen = mem[TAIL];
	exchange(SHARD, POSTED, 0, old)
#else
	exchange(SHARD, POSTED, 0, old);
	seen = mem[TAIL]
#endif
}

inline poll_client(c)
{
	if
	:: !removed[c] && mem[SQ + c] != head[c] -> head[c]++; any = true; take_sent()
	:: else
	fi
}

inline remove_client()
{
	if
	:: mail ->
		mail = false;
		removed[0] = true;
		any = true;
#ifndef NO_LOOK_AT_DEATH
		take_sent()
#endif
	:: else
	fi
}

/* shard.c shard_main, turn, shard_sleep */
proctype shard()
{
	byte head[2], old;
	bool removed[2], any;

	do
	::	any = false;
		poll_client(0);
		poll_client(1);
		remove_client();
		if
		:: any
		:: else ->
			store(SHARD, SLEEPING, 1);
#ifndef NO_SHARD_FENCE
			fence(SHARD);
#endif
			if
#ifndef NO_LOOK_AGAIN
			:: (!removed[0] && mem[SQ] != head[0]) || mem[SQ + 1] != head[1]
			:: else ->
#else
			:: true ->
#endif
end_asleep:			kick[0] || kick[1] || mail;
				kick[0] = false;
				kick[1] = false
			fi;
			store(SHARD, SLEEPING, 0)
		fi
	od
}

proctype monitor()
{
end:	timeout -> assert(seen == mem[TAIL])
}

init
{
	atomic {
		run memory(0); run memory(1); run memory(SHARD);
		run mortal(0); run client(1); run killer(); run shard(); run monitor()
	}
}

ltl served { [](mem[TAIL] != seen -> <>(mem[TAIL] == seen)) }
