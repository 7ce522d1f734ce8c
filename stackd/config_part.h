/* SPDX-License-Identifier: BSD-2-Clause */
/* config_part.h - what the files config*.c share: the list of settings, the key tables, the texts
 * that a key table's types don't cover. */
#ifndef STACKD_CONFIG_PART_H
#define STACKD_CONFIG_PART_H

#include "config.h"

#define SECTION_NAME_MAX 32u /* NAME of a section with its NUL */
#define SETTING_KEY_MAX	 32u

enum section_id { SECTION_STACKD, SECTION_INTERFACE, SECTION_TCP, SECTION_PLUGIN, SECTION_RULE, SECTION_COUNT };

/* Parses a text beyond its key's type.  0 or -EINVAL with a sentence that doesn't name the key. */
typedef int text_check(const char *text, char error[static KEY_ERROR_MAX]);

struct section_info {
	const char *name, *sentence;
	bool named;
	const struct key *keys; /* of `size` bytes, see config_keys.c; NULL: known by the plugins only */
	const struct key *more; /* a second table, of struct tcp_knobs */
};
extern const struct section_info section_info[SECTION_COUNT];

/* The objects of the key tables; lists are texts here. */
struct stackd_keys {
	struct config_daemon daemon;
};
struct interface_keys {
	char address[KEY_TEXT_MAX], gateway[KEY_TEXT_MAX], queues[KEY_TEXT_MAX];
	struct config_interface interface;
};
struct policy_keys {
	char list[4][KEY_TEXT_MAX]; /* recovery, rto, ack, cc */
};
struct rule_keys {
	char local[KEY_TEXT_MAX], remote[KEY_TEXT_MAX];
	char local_port[KEY_TEXT_MAX], remote_port[KEY_TEXT_MAX], port[KEY_TEXT_MAX];
	int direction;
	struct policy_keys policy; /* empty: as in [tcp] */
};
/* Any of them. */
union section_object {
	struct stackd_keys stackd;
	struct interface_keys interface;
	struct policy_keys policy;
	struct rule_keys rule;
	struct tcp_knobs knobs;
};
extern const struct key policy_keys[];
extern const enum sp_kind policy_kinds[4]; /* of policy_keys, in its order */

/* NULL: the type says it all. */
text_check *key_text_check(enum section_id, const char *key);
/* May a file hold the key several times?  The values are joined by ", ". */
bool key_is_list(enum section_id, const char *key);
/* In either table of the section; *in_more tells which. */
const struct key *section_key(enum section_id, const char *name, bool *in_more);
/* Keys may be written with '-' or '_'; `name` becomes what the table says, if it is known. */
void section_canonical_key(enum section_id, char *name);
const char *section_nearest_key(enum section_id, const char *name);

/* --- texts (config_text.c) ------------------------------------------------------------------------- */

/* The next word of a list, separated by commas and blanks, into `word`; false at the end.  A word
 * that is longer is cut to an unusable one. */
bool next_word(const char **list, char *word, size_t len);

#define PORT_RANGES_MAX 16u
struct port_range {
	uint16_t min, max;
};
int text_cpus(const char *text, uint32_t cpu[static SHARDS_MAX], uint32_t *count,
	      char error[static KEY_ERROR_MAX]);
int text_prefixes(const char *text, struct prefix out[static ADDRESSES_MAX], uint32_t *count,
		  char error[static KEY_ERROR_MAX]);
int text_gateways(const char *text, struct addr *gateway4, struct addr *gateway6,
		  char error[static KEY_ERROR_MAX]);
int text_queues(const char *text, uint32_t *queues, char error[static KEY_ERROR_MAX]);
int text_ports(const char *text, struct port_range out[static PORT_RANGES_MAX], uint32_t *count,
	       char error[static KEY_ERROR_MAX]);

#define PLUGIN_WORD_MAX KEY_TEXT_MAX /* a name or a path */
int text_plugins(const char *text, char (*word)[PLUGIN_WORD_MAX], uint32_t *count,
		 char error[static KEY_ERROR_MAX]);

/* --- the list (config.c) ------------------------------------------------------------------------------ */

struct setting {
	enum section_id section;
	char name[SECTION_NAME_MAX]; /* of a named section, else "" */
	char key[SETTING_KEY_MAX];
	char value[KEY_TEXT_MAX];
	char origin[160];
	uint32_t line; /* of the file being read; 0 once it has been read */
};

struct compiled;

struct config {
	struct setting *setting;
	uint32_t count, size;
	/* named sections in the order of their first appearance, empty ones too */
	struct named {
		enum section_id section;
		char name[SECTION_NAME_MAX];
	} *named;
	uint32_t named_count, named_size;
	struct compiled *compiled; /* config_rules.c */
};

struct target {
	enum section_id section;
	char name[SECTION_NAME_MAX];
	char key[SETTING_KEY_MAX];
};

/* "tcp", "interface veth1": a section as it stands between brackets. */
int config_parse_section(const char *text, struct target *out, char error[static CONFIG_ERROR_MAX]);
/* "SECTION.KEY" */
int config_parse_path(const char *path, struct target *out, char error[static CONFIG_ERROR_MAX]);
struct setting *config_find(const struct config *, const struct target *);
/* Makes the section known; 0 or -ENOMEM. */
int config_open_section(struct config *, const struct target *);
/* Checks and stores.  0 or as config_set. */
int config_store(struct config *, const struct target *, const char *value, const char *origin,
		 uint32_t line, char error[static CONFIG_ERROR_MAX]);
/* Back to the default. */
void config_forget(struct config *, const struct target *);
/* The section's index-th name; NULL at the end. */
const char *config_name_at(const struct config *, enum section_id, uint32_t index);
/* Sets the fields of `object`, whose table is `keys`, from the settings of a section. */
void config_apply(const struct config *, enum section_id, const char *name, const struct key *keys,
		  void *object);
/* How a section stands between brackets. */
void config_section_title(enum section_id, const char *name, char *out, size_t len);

/* Whether a [plugin NAME] is about this plugin: its name, or KIND/NAME. */
bool config_names_plugin(const char *name, const struct sp_plugin *);
void compiled_destroy(struct compiled *);

#endif
