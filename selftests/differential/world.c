// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "module.h"
#include "netlink.h"
#include "netns.h"
#include "wire.h"
#include "world.h"

#define BUFFER (32 << 20)

const uint16_t world_udp_ports[WORLD_UDP_SOCKETS] = {53, 1024, 40000, 65535};

/*
 * Nothing but the packets of the test may reach the filter, and nothing may depend on when they
 * do: no IPv6, no redirects, no limits on ICMP, and timeouts beyond the length of a run.
 */
static const char host_settings[] =
	"ipv6/conf/all/disable_ipv6 1\nipv6/conf/default/disable_ipv6 1\n"
	"ipv4/ip_forward 1\n"
	"ipv4/conf/all/rp_filter 0\nipv4/conf/default/rp_filter 0\n"
	"ipv4/conf/all/accept_local 1\nipv4/conf/default/accept_local 1\n"
	"ipv4/conf/all/route_localnet 1\nipv4/conf/default/route_localnet 1\n"
	"ipv4/conf/all/send_redirects 0\nipv4/conf/default/send_redirects 0\n"
	"ipv4/conf/all/accept_redirects 0\nipv4/conf/default/accept_redirects 0\n"
	"ipv4/conf/all/log_martians 0\nipv4/conf/default/log_martians 0\n"
	"ipv4/icmp_ratemask 0\nipv4/icmp_echo_ignore_broadcasts 0\n"
	"ipv4/igmp_link_local_mcast_reports 0\n"
	"ipv4/ipfrag_high_thresh 268435456\nipv4/ipfrag_time 3600\nipv4/ipfrag_max_dist 0\n"
	/* Looking for the socket early would pull transport headers into the linear part. */
	"ipv4/ip_early_demux 0\n"
	"netfilter/nf_conntrack_udp_timeout 600\nnetfilter/nf_conntrack_icmp_timeout 600\n"
	"netfilter/nf_conntrack_udp_timeout_stream 1200\n"
	"netfilter/nf_conntrack_tcp_timeout_close 600\n";

static const char neighbour_settings[] =
	"ipv6/conf/all/disable_ipv6 1\nipv6/conf/default/disable_ipv6 1\n";

static int run_ip(int netns, char *commands)
{
	char *const argv[] = {"ip", "-batch", "-", NULL};
	int status = netns_run(netns, argv, commands);

	free(commands);
	return status ? -EIO : 0;
}

static int restore_tables(int netns, char *tables)
{
	char *const argv[] = {"iptables-legacy-restore", NULL};
	int status = netns_run(netns, argv, tables);

	free(tables);
	return status ? -EIO : 0;
}

static int build(struct world *w, bool nat, bool clear)
{
	pid_t sitter;
	int err;

	w->host_ns = netns_new();
	w->neighbour_ns = netns_new();
	if (w->host_ns < 0 || w->neighbour_ns < 0)
		return -EPERM;
	err = netns_sysctl(w->host_ns, host_settings);
	if (!err)
		err = netns_sysctl(w->neighbour_ns, neighbour_settings);
	if (err)
		return err;
	sitter = netns_sitter(w->neighbour_ns);
	err = run_ip(w->host_ns, topology_host_commands(sitter, clear));
	netns_sitter_end(sitter);
	if (!err)
		err = run_ip(w->neighbour_ns, topology_neighbour_commands());
	if (!err)
		err = restore_tables(w->host_ns, topology_tables(nat, clear));
	return err;
}

static void big_buffer(int fd)
{
	int size = BUFFER;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
}

/* A packet socket bound to one interface (0: all) and one protocol (0: none, for sending). */
static int packet_socket(int netns, unsigned int ifindex, unsigned int proto)
{
	struct sockaddr_ll sll = {
		.sll_family = AF_PACKET, .sll_protocol = htons(proto), .sll_ifindex = ifindex};
	int fd = netns_socket(netns, AF_PACKET, SOCK_RAW, 0), err;

	if (fd < 0)
		return fd;
	big_buffer(fd);
	if (!bind(fd, (struct sockaddr *)&sll, sizeof(sll)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int open_packet_sockets(struct world *w)
{
	unsigned int i, one = 1;

	for (i = 0; i < TOPOLOGY_IFS; i++) {
		w->sender[i] = packet_socket(w->neighbour_ns, topology_ifindex(i), 0);
		if (w->sender[i] < 0)
			return w->sender[i];
		if (setsockopt(w->sender[i], SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)))
			return -errno;
	}
	w->wire = packet_socket(w->neighbour_ns, 0, ETH_P_IP);
	w->mark_there = packet_socket(w->neighbour_ns, topology_ifindex(0), WIRE_MARKER);
	w->mark_here = packet_socket(w->host_ns, topology_ifindex(0), WIRE_MARKER);
	if (w->wire < 0 || w->mark_there < 0 || w->mark_here < 0)
		return -EIO;
	return 0;
}

static int open_udp(struct world *w, unsigned int i)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(world_udp_ports[i])};
	int fd = netns_socket(w->host_ns, AF_INET, SOCK_DGRAM, 0);
	int one = 1, dont_fragment = IP_PMTUDISC_DO;

	w->udp[i] = fd;
	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
	/* With DF the kernel chooses 0 as the id of the packet, and not a random number. */
	setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont_fragment, sizeof(dont_fragment));
	return bind(fd, (struct sockaddr *)&sin, sizeof(sin)) ? -errno : 0;
}

static int open_host_sockets(struct world *w)
{
	int one = 1, dont_fragment = IP_PMTUDISC_DO, err;
	unsigned int i;

	w->raw = netns_socket(w->host_ns, AF_INET, SOCK_RAW, IPPROTO_RAW);
	w->icmp = netns_socket(w->host_ns, AF_INET, SOCK_RAW, IPPROTO_ICMP);
	if (w->raw < 0 || w->icmp < 0)
		return -EPERM;
	big_buffer(w->raw);
	setsockopt(w->raw, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
	setsockopt(w->icmp, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
	setsockopt(w->icmp, IPPROTO_IP, IP_MTU_DISCOVER, &dont_fragment, sizeof(dont_fragment));
	for (i = 0; i < WORLD_UDP_SOCKETS; i++) {
		err = open_udp(w, i);
		if (err)
			return err;
	}
	w->nflog = nflog_open(w->host_ns, TOPOLOGY_NFLOG_GROUP);
	w->ct = conntrack_open(w->host_ns);
	return w->nflog < 0 ? w->nflog : w->ct < 0 ? w->ct : accounts_make(w->ct);
}

int world_open(struct world *w, const char *name, const char *prefix, bool nat, bool clear)
{
	char lockfile[64];
	int err;

	memset(w, -1, sizeof(*w));
	w->name = name;
	w->agent.pid = 0;
	err = build(w, nat, clear);
	if (!err)
		err = open_packet_sockets(w);
	if (!err)
		err = open_host_sockets(w);
	snprintf(lockfile, sizeof(lockfile), "/run/differential.%d.%s.lock", getpid(), name);
	if (!err)
		err = agent_start(&w->agent, w->host_ns, prefix, lockfile);
	if (err)
		fprintf(stderr, "cannot build the world \"%s\": %s\n", name, strerror(-err));
	return err;
}

/* How many counters a driver has. */
static uint32_t count_stats(int sk, struct ifreq *ifr)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};

	ifr->ifr_data = (void *)&info;
	return ioctl(sk, SIOCETHTOOL, ifr) ? 0 : info.n_stats;
}

/* The sum of those whose names end in "xdp_drops". */
static uint64_t xdp_drops(int sk, const char *ifname)
{
	struct ethtool_gstrings *names;
	struct ethtool_stats *stats;
	struct ifreq ifr = {};
	uint64_t sum = 0;
	uint32_t n, i;
	int err;

	strcpy(ifr.ifr_name, ifname);
	n = count_stats(sk, &ifr);
	names = calloc(1, sizeof(*names) + n * ETH_GSTRING_LEN);
	stats = calloc(1, sizeof(*stats) + n * sizeof(stats->data[0]));
	*names = (struct ethtool_gstrings){
		.cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_STATS, .len = n};
	*stats = (struct ethtool_stats){.cmd = ETHTOOL_GSTATS, .n_stats = n};
	ifr.ifr_data = (void *)names;
	err = ioctl(sk, SIOCETHTOOL, &ifr);
	ifr.ifr_data = (void *)stats;
	err = err ?: ioctl(sk, SIOCETHTOOL, &ifr);
	for (i = 0; !err && i < n; i++) {
		const char *name = (char *)names->data + i * ETH_GSTRING_LEN;
		size_t len = strnlen(name, ETH_GSTRING_LEN);

		if (len >= 9 && !memcmp(name + len - 9, "xdp_drops", 9))
			sum += stats->data[i];
	}
	free(names);
	free(stats);
	return sum;
}

uint64_t world_xdp_drops(const struct world *w)
{
	int sk = netns_socket(w->host_ns, AF_INET, SOCK_DGRAM, 0);
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; sk >= 0 && i < TOPOLOGY_IFS; i++)
		sum += xdp_drops(sk, topology_ifs[i].name);
	if (sk >= 0)
		close(sk);
	return sum;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void world_close(struct world *w)
{
	char lockfile[64];
	unsigned int i;

	agent_stop(&w->agent);
	for (i = 0; i < TOPOLOGY_IFS; i++)
		close_fd(w->sender[i]);
	for (i = 0; i < WORLD_UDP_SOCKETS; i++)
		close_fd(w->udp[i]);
	close_fd(w->wire);
	close_fd(w->mark_there);
	close_fd(w->mark_here);
	close_fd(w->raw);
	close_fd(w->icmp);
	close_fd(w->nflog);
	close_fd(w->ct);
	close_fd(w->host_ns);
	close_fd(w->neighbour_ns);
	snprintf(lockfile, sizeof(lockfile), "/run/differential.%d.%s.lock", getpid(), w->name);
	unlink(lockfile);
}

static int read_table(void *arg)
{
	return table_image_read(arg);
}

int world_kernel_table(struct world *w, struct table_image *image)
{
	int err;

	if (!module_mode())
		return netns_call(w->host_ns, read_table, image);
	module_exclude(w->host_ns);
	err = netns_call(w->host_ns, read_table, image);
	module_exclude(-1);
	return err;
}
