/* SPDX-License-Identifier: BSD-2-Clause */
/* tso.pml - shared words as processors see them: a store waits in its process's buffer and reaches
 * memory later, in order; a load does not wait for it.  A fence waits until the buffer is empty, a
 * locked exchange does so too.  A process keeps what it wrote itself in local variables, so that it
 * never has to look into its own buffer. */
byte mem[WORDS];
chan buffer[PROCS] = [2] of { byte, byte };

inline store(me, word, value) { buffer[me]!word, value }
inline fence(me) { len(buffer[me]) == 0 }
inline exchange(me, word, value, old)
{
	atomic {
		len(buffer[me]) == 0;
		old = mem[word];
		mem[word] = value
	}
}

proctype memory(byte me)
{
	byte word, value;

end:	do
	:: d_step { buffer[me]?word, value -> mem[word] = value; word = 0; value = 0 }
	od
}
