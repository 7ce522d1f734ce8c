/* SPDX-License-Identifier: BSD-2-Clause */
/* notify.h - tells whoever started us how we are: systemd (sd_notify(3)) and --ready-fd. */
#ifndef STACKD_NOTIFY_H
#define STACKD_NOTIFY_H

/* READY=1, and the line "ready\n" to ready_fd, which is then closed (-1: none).  Returns 0 or the
 * -errno of the first that failed; not being under systemd is no failure. */
int notify_ready(int ready_fd, const char *status);
/* STOPPING=1 */
void notify_stopping(void);

#endif
