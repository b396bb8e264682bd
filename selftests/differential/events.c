// SPDX-License-Identifier: GPL-2.0
#include <netinet/in.h>
#include <netinet/ip.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>

#include "events.h"
#include "packet.h"
#include "topology.h"

#define OPT_TIMESTAMP 68

/* The options area, if one of the options is a timestamp: the host writes its clock there. */
static void forget_clock(uint8_t *p, unsigned int hlen)
{
	unsigned int i = sizeof(struct iphdr);

	while (i + 1 < hlen && p[i] != IPOPT_EOL) {
		if (p[i] == OPT_TIMESTAMP) {
			memset(p + sizeof(struct iphdr), 0, hlen - sizeof(struct iphdr));
			memset(p + 10, 0, 2);
			return;
		}
		if (p[i] == IPOPT_NOP)
			i++;
		else if (p[i + 1] < 2)
			return;
		else
			i += p[i + 1];
	}
}

static void make_comparable(uint8_t *p, unsigned int len, unsigned int where)
{
	unsigned int hlen;

	if (len < sizeof(struct iphdr))
		return;
	hlen = (p[0] & 15) * 4;
	if (where != NF_INET_FORWARD) {
		memset(p + 4, 0, 2);
		memset(p + 10, 0, 2);
	}
	if (hlen > len)
		return;
	forget_clock(p, hlen);
	/* An ICMP timestamp reply: three times of day. */
	if (p[9] == IPPROTO_ICMP && len >= hlen + 20 && p[hlen] == 14) {
		memset(p + hlen + 2, 0, 2);
		memset(p + hlen + 8, 0, 12);
	}
}

void events_add(struct events *evs, struct event ev, const void *packet)
{
	if (evs->nr == evs->max) {
		evs->max = evs->max * 2 + 256;
		evs->list = must_realloc(evs->list, evs->max * sizeof(*evs->list));
	}
	ev.at = evs->bytes.len;
	text_add_bytes(&evs->bytes, packet, ev.len);
	make_comparable((uint8_t *)evs->bytes.s + ev.at, ev.len, ev.where);
	evs->list[evs->nr++] = ev;
}

void events_reset(struct events *evs)
{
	evs->nr = 0;
	text_reset(&evs->bytes);
}

void events_free(struct events *evs)
{
	free(evs->list);
	text_free(&evs->bytes);
	memset(evs, 0, sizeof(*evs));
}

static const uint8_t *event_bytes(const struct events *evs, const struct event *ev)
{
	return (const uint8_t *)evs->bytes.s + ev->at;
}

/* Where a transport header has its checksum, and how long that is; 0 if it has no ports. */
static unsigned int checksum_place(uint8_t proto, unsigned int *size)
{
	*size = proto == IPPROTO_SCTP ? 4 : 2;
	switch (proto) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_SCTP:
		return 8;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_DCCP:
		return 6;
	default:
		return 0;
	}
}

/*
 * Two packets on the wire that differ in nothing but the source port, and the checksum with it: where two
 * connections would become the same, source nat takes a port at random, from 1024 on.
 */
static bool differ_by_nat_port(const uint8_t *x, const uint8_t *y, unsigned int len)
{
	unsigned int hlen, size, sum;

	if (len < sizeof(struct iphdr))
		return false;
	hlen = (x[0] & 15) * 4;
	sum = checksum_place(x[9], &size);
	if (!sum || (x[6] & 0x1f) || x[7] || len < hlen + sum + size)
		return false;
	if (x[hlen] < 4 || y[hlen] < 4)
		return false;
	return !memcmp(x, y, hlen) && !memcmp(x + hlen + 2, y + hlen + 2, sum - 2) &&
	       !memcmp(x + hlen + sum + size, y + hlen + sum + size, len - hlen - sum - size);
}

static bool bytes_equal(const struct event *ev, const uint8_t *x, const uint8_t *y)
{
	return !memcmp(x, y, ev->len) ||
	       (ev->where == EVENT_WIRE && differ_by_nat_port(x, y, ev->len));
}

static bool event_equal(const struct events *a, const struct event *x, const struct events *b,
			const struct event *y)
{
	return x->where == y->where && x->in == y->in && x->out == y->out && x->mark == y->mark &&
	       x->len == y->len && bytes_equal(x, event_bytes(a, x), event_bytes(b, y));
}

/* In order; a machine that processes packets on one CPU keeps it. */
bool events_equal(const struct events *a, const struct events *b)
{
	unsigned int i;

	if (a->nr != b->nr)
		return false;
	for (i = 0; i < a->nr; i++)
		if (!event_equal(a, &a->list[i], b, &b->list[i]))
			return false;
	return true;
}

static const char *where_name(unsigned int where)
{
	switch (where) {
	case NF_INET_LOCAL_IN:
		return "passed INPUT";
	case NF_INET_FORWARD:
		return "passed FORWARD";
	case NF_INET_LOCAL_OUT:
		return "passed OUTPUT";
	case EVENT_WIRE:
		return "left the host";
	default:
		return "seen at an unknown place";
	}
}

static void describe(const struct events *evs, const struct event *ev, struct text *out)
{
	text_add(out, "#     %s", where_name(ev->where));
	if (ev->in)
		text_add(out, " in %s", topology_if_name(ev->in));
	if (ev->out)
		text_add(out, " out %s", topology_if_name(ev->out));
	if (ev->mark)
		text_add(out, " mark 0x%x", ev->mark);
	text_add(out, ": ");
	packet_describe_ip(out, event_bytes(evs, ev), ev->len);
	text_add(out, "\n");
}

void events_describe(const struct events *evs, struct text *out)
{
	unsigned int i;

	if (!evs->nr)
		text_add(out, "#     nothing passed\n");
	for (i = 0; i < evs->nr; i++)
		describe(evs, &evs->list[i], out);
}

void events_describe_from(const struct events *evs, const struct events *other, struct text *out)
{
	unsigned int i = 0, end;

	while (i < evs->nr && i < other->nr &&
	       event_equal(evs, &evs->list[i], other, &other->list[i]))
		i++;
	for (end = i + 4; i < evs->nr && i < end; i++)
		describe(evs, &evs->list[i], out);
}
