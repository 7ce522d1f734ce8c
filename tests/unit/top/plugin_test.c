/* SPDX-License-Identifier: BSD-2-Clause */
/* The loader: the plugins that ship, and files that must be refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "builtin.h"
#include "plugin.h"

static char error[PLUGIN_ERROR_MAX];

static const char *odd_path(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/odd-%s.so", ODD_DIR, name);
	return path;
}

static void loads_what_ships(void **state)
{
	static const struct {
		enum sp_kind kind;
		const char *name;
	} ships[] = {
	    {SP_RTO, "rfc6298"},     {SP_RTO, "linux"},	   {SP_RTO, "fixed"},
	    {SP_RTO, "textbook"},    {SP_ACK, "each"},	   {SP_ACK, "delayed"},
	    {SP_ACK, "quick"},	     {SP_ACK, "every-n"},  {SP_RECOVERY, "gbn"},
	    {SP_RECOVERY, "sr"},     {SP_RECOVERY, "textbook"}, {SP_RECOVERY, "reno"},
	    {SP_RECOVERY, "sack"},   {SP_RECOVERY, "racktlp"}, {SP_CC, "fixed"},
	    {SP_CC, "newreno"},	     {SP_CC, "cubic"},	   {SP_CC, "dctcp"},
	    {SP_CC, "bbr"},
	};
	struct plugins *all = plugins_create(NULL);
	const void *params;

	(void)state;
	assert_int_equal(plugins_load_dir(all, PLUGIN_DIR, error), sizeof(ships) / sizeof(ships[0]));
	assert_true(plugins_dir_works(all));
	for (size_t i = 0; i < sizeof(ships) / sizeof(ships[0]); i++) {
		const struct plugin *p = plugins_find(all, ships[i].kind, ships[i].name, error);

		if (!p)
			fail_msg("%s", error);
		assert_non_null(p->path);
		assert_int_equal(plugins_params(all, p, NULL, 0, &params, error), 0);
	}
	plugins_destroy(all);
}

static void built_ins_pass_the_same_checks(void **state)
{
	struct plugins *all = plugins_create(stackd_builtin_plugins);

	(void)state;
	for (int kind = SP_RTO; kind <= SP_CC; kind++) {
		const struct plugin *p = plugins_builtin(all, (enum sp_kind)kind);

		assert_non_null(p);
		assert_null(p->path);
		assert_ptr_equal(plugins_find(all, (enum sp_kind)kind, p->plugin->name, error), p);
	}
	plugins_destroy(all);
}

static void says_what_is_there_instead(void **state)
{
	struct plugins *all = plugins_create(stackd_builtin_plugins);

	(void)state;
	plugins_load_dir(all, PLUGIN_DIR, error);
	assert_null(plugins_find(all, SP_RECOVERY, "rackltp", error));
	assert_non_null(strstr(error, "did you mean racktlp?"));
	assert_null(plugins_find(all, SP_CC, "zzzzzz", error));
	assert_non_null(strstr(error, "there are:"));
	assert_null(plugins_find(all, SP_RTO, PLUGIN_DIR "/cubic.so", error));
	assert_non_null(strstr(error, "is a plugin of kind cc, not rto"));
	assert_null(plugins_find(all, SP_RTO, "/nowhere/x.so", error));
	assert_non_null(strstr(error, "No such file"));
	plugins_destroy(all);
}

static void refuses_odd_files(void **state)
{
	static const struct {
		const char *name;
		int code;
		const char *says;
	} odd[] = {
	    {"major", -EPROTO, "built for plugin ABI 2."},
	    {"minor", -EPROTO, "built for plugin ABI 1.99"},
	    {"tail", -EPROTO, "has members that this stackd does not know"},
	    {"opstail", -EPROTO, "has hooks that this stackd does not know"},
	    {"small", -EINVAL, "says that it has 12 bytes"},
	    {"huge", -EINVAL, "says that it has 2000 bytes"},
	    {"name", -EINVAL, "its name must be"},
	    {"state", -EINVAL, "513 bytes of state"},
	    {"default", -EINVAL, "its default or limits are wrong"},
	    {"range", -EINVAL, "its default or limits are wrong"},
	    {"offset", -EINVAL, "does not fit"},
	    {"align", -EINVAL, "does not fit"},
	    {"wants", -EPROTO, "features that this stackd does not know"},
	    {"hook", -EINVAL, "lacks the hook ack.on_data"},
	    {"none", -ENOEXEC, "exports no symbol stackd_plugin"},
	    {"function", -ENOEXEC, "is no data"},
	};
	struct plugin_view view;

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		int code = plugin_file_open(odd_path(odd[i].name), &view, error);

		if (code != odd[i].code || !strstr(error, odd[i].says))
			fail_msg("%s: %d '%s', expected %d '%s'", odd[i].name, code, error, odd[i].code,
				 odd[i].says);
	}
	assert_int_equal(plugin_file_open("/etc/passwd", &view, error), -ENOEXEC);
	assert_int_equal(plugin_file_open("/tmp", &view, error), -ENOEXEC);
}

/* A larger struct whose unknown members are empty asks for nothing that we lack. */
static void takes_an_empty_tail(void **state)
{
	struct plugin_view view;

	(void)state;
	if (plugin_file_open(odd_path("good"), &view, error))
		fail_msg("%s", error);
	assert_string_equal(view.plugin.name, "odd");
	assert_int_equal(view.plugin.size, sizeof(struct sp_plugin));
	assert_int_equal(((const struct sp_ack_ops *)view.plugin.ops)->size, sizeof(struct sp_ack_ops));
	assert_non_null(((const struct sp_ack_ops *)view.plugin.ops)->on_data);
	assert_null(((const struct sp_ack_ops *)view.plugin.ops)->on_sent);
	assert_string_equal(view.keys[0].name, "n");
	free(view.keys);
	free((void *)(uintptr_t)view.plugin.ops);
}

static void copy_file(const char *from, const char *to)
{
	char buffer[65536];
	FILE *in = fopen(from, "r"), *out = fopen(to, "w");
	size_t n;

	assert_non_null(in);
	assert_non_null(out);
	while ((n = fread(buffer, 1, sizeof(buffer), in)) > 0)
		assert_int_equal(fwrite(buffer, 1, n, out), n);
	fclose(in);
	assert_int_equal(fclose(out), 0);
}

static void refuses_what_others_can_write(void **state)
{
	char dir[] = "/tmp/stackd-plugin-XXXXXX", path[64];
	struct plugins *all = plugins_create(NULL);
	struct plugin_view view;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/x.so", dir);
	copy_file(odd_path("good"), path);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(plugin_file_open(path, &view, error), -EACCES);
	assert_non_null(strstr(error, "writable by group or others (mode 0666)"));
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(plugin_file_open(path, &view, error), -EACCES);
	assert_non_null(strstr(error, "others can replace files"));
	assert_int_equal(plugins_load_dir(all, dir, error), 0); /* left out, with a warning */
	assert_int_equal(chmod(dir, 0755), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 12345, 0), 0);
		assert_int_equal(plugin_file_open(path, &view, error), -EACCES);
		assert_non_null(strstr(error, "owned by uid 12345"));
		assert_int_equal(chown(path, 0, 0), 0);
	}
	assert_int_equal(plugins_load_dir(all, dir, error), 1);
	assert_int_equal(plugins_load_dir(all, dir, error), 1); /* the same again */
	assert_null(plugins_at(all, 1));
	unlink(path);
	rmdir(dir);
	plugins_destroy(all);
}

static void keeps_equal_parameters_once(void **state)
{
	const struct plugin_setting five = {"n", "5"}, four = {"n", "4"}, wrong = {"n", "11"},
				    unknown = {"m", "1"};
	struct plugins *all = plugins_create(NULL);
	const struct plugin *p = plugins_find(all, SP_ACK, odd_path("good"), error);
	const void *a, *b, *c;

	(void)state;
	assert_non_null(p);
	assert_int_equal(plugins_params(all, p, &five, 1, &a, error), 0);
	assert_int_equal(plugins_params(all, p, &four, 1, &b, error), 0);
	assert_int_equal(plugins_params(all, p, &five, 1, &c, error), 0);
	assert_int_equal(*(const uint64_t *)a, 5);
	assert_ptr_not_equal(a, b);
	assert_ptr_equal(a, c);
	assert_int_equal(plugins_params(all, p, NULL, 0, &c, error), 0);
	assert_int_equal(*(const uint64_t *)c, 3);
	assert_int_equal(plugins_params(all, p, &wrong, 1, &a, error), -ERANGE);
	assert_int_equal(plugins_params(all, p, &unknown, 1, &a, error), -ENOENT);
	plugins_destroy(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(loads_what_ships),
	    cmocka_unit_test(built_ins_pass_the_same_checks),
	    cmocka_unit_test(says_what_is_there_instead),
	    cmocka_unit_test(refuses_odd_files),
	    cmocka_unit_test(takes_an_empty_tail),
	    cmocka_unit_test(refuses_what_others_can_write),
	    cmocka_unit_test(keeps_equal_parameters_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
