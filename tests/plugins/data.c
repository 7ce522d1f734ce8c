/* SPDX-License-Identifier: BSD-2-Clause */
/* data.c - every plugin's constant data: versions, sizes, texts and parameters, both as linked in
 * and as loaded from its module.  argv[1]: the directory of the modules, or one module to
 * check alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>

#include "all.h"
#include "base/key.h"
#include "builtin.h"
#include "fake.h"

static const char *directory;

static uint32_t ops_size(enum sp_kind kind)
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

static uint32_t type_size(enum sp_type t)
{
	return t == SP_TYPE_BOOL ? sizeof(bool) : sizeof(uint64_t);
}

static void check_param(const struct sp_plugin *p, const struct sp_param *q)
{
	struct key k = {q->name,    (enum key_type)q->type, q->offset, q->def, q->min, q->max, NULL,
			q->sentence};
	_Alignas(16) unsigned char params[SP_PARAMS_MAX];
	char error[KEY_ERROR_MAX];

	assert_true(q->type >= SP_TYPE_U64 && q->type <= SP_TYPE_REAL);
	assert_true(q->offset + type_size(q->type) <= p->params_size);
	assert_true(q->sentence && q->sentence[0]);
	assert_non_null(q->def);
	if (key_set(&k, params, q->def, error) || (q->min && key_set(&k, params, q->min, error)) ||
	    (q->max && key_set(&k, params, q->max, error)))
		fail_msg("%s: %s", p->name, error);
	for (const struct sp_param *r = p->params; r < q; r++)
		assert_true(r->offset + type_size(r->type) <= q->offset ||
			    q->offset + type_size(q->type) <= r->offset);
}

static void check_plugin(const struct sp_plugin *p)
{
	assert_int_equal(p->abi_major, SP_ABI_MAJOR);
	assert_int_equal(p->abi_minor, SP_ABI_MINOR);
	assert_int_equal(p->size, sizeof(*p));
	assert_true(p->kind >= SP_RTO && p->kind <= SP_CC);
	assert_true(p->name && p->version && p->summary && p->summary[0]);
	assert_string_equal(p->license, "BSD-2-Clause");
	assert_true(p->state_size <= SP_STATE_MAX && p->params_size <= SP_PARAMS_MAX);
	assert_int_equal((p->wants | p->requires) & ~63u, 0);
	assert_true(!(p->wants & SP_CE_EXACT) || (p->wants & SP_ECN));
	assert_int_equal(p->requires & ~p->wants, 0);
	assert_non_null(p->ops);
	assert_int_equal(*(const uint32_t *)p->ops, ops_size(p->kind));
	assert_true((p->params == NULL) == (p->params_size == 0));
	for (const struct sp_param *q = p->params; q && q->name; q++)
		check_param(p, q);
}

static void all_plugins(void **state)
{
	uint32_t count = 0;

	(void)state;
	for (const struct sp_plugin *const *p = stackd_all_plugins; *p; p++, count++) {
		check_plugin(*p);
		for (const struct sp_plugin *const *q = stackd_all_plugins; q < p; q++)
			assert_false((*p)->kind == (*q)->kind && !strcmp((*p)->name, (*q)->name));
	}
	assert_int_equal(count, 19);
}

static void builtin_is_one_of_each_kind(void **state)
{
	uint32_t kinds = 0;

	(void)state;
	for (const struct sp_plugin *const *p = stackd_builtin_plugins; *p; p++) {
		check_plugin(*p);
		assert_int_equal((*p)->requires, 0);
		kinds |= 1u << (*p)->kind;
	}
	assert_int_equal(kinds, 1u << SP_RTO | 1u << SP_ACK | 1u << SP_RECOVERY | 1u << SP_CC);
}

static void *open_module(const struct sp_plugin *p)
{
	static const char *const kinds[] = {"", "rto-", "ack-", "recovery-", "cc-"};
	char path[512];
	void *module;

	snprintf(path, sizeof(path), "%s/%s%s.so", directory, kinds[p->kind], p->name);
	module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (module)
		return module;
	snprintf(path, sizeof(path), "%s/%s.so", directory, p->name);
	return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static void modules_export_the_same(void **state)
{
	(void)state;
	if (!directory)
		skip();
	for (const struct sp_plugin *const *p = stackd_all_plugins; *p; p++) {
		void *module = open_module(*p);
		const struct sp_plugin *loaded = module ? dlsym(module, "stackd_plugin") : NULL;

		if (!loaded)
			fail_msg("%s: %s", (*p)->name, dlerror());
		check_plugin(loaded);
		assert_int_equal(loaded->kind, (*p)->kind);
		assert_string_equal(loaded->name, (*p)->name);
		assert_null(dlsym(module, "ops"));
		dlclose(module);
	}
}

static void the_module(void **state)
{
	const char *path = *state;
	void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct sp_plugin *p = module ? dlsym(module, "stackd_plugin") : NULL;

	if (!p)
		fail_msg("%s: %s", path, dlerror());
	check_plugin(p);
	print_message("%s: %s\n", p->name, p->summary);
	dlclose(module);
}

int main(int argc, char **argv)
{
	const char *where = argc > 1 ? argv[1] : NULL;
	const struct CMUnitTest one[] = {
	    cmocka_unit_test_prestate(the_module, argv[1]),
	};
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_plugins),
	    cmocka_unit_test(builtin_is_one_of_each_kind),
	    cmocka_unit_test(modules_export_the_same),
	};

	if (where && strlen(where) > 3 && strcmp(where + strlen(where) - 3, ".so") == 0)
		return cmocka_run_group_tests(one, NULL, NULL);
	directory = where;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
