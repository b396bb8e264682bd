// SPDX-License-Identifier: GPL-2.0
#include "flows.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_ACK 16

struct tuple {
	uint32_t saddr, daddr;
	uint16_t sport, dport;
	uint32_t protocol;
};

/**
 * struct bf_flow - a connection
 * @tuple: of its first packet
 * @replied: a packet has come the other way
 * @ended: with FIN or RST: a SYN begins another
 */
struct bf_flow {
	struct tuple tuple;
	bool used, replied, ended;
};

void bf_flows_free(struct bf_flows *f)
{
	free(f->flows);
	memset(f, 0, sizeof(*f));
}

static struct tuple invert(const struct tuple *t)
{
	return (struct tuple){t->daddr, t->saddr, t->dport, t->sport, t->protocol};
}

static bool same(const struct tuple *a, const struct tuple *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* The same for both directions. */
static uint32_t hash(const struct tuple *t)
{
	uint64_t h = ((uint64_t)t->saddr + t->daddr) * 0x9e3779b97f4a7c15ULL;

	h ^= ((uint64_t)(t->saddr ^ t->daddr) << 32 | (uint32_t)(t->sport + t->dport)) +
	     t->protocol;
	h *= 0xff51afd7ed558ccdULL;
	return h >> 32;
}

/* The flow of a tuple, or the free place for it. @reply: it is in the other direction. There is a table. */
static struct bf_flow *find(const struct bf_flows *f, const struct tuple *t, bool *reply)
{
	struct tuple other = invert(t);
	uint32_t i = hash(t) & (f->max - 1);

	*reply = false;
	while (f->flows[i].used && !same(&f->flows[i].tuple, t)) {
		if (same(&f->flows[i].tuple, &other)) {
			*reply = true;
			break;
		}
		i = (i + 1) & (f->max - 1);
	}
	return &f->flows[i];
}

static bool is_icmp_error(const struct bpfilter_packet *w)
{
	uint32_t type = w->icmp >> 8;

	return w->protocol == IPPROTO_ICMP &&
	       (type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
}

/* Types that ask and answer: echo, timestamp, information, address mask. */
static bool is_icmp_request(const struct bpfilter_packet *w)
{
	uint32_t type = w->icmp >> 8;

	return type == 8 || type == 13 || type == 15 || type == 17;
}

static uint16_t be16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

/* False if the packet has no connection, for one because its header is not whole. */
static bool tuple_of(const struct bf_packet *p, struct tuple *t)
{
	const struct bpfilter_packet *w = &p->what;

	*t = (struct tuple){w->saddr, w->daddr, 0, 0, w->protocol};
	if (w->fragoff || (w->protocol == IPPROTO_TCP && w->l4len < 20) ||
	    (w->protocol == IPPROTO_UDP && w->l4len < 8))
		return false;
	if (w->protocol == IPPROTO_ICMP) {
		if (w->l4len < 8 || p->len < w->thoff + 6)
			return false;
		t->sport = t->dport = be16(p->data + w->thoff + 4);
	} else if (w->l4len >= 4) {
		t->sport = w->sport;
		t->dport = w->dport;
	}
	return true;
}

/* Of the packet that an ICMP error is about, as it was sent. */
static bool inner_tuple(const struct bf_packet *p, struct tuple *t)
{
	const uint8_t *ip = p->data + p->what.thoff + 8;
	uint32_t len = p->len > p->what.thoff + 8 ? p->len - p->what.thoff - 8 : 0, thoff;

	if (len < 20 || ip[0] >> 4 != 4)
		return false;
	thoff = (ip[0] & 15) * 4;
	*t = (struct tuple){be32(ip + 12), be32(ip + 16), 0, 0, ip[9]};
	if (len < thoff + 8 || (be16(ip + 6) & 0x1fff))
		return false;
	t->sport = be16(ip + thoff);
	t->dport = be16(ip + thoff + 2);
	if (t->protocol == IPPROTO_ICMP)
		t->sport = t->dport = be16(ip + thoff + 4);
	return true;
}

/* May a packet be the first of a connection? As nf_conntrack_proto_tcp.c and _icmp.c see it. */
static bool begins(const struct bpfilter_packet *w)
{
	uint32_t flags = w->tcp_flags;

	if (w->protocol == IPPROTO_ICMP)
		return is_icmp_request(w);
	if (w->protocol != IPPROTO_TCP)
		return true;
	if (flags & (TCP_RST | TCP_FIN))
		return false;
	return (flags & TCP_SYN) ? !(flags & TCP_ACK) : flags & TCP_ACK;
}

static bool begins_again(const struct bf_flow *flow, const struct bpfilter_packet *w)
{
	return flow->ended && w->protocol == IPPROTO_TCP &&
	       (w->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

static enum bf_packet_ct describe_error(const struct bf_flows *f, const struct bf_packet *p)
{
	struct tuple t;
	bool reply;

	if (!f->max || !inner_tuple(p, &t))
		return BF_CT_INVALID;
	return find(f, &t, &reply)->used ? BF_CT_RELATED : BF_CT_INVALID;
}

void bf_flows_describe(const struct bf_flows *f, struct bf_packet *p)
{
	const struct bf_flow *flow = NULL;
	bool reply = false;
	struct tuple t;

	if (!tuple_of(p, &t)) {
		bf_packet_set_ct(p, BF_CT_INVALID, false);
		return;
	}
	if (is_icmp_error(&p->what)) {
		bf_packet_set_ct(p, describe_error(f, p), false);
		return;
	}
	if (f->max)
		flow = find(f, &t, &reply);
	if (flow && flow->used && !begins_again(flow, &p->what))
		bf_packet_set_ct(p, reply || flow->replied ? BF_CT_ESTABLISHED : BF_CT_NEW, reply);
	else
		bf_packet_set_ct(p, begins(&p->what) ? BF_CT_NEW : BF_CT_INVALID, false);
}

static int grow(struct bf_flows *f)
{
	struct bf_flows bigger = {.max = f->max ? f->max * 2 : 1024, .nr = f->nr};
	uint32_t i;
	bool reply;

	bigger.flows = calloc(bigger.max, sizeof(*bigger.flows));
	if (!bigger.flows)
		return -ENOMEM;
	for (i = 0; i < f->max; i++)
		if (f->flows[i].used)
			*find(&bigger, &f->flows[i].tuple, &reply) = f->flows[i];
	free(f->flows);
	*f = bigger;
	return 0;
}

int bf_flows_note(struct bf_flows *f, const struct bf_packet *p, bool accepted)
{
	const struct bpfilter_packet *w = &p->what;
	struct bf_flow *flow;
	struct tuple t;
	bool reply;

	if (is_icmp_error(w) || !tuple_of(p, &t))
		return 0;
	if (f->nr >= f->max / 2 && grow(f))
		return -ENOMEM;
	flow = find(f, &t, &reply);
	if (!flow->used || begins_again(flow, w)) {
		if (!accepted || !begins(w))
			return 0;
		f->nr += !flow->used;
		*flow = (struct bf_flow){.tuple = t, .used = true};
		return 0;
	}
	flow->replied |= reply;
	flow->ended |= w->protocol == IPPROTO_TCP && (w->tcp_flags & (TCP_FIN | TCP_RST));
	return 0;
}
