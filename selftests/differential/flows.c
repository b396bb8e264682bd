// SPDX-License-Identifier: GPL-2.0
/*
 * Packets that belong together, for connection tracking: both directions, errors about them, and
 * steps left out or wrong.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "craft.h"
#include "topology.h"
#include "translation.h"

/**
 * struct flow - two ends that talk
 * @h: from the one who began; turned round for answers
 * @ifno: where frames of the one who began, and of the other, come from
 * @way: likewise
 */
struct flow {
	struct l3l4 h;
	uint8_t ifno[2];
	uint8_t way[2];
};

static uint8_t behind(struct craft *c, uint32_t *addr)
{
	uint8_t ifno = rng_below(c->r, TOPOLOGY_IFS);
	const struct topology_if *f = &topology_ifs[ifno];

	*addr = rng_chance(c->r, 50) ? f->neighbour : f->behind | rng_below(c->r, 256);
	if (ifno == 0 && rng_chance(c->r, 50))
		*addr = pool_addr(c->pool, c->r);
	return ifno;
}

static void draw_flow(struct craft *c, struct flow *f, uint8_t proto)
{
	static const uint16_t translated[] = {8080, 5353, 81, 7777};

	memset(f, 0, sizeof(*f));
	craft_draw(c, &f->h);
	f->h.proto = proto;
	f->h.ttl = 64;
	f->h.payload = rng_below(c->r, 16);
	f->h.frag = 0;
	f->ifno[0] = behind(c, &f->h.saddr);
	f->ifno[1] = behind(c, &f->h.daddr);
	f->way[0] = f->way[1] = WAY_FRAME;
	if (rng_chance(c->r, 20))
		f->h.dport = RNG_PICK(c->r, translated);
	switch (rng_below(c->r, 5)) {
	case 0: /* to the host */
		f->h.daddr = craft_local(c);
		f->way[1] = WAY_RAW;
		break;
	case 1: /* from the host */
		f->h.saddr = craft_local(c);
		f->way[0] = WAY_RAW;
		break;
	case 2: /* with itself */
		f->h.saddr = f->h.daddr = craft_local(c);
		f->way[0] = f->way[1] = WAY_RAW;
		break;
	}
}

static struct l3l4 turned(const struct craft *c, const struct l3l4 *h)
{
	struct tuple t = {h->saddr, h->daddr, h->sport, h->dport, h->proto};
	struct l3l4 back = *h;

	if (c->nat)
		t = translation_of(t);
	back.saddr = t.daddr;
	back.daddr = t.saddr;
	back.sport = t.dport;
	back.dport = t.sport;
	return back;
}

/* The next packet of the flow, from the one who began (@end 0) or the other (1). */
static struct packet *say(struct craft *c, const struct flow *f, unsigned int end)
{
	struct l3l4 h = end ? turned(c, &f->h) : f->h;
	struct packet *p = craft_make(c, f->way[end], &h);

	p->ifno = f->ifno[end];
	return p;
}

static void say_tcp(struct craft *c, struct flow *f, unsigned int end, uint8_t flags, uint32_t seq,
		    uint32_t ack, uint16_t payload)
{
	f->h.tcp_flags = flags;
	f->h.seq = seq;
	f->h.ack = ack;
	f->h.payload = payload;
	if (!rng_chance(c->r, 5)) /* some are lost */
		say(c, f, end);
}

static void tcp(struct craft *c)
{
	uint32_t a = rng_next(c->r), b = rng_next(c->r);
	struct flow f;

	draw_flow(c, &f, IPPROTO_TCP);
	say_tcp(c, &f, 0, 0x02, a, 0, 0);
	if (rng_chance(c->r, 15)) {
		say_tcp(c, &f, 1, 0x14, 0, a + 1, 0);
		return;
	}
	say_tcp(c, &f, 1, 0x12, b, a + 1, 0);
	say_tcp(c, &f, 0, 0x10, a + 1, b + 1, 0);
	say_tcp(c, &f, 0, 0x18, a + 1, b + 1, 10);
	say_tcp(c, &f, 1, 0x10, b + 1, a + 11, 0);
	if (rng_chance(c->r, 20)) /* out of the window */
		say_tcp(c, &f, 0, 0x10, a + 0x40000000, b + 1, 10);
	say_tcp(c, &f, 1, 0x18, b + 1, a + 11, 20);
	if (rng_chance(c->r, 50)) {
		say_tcp(c, &f, 0, 0x11, a + 11, b + 21, 0);
		say_tcp(c, &f, 1, 0x11, b + 21, a + 12, 0);
		say_tcp(c, &f, 0, 0x10, a + 12, b + 22, 0);
	}
}

static void udp(struct craft *c)
{
	unsigned int n = rng_between(c->r, 1, 5);
	struct flow f;

	draw_flow(c, &f, IPPROTO_UDP);
	say(c, &f, 0);
	while (n--)
		say(c, &f, rng_below(c->r, 2));
}

static void ping(struct craft *c)
{
	unsigned int n = rng_between(c->r, 1, 3);
	struct flow f;

	draw_flow(c, &f, IPPROTO_ICMP);
	f.h.icmp_code = 0;
	while (n--) {
		struct l3l4 h;
		struct packet *p;

		f.h.icmp_type = 8;
		say(c, &f, 0);
		h = turned(c, &f.h);
		h.icmp_type = 0;
		h.sport = f.h.sport; /* the echo's identifier and sequence number */
		h.dport = f.h.dport;
		p = craft_make(c, f.way[1], &h);
		p->ifno = f.ifno[1];
	}
}

static void other(struct craft *c)
{
	static const uint8_t protos[] = {IPPROTO_SCTP, IPPROTO_DCCP, IPPROTO_UDPLITE, IPPROTO_GRE,
					 IPPROTO_ESP};
	struct flow f;

	draw_flow(c, &f, RNG_PICK(c->r, protos));
	say(c, &f, 0);
	say(c, &f, 1);
	say(c, &f, 0);
}

/* An error of a router about the first packet of a flow, or about one that never was. */
static void error(struct craft *c)
{
	static const uint8_t types[] = {3, 3, 3, 11, 12, 4};
	unsigned int quoted;
	struct l3l4 e;
	struct flow f;
	struct packet *p;
	uint8_t first[128];

	draw_flow(c, &f, rng_chance(c->r, 50) ? IPPROTO_UDP : IPPROTO_TCP);
	f.h.tcp_flags = 0x02;
	f.h.payload = 4;
	p = say(c, &f, 0);
	quoted = p->len < 28 ? p->len : 28;
	memcpy(first, p->data, quoted);
	if (rng_chance(c->r, 20))
		first[21] ^= 1;
	memset(&e, 0, sizeof(e));
	e.proto = IPPROTO_ICMP;
	e.ttl = 60;
	e.icmp_type = RNG_PICK(c->r, types);
	e.icmp_code = rng_below(c->r, 4);
	e.saddr = rng_chance(c->r, 50) ? f.h.daddr : craft_remote(c);
	e.daddr = f.h.saddr;
	e.payload = quoted;
	p = craft_make(c, f.way[1], &e);
	p->ifno = f.ifno[1];
	memcpy(p->data + 28, first, quoted);
	packet_fix_l4(p->data, p->len);
}

void craft_flows(struct craft *c, unsigned int n)
{
	static void (*const kinds[])(struct craft * c) = {tcp, tcp, udp, udp, ping, error, other};
	unsigned int end = c->out->nr + n;

	while (c->out->nr < end)
		RNG_PICK(c->r, kinds)(c);
}
