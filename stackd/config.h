/* SPDX-License-Identifier: BSD-2-Clause */
/* config.h - what the operator has set: the file, -o, and `stackdctl set`, in one grammar.
 *
 * A configuration is a list of settings "SECTION.KEY = VALUE", each checked alone when it is made.
 * SECTION is stackd, "interface NAME", tcp, "plugin NAME" or "rule NAME".  Typed views are made from
 * the list on demand; what concerns several settings, or needs the plugins, is checked by
 * config_check and config_rules.  Control thread only. */
#ifndef STACKD_CONFIG_H
#define STACKD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "access.h"
#include "base/limits.h"
#include "ctl/writer.h"
#include "driver/driver.h"
#include "net/net.h"
#include "plugin.h"
#include "tcp/tcp.h"

#define CONFIG_ERROR_MAX 512u

struct config;

/* Writes the sentence and returns `code`. */
int config_fail(char error[static CONFIG_ERROR_MAX], int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

struct config *config_create(void); /* all defaults; NULL: out of memory */
void config_destroy(struct config *); /* rules that were handed out go with it */

/* Reads a file over what is set already.  0; -ENOENT, -EACCES ...: can't be read; -EINVAL: an error
 * in it, "FILE:LINE: what was wrong and what is allowed". */
int config_load_file(struct config *, const char *path, char error[static CONFIG_ERROR_MAX]);

/* path: "tcp.recovery", "interface veth1.address", "plugin rfc6298.min", "rule lab.port".
 * origin: "-o" or "set", as `show config` names it.  0; -ENOENT unknown section or key; -EINVAL,
 * -ERANGE wrong value; -ENOMEM; nothing is changed then. */
int config_set(struct config *, const char *path, const char *value, const char *origin,
	       char error[static CONFIG_ERROR_MAX]);
/* "SECTION.KEY=VALUE", the argument of -o. */
int config_set_option(struct config *, const char *option, char error[static CONFIG_ERROR_MAX]);

/* The value in force, a default too.  0 or -ENOENT.  For plugin parameters that are not set,
 * `plugins` (may be NULL) is asked. */
int config_get(const struct config *, const struct plugins *, const char *path, char *out, size_t len);

/* --- typed views ------------------------------------------------------------------------------ */

enum config_listen { CONFIG_LISTEN_STACK, CONFIG_LISTEN_BOTH };

struct config_daemon {
	uint64_t shards;
	ns_t spin_ns;
	char rundir[KEY_TEXT_MAX];
	char plugin_dir[KEY_TEXT_MAX]; /* never empty */
	int log_level;		       /* enum log_level */
	int listen;		       /* enum config_listen */
	bool debug;		       /* assert on what plugins do wrong */
	uint64_t connections_max, sockets_per_client, client_receive_ring, client_send_ring;
	uint64_t clients_per_user, rule_sets_per_user;
	uint32_t cpu[SHARDS_MAX], cpu_count; /* 0: not pinned */
	struct access allow;
	char allow_text[KEY_TEXT_MAX], cpus_text[KEY_TEXT_MAX];
};

enum config_driver { CONFIG_DRIVER_AUTO, CONFIG_DRIVER_AF_XDP, CONFIG_DRIVER_AF_PACKET };
enum config_require { CONFIG_REQUIRE_NOTHING, CONFIG_REQUIRE_ZEROCOPY, CONFIG_REQUIRE_NATIVE };

struct config_interface {
	char name[16];
	int driver; /* enum config_driver */
	struct prefix address[ADDRESSES_MAX];
	uint32_t address_count;
	struct addr gateway4, gateway6; /* unspecified: none */
	uint32_t queues;		/* 0: all of the device's */
	int rx_csum;			/* enum rx_csum */
	int mode;			/* enum af_xdp_mode */
	int require;			/* enum config_require */
	uint64_t mtu;			/* 0: the device's */
	struct fault_config fault;
	bool has_fault;
	char fault_text[KEY_TEXT_MAX];
};

/* The settings were checked when they were made, so that these can't fail. */
void config_daemon(const struct config *, struct config_daemon *out);
uint32_t config_interface_count(const struct config *);
void config_interface(const struct config *, uint32_t index, struct config_interface *out);

/* --- policy ------------------------------------------------------------------------------------- */

/* Compiles [tcp], [plugin], [rule] and `overrides` (lines "tcp.KEY=VALUE", or NULL) into rules with
 * their profiles; overrides win over rules, rules over [tcp].  Equal input gives the same pointer.
 * What is returned is immutable and lives as long as the configuration.  NULL with a sentence: an
 * unknown plugin, parameter or key, a wrong value, or no room (PROFILES_MAX). */
const struct tcp_rules *config_rules(struct config *, struct plugins *, const char *overrides,
				     char error[static CONFIG_ERROR_MAX]);

/* Whether config_rules would find them made already. */
bool config_has_rules(const struct config *, const char *overrides);
/* Rule sets and profiles made so far. */
uint64_t config_compiled(const struct config *);

/* `stackdctl set`: changes a setting that may change while serving and compiles; both or neither.
 * NULL with a sentence.  Keys of [stackd] and [interface] are refused (they need a new start), but
 * for stackd.log_level, which the caller applies. */
const struct tcp_rules *config_set_live(struct config *, struct plugins *, const char *path,
					const char *value, char error[static CONFIG_ERROR_MAX]);

/* All that can be known before a network device is touched: addresses, cpus, sizes that must fit
 * each other, plugins and their parameters.  0 or -EINVAL with a sentence. */
int config_check(struct config *, struct plugins *, char error[static CONFIG_ERROR_MAX]);

/* --- showing --------------------------------------------------------------------------------------- */

struct config_value {
	char section[48], key[32];
	char value[KEY_TEXT_MAX];
	char origin[160]; /* "default", "FILE:LINE", "-o", "set" */
	const char *sentence;
};
/* Every key in force, section by section; false at the end.  *cursor starts at 0. */
bool config_next(const struct config *, const struct plugins *, uint32_t *cursor,
		 struct config_value *out);

/* What a key, a section, a plugin or a counter is: "tcp.rto", "mss", "interface", "rfc6298",
 * "rfc6298.min", "ip_checksum".  0; -ENOENT with a sentence. */
int config_describe(const struct config *, const struct plugins *, const char *name, struct writer *,
		    char error[static CONFIG_ERROR_MAX]);

#endif
