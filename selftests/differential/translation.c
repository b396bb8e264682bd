// SPDX-License-Identifier: GPL-2.0
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "topology.h"
#include "translation.h"

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

static bool within(uint32_t addr, uint32_t net, unsigned int plen)
{
	return !((addr ^ net) >> (32 - plen));
}

struct tuple translation_of(struct tuple t)
{
	const struct topology_if *eth1 = &topology_ifs[1];

	if (t.proto == IPPROTO_TCP && t.dport == 8080) {
		t.daddr = topology_ifs[2].neighbour;
		t.dport = 80;
	} else if (t.proto == IPPROTO_UDP && t.dport == 5353) {
		t.daddr = IP(192, 0, 2, 53);
	} else if (t.proto == IPPROTO_TCP && t.dport == 81) {
		t.dport = 80;
	}
	if (within(t.daddr, eth1->addr, eth1->plen) || within(t.daddr, eth1->behind, 24)) {
		if (within(t.saddr, IP(10, 0, 0, 0), 8))
			t.saddr = IP(11, 0, 0, 0) | (t.saddr & 0xffffff);
		else if (within(t.saddr, IP(172, 17, 0, 0), 16))
			t.saddr = IP(12, 34, 0, 0) | (t.saddr & 0xffff);
	}
	return t;
}

static struct tuple reversed(struct tuple t)
{
	return (struct tuple){t.daddr, t.saddr, t.dport, t.sport, t.proto};
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

/* False if it has no ports to speak of. */
static bool tuple_of(const struct packet *p, struct tuple *t)
{
	unsigned int hlen = p->len >= 24 ? (p->data[0] & 15) * 4 : 0;

	if (hlen < 20 || hlen + 4 > p->len || (p->data[6] & 0x1f) || p->data[7])
		return false;
	t->proto = p->data[9];
	t->saddr = get32(p->data + 12);
	t->daddr = get32(p->data + 16);
	t->sport = p->data[hlen] << 8 | p->data[hlen + 1];
	t->dport = p->data[hlen + 2] << 8 | p->data[hlen + 3];
	return t->proto == IPPROTO_TCP || t->proto == IPPROTO_UDP || t->proto == IPPROTO_SCTP ||
	       t->proto == IPPROTO_DCCP || t->proto == IPPROTO_UDPLITE;
}

static bool same_tuple(const struct tuple *a, const struct tuple *b)
{
	return a->saddr == b->saddr && a->daddr == b->daddr && a->sport == b->sport &&
	       a->dport == b->dport && a->proto == b->proto;
}

/**
 * struct tuples - the ends, as sent and as answered, of all connections so far
 */
struct tuples {
	struct tuple *sent, *answered;
	unsigned int nr;
};

static bool among(const struct tuple *list, unsigned int nr, const struct tuple *t)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (same_tuple(&list[i], t))
			return true;
	return false;
}

/*
 * The filter may have dropped what came before: a packet is at the same time an answer, and the
 * first of a connection that must not compete with the others.
 */
static bool clashes(struct tuples *ts, const struct packet *p)
{
	struct tuple t, answer, plain;

	if (!tuple_of(p, &t) || among(ts->sent, ts->nr, &t))
		return false;
	plain = reversed(t);
	answer = reversed(translation_of(t));
	if (among(ts->answered, ts->nr, &answer))
		return true;
	if (among(ts->answered, ts->nr, &t) && !same_tuple(&answer, &plain))
		return true;
	if (among(ts->sent, ts->nr, &answer) &&
	    !(same_tuple(&answer, &plain) && among(ts->answered, ts->nr, &t)))
		return true;
	ts->sent[ts->nr] = t;
	ts->answered[ts->nr++] = answer;
	return false;
}

void translation_remove_clashes(struct packets *ps)
{
	struct tuples ts = {.sent = must_alloc(ps->nr * sizeof(*ts.sent)),
			    .answered = must_alloc(ps->nr * sizeof(*ts.answered))};
	unsigned int i, nr = 0;

	for (i = 0; i < ps->nr; i++) {
		if (clashes(&ts, &ps->list[i]))
			free(ps->list[i].data);
		else
			ps->list[nr++] = ps->list[i];
	}
	ps->nr = nr;
	free(ts.sent);
	free(ts.answered);
}
