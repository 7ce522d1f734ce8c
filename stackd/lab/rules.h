/* SPDX-License-Identifier: BSD-2-Clause */
/* rules.h - connection rules from settings in the grammar of stackd's -o. */
#ifndef STACKD_LAB_RULES_H
#define STACKD_LAB_RULES_H

#include "config.h"

struct lab_rules {
	struct config *config;
	const struct tcp_rules *rules;
};

/* settings: lines "SECTION.KEY=VALUE".  0; or -errno with a sentence, nothing to free then. */
int lab_rules_make(struct lab_rules *, struct plugins *, const char *settings,
		   char error[static CONFIG_ERROR_MAX]);
void lab_rules_free(struct lab_rules *);

#endif
