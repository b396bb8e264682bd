// SPDX-License-Identifier: GPL-2.0
/*
 * Packets that a careless filter gets wrong.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "craft.h"
#include "topology.h"

static void set_len(struct packet *p, unsigned int len)
{
	if (len > p->len)
		return;
	p->len = len;
	if (len >= 4) {
		p->data[2] = len >> 8;
		p->data[3] = len;
	}
	packet_fix_ip(p->data, len);
}

static uint8_t draw_way(struct craft *c, struct l3l4 *h)
{
	if (rng_chance(c->r, 30)) {
		h->saddr = craft_local(c);
		return WAY_RAW;
	}
	if (rng_chance(c->r, 50))
		h->daddr = craft_local(c);
	return WAY_FRAME;
}

static struct packet *make(struct craft *c, struct l3l4 *h)
{
	struct packet *p = craft_make(c, draw_way(c, h), h);

	p->ifno = rng_below(c->r, TOPOLOGY_IFS);
	return p;
}

/* Every length of what is behind the IP header, from nothing on. */
static void truncated(struct craft *c, struct l3l4 *h)
{
	unsigned int hlen;
	struct packet *p;

	h->optlen = rng_chance(c->r, 20) ? 8 : 0;
	memset(h->options, 1, h->optlen);
	p = make(c, h);
	hlen = 20 + h->optlen;
	set_len(p, hlen + rng_below(c->r, p->len - hlen > 24 ? 24 : p->len - hlen));
}

/* One that says nothing of the others: at 1, where a TCP header would be overwritten, and later. */
static void lone_fragment(struct craft *c, struct l3l4 *h)
{
	static const uint16_t at[] = {1, 1, 2, 3, 185, 8189, 0};

	h->frag = RNG_PICK(c->r, at) | (rng_chance(c->r, 50) ? 0x2000 : 0);
	h->payload = rng_below(c->r, 8) * 8;
	if (h->frag & 0x2000 && h->proto != IPPROTO_TCP)
		h->payload &= ~7;
	make(c, h);
}

/* Bytes [@at, @at + @len) behind the header of @whole, as a packet of its own. */
static void piece(struct craft *c, const struct packet *whole, unsigned int at, unsigned int len,
		  bool last)
{
	struct packet *f = packets_new(c->out, whole->way, 20 + len);

	f->ifno = whole->ifno;
	memcpy(f->data, whole->data, 20);
	memcpy(f->data + 20, whole->data + 20 + at, len);
	f->data[6] = (last ? 0 : 0x20) | (at / 8) >> 8;
	f->data[7] = at / 8;
	set_len(f, f->len);
}

/*
 * A whole packet in pieces: the transport header may be in more than one. Sometimes one piece
 * is missing, and the others wait for it for ever where there is reassembly.
 */
static void fragments(struct craft *c, struct l3l4 *h)
{
	static const uint8_t steps[] = {8, 8, 16, 24, 64};
	unsigned int step = RNG_PICK(c->r, steps), at, behind;
	bool hole = rng_chance(c->r, 30);
	struct packet whole;

	h->payload = rng_between(c->r, 16, 200);
	whole = *make(c, h);
	c->out->nr--;
	behind = whole.len - 20;
	for (at = 0; at < behind; at += step)
		if (!hole || at != step)
			piece(c, &whole, at, behind - at < step ? behind - at : step,
			      at + step >= behind);
	free(whole.data);
}

static void with_options(struct craft *c, struct l3l4 *h)
{
	static const uint8_t lists[][12] = {
		{1, 1, 1, 0},
		{7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0},	 /* record route */
		{148, 4, 0, 0},				 /* router alert */
		{68, 12, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0}, /* timestamp, full: no clock gets in */
		{130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		{7, 3, 4, 0},
		{25, 0, 0, 0},		    /* impossible */
		{131, 7, 4, 8, 8, 8, 8, 0}, /* loose source route */
	};
	static const uint8_t lens[] = {4, 12, 4, 12, 12, 4, 4, 8};
	unsigned int which = rng_below(c->r, 8);

	h->optlen = lens[which];
	memcpy(h->options, lists[which], h->optlen);
	if (rng_chance(c->r, 20)) {
		h->optlen = 40;
		memset(h->options, 1, 40);
	}
	make(c, h);
}

/* Headers that lie about lengths. Raw sockets of root let nearly everything out. */
static void bad_header(struct craft *c, struct l3l4 *h)
{
	struct packet *p = make(c, h);

	switch (rng_below(c->r, 6)) {
	case 0:
		p->data[0] = 0x40 | rng_below(c->r, 16);
		break;
	case 1:
		p->data[0] = rng_below(c->r, 16) << 4 | 5;
		break;
	case 2:
		p->data[2] = 0;
		p->data[3] = rng_below(c->r, p->len + 8);
		break;
	case 3:
		p->data[10] ^= 0xff;
		return;
	case 4: /* padding behind the packet */
		set_len(p, p->len);
		if (p->len > 30)
			p->data[3] -= 6;
		break;
	default:
		p->data[6] |= 0x80; /* the reserved flag */
	}
	packet_fix_ip(p->data, p->len);
}

/* TCP options of all kinds, with lengths that run over the end, and headers too short. */
static void tcp_options(struct craft *c, struct l3l4 *h)
{
	static const uint8_t kinds[] = {1, 2, 3, 4, 5, 8, 28, 30, 128, 254, 255, 0};
	struct packet *p;
	unsigned int i = 0;

	h->proto = IPPROTO_TCP;
	h->tcp_optlen = rng_below(c->r, 11) * 4;
	while (i < h->tcp_optlen) {
		uint8_t kind = RNG_PICK(c->r, kinds), len = rng_below(c->r, 12);

		h->tcp_options[i++] = kind;
		if (kind > 1 && i < h->tcp_optlen) {
			h->tcp_options[i++] = len;
			i += len > 2 ? len - 2 : 0;
		}
	}
	p = make(c, h);
	if (rng_chance(c->r, 50)) {
		p->data[32] = rng_next(c->r);
		packet_fix_l4(p->data, p->len);
	}
	if (rng_chance(c->r, 30))
		set_len(p, 40 + rng_below(c->r, h->tcp_optlen + 1));
}

static void bad_checksum(struct craft *c, struct l3l4 *h)
{
	struct packet *p = make(c, h);
	unsigned int at = h->proto == IPPROTO_TCP ? 36 : h->proto == IPPROTO_UDP ? 26 : 22;

	memset(p->data + at, rng_chance(c->r, 70) ? 0 : 0x55, 2);
}

static void odd_addresses(struct craft *c, struct l3l4 *h)
{
	uint32_t odd = topology_odd_addrs[rng_below(c->r, topology_nr_odd_addrs)];
	struct packet *p;

	if (rng_chance(c->r, 50))
		h->daddr = odd;
	else
		h->saddr = odd;
	p = craft_make(c, rng_chance(c->r, 40) ? WAY_RAW : WAY_FRAME, h);
	p->ifno = rng_below(c->r, TOPOLOGY_IFS);
	p->mac = rng_chance(c->r, 30) ? rng_below(c->r, 4) : MAC_HOST;
}

static void all_flags(struct craft *c, struct l3l4 *h)
{
	h->proto = IPPROTO_TCP;
	h->tcp_flags = rng_next(c->r);
	make(c, h);
}

static void any_icmp(struct craft *c, struct l3l4 *h)
{
	h->proto = IPPROTO_ICMP;
	h->icmp_type = rng_next(c->r);
	h->icmp_code = rng_next(c->r);
	make(c, h);
}

static void any_protocol(struct craft *c, struct l3l4 *h)
{
	h->proto = rng_next(c->r);
	make(c, h);
}

/* So long that the kernel can be told to keep all but the IP header out of the linear part. */
static void not_linear(struct craft *c, struct l3l4 *h)
{
	struct packet *p;

	h->payload = rng_between(c->r, 4200, 8500);
	h->daddr = rng_chance(c->r, 50) ? craft_local(c) : craft_remote(c);
	p = craft_make(c, WAY_FRAME, h);
	/* The cut goes through the transport header, at each field of it. */
	p->linear = rng_chance(c->r, 40) ? 20 : rng_between(c->r, 1, 40);
}

/* Segments that travel as one packet, in and out. */
static void segments(struct craft *c, struct l3l4 *h)
{
	struct packet *p;

	h->optlen = 0;
	if (rng_chance(c->r, 50)) {
		h->proto = IPPROTO_UDP;
		h->sport = 40000;
		h->saddr = topology_source(h->daddr);
		h->payload = rng_between(c->r, 1200, 6000);
		p = craft_make(c, WAY_UDP, h);
		p->gso = 1000;
		return;
	}
	h->proto = IPPROTO_TCP;
	h->tcp_flags = 0x10;
	h->payload = rng_between(c->r, 3000, 8000);
	h->daddr = rng_chance(c->r, 50) ? craft_local(c) : craft_remote(c);
	p = craft_make(c, WAY_FRAME, h);
	p->ifno = rng_below(c->r, TOPOLOGY_IFS);
	p->gso = 1300;
}

void craft_nasties(struct craft *c, unsigned int n)
{
	static void (*const kinds[])(struct craft * c, struct l3l4 * h) = {
		truncated,    truncated,     truncated,	    lone_fragment, fragments,
		fragments,    with_options,  bad_header,    tcp_options,   tcp_options,
		bad_checksum, odd_addresses, odd_addresses, all_flags,	   any_icmp,
		any_protocol, not_linear,    not_linear,    segments};
	unsigned int end = c->out->nr + n;
	struct l3l4 h;

	while (c->out->nr < end) {
		craft_draw(c, &h);
		RNG_PICK(c->r, kinds)(c, &h);
	}
}
