// SPDX-License-Identifier: GPL-2.0
#include "frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int frame_open(struct frame *f, const char *interface, const char *mac)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(interface)};
	int sk = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {};

	*f = (struct frame){
		.eth = {.ether_type = htons(ETHERTYPE_IP)},
		/* One number for all, so that GRO takes data in front and behind for neighbours. */
		.ip = {.version = 4,
		       .ihl = 5,
		       .id = htons(7),
		       .frag_off = htons(IP_DF),
		       .ttl = 64,
		       .saddr = inet_addr("192.0.2.2"),
		       .daddr = inet_addr("192.0.2.1")},
	};
	strncpy(ifr.ifr_name, interface, IFNAMSIZ - 1);
	if (sk < 0 || bind(sk, (struct sockaddr *)&to, sizeof(to)) ||
	    ioctl(sk, SIOCGIFHWADDR, &ifr))
		return -errno;
	if (!ether_aton_r(mac, (struct ether_addr *)f->eth.ether_dhost))
		return -EINVAL;
	memcpy(f->eth.ether_shost, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
	return sk;
}

uint32_t frame_add(const void *from, size_t len, uint32_t sum)
{
	const uint8_t *byte = from;
	size_t i;

	for (i = 0; i < len; i++)
		sum += i % 2 ? byte[i] : byte[i] << 8;
	return sum;
}

uint16_t frame_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

int frame_send(int sk, struct frame *f, size_t len)
{
	f->ip.tot_len = htons(sizeof(f->ip) + len);
	f->ip.check = 0;
	f->ip.check = frame_fold(frame_add(&f->ip, sizeof(f->ip), 0));
	return send(sk, f, FRAME_HEADERS + len, 0) < 0 ? -errno : 0;
}

uint16_t frame_check(const struct frame *f, size_t len)
{
	uint32_t sum = 0;

	if (f->ip.protocol != IPPROTO_ICMP)
		sum = frame_add(&f->ip.saddr, 8, f->ip.protocol + len);
	return frame_fold(frame_add(f->l4, len, sum));
}
