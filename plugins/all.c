/* SPDX-License-Identifier: BSD-2-Clause */
#include "all.h"

#define SHIPPED(X)                                                                                 \
	X(rfc6298)                                                                                 \
	X(linux_) X(rto_fixed) X(rto_textbook) X(each) X(delayed) X(quick) X(every_n) X(gbn) X(sr) \
	    X(textbook) X(reno) X(sack) X(racktlp) X(fixed) X(newreno) X(cubic) X(dctcp) X(bbr)

#define DECLARE(name) extern const struct sp_plugin stackd_all_##name;
SHIPPED(DECLARE)

#define ADDRESS(name) &stackd_all_##name,
const struct sp_plugin *const stackd_all_plugins[] = {SHIPPED(ADDRESS) NULL};
