/* SPDX-License-Identifier: BSD-2-Clause */
/* config_keys.c - every section and key, with type, default, range and sentence.  The knobs of [tcp]
 * are tcp's own table (tcp_keys), a plugin's parameters the plugin's. */
#include "config_part.h"

#include <stddef.h>
#include <string.h>

#define AT(type, member) (uint32_t)offsetof(struct type, member)
#define STACKD(member)	 AT(stackd_keys, daemon.member)
#define INTERFACE(member) AT(interface_keys, interface.member)

static const struct key stackd_keys[] = {
    {"shards", KEY_U64, STACKD(shards), "1", "1", "16", NULL,
     "threads, each with its own queues, connections and timers"},
    {"cpus", KEY_TEXT, STACKD(cpus_text), "", NULL, NULL, NULL,
     "CPU numbers that the shards are pinned to, one each: 2,3 or 2-3; empty: not pinned"},
    {"spin", KEY_TIME, STACKD(spin_ns), "50us", "0", "1s", NULL,
     "an idle shard looks for work this long before it sleeps, up to 4 times as long, 200us at "
     "most, after sleeps that were short; a program's blocking call too, but 50us at most"},
    {"rundir", KEY_TEXT, STACKD(rundir), "/run/stackd", NULL, NULL, NULL,
     "folder of client.sock and control.sock"},
    {"allow", KEY_TEXT, STACKD(allow_text), "uid:0", NULL, NULL, NULL,
     "who may attach and control: uid:NAME gid:NAME, names or numbers; root and the daemon's user "
     "always may"},
    {"listen", KEY_CHOICE, STACKD(listen), "stack", NULL, NULL, "stack|both",
     "where a program's listener on a wildcard (0.0.0.0, ::) listens: at stackd's addresses, or at "
     "both these and the kernel's"},
    {"plugin_dir", KEY_TEXT, STACKD(plugin_dir), "", NULL, NULL, NULL,
     "folder of the plugins; empty: the one that was built or installed with this stackd"},
    {"log_level", KEY_CHOICE, STACKD(log_level), "info", NULL, NULL, "error|warning|info|debug",
     "what is written to the log"},
    {"debug", KEY_BOOL, STACKD(debug), "no", NULL, NULL, NULL,
     "abort on a wrong verdict of a plugin instead of clamping and counting it"},
    {"connections_max", KEY_U64, STACKD(connections_max), "1000000", "1", "1000000", NULL,
     "connections of one shard at the most"},
    {"sockets_per_client", KEY_U64, STACKD(sockets_per_client), "32768", "16", "1048576", NULL,
     "sockets that one client process may have"},
    {"clients_per_user", KEY_U64, STACKD(clients_per_user), "512", "1", "1024", NULL,
     "client processes that one user may have; root and the daemon's user have no limit of their own"},
    {"rule_sets_per_user", KEY_U64, STACKD(rule_sets_per_user), "512", "1", "4096", NULL,
     "rule sets and profiles that one user's options may make while stackd runs; root and the "
     "daemon's user have no limit of their own"},
    {"client_receive_ring", KEY_BYTES, STACKD(client_receive_ring), "1MB", "64KB", "1GB", NULL,
     "bytes of a socket's receive ring, a power of two; pages are taken as they are used"},
    {"client_send_ring", KEY_BYTES, STACKD(client_send_ring), "1MB", "4KB", "1GB", NULL,
     "bytes of a socket's send ring, a power of two; pages are taken as they are used"},
    {0},
};

static const struct key interface_keys[] = {
    {"driver", KEY_CHOICE, INTERFACE(driver), "auto", NULL, NULL, "auto|af_xdp|af_packet",
     "how frames are moved; auto says which it took and why"},
    {"address", KEY_TEXT, AT(interface_keys, address), "", NULL, NULL, NULL,
     "our own addresses there, with the prefix length: 10.9.0.2/24, fd00:9::2/64"},
    {"gateway", KEY_TEXT, AT(interface_keys, gateway), "", NULL, NULL, NULL,
     "default routers: one of IPv4, one of IPv6"},
    {"queues", KEY_TEXT, AT(interface_keys, queues), "auto", NULL, NULL, NULL,
     "queues of the device to use, 1 to 64; auto: all"},
    {"rx_csum", KEY_CHOICE, INTERFACE(rx_csum), "partial-ok", NULL, NULL, "partial-ok|strict|trust",
     "checksums of received segments: partial-ok takes those that the kernel left half done because "
     "no wire was crossed, strict refuses them, trust verifies nothing. AF_PACKET is told which these "
     "are; with AF_XDP one damaged segment in 65,536 looks so too: strict is for a real wire"},
    {"fault", KEY_TEXT, INTERFACE(fault_text), "", NULL, NULL, NULL,
     "an impairment: loss 2%, delay 20ms, jitter 5ms, reorder 1%, duplicate 0.1%, corrupt 0.1%, rate "
     "100mbit, queue 100, seed 7, direction in"},
    {"mode", KEY_CHOICE, INTERFACE(mode), "auto", NULL, NULL, "auto|native|generic",
     "af_xdp: where the XDP program runs, in the device's driver or in the kernel's generic path"},
    {"require", KEY_CHOICE, INTERFACE(require), "none", NULL, NULL, "none|zerocopy|native",
     "refuse to run with less"},
    {"mtu", KEY_U64, INTERFACE(mtu), "0", "0", "65535", NULL,
     "bytes of an IP packet at the most; 0: the device's"},
    {0},
};

#define POLICY_KEY(name, index, def, sentence)                                                     \
	{name, KEY_TEXT, AT(policy_keys, list) + (index)*KEY_TEXT_MAX, def, NULL, NULL, NULL, sentence}

const struct key policy_keys[] = {
    POLICY_KEY("recovery", 0, "racktlp, sack, reno",
	       "loss recovery: plugins by name or path; the first whose requirements the peer meets"),
    POLICY_KEY("rto", 1, "rfc6298", "retransmission timer: plugins by name or path"),
    POLICY_KEY("ack", 2, "quick", "when to acknowledge: plugins by name or path"),
    POLICY_KEY("cc", 3, "cubic", "congestion control: plugins by name or path"),
    {0},
};
const enum sp_kind policy_kinds[4] = {SP_RECOVERY, SP_RTO, SP_ACK, SP_CC};

#define RULE_KEY(name, member, sentence)                                                           \
	{name, KEY_TEXT, AT(rule_keys, member), "", NULL, NULL, NULL, sentence}
#define RULE_POLICY(name, index)                                                                   \
	{name, KEY_TEXT, AT(rule_keys, policy.list) + (index)*KEY_TEXT_MAX, "", NULL, NULL, NULL,  \
	 "as in [tcp], for the connections that match"}

static const struct key rule_keys[] = {
    RULE_KEY("local", local, "our address: prefixes like 10.9.0.2, fd00:9::/64; empty: any"),
    RULE_KEY("remote", remote, "the peer's address: prefixes like 10.9.0.0/24; empty: any"),
    RULE_KEY("local_port", local_port, "our port: 80, 8000-8099; empty: any"),
    RULE_KEY("remote_port", remote_port, "the peer's port: 80, 8000-8099; empty: any"),
    RULE_KEY("port", port, "the port of either end: 80, 8000-8099; empty: any"),
    {"direction", KEY_CHOICE, AT(rule_keys, direction), "any", NULL, NULL, "any|active|passive",
     "active: we connect, passive: the peer does"},
    RULE_POLICY("recovery", 0),
    RULE_POLICY("rto", 1),
    RULE_POLICY("ack", 2),
    RULE_POLICY("cc", 3),
    {0},
};

const struct section_info section_info[SECTION_COUNT] = {
    [SECTION_STACKD] = {"stackd", "the daemon", false, stackd_keys, NULL},
    [SECTION_INTERFACE] = {"interface", "a network device that stackd serves", true, interface_keys,
			   NULL},
    [SECTION_TCP] = {"tcp", "how connections behave unless a rule says otherwise", false, policy_keys,
		     tcp_keys},
    [SECTION_PLUGIN] = {"plugin", "parameters of a plugin", true, NULL, NULL},
    [SECTION_RULE] = {"rule", "other choices for some connections; the first rule that matches wins",
		      true, rule_keys, tcp_keys},
};

const struct key *section_key(enum section_id id, const char *name, bool *in_more)
{
	const struct section_info *info = &section_info[id];
	const struct key *key = info->keys ? key_find(info->keys, name) : NULL;

	if (in_more)
		*in_more = false;
	if (key || !info->more)
		return key;
	if (in_more)
		*in_more = true;
	return key_find(info->more, name);
}

/* The same with '-' for '_'. */
static void swap_dashes(char *name)
{
	for (; *name; name++)
		if (*name == '-')
			*name = '_';
		else if (*name == '_')
			*name = '-';
}

void section_canonical_key(enum section_id id, char *name)
{
	if (section_key(id, name, NULL))
		return;
	swap_dashes(name);
	if (!section_key(id, name, NULL))
		swap_dashes(name);
}

const char *section_nearest_key(enum section_id id, const char *name)
{
	const struct section_info *info = &section_info[id];
	const char *nearest = info->keys ? key_nearest(info->keys, name) : NULL;

	return nearest || !info->more ? nearest : key_nearest(info->more, name);
}

bool key_is_list(enum section_id id, const char *key)
{
	if (id == SECTION_INTERFACE)
		return strcmp(key, "address") == 0 || strcmp(key, "gateway") == 0 ||
		       strcmp(key, "fault") == 0;
	if (id == SECTION_RULE)
		return strcmp(key, "local") == 0 || strcmp(key, "remote") == 0;
	return id == SECTION_STACKD && strcmp(key, "allow") == 0;
}
