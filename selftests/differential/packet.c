// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "packet.h"
#include "topology.h"

struct packet *packets_new(struct packets *ps, uint8_t way, unsigned int len)
{
	struct packet *p;

	if (ps->nr == ps->max) {
		ps->max = ps->max * 2 + 64;
		ps->list = must_realloc(ps->list, ps->max * sizeof(*ps->list));
	}
	p = &ps->list[ps->nr++];
	memset(p, 0, sizeof(*p));
	p->way = way;
	p->len = len;
	p->data = must_alloc(len);
	return p;
}

void packets_add(struct packets *ps, const struct packet *p)
{
	struct packet *copy = packets_new(ps, p->way, p->len);
	uint8_t *data = copy->data;

	memcpy(data, p->data, p->len);
	*copy = *p;
	copy->data = data;
}

void packets_free(struct packets *ps)
{
	unsigned int i;

	for (i = 0; i < ps->nr; i++)
		free(ps->list[i].data);
	free(ps->list);
	memset(ps, 0, sizeof(*ps));
}

uint32_t packet_sum(const void *data, unsigned int len, uint32_t sum)
{
	const uint8_t *p = data;
	uint16_t word;

	for (; len > 1; len -= 2, p += 2) {
		memcpy(&word, p, 2);
		sum += word;
		if (sum & 0x80000000)
			sum = (sum & 0xffff) + (sum >> 16);
	}
	if (len) {
		word = 0;
		memcpy(&word, p, 1);
		sum += word;
	}
	return sum;
}

uint16_t packet_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void put16(uint8_t *p, uint16_t raw)
{
	memcpy(p, &raw, 2);
}

static unsigned int header_len(const uint8_t *ip, unsigned int len)
{
	unsigned int hlen = len ? (ip[0] & 15) * 4 : 0;

	return hlen >= 20 && hlen <= len ? hlen : 0;
}

void packet_fix_ip(uint8_t *ip, unsigned int len)
{
	unsigned int hlen = header_len(ip, len);

	if (!hlen)
		return;
	put16(ip + 10, 0);
	put16(ip + 10, ~packet_fold(packet_sum(ip, hlen, 0)));
}

void packet_fix_l4(uint8_t *ip, unsigned int len)
{
	unsigned int hlen = header_len(ip, len), at, l4len = len - hlen;
	uint32_t sum = 0;

	if (!hlen)
		return;
	switch (ip[9]) {
	case IPPROTO_TCP:
		at = 16;
		break;
	case IPPROTO_UDP:
		at = 6;
		break;
	case IPPROTO_ICMP:
		at = 2;
		break;
	default:
		return;
	}
	if (l4len < at + 2)
		return;
	if (ip[9] != IPPROTO_ICMP)
		sum = packet_sum(ip + 12, 8, htons(ip[9]) + (uint32_t)htons(l4len));
	put16(ip + hlen + at, 0);
	put16(ip + hlen + at, ~packet_fold(packet_sum(ip + hlen, l4len, sum)));
}

static unsigned int get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static void describe_tcp(struct text *out, const uint8_t *l4, unsigned int len)
{
	static const char names[] = "FSRPAUEC";
	unsigned int i;

	if (len < 14)
		return;
	text_add(out, " flags ");
	for (i = 0; i < 8; i++)
		if (l4[13] & (1 << i))
			text_add(out, "%c", names[i]);
	text_add(out, " doff %u", l4[12] >> 4);
}

static void describe_l4(struct text *out, unsigned int proto, const uint8_t *l4, unsigned int len)
{
	if (proto == IPPROTO_ICMP && len >= 2)
		text_add(out, " type %u code %u", l4[0], l4[1]);
	else if (proto != IPPROTO_ICMP && len >= 4)
		text_add(out, " ports %u -> %u", get16(l4), get16(l4 + 2));
	if (proto == IPPROTO_TCP)
		describe_tcp(out, l4, len);
	text_add(out, ", %u bytes behind the IP header", len);
}

static const char *proto_name(unsigned int proto)
{
	switch (proto) {
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	default:
		return "";
	}
}

void packet_describe_ip(struct text *out, const uint8_t *ip, unsigned int len)
{
	unsigned int hlen, frag;

	if (len < 20) {
		text_add(out, "%u bytes, less than an IP header", len);
		return;
	}
	hlen = (ip[0] & 15) * 4;
	frag = get16(ip + 6);
	text_add(out, "%u.%u.%u.%u -> %u.%u.%u.%u protocol %u %s", ip[12], ip[13], ip[14], ip[15],
		 ip[16], ip[17], ip[18], ip[19], ip[9], proto_name(ip[9]));
	text_add(out, " ttl %u tos 0x%02x id %u len %u", ip[8], ip[1], get16(ip + 4), len);
	if (hlen != 20)
		text_add(out, " header %u", hlen);
	if (get16(ip + 2) != len)
		text_add(out, " tot_len %u", get16(ip + 2));
	if (frag & 0x3fff)
		text_add(out, " fragment at %u%s", (frag & 0x1fff) * 8,
			 frag & 0x2000 ? " (more follow)" : "");
	if (hlen < len && !(frag & 0x1fff))
		describe_l4(out, ip[9], ip + hlen, len - hlen);
}

void packet_describe(struct text *out, const struct packet *p)
{
	static const char *const ways[] = {"frame", "raw socket", "UDP socket", "ICMP socket"};
	static const char *const macs[] = {"", " broadcast", " multicast", " other host"};
	unsigned int i;

	text_add(out, "#   %s", ways[p->way]);
	if (p->way == WAY_FRAME)
		text_add(out, " on %s%s", topology_ifs[p->ifno].name, macs[p->mac]);
	if (p->mark)
		text_add(out, " mark 0x%x", p->mark);
	if (p->gso)
		text_add(out, " GSO size %u", p->gso);
	if (p->linear)
		text_add(out, " linear %u", p->linear);
	text_add(out, ": ");
	packet_describe_ip(out, p->data, p->len);
	text_add(out, "\n#   hex ");
	for (i = 0; i < p->len && i < 256; i++)
		text_add(out, "%02x", p->data[i]);
	text_add(out, "%s\n", i < p->len ? "..." : "");
}
