/* SPDX-License-Identifier: BSD-2-Clause */
/* client_inside.h - what client.c (life) and client_request.c (requests) share. */
#ifndef STACKD_CLIENT_INSIDE_H
#define STACKD_CLIENT_INSIDE_H

#include "client.h"
#include "stackd_msg.h"

struct client_answer;

struct client {
	struct sock_client sock;
	struct clients *all;
	struct list node;
	struct client_user *user;
	int fd;			 /* its connection */
	int kick[SHARDS_MAX];	 /* eventfds; -1 */
	char overrides[STACKD_TEXT_MAX];
	/* it stands for a socket on its way; NULL: for a process */
	struct client_parcel *parcel;
	bool attached, leaving;
	bool cloned; /* and has asked nothing that a clone in use asks */
};

struct clients {
	struct clients_config config;
	struct mailbox mailbox;
	struct sock_ports *ports;
	struct list list;
	struct client_user *users; /* client_user.c */
	int spare_fd;		/* closed to turn somebody away when no other descriptor is left */
	int64_t said_at;	/* second, and lines of log in it: whoever can connect could fill the disk */
	uint32_t said;
	struct client *serving; /* whose request is being answered: it is not freed meanwhile */
	uint32_t count;
	int listen_fd;
	char path[108];
};

/* Counts a refusal, and says whether it may be logged too. */
bool clients_refused(struct clients *, enum count_id);

/* A client on a connection; NULL: no memory. */
struct client *client_new(struct clients *, int fd);
/* Attaches the shared memory of a new client.  0 or -errno. */
int client_attach(struct client *);
/* A client for a child process: holds what its parent holds.  0 or -errno. */
int client_clone(struct client *parent, int *child_fd, struct client **out);

/* The same for a client that holds nothing yet but may hold sockets of this region. */
int client_clone_empty(struct client *parent, struct sock_region *, int *child_fd, struct client **out);
/* It may hold sockets of the region from now on.  0 or -errno. */
int client_add_region(struct client *, struct sock_region *);
void client_gone(struct client *);

/* client_user.c: counts it as one of the user's.  0, -EAGAIN: it has as many as it may, or -ENOMEM. */
int client_user_enter(struct client *, uint32_t uid, bool trusted);
void client_user_leave(struct client *);
/* config_rules at the user's expense. */
const struct tcp_rules *client_user_rules(struct client *, const char *overrides,
					  char error[static CONFIG_ERROR_MAX]);
void client_users_free(struct clients *);

/* client_pass.c: sockets on their way from one client to another */
void client_pass(struct client *, const struct stackd_request *, struct client_answer *);
void client_take(struct client *, int fd, struct client_answer *);
/* Nobody took it: the socket is closed in order. */
void client_pass_ends(struct client *);

/* Runs fn(shard, arg) on every shard, one after the other. */
void clients_on_shards(struct clients *, void (*fn)(struct shard *, void *), void *arg);
/* Returns when all that clients have submitted before now has taken effect: a port whose listener
 * was closed just before is free then, as it would be on a kernel. */
void clients_settle(struct clients *);
uint32_t client_count_held(const struct sock_holds *);

/* Answers one request; fds of the answer are borrowed. */
#define CLIENT_FDS_MAX (SHARDS_MAX + 3)
struct client_answer {
	struct stackd_reply reply;
	int fd[CLIENT_FDS_MAX];
	bool close_fd[CLIENT_FDS_MAX]; /* after it was sent */
};
/* Runs on the shard that owns the slot; `fn` gets the socket, or NULL when the client has none there. */
struct sock_call {
	struct client *client;
	const struct stackd_request *q;
	void (*fn)(struct shard *, struct sock *, struct sock_call *);
	bool open;  /* make the slot known if it is free */
	bool moved; /* to another shard meanwhile */
	int error;
	/* in and out */
	struct endpoint local;
	struct sock_port *port;
	struct sock *sock;
	const struct tcp_rules *rules;
	struct tcp_info info;
	bool has_conn;
	struct sock_listener *listener;
	struct client *heir;
};
/* False: `a` says why not. */
bool client_call_socket(struct sock_call *, struct client_answer *);
void client_refuse(struct client_answer *, int error, const char *why);
void client_give_fd(struct client_answer *, int fd, bool close_after);

void client_request(struct client *, const struct stackd_request *, int fd, struct client_answer *);

#endif
