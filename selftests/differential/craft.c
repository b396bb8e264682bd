// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "craft.h"
#include "topology.h"
#include "world.h"

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

uint32_t craft_local(struct craft *c)
{
	unsigned int tries;
	uint32_t a;

	/* One that a rule names, if there is such a one. */
	for (tries = 0; tries < 6; tries++) {
		a = pool_addr(c->pool, c->r);
		if (topology_is_local(a))
			return a;
	}
	if (rng_chance(c->r, 30))
		return 0xc0000200 | rng_below(c->r, 256);
	return topology_ifs[rng_below(c->r, TOPOLOGY_IFS)].addr;
}

uint32_t craft_remote(struct craft *c)
{
	const struct topology_if *f = &topology_ifs[rng_below(c->r, TOPOLOGY_IFS)];

	switch (rng_below(c->r, 10)) {
	case 0:
	case 1:
		return f->neighbour;
	case 2:
		return f->behind | rng_below(c->r, 256);
	case 3:
		return topology_odd_addrs[rng_below(c->r, topology_nr_odd_addrs)];
	default:
		return pool_addr(c->pool, c->r);
	}
}

/* As they are on the wire, and anything. */
static void draw_options(struct craft *c, struct l3l4 *h)
{
	static const uint8_t usual[] = {2, 4, 5, 180, 1, 3, 3, 7, 4, 2, 1, 1};
	static const uint8_t kinds[] = {0, 1, 1, 2, 2, 2, 3, 4, 4, 8};
	unsigned int i;

	h->tcp_optlen = 4 * rng_below(c->r, 11);
	for (i = 0; i < h->tcp_optlen; i++)
		h->tcp_options[i] = i < sizeof(usual) ? usual[i] : RNG_PICK(c->r, kinds);
	if (rng_chance(c->r, 50))
		for (i = 0; i < h->tcp_optlen; i++)
			h->tcp_options[i] = RNG_PICK(c->r, kinds);
}

void craft_draw(struct craft *c, struct l3l4 *h)
{
	static const uint8_t common[] = {IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDP,
					 IPPROTO_ICMP};
	static const uint8_t flags[] = {0x02, 0x12, 0x10, 0x11, 0x04, 0x14, 0x18, 0x00,
					0x29, 0x3f, 0xff, 0xc2, 0x03, 0x06, 0x20};
	static const uint8_t types[] = {8, 8, 0, 3, 3, 11, 13, 14, 5, 12, 17, 254, 255, 4, 1};
	static const uint8_t codes[] = {0, 0, 1, 3, 4, 13, 255};

	memset(h, 0, sizeof(*h));
	h->saddr = craft_remote(c);
	h->daddr = craft_remote(c);
	h->proto = rng_chance(c->r, 85) ? RNG_PICK(c->r, common) : pool_proto(c->pool, c->r);
	h->sport = pool_port(c->pool, c->r);
	h->dport = pool_port(c->pool, c->r);
	h->ttl = rng_chance(c->r, 3) ? 1 : rng_between(c->r, 2, 255);
	h->tos = rng_below(c->r, 10) << 2 | (rng_chance(c->r, 20) ? rng_below(c->r, 4) : 0);
	h->tcp_flags = rng_chance(c->r, 80) ? RNG_PICK(c->r, flags) : rng_next(c->r);
	h->icmp_type = RNG_PICK(c->r, types);
	h->icmp_code = RNG_PICK(c->r, codes);
	h->payload = rng_chance(c->r, 5) ? rng_below(c->r, 1300) : rng_below(c->r, 24);
	h->seq = rng_next(c->r);
	if (h->proto == IPPROTO_TCP && rng_chance(c->r, 15))
		draw_options(c, h);
	if (rng_chance(c->r, 2))
		h->frag = 0x4000;
}

unsigned int craft_l4_header(const struct l3l4 *h)
{
	switch (h->proto) {
	case IPPROTO_TCP:
		return 20 + h->tcp_optlen;
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_AH:
		return 12;
	default:
		return 8;
	}
}

static void make_l4(const struct l3l4 *h, uint8_t *p, unsigned int len)
{
	switch (h->proto) {
	case IPPROTO_ICMP:
		p[0] = h->icmp_type;
		p[1] = h->icmp_code;
		put16(p + 4, h->sport);
		put16(p + 6, h->dport);
		return;
	case IPPROTO_TCP:
		put32(p + 4, h->seq);
		put32(p + 8, h->ack);
		p[12] = (20 + h->tcp_optlen) / 4 << 4;
		p[13] = h->tcp_flags;
		put16(p + 14, 0xffff);
		memcpy(p + 20, h->tcp_options, h->tcp_optlen);
		break;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		put16(p + 4, len);
		break;
	case IPPROTO_SCTP:
	case IPPROTO_AH:
		put32(p + 4, h->seq);
		break;
	case IPPROTO_DCCP:
		p[8] = 3;
		break;
	}
	put16(p, h->sport);
	put16(p + 2, h->dport);
}

struct packet *craft_make(struct craft *c, uint8_t way, const struct l3l4 *h)
{
	unsigned int hlen = 20 + h->optlen, l4 = craft_l4_header(h), len = hlen + l4 + h->payload;
	struct packet *p = packets_new(c->out, way, len);
	uint8_t *ip = p->data;
	unsigned int i;

	ip[0] = 0x40 | hlen / 4;
	ip[1] = h->tos;
	put16(ip + 2, len);
	/* A raw socket would fill in 0. */
	c->id += c->id == 65535 ? 2 : 1;
	put16(ip + 4, c->id);
	put16(ip + 6, h->frag);
	ip[8] = h->ttl;
	ip[9] = h->proto;
	put32(ip + 12, h->saddr);
	put32(ip + 16, h->daddr);
	memcpy(ip + 20, h->options, h->optlen);
	make_l4(h, ip + hlen, l4 + h->payload);
	for (i = 0; i < h->payload; i++)
		ip[hlen + l4 + i] = c->id + i;
	packet_fix_l4(ip, len);
	packet_fix_ip(ip, len);
	return p;
}

static uint32_t draw_mark(struct rng *r)
{
	static const uint32_t marks[] = {0,	 0,	  1,	      0xff,	  0x100,
					 0x8000, 0x10000, 0x80000000, 0xdeadbeef, 0xffffffff};

	return RNG_PICK(r, marks);
}

static void from_frame(struct craft *c, struct l3l4 *h)
{
	struct packet *p;

	if (rng_chance(c->r, 50))
		h->daddr = craft_local(c);
	p = craft_make(c, WAY_FRAME, h);
	p->ifno = rng_below(c->r, TOPOLOGY_IFS);
	if (rng_chance(c->r, 2))
		p->mac = rng_below(c->r, 4);
}

static void from_raw(struct craft *c, struct l3l4 *h)
{
	struct packet *p;

	if (rng_chance(c->r, 60))
		h->saddr = craft_local(c);
	if (rng_chance(c->r, 25))
		h->daddr = craft_local(c);
	p = craft_make(c, WAY_RAW, h);
	p->mark = draw_mark(c->r);
}

static void from_udp(struct craft *c, struct l3l4 *h)
{
	struct packet *p;

	h->proto = IPPROTO_UDP;
	h->sport = world_udp_ports[rng_below(c->r, WORLD_UDP_SOCKETS)];
	if (rng_chance(c->r, 25))
		h->daddr = craft_local(c);
	h->saddr = topology_source(h->daddr);
	p = craft_make(c, WAY_UDP, h);
	p->mark = draw_mark(c->r);
}

static void from_icmp(struct craft *c, struct l3l4 *h)
{
	struct packet *p;

	h->proto = IPPROTO_ICMP;
	if (rng_chance(c->r, 25))
		h->daddr = craft_local(c);
	h->saddr = topology_source(h->daddr);
	p = craft_make(c, WAY_ICMP, h);
	p->mark = draw_mark(c->r);
}

void craft_random(struct craft *c, unsigned int n)
{
	struct l3l4 h;

	while (n--) {
		unsigned int draw = rng_below(c->r, 100);

		craft_draw(c, &h);
		if (draw < 62)
			from_frame(c, &h);
		else if (draw < 86)
			from_raw(c, &h);
		else if (draw < 95)
			from_udp(c, &h);
		else
			from_icmp(c, &h);
	}
}
