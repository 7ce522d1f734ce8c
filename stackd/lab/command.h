/* SPDX-License-Identifier: BSD-2-Clause */
/* command.h - the subcommands of stackd-lab and what they share. */
#ifndef STACKD_LAB_COMMAND_H
#define STACKD_LAB_COMMAND_H

#include "plugin.h"

enum { LAB_DIFFERS = 1, LAB_USAGE = 2 };

int lab_scenario(int argc, char **argv);
int lab_replay(int argc, char **argv);
int lab_sweep(int argc, char **argv);
int lab_conform(int argc, char **argv);

/* --help: prints the text and returns 0; any other word: says that it is unknown, prints the text to
 * stderr and returns LAB_USAGE. */
int lab_usage(const char *command, const char *word, const char *text);
/* The plugin files of the default folder (STACKD_PLUGIN_DIR: another), and beneath them the same
 * plugins linked in; says so when the folder can't be read. */
struct plugins *lab_plugins(void);

#endif
