/* SPDX-License-Identifier: BSD-2-Clause */
#include "net_lab.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

void net_lab_run(const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (system(line) != 0) {
		fprintf(stderr, "failed: %s\n", line);
		abort();
	}
}

static void must(int result)
{
	if (result < 0) {
		perror("net_lab");
		abort();
	}
}

void net_lab_enter_peer(struct net_lab *lab)
{
	must(setns(lab->peers, CLONE_NEWNET));
}

void net_lab_leave_peer(struct net_lab *lab)
{
	must(setns(lab->ours, CLONE_NEWNET));
}

void net_lab_run_peer(struct net_lab *lab, const char *command)
{
	net_lab_enter_peer(lab);
	net_lab_run("%s", command);
	net_lab_leave_peer(lab);
}

int net_lab_peer_socket(struct net_lab *lab, int family, int type, int protocol)
{
	net_lab_enter_peer(lab);
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);
	net_lab_leave_peer(lab);
	must(fd);
	return fd;
}

static void ask(const char *interface, unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	must(fd);
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", interface);
	must(ioctl(fd, request, ifr));
	close(fd);
}

void net_lab_offload(const char *interface, bool on)
{
	struct ethtool_value sum = {.cmd = ETHTOOL_STXCSUM, .data = on};
	struct ethtool_value tso = {.cmd = ETHTOOL_STSO, .data = on};
	struct ifreq ifr = {.ifr_data = (void *)&sum};

	ask(interface, SIOCETHTOOL, &ifr);
	if (!on)
		return;
	ifr.ifr_data = (void *)&tso;
	ask(interface, SIOCETHTOOL, &ifr);
}

static void read_mac(const char *interface, uint8_t mac[6])
{
	struct ifreq ifr = {0};

	ask(interface, SIOCGIFHWADDR, &ifr);
	memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
}

static pid_t start_keeper(void)
{
	int ready[2];
	char c;

	must(pipe2(ready, O_CLOEXEC));
	pid_t pid = fork();
	must(pid);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		must(unshare(CLONE_NEWNET));
		must((int)write(ready[1], "x", 1));
		for (;;)
			pause();
	}
	must((int)read(ready[0], &c, 1));
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static int open_namespace(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd);
	return fd;
}

static void address_peer(const uint8_t mac[6])
{
	char text[24];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	net_lab_run("ip addr add 10.99.0.1/24 dev vb && ip -6 addr add fd99::1/64 dev vb nodad && "
		    "ip link set vb up");
	net_lab_run("ip neigh replace 10.99.0.2 lladdr %s dev vb nud permanent", text);
	net_lab_run("ip neigh replace 10.99.0.3 lladdr %s dev vb nud permanent", text);
	net_lab_run("ip -6 neigh replace fd99::2 lladdr %s dev vb nud permanent", text);
}

bool net_lab_open(struct net_lab *lab)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		return false;
	lab->keeper = start_keeper();
	lab->ours = open_namespace(getpid());
	lab->peers = open_namespace(lab->keeper);
	net_lab_run("ip link add va type veth peer name vb netns %d", (int)lab->keeper);
	net_lab_run("ip link set va addrgenmode none && ip link set va up");
	read_mac("va", lab->mac);
	net_lab_enter_peer(lab);
	read_mac("vb", lab->peer_mac);
	address_peer(lab->mac);
	net_lab_leave_peer(lab);
	return true;
}

void net_lab_close(struct net_lab *lab)
{
	kill(lab->keeper, SIGKILL);
	waitpid(lab->keeper, NULL, 0);
	close(lab->ours);
	close(lab->peers);
}
