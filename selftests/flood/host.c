// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/if_tun.h>

#include "host.h"

static const char setup[] =
	"sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv4.ip_forward=1 "
	"net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 "
	"net.ipv4.conf.tun0.rp_filter=0 && "
	"ip link set lo up && ip link set tun0 up && ip addr add 10.9.0.1/24 dev tun0 && "
	/* The far end is in the same namespace: what arrives there goes nowhere. */
	"ip link add far0 type veth peer name far1 && ip link set far0 arp off up && "
	"ip link set far1 arp off up && ip addr add 10.9.1.1/24 dev far0 && "
	"sysctl -q -w net.ipv4.conf.far1.forwarding=0 && "
	"ip route add 203.0.113.0/24 dev far0";

static int run_shell(const char *command)
{
	int status = system(command);

	return status ? -EIO : 0;
}

/* A rule for each class at each hook, which counts and does nothing else. */
static int count_around(const char *table)
{
	static const char *const chains[] = {"INPUT", "FORWARD", "OUTPUT"};
	FILE *f = popen("iptables-legacy-restore", "w");
	unsigned int i, class;

	if (!f)
		return -errno;
	fprintf(f, "*%s\n", table);
	for (i = 0; i < 3; i++)
		for (class = 0; class < CLASSES; class ++)
			fprintf(f, "-A %s -p udp -m udp --dport %u\n", chains[i],
				CLASS_PORT(class));
	fprintf(f, "COMMIT\n");
	return pclose(f) ? -EIO : 0;
}

static int open_tun(void)
{
	struct ifreq ifr = {.ifr_name = "tun0", .ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr))
		return -errno;
	return fd;
}

int host_open(struct host *h)
{
	int err = 0;

	if (unshare(CLONE_NEWNET))
		err = -errno;
	h->tun = err ? err : open_tun();
	if (h->tun < 0)
		err = h->tun;
	if (!err)
		err = run_shell(setup);
	if (!err)
		err = count_around("mangle");
	if (!err)
		err = count_around("security");
	h->control = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (!err && h->control < 0)
		err = -errno;
	if (err)
		fprintf(stderr, "cannot set up the host: %s\n", strerror(-err));
	return err;
}

static int hook_of(const struct ipt_getinfo *info, uint32_t at)
{
	int hook;

	for (hook = 0; hook < NF_INET_NUMHOOKS; hook++)
		if ((info->valid_hooks & (1U << hook)) && at >= info->hook_entry[hook] &&
		    at <= info->underflow[hook])
			return hook;
	return -1;
}

int host_seen(const struct host *h, const char *table, struct seen *seen)
{
	struct ipt_getinfo info = {.name = ""};
	struct ipt_get_entries *get;
	socklen_t len = sizeof(info);
	uint32_t at = 0;
	int err = 0;

	memset(seen, 0, sizeof(*seen));
	strcpy(info.name, table);
	if (getsockopt(h->control, IPPROTO_IP, IPT_SO_GET_INFO, &info, &len))
		return -errno;
	len = sizeof(*get) + info.size;
	get = calloc(1, len);
	strcpy(get->name, table);
	get->size = info.size;
	if (getsockopt(h->control, IPPROTO_IP, IPT_SO_GET_ENTRIES, get, &len))
		err = -errno;
	while (!err && at < info.size) {
		const struct ipt_entry *e = (const void *)((uint8_t *)get->entrytable + at);
		int class = table_class(e), hook = hook_of(&info, at);

		if (class >= 0 && hook >= 0)
			seen->of[hook][class] += e->counters.pcnt;
		at += e->next_offset;
	}
	free(get);
	return err;
}

static uint16_t header_sum(const unsigned char *p)
{
	uint32_t sum = 0;
	unsigned int i;

	for (i = 0; i < sizeof(struct iphdr); i += 2)
		sum += p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

unsigned int host_packet(unsigned char *buf, unsigned int class, int hook)
{
	struct iphdr ip = {.version = 4,
			   .ihl = 5,
			   .tot_len = htons(PACKET_LEN),
			   .ttl = 64,
			   .id = htons(1),
			   .protocol = IPPROTO_UDP};
	struct udphdr udp = {.source = htons(7),
			     .dest = htons(CLASS_PORT(class)),
			     .len = htons(PACKET_LEN - sizeof(ip))};

	/* A multicast address: nobody sends ICMP errors about it. */
	ip.daddr = inet_addr(hook == NF_INET_LOCAL_IN ? "224.0.0.1" : HOST_REMOTE);
	ip.saddr = inet_addr(hook == NF_INET_LOCAL_OUT ? "10.9.1.1" : "10.9.0.2");
	memset(buf, 0, PACKET_LEN);
	memcpy(buf, &ip, sizeof(ip));
	ip.check = htons(header_sum(buf));
	memcpy(buf, &ip, sizeof(ip));
	memcpy(buf + sizeof(ip), &udp, sizeof(udp));
	return PACKET_LEN;
}
