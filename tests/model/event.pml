/* SPDX-License-Identifier: BSD-2-Clause */
/* event.pml - two shards tell one client thread, which sleeps: both of subscription 0 (a listener's),
 * shard 1 of subscription 1 too.  As an epoll instance does, the client looks only at sockets whose
 * number it popped.  Proven: it never sleeps with news it hasn't seen, and no ring runs over
 * (docs/PROTOCOL.md, theorem 2).
 *
 * Wrong on purpose: NO_CLIENT_FENCE, NO_DAEMON_FENCE, NO_MARK_FENCE, MARK_BEFORE_HEAD, NO_POP. */
#define WORDS	 11
#define PROCS	 3
#define CLIENT	 2
#define SLEEPING 0 /* evq.sleeping */
#define POSTED	 1 /* +n: sub.posted */
#define HEAD	 3 /* +s: evq_ring.head of shard s */
#define TAIL	 5 /* +s */
#define NEWS	 7 /* +s: what subscription 0 tells of on shard s; +2: what 1 tells of */
#define ENTRIES	 2 /* of a ring: as many as subscriptions */
#ifdef LIVENESS
#define TIMES	 1
#else
#define TIMES	 2
#endif

#include "tso.pml"

bool awake; /* the eventfd */
byte ring[4]; /* [shard * ENTRIES + at]; written before the tail that covers it */
byte seen[3];

/* event.c sock_post and wakeup_fd */
inline tell(sub, word)
{
	news[word]++;
	store(me, NEWS + word, news[word]);
	exchange(me, POSTED + sub, 1, old);
	if
	:: old == 0 ->
		assert(tail - mem[HEAD + me] < ENTRIES);
		ring[me * ENTRIES + tail % ENTRIES] = sub;
		tail++;
		store(me, TAIL + me, tail)
	:: else
	fi;
#ifndef NO_DAEMON_FENCE
	fence(me);
#endif
	if
	:: mem[SLEEPING] ->
		exchange(me, SLEEPING, 0, old);
		if
		:: old -> awake = true
		:: else
		fi
	:: else
	fi
}

proctype shard(byte me)
{
	byte old, tail, i, news[3];

	do
	:: i < TIMES ->
		tell(0, me);
		if
		:: me == 1 && i == 0 -> tell(1, 2)
		:: else
		fi;
		i++
	:: else -> break
	od
}

inline clear_mark(s)
{
#ifdef MARK_BEFORE_HEAD
	store(CLIENT, POSTED + n, 0);
	store(CLIENT, HEAD + s, head[s])
#else
	store(CLIENT, HEAD + s, head[s]);
	store(CLIENT, POSTED + n, 0)
#endif
}

/* queue.c pop_ring */
inline pop_ring(s)
{
	end = mem[TAIL + s];
	do
	:: head[s] != end ->
		n = ring[s * ENTRIES + head[s] % ENTRIES];
		head[s]++;
		clear_mark(s);
		found[n] = true
	:: else -> break
	od
}

/* queue.c evq_pop, then epwait.c harvest */
inline pop_and_look()
{
	pop_ring(0);
	pop_ring(1);
#ifndef NO_MARK_FENCE
	fence(CLIENT);
#endif
	any = found[0] || found[1];
	if
	:: found[0] -> seen[0] = mem[NEWS]; seen[1] = mem[NEWS + 1]; found[0] = false
	:: else
	fi;
	if
	:: found[1] -> seen[2] = mem[NEWS + 2]; found[1] = false
	:: else
	fi
}

/* epwait.c fall_asleep, wake_up */
proctype client()
{
	byte head[2], n, end;
	bool found[2], any;

	do
	::	store(CLIENT, SLEEPING, 1);
#ifndef NO_CLIENT_FENCE
		fence(CLIENT);
#endif
#ifdef NO_POP
		any = false;
#else
		pop_and_look();
#endif
		if
		:: any
		:: else ->
end_asleep:		awake;
			awake = false
		fi;
		store(CLIENT, SLEEPING, 0);
		pop_and_look()
	od
}

#define NONE_UNSEEN (seen[0] == mem[NEWS] && seen[1] == mem[NEWS + 1] && seen[2] == mem[NEWS + 2])

proctype monitor()
{
end:	timeout -> assert(NONE_UNSEEN)
}

init
{
	atomic {
		run memory(0); run memory(1); run memory(CLIENT);
		run shard(0); run shard(1); run client(); run monitor()
	}
}

ltl served { [](!NONE_UNSEEN -> <>NONE_UNSEEN) }
