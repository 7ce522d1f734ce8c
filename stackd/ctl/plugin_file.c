/* SPDX-License-Identifier: BSD-2-Clause */
/* plugin_file.c - the rules by which a shared object becomes a plugin: whose file it is, which ABI
 * it speaks, and whether its tables hold together.  What is loaded, and by which name it is found,
 * is the daemon's affair (plugin.c). */
#include "ctl/plugin_file.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(char error[static PLUGIN_ERROR_MAX], int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(char error[static PLUGIN_ERROR_MAX], int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, PLUGIN_ERROR_MAX, format, args);
	va_end(args);
	return code;
}

const char *plugin_kind_name(enum sp_kind kind)
{
	switch (kind) {
	case SP_RTO:
		return "rto";
	case SP_ACK:
		return "ack";
	case SP_RECOVERY:
		return "recovery";
	case SP_CC:
		return "cc";
	}
	return NULL;
}

static size_t ops_size(enum sp_kind kind)
{
	switch (kind) {
	case SP_RTO:
		return sizeof(struct sp_rto_ops);
	case SP_ACK:
		return sizeof(struct sp_ack_ops);
	case SP_RECOVERY:
		return sizeof(struct sp_recovery_ops);
	case SP_CC:
		return sizeof(struct sp_cc_ops);
	}
	return 0;
}

static bool name_is_good(const char *name, size_t max)
{
	size_t len = name ? strnlen(name, max + 1) : 0;

	if (len == 0 || len > max)
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

static bool tail_is_zero(const void *object, size_t from, size_t to)
{
	const uint8_t *byte = object;

	while (from < to)
		if (byte[from++])
			return false;
	return true;
}

/* Copies min(theirs, ours) into a zeroed table; a larger one must be empty beyond what we know. */
static bool copy_table(void *ours, size_t our_size, const void *theirs, size_t their_size)
{
	if (their_size > our_size && !tail_is_zero(theirs, our_size, their_size))
		return false;
	memset(ours, 0, our_size);
	memcpy(ours, theirs, their_size < our_size ? their_size : our_size);
	return true;
}

#define TABLE_SIZE_MAX 4096u /* no struct of this ABI will grow so far */

static int check_head(const struct sp_plugin *raw, size_t object_size, struct sp_plugin *out,
		      char error[static PLUGIN_ERROR_MAX])
{
	const size_t head = offsetof(struct sp_plugin, size) + sizeof(raw->size);

	if (object_size && object_size < head)
		return refuse(error, -EINVAL, "the symbol stackd_plugin holds only %zu bytes",
			      object_size);
	if (raw->abi_major != SP_ABI_MAJOR || raw->abi_minor > SP_ABI_MINOR)
		return refuse(error, -EPROTO,
			      "built for plugin ABI %u.%u, this stackd speaks %u.0 to %u.%u",
			      raw->abi_major, raw->abi_minor, SP_ABI_MAJOR, SP_ABI_MAJOR,
			      SP_ABI_MINOR);
	/* 1.0 had all members up to ops */
	if (raw->size < offsetof(struct sp_plugin, ops) + sizeof(raw->ops) ||
	    raw->size > TABLE_SIZE_MAX || (object_size && raw->size > object_size))
		return refuse(error, -EINVAL, "struct sp_plugin says that it has %u bytes (ours: %zu)",
			      raw->size, sizeof(*raw));
	if (!copy_table(out, sizeof(*out), raw, raw->size))
		return refuse(error, -EPROTO,
			      "struct sp_plugin has members that this stackd does not know (%u bytes, "
			      "ours: %zu)",
			      raw->size, sizeof(*raw));
	return 0;
}

static int check_ops(const struct sp_plugin *plugin, void **out, char error[static PLUGIN_ERROR_MAX])
{
	size_t ours = ops_size(plugin->kind);
	uint32_t theirs;

	if (!plugin->ops)
		return refuse(error, -EINVAL, "has no ops");
	theirs = *(const uint32_t *)plugin->ops;
	if (theirs < sizeof(theirs) || theirs > TABLE_SIZE_MAX)
		return refuse(error, -EINVAL, "struct sp_%s_ops says that it has %u bytes (ours: %zu)",
			      plugin_kind_name(plugin->kind), theirs, ours);
	*out = calloc(1, ours);
	if (!*out)
		return refuse(error, -ENOMEM, "out of memory");
	if (!copy_table(*out, ours, plugin->ops, theirs)) {
		free(*out);
		return refuse(error, -EPROTO,
			      "struct sp_%s_ops has hooks that this stackd does not know (%u bytes, "
			      "ours: %zu)",
			      plugin_kind_name(plugin->kind), theirs, ours);
	}
	*(uint32_t *)*out = (uint32_t)ours;
	return 0;
}

static int check_facts(const struct sp_plugin *p, char error[static PLUGIN_ERROR_MAX])
{
	const uint32_t features = SP_SACK | SP_TIMESTAMPS | SP_ECN | SP_DSACK | SP_PER_SEGMENT |
				  SP_CE_EXACT;

	if (!plugin_kind_name(p->kind))
		return refuse(error, -EINVAL, "kind %d is none of rto, ack, recovery, cc", (int)p->kind);
	if (!name_is_good(p->name, PLUGIN_NAME_MAX))
		return refuse(error, -EINVAL,
			      "its name must be 1 to %u of a-z, 0-9, '-' and '_'", PLUGIN_NAME_MAX);
	if (!p->version || !p->license || !p->summary)
		return refuse(error, -EINVAL, "has no version, license or summary");
	if ((p->wants | p->requires) & ~features)
		return refuse(error, -EPROTO, "wants or requires features that this stackd does not "
			      "know (0x%x)", (p->wants | p->requires) & ~features);
	if (p->state_size > SP_STATE_MAX)
		return refuse(error, -EINVAL, "wants %u bytes of state per connection; at most %u",
			      p->state_size, SP_STATE_MAX);
	if (p->params_size > SP_PARAMS_MAX)
		return refuse(error, -EINVAL, "wants %u bytes of parameters; at most %u",
			      p->params_size, SP_PARAMS_MAX);
	return 0;
}

static size_t param_size(enum sp_type type)
{
	switch (type) {
	case SP_TYPE_BOOL:
		return sizeof(bool);
	case SP_TYPE_REAL:
		return sizeof(double);
	case SP_TYPE_U64:
	case SP_TYPE_TIME:
	case SP_TYPE_BYTES:
		return sizeof(uint64_t);
	}
	return 0;
}

static enum key_type param_key_type(enum sp_type type)
{
	switch (type) {
	case SP_TYPE_U64:
		return KEY_U64;
	case SP_TYPE_BOOL:
		return KEY_BOOL;
	case SP_TYPE_TIME:
		return KEY_TIME;
	case SP_TYPE_BYTES:
		return KEY_BYTES;
	case SP_TYPE_REAL:
		return KEY_REAL;
	}
	abort(); /* param_size has refused it */
}

/* One parameter as a key; its default and limits must parse and agree. */
static int check_param(const struct sp_plugin *plugin, const struct sp_param *p, struct key *key,
		       char error[static PLUGIN_ERROR_MAX])
{
	size_t size = param_size(p->type);
	_Alignas(8) uint8_t scratch[SP_PARAMS_MAX];
	char why[KEY_ERROR_MAX];

	if (!name_is_good(p->name, PLUGIN_PARAM_NAME_MAX))
		return refuse(error, -EINVAL, "a parameter's name is not 1 to %u of a-z, 0-9, '-', '_'",
			      PLUGIN_PARAM_NAME_MAX);
	if (!p->sentence || !p->def)
		return refuse(error, -EINVAL, "parameter %s has no default or no sentence", p->name);
	if (size == 0)
		return refuse(error, -EINVAL, "parameter %s is of unknown type %d", p->name,
			      (int)p->type);
	if (p->offset % size != 0 || p->offset > plugin->params_size ||
	    plugin->params_size - p->offset < size)
		return refuse(error, -EINVAL,
			      "parameter %s at offset %u does not fit in its %u bytes of parameters",
			      p->name, p->offset, plugin->params_size);
	*key = (struct key){.name = p->name, .type = param_key_type(p->type), .offset = p->offset,
			    .def = p->def, .min = p->min, .max = p->max, .sentence = p->sentence};
	if (key_set(key, scratch, p->def, why) || (p->min && key_set(key, scratch, p->min, why)) ||
	    (p->max && key_set(key, scratch, p->max, why)))
		return refuse(error, -EINVAL, "parameter %s: its default or limits are wrong: %s",
			      p->name, why);
	return 0;
}

static int check_params(const struct sp_plugin *plugin, struct key **out,
			char error[static PLUGIN_ERROR_MAX])
{
	uint32_t count = 0;
	struct key *keys;

	while (plugin->params && plugin->params[count].name && count <= PLUGIN_PARAMS_MAX)
		count++;
	if (count > PLUGIN_PARAMS_MAX)
		return refuse(error, -EINVAL, "has more than %u parameters", PLUGIN_PARAMS_MAX);
	keys = calloc(count + 1, sizeof(*keys));
	if (!keys)
		return refuse(error, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < count; i++) {
		int code = check_param(plugin, &plugin->params[i], &keys[i], error);

		if (!code && key_find(keys, keys[i].name) != &keys[i])
			code = refuse(error, -EINVAL, "parameter %s stands there twice", keys[i].name);
		if (code) {
			free(keys);
			return code;
		}
	}
	*out = keys;
	return 0;
}

/* Hooks whose absence has no documented meaning. */
static int check_hooks(const struct sp_plugin *p, char error[static PLUGIN_ERROR_MAX])
{
	bool good = true;

	switch (p->kind) {
	case SP_RTO:
		good = ((const struct sp_rto_ops *)p->ops)->open;
		break;
	case SP_ACK:
		good = ((const struct sp_ack_ops *)p->ops)->on_data;
		break;
	case SP_CC:
		good = ((const struct sp_cc_ops *)p->ops)->open;
		break;
	case SP_RECOVERY: /* all have a default */
		break;
	}
	return good ? 0
		    : refuse(error, -EINVAL, "lacks the hook %s.%s", plugin_kind_name(p->kind),
			     p->kind == SP_ACK ? "on_data" : "open");
}

int plugin_check(const struct sp_plugin *raw, size_t object_size, struct plugin_view *out,
		 char error[static PLUGIN_ERROR_MAX])
{
	struct plugin_view view = {0};
	void *ops = NULL;
	int code = check_head(raw, object_size, &view.plugin, error);

	if (!code)
		code = check_facts(&view.plugin, error);
	if (!code)
		code = check_params(&view.plugin, &view.keys, error);
	if (!code)
		code = check_ops(&view.plugin, &ops, error);
	if (code) {
		free(view.keys);
		return code;
	}
	view.plugin.size = (uint32_t)sizeof(view.plugin);
	view.plugin.ops = ops;
	code = check_hooks(&view.plugin, error);
	if (code) {
		free(view.keys);
		free(ops);
		return code;
	}
	*out = view;
	return 0;
}

static bool is_ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

/* Nobody but root and we could have written the file, or put another in its place. */
static int check_owner(const char *path, char error[static PLUGIN_ERROR_MAX])
{
	char folder[PATH_MAX];
	struct stat st;
	char *slash;

	if (stat(path, &st) < 0)
		return refuse(error, -errno, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(error, -ENOEXEC, "not a file");
	if (!is_ours(&st))
		return refuse(error, -EACCES, "owned by uid %u, neither root nor the daemon's user",
			      st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return refuse(error, -EACCES, "writable by group or others (mode %04o)",
			      st.st_mode & 07777);
	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	assert(slash); /* path is absolute */
	slash[slash == folder] = 0;
	if (stat(folder, &st) < 0)
		return refuse(error, -errno, "%s: %s", folder, strerror(errno));
	if (!is_ours(&st) || ((st.st_mode & (S_IWGRP | S_IWOTH)) && !(st.st_mode & S_ISVTX)))
		return refuse(error, -EACCES, "others can replace files in its folder %s (uid %u, mode "
			      "%04o)", folder, st.st_uid, st.st_mode & 07777);
	return 0;
}

int plugin_file_open(const char *path, struct plugin_view *out, char error[static PLUGIN_ERROR_MAX])
{
	char real[PATH_MAX];
	ElfW(Sym) *symbol = NULL;
	const void *raw;
	void *handle;
	Dl_info info;
	int code;

	if (!realpath(path, real))
		return refuse(error, -errno, "%s", strerror(errno));
	code = check_owner(real, error);
	if (code)
		return code;
	handle = dlopen(real, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return refuse(error, -ENOEXEC, "not a shared object that can be loaded: %s", dlerror());
	raw = dlsym(handle, "stackd_plugin");
	if (!raw)
		return refuse(error, -ENOEXEC, "not a plugin: it exports no symbol stackd_plugin");
	if (!dladdr1(raw, &info, (void **)&symbol, RTLD_DL_SYMENT) || !symbol ||
	    ELF64_ST_TYPE(symbol->st_info) != STT_OBJECT || symbol->st_size == 0)
		return refuse(error, -ENOEXEC, "not a plugin: its symbol stackd_plugin is no data");
	return plugin_check(raw, symbol->st_size, out, error);
}
