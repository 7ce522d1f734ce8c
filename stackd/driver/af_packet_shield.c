/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps IP packets to our addresses away from the kernel's own stack, which would look them up and,
 * with ip_forward on, forward them or answer with ICMP.  The interface's tc ingress hook stands
 * behind the packet sockets, so a program there may drop what they have seen already.
 *
 * A tcx link (Linux 6.6) needs no qdisc and belongs to a descriptor: it vanishes with the process
 * however that ends.  ARP and neighbour discovery pass: the kernel ignores what isn't its own. */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "driver/af_packet.h"

#define TCX_INGRESS  46 /* BPF_TCX_INGRESS, TCX_NEXT and TCX_DROP of newer headers */
#define VERDICT_NEXT (-1)
#define VERDICT_DROP 2

#define CODE_MAX (24u + ADDRESSES_MAX * 10u)

struct program {
	struct bpf_insn code[CODE_MAX];
	uint32_t len;
};

static void emit(struct program *p, uint8_t op, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
	struct bpf_insn *insn = &p->code[p->len++];

	*insn = (struct bpf_insn){.code = op, .off = off, .imm = imm};
	insn->dst_reg = dst & 0xfu;
	insn->src_reg = src & 0xfu;
}

/* r0 = packet bytes in host order; a packet that is too short leaves the program with 0, "pass" */
static void load(struct program *p, uint8_t size, int32_t at)
{
	emit(p, (uint8_t)(BPF_LD | BPF_ABS | size), 0, 0, 0, at);
}

static void skip_unless(struct program *p, uint32_t value, int16_t over)
{
	/* 32 bits compared, so that imm's sign is of no matter */
	emit(p, BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_0, 0, over, (int32_t)value);
}

static void verdict(struct program *p, int32_t value)
{
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, value);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static uint32_t section_begin(struct program *p, uint32_t type)
{
	load(p, BPF_H, 12);
	skip_unless(p, type, 0);
	return p->len;
}

static void section_end(struct program *p, uint32_t begin)
{
	p->code[begin - 1].off = (int16_t)(p->len - begin);
}

static void drop_address(struct program *p, const struct addr *a, uint32_t first, int32_t at)
{
	for (uint32_t word = first; word < 4; word++) {
		load(p, BPF_W, at + 4 * (int32_t)(word - first));
		skip_unless(p, get_be32(a->b + 4 * word), (int16_t)(2 * (3 - word) + 2));
	}
	verdict(p, VERDICT_DROP);
}

static void build(struct program *p, const struct addr *addresses, uint32_t count)
{
	p->len = 0;
	emit(p, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0, 0);
	uint32_t begin = section_begin(p, ETH_P_IP);
	for (uint32_t i = 0; i < count; i++)
		if (addr_is4(&addresses[i]))
			drop_address(p, &addresses[i], 3, ETH_HLEN + 16);
	section_end(p, begin);
	begin = section_begin(p, ETH_P_IPV6);
	for (uint32_t i = 0; i < count; i++)
		if (!addr_is4(&addresses[i]))
			drop_address(p, &addresses[i], 0, ETH_HLEN + 24);
	section_end(p, begin);
	verdict(p, VERDICT_NEXT);
}

static int load_program(const struct program *p)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SCHED_CLS;
	attr.expected_attach_type = TCX_INGRESS;
	attr.insns = (uint64_t)(uintptr_t)p->code;
	attr.insn_cnt = p->len;
	attr.license = (uint64_t)(uintptr_t) "Dual BSD/GPL";
	memcpy(attr.prog_name, "stackd_shield", sizeof("stackd_shield"));
	int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	return fd < 0 ? -errno : fd;
}

int afp_shield_attach(int ifindex, const struct addr *addresses, uint32_t count)
{
	struct program p;
	union bpf_attr attr;

	build(&p, addresses, count);
	int prog = load_program(&p);
	if (prog < 0)
		return prog;
	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = (uint32_t)prog;
	attr.link_create.target_ifindex = (uint32_t)ifindex;
	attr.link_create.attach_type = TCX_INGRESS;
	int fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	int e = fd < 0 ? -errno : fd;
	close(prog);
	return e;
}
