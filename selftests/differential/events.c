// SPDX-License-Identifier: GPL-2.0
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "events.h"
#include "packet.h"
#include "topology.h"

#define OPT_TIMESTAMP 68

/* The options area, if one of the options is a timestamp: the host writes its clock there. Was it? */
static bool forget_clock(uint8_t *p, unsigned int hlen)
{
	unsigned int i = sizeof(struct iphdr);

	while (i + 1 < hlen && p[i] != IPOPT_EOL) {
		if (p[i] == OPT_TIMESTAMP) {
			memset(p + sizeof(struct iphdr), 0, hlen - sizeof(struct iphdr));
			memset(p + 10, 0, 2);
			return true;
		}
		if (p[i] == IPOPT_NOP)
			i++;
		else if (p[i + 1] < 2)
			return false;
		else
			i += p[i + 1];
	}
	return false;
}

/* An ICMP timestamp reply: three times of day, and the checksum with them. */
static bool forget_times(uint8_t *p, unsigned int len, unsigned int hlen)
{
	if (p[9] != IPPROTO_ICMP || len < hlen + 4 || p[hlen] != 14)
		return false;
	memset(p + hlen + 2, 0, 2);
	if (len > hlen + 8)
		memset(p + hlen + 8, 0, len - hlen - 8 < 12 ? len - hlen - 8 : 12);
	return true;
}

/* An ICMP error quotes a packet: what the host itself made up in that, and the checksum with it. */
static void forget_quoted(uint8_t *p, unsigned int len, unsigned int hlen)
{
	uint8_t *icmp = p + hlen, *quoted = icmp + 8;
	unsigned int room = len - hlen - 8, quoted_hlen;
	uint32_t saddr;
	bool changed;

	if (p[9] != IPPROTO_ICMP || len < hlen + 8 + sizeof(struct iphdr))
		return;
	if (icmp[0] != 3 && icmp[0] != 11 && icmp[0] != 12)
		return;
	quoted_hlen = (quoted[0] & 15) * 4;
	if (quoted_hlen < sizeof(struct iphdr) || quoted_hlen > room)
		return;
	memcpy(&saddr, quoted + 12, 4);
	changed = forget_clock(quoted, quoted_hlen);
	if (topology_is_local(ntohl(saddr))) {
		memset(quoted + 4, 0, 2);
		memset(quoted + 10, 0, 2);
		forget_times(quoted, room, quoted_hlen);
		changed = true;
	}
	if (changed)
		memset(icmp + 2, 0, 2);
}

/* The number with which a SYN is answered (SYNPROXY) changes with the minute; and the checksum with it. */
static void forget_cookie(uint8_t *p, unsigned int len, unsigned int hlen)
{
	uint8_t *tcp = p + hlen;

	if (p[9] != IPPROTO_TCP || p[6] & 0x1f || p[7] || len < hlen + 20 ||
	    (tcp[13] & 0x17) != 0x12)
		return;
	memset(tcp + 4, 0, 4);
	memset(tcp + 16, 0, 2);
}

static void make_comparable(uint8_t *p, unsigned int len, unsigned int where)
{
	unsigned int hlen;

	if (where == EVENT_LOG || len < sizeof(struct iphdr))
		return;
	hlen = (p[0] & 15) * 4;
	if (where != NF_INET_FORWARD) {
		memset(p + 4, 0, 2);
		memset(p + 10, 0, 2);
	}
	if (hlen > len)
		return;
	if (where == NF_INET_LOCAL_OUT || where == EVENT_WIRE)
		forget_cookie(p, len, hlen);
	forget_clock(p, hlen);
	forget_quoted(p, len, hlen);
	forget_times(p, len, hlen);
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
	       x->prefix == y->prefix && x->len == y->len &&
	       bytes_equal(x, event_bytes(a, x), event_bytes(b, y));
}

/* Before Linux 6.5, what arrives while ksoftirqd is not done waits for it, and another packet may overtake it. */
static bool may_overtake(void)
{
	unsigned int major, minor;
	struct utsname u;

	return !uname(&u) && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	       (major < 6 || (major == 6 && minor < 5));
}

/* Are the @i-th and the one behind it on the wire, and the other way round in the other list? */
static bool swapped(const struct events *a, const struct events *b, unsigned int i)
{
	return i + 1 < a->nr && a->list[i].where == EVENT_WIRE && may_overtake() &&
	       event_equal(a, &a->list[i], b, &b->list[i + 1]) &&
	       event_equal(a, &a->list[i + 1], b, &b->list[i]);
}

/* In order; a machine that processes packets on one CPU keeps it, but for the wire of old kernels. */
bool events_equal(const struct events *a, const struct events *b)
{
	unsigned int i;

	if (a->nr != b->nr)
		return false;
	for (i = 0; i < a->nr; i++) {
		if (event_equal(a, &a->list[i], b, &b->list[i]))
			continue;
		if (!swapped(a, b, i))
			return false;
		i++;
	}
	return true;
}

static const char *where_name(unsigned int where)
{
	switch (where) {
	case NF_INET_LOCAL_IN:
		return "INPUT";
	case NF_INET_FORWARD:
		return "FORWARD";
	case NF_INET_LOCAL_OUT:
		return "OUTPUT";
	case EVENT_WIRE:
		return "left the host";
	case EVENT_LOG:
		return "was logged";
	default:
		return "seen at an unknown place";
	}
}

void event_describe(const struct events *evs, const struct event *ev, struct text *out)
{
	bool hook = ev->where < NF_INET_NUMHOOKS;

	text_add(out, "#     %s%s",
		 !hook	    ? ""
		 : ev->note ? "came to "
			    : "passed ",
		 where_name(ev->where));
	if (ev->in)
		text_add(out, " in %s", topology_if_name(ev->in));
	if (ev->out)
		text_add(out, " out %s", topology_if_name(ev->out));
	if (ev->mark)
		text_add(out, " mark 0x%x", ev->mark);
	text_add(out, ": ");
	if (ev->where == EVENT_LOG)
		text_add(out, "%s", (const char *)event_bytes(evs, ev));
	else
		packet_describe_ip(out, event_bytes(evs, ev), ev->len);
	text_add(out, "\n");
}

/* Take the event out of what is left of the list, @taken. They are in about the same order. */
static bool take(const struct events *evs, bool *taken, unsigned int *from, const struct events *of,
		 const struct event *ev)
{
	unsigned int n, i;

	for (n = 0; n < evs->nr; n++) {
		i = (*from + n) % evs->nr;
		if (taken[i] || !event_equal(evs, &evs->list[i], of, ev))
			continue;
		taken[i] = true;
		*from = i + 1;
		return true;
	}
	return false;
}

/* Is it of no matter to a filter at the interfaces? See events_within(). */
static bool is_own(const struct events *evs, const struct event *ev)
{
	const uint8_t *p = event_bytes(evs, ev);

	if (ev->where != NF_INET_LOCAL_IN || ev->len < sizeof(struct iphdr))
		return ev->where == NF_INET_LOCAL_OUT;
	return strcmp(topology_if_name(ev->in), "lo") &&
	       topology_is_local((uint32_t)p[12] << 24 | p[13] << 16 | p[14] << 8 | p[15]);
}

/* The addresses in an IP header, the lower one first; 0: there is none. */
static uint64_t hosts_in(const uint8_t *p, size_t len)
{
	uint32_t s, d;

	if (len < sizeof(struct iphdr))
		return 0;
	memcpy(&s, p + 12, sizeof(s));
	memcpy(&d, p + 16, sizeof(d));
	return s < d ? (uint64_t)s << 32 | d : (uint64_t)d << 32 | s;
}

static uint64_t hosts_of(const struct events *evs, const struct event *ev)
{
	return hosts_in(event_bytes(evs, ev), ev->len);
}

/* Those of the packet that an ICMP error is about: REJECT answers what @few has lost. 0: it is none. */
static uint64_t hosts_of_rejected(const struct events *evs, const struct event *ev)
{
	const size_t quoted = sizeof(struct iphdr) + sizeof(struct icmphdr);
	const uint8_t *p = event_bytes(evs, ev);

	if (ev->len < quoted || p[0] != 0x45 || p[9] != IPPROTO_ICMP ||
	    p[sizeof(struct iphdr)] != ICMP_DEST_UNREACH)
		return 0;
	return hosts_in(p + quoted, ev->len - quoted);
}

static unsigned int count(const struct events *evs, const struct events *of, const struct event *ev)
{
	unsigned int i, n = 0;

	for (i = 0; i < evs->nr; i++)
		n += event_equal(of, ev, evs, &evs->list[i]);
	return n;
}

/* Has @many something between the same hosts that @few lacks? */
static bool has_lost(const struct events *few, const struct events *many, const struct event *ev)
{
	uint64_t hosts = hosts_of(few, ev), rejected = hosts_of_rejected(few, ev);
	unsigned int i;

	for (i = 0; i < many->nr; i++) {
		const struct event *e = &many->list[i];
		uint64_t of = hosts_of(many, e);

		if ((of == hosts || (rejected && of == rejected)) &&
		    count(many, many, e) > count(few, many, e))
			return true;
	}
	return false;
}

/* Is that an answer to a packet with this header: from where it went, to where it came from? */
static bool is_answer(const uint8_t *ip, const uint8_t *answer, unsigned int len)
{
	return len >= sizeof(struct iphdr) && !memcmp(answer + 12, ip + 16, 4) &&
	       !memcmp(answer + 16, ip + 12, 4);
}

/* Were more frames sent that answer to it than came through? */
static bool has_lost_answer(const struct events *few, const struct packets *sent,
			    const struct event *ev)
{
	const uint8_t *ip = event_bytes(few, ev);
	unsigned int i, answers = 0, seen = 0;

	if (ev->len < sizeof(struct iphdr))
		return false;
	for (i = 0; i < sent->nr; i++)
		answers += sent->list[i].way == WAY_FRAME &&
			   is_answer(ip, sent->list[i].data, sent->list[i].len);
	for (i = 0; i < few->nr; i++) {
		const struct event *e = &few->list[i];

		seen += (e->where == NF_INET_LOCAL_IN || e->where == NF_INET_FORWARD) &&
			is_answer(ip, event_bytes(few, e), e->len);
	}
	return answers > seen;
}

bool events_within(const struct events *few, const struct events *many, bool lost,
		   const struct packets *sent, struct text *why)
{
	bool *taken = calloc(many->nr + 1, sizeof(*taken)), within = taken;
	unsigned int i, from = 0;

	for (i = 0; i < few->nr && within; i++) {
		const struct event *ev = &few->list[i];

		if (is_own(few, ev) || take(many, taken, &from, few, ev))
			continue;
		if ((lost && has_lost(few, many, ev)) || (sent && has_lost_answer(few, sent, ev)))
			continue;
		within = false;
		if (why)
			event_describe(few, ev, why);
	}
	free(taken);
	return within;
}

void events_describe(const struct events *evs, struct text *out)
{
	unsigned int i;

	if (!evs->nr)
		text_add(out, "#     nothing passed\n");
	for (i = 0; i < evs->nr; i++)
		event_describe(evs, &evs->list[i], out);
}

void events_describe_from(const struct events *evs, const struct events *other, struct text *out)
{
	unsigned int i = 0, end;

	while (i < evs->nr && i < other->nr &&
	       event_equal(evs, &evs->list[i], other, &other->list[i]))
		i++;
	for (end = i + 4; i < evs->nr && i < end; i++)
		event_describe(evs, &evs->list[i], out);
}
