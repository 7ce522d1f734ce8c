/* SPDX-License-Identifier: BSD-2-Clause */
/* client_user.c - what each user has of the places for clients and of the rule sets, so that one
 * that is allowed can't leave none for the others.  Root and the daemon's own user have no limit.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "client_inside.h"
#include "log.h"

struct client_user {
	struct client_user *next;
	uint32_t uid, clients;
	uint64_t compiled; /* rule sets and profiles; they are never given back */
};

static struct client_user *user_of(struct clients *all, uint32_t uid)
{
	struct client_user *u = all->users;

	while (u && u->uid != uid)
		u = u->next;
	if (u)
		return u;
	u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	u->uid = uid;
	u->next = all->users;
	all->users = u;
	return u;
}

int client_user_enter(struct client *c, uint32_t uid, bool trusted)
{
	struct client_user *u = user_of(c->all, uid);

	if (!u)
		return -ENOMEM;
	if (!trusted && u->clients >= c->all->config.clients_per_user) {
		if (clients_refused(c->all, COUNT_client_refused))
			log_warning(
			    "client: user %u has %u clients already (stackd.clients_per_user)", uid,
			    u->clients);
		return -EAGAIN;
	}
	u->clients++;
	c->user = u;
	c->sock.uid = uid;
	c->sock.trusted = trusted;
	return 0;
}

void client_user_leave(struct client *c)
{
	if (c->user)
		c->user->clients--;
	c->user = NULL;
}

const struct tcp_rules *client_user_rules(struct client *c, const char *overrides,
					  char error[static CONFIG_ERROR_MAX])
{
	const struct clients_config *config = &c->all->config;
	uint64_t before = config_compiled(config->config);
	const struct tcp_rules *rules;

	if (!c->sock.trusted && c->user->compiled >= config->rule_sets_per_user &&
	    !config_has_rules(config->config, overrides)) {
		snprintf(error, CONFIG_ERROR_MAX,
			 "user %u has made %llu rule sets and profiles already "
			 "(stackd.rule_sets_per_user)",
			 c->sock.uid, (unsigned long long)c->user->compiled);
		if (clients_refused(c->all, COUNT_client_refused))
			log_warning("client %u: %s", c->sock.pid, error);
		return NULL;
	}
	rules = config_rules(config->config, config->plugins, overrides, error);
	c->user->compiled += config_compiled(config->config) - before;
	return rules;
}

void client_users_free(struct clients *all)
{
	for (struct client_user *u = all->users, *next; u; u = next) {
		next = u->next;
		free(u);
	}
}
