// SPDX-License-Identifier: GPL-2.0
/*
 * Packets made to match one rule, or to miss it by as little as possible.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "craft.h"
#include "topology.h"

#define TOKENS 128

/**
 * struct aim - a packet for one rule
 * @h: its headers
 * @way, @ifno: how it comes
 * @mark: wanted by the rule
 * @has_daddr: @h.daddr comes from the rule
 */
struct aim {
	struct l3l4 h;
	uint8_t way, ifno;
	uint32_t mark;
	bool has_saddr, has_daddr, has_iface;
};

static uint32_t inside(struct craft *c, uint32_t addr, uint32_t mask)
{
	uint32_t host = rng_next(c->r);

	switch (rng_below(c->r, 6)) {
	case 0:
		host = 0;
		break;
	case 1:
		host = 0xffffffff;
		break;
	case 2:
		host = addr;
		break;
	case 3: /* one bit off */
		return ((addr & mask) | (host & ~mask)) ^ (1U << rng_below(c->r, 32));
	}
	return (addr & mask) | (host & ~mask);
}

/* One of a list of ports and ranges: an end of a range, within it, or next to it. */
static uint16_t near_port(struct craft *c, const char *list)
{
	unsigned int nr = 1, i, lo, hi;
	const char *p;
	char *end;

	for (p = list; *p; p++)
		nr += *p == ',';
	p = list;
	for (i = rng_below(c->r, nr); i; i--)
		p = strchr(p, ',') + 1;
	lo = hi = strtoul(p, &end, 10);
	if (*end == ':')
		hi = end[1] && end[1] != ',' ? strtoul(end + 1, NULL, 10) : 65535;
	switch (rng_below(c->r, 8)) {
	case 0:
		return lo - 1;
	case 1:
		return hi + 1;
	case 2:
	case 3:
		return hi;
	case 4:
		return rng_between(c->r, lo, hi);
	default:
		return lo;
	}
}

/* The same of numbers of 32 bits, one or "LO:HI". */
static uint32_t near_number(struct craft *c, const char *span)
{
	char *end;
	uint32_t lo = strtoul(span, &end, 0), hi = *end == ':' ? strtoul(end + 1, NULL, 0) : lo;

	switch (rng_below(c->r, 6)) {
	case 0:
		return lo - 1;
	case 1:
		return hi + 1;
	case 2:
		return lo + (hi > lo ? rng_next(c->r) % (hi - lo) : 0);
	case 3:
		return hi;
	default:
		return lo;
	}
}

static bool aim_range(struct craft *c, const char *range, uint32_t *addr)
{
	char low[16], high[16];
	uint32_t lo, hi, mask;

	if (sscanf(range, "%15[0-9.]-%15[0-9.]", low, high) != 2 ||
	    !pool_parse_addr(low, &lo, &mask) || !pool_parse_addr(high, &hi, &mask))
		return false;
	switch (rng_below(c->r, 5)) {
	case 0:
		*addr = lo - 1;
		break;
	case 1:
		*addr = hi + 1;
		break;
	case 2:
		*addr = hi;
		break;
	default:
		*addr = lo;
	}
	return true;
}

/* Options of the matches in headers.c. */
static void aim_header(struct craft *c, struct aim *a, const char *option, const char *value)
{
	uint32_t n = near_number(c, value), whole = 20 + craft_l4_header(&a->h);

	if (!strcmp(option, "--src-range"))
		a->has_saddr |= aim_range(c, value, &a->h.saddr);
	else if (!strcmp(option, "--dst-range"))
		a->has_daddr |= aim_range(c, value, &a->h.daddr);
	else if (!strcmp(option, "--length") && n >= whole && n < 1500)
		a->h.payload = n - whole;
	else if (!strncmp(option, "--ttl-", 6))
		a->h.ttl = n;
	else if (!strcmp(option, "--tos"))
		a->h.tos = strtoul(value, NULL, 0);
	else if (!strcmp(option, "--dscp"))
		a->h.tos = strtoul(value, NULL, 0) << 2;
	else if (!strcmp(option, "--ecn-ip-ect"))
		a->h.tos = (a->h.tos & ~3) | (n & 3);
	else if (!strcmp(option, "--ecn-tcp-cwr"))
		a->h.tcp_flags |= 0x80;
	else if (!strcmp(option, "--ecn-tcp-ece"))
		a->h.tcp_flags |= 0x40;
	else if (!strcmp(option, "--mss"))
		memcpy(a->h.tcp_options, (uint8_t[]){2, 4, n >> 8, n}, a->h.tcp_optlen = 4);
	else if (!strcmp(option, "--ahspi"))
		a->h.seq = n;
	else if (!strcmp(option, "--ipcompspi"))
		a->h.dport = n;
	else if (!strcmp(option, "--espspi"))
		a->h.sport = n >> 16, a->h.dport = n;
}

static uint8_t flags_of(const char *list)
{
	static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG"};
	uint8_t flags = 0;
	unsigned int i;

	for (i = 0; i < 6; i++)
		if (strstr(list, names[i]))
			flags |= 1 << i;
	return strcmp(list, "ALL") ? flags : 0x3f;
}

static void aim_proto(struct aim *a, const char *name)
{
	static const struct {
		const char *name;
		uint8_t number;
	} names[] = {{"tcp", 6},   {"udp", 17},	     {"icmp", 1}, {"sctp", 132},
		     {"dccp", 33}, {"esp", 50},	     {"ah", 51},  {"ipcomp", 108},
		     {"gre", 47},  {"udplite", 136}, {"igmp", 2}};
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i].name))
			a->h.proto = names[i].number;
	if (atoi(name))
		a->h.proto = atoi(name);
}

static void aim_iface(struct aim *a, const char *name)
{
	size_t len = strlen(name);
	unsigned int i;

	if (len && name[len - 1] == '+')
		len--;
	else
		len++;
	for (i = 0; i < TOPOLOGY_IFS; i++) {
		if (strncmp(topology_ifs[i].name, name, len))
			continue;
		a->ifno = i;
		a->has_iface = true;
		return;
	}
}

static void aim_icmp(struct aim *a, const char *type)
{
	const char *code = strchr(type, '/');

	a->h.proto = IPPROTO_ICMP;
	if (strcmp(type, "any"))
		a->h.icmp_type = strcmp(type, "echo-request") ? atoi(type) : 8;
	if (code)
		a->h.icmp_code = atoi(code + 1);
}

static void aim_addr(struct craft *c, const char *value, uint32_t *addr, bool *has)
{
	uint32_t a, mask;

	if (!pool_parse_addr(value, &a, &mask))
		return;
	*addr = inside(c, a, mask);
	*has = true;
}

/* What one option of the rule wants; @value2 is the token after @value, or "". */
static void aim_option(struct craft *c, struct aim *a, const char *option, const char *value,
		       const char *value2)
{
	if (!strcmp(option, "-s") || !strcmp(option, "--ctorigsrc"))
		aim_addr(c, value, &a->h.saddr, &a->has_saddr);
	else if (!strcmp(option, "-d") || !strcmp(option, "--ctorigdst"))
		aim_addr(c, value, &a->h.daddr, &a->has_daddr);
	else if (!strcmp(option, "-i"))
		aim_iface(a, value);
	else if (!strcmp(option, "-p"))
		aim_proto(a, value);
	else if (!strcmp(option, "--sport") || !strcmp(option, "--sports") ||
		 !strcmp(option, "--ctorigsrcport"))
		a->h.sport = near_port(c, value);
	else if (!strcmp(option, "--dport") || !strcmp(option, "--dports") ||
		 !strcmp(option, "--ports") || !strcmp(option, "--ctorigdstport"))
		a->h.dport = near_port(c, value);
	else if (!strcmp(option, "--tcp-flags"))
		a->h.tcp_flags = flags_of(value2) |
				 (rng_chance(c->r, 50) ? rng_next(c->r) & ~flags_of(value) : 0);
	else if (!strcmp(option, "--syn"))
		a->h.tcp_flags = rng_chance(c->r, 70) ? 0x02 : 0xc2;
	else if (!strcmp(option, "--tcp-option"))
		memcpy(a->h.tcp_options, (uint8_t[]){1, 1, atoi(value), 2}, a->h.tcp_optlen = 4);
	else if (!strcmp(option, "--icmp-type"))
		aim_icmp(a, value);
	else if (!strcmp(option, "--mark"))
		a->mark = strtoul(value, NULL, 0);
	else if (!strcmp(option, "-f"))
		a->h.frag = rng_chance(c->r, 50) ? 0x2000 : rng_between(c->r, 1, 100);
	else
		aim_header(c, a, option, value);
}

static void aim_where(struct craft *c, struct aim *a, const char *chain)
{
	unsigned int draw = rng_below(c->r, 3);

	if (!strcmp(chain, "INPUT"))
		draw = 0;
	else if (!strcmp(chain, "FORWARD"))
		draw = 1;
	else if (!strcmp(chain, "OUTPUT"))
		draw = 2;
	a->way = draw == 2 ? WAY_RAW : WAY_FRAME;
	if (!a->has_daddr)
		a->h.daddr = draw == 0 ? craft_local(c) : craft_remote(c);
	if (draw == 2 && !a->has_saddr)
		a->h.saddr = craft_local(c);
	if (!a->has_iface)
		a->ifno = rng_below(c->r, TOPOLOGY_IFS);
}

/* The DSCP with which an arriving packet gets the mark (see topology_tables()). */
static uint8_t tos_for_mark(uint32_t mark)
{
	unsigned int i;

	for (i = 0; i < TOPOLOGY_MARKS; i++)
		if (topology_marks[i] == mark)
			return (i + 1) << 2;
	return 0;
}

/* All that one rule wants. */
static void aim_options(struct craft *c, struct aim *a, const char *line)
{
	char *copy = must_strdup(line), *token[TOKENS + 2], *save;
	unsigned int nr = 0, i;

	for (token[0] = strtok_r(copy, " ", &save); token[nr] && nr < TOKENS - 1;)
		token[++nr] = strtok_r(NULL, " ", &save);
	token[nr] = token[nr + 1] = "";
	for (i = 2; i < nr; i++)
		/* Inverted ones are aimed at only now and then: most packets satisfy them. */
		if (token[i][0] == '-' && (strcmp(token[i - 1], "!") || rng_chance(c->r, 30)))
			aim_option(c, a, token[i], token[i + 1], i + 2 < nr ? token[i + 2] : "");
	free(copy);
}

static void chain_of(const char *line, char name[32])
{
	snprintf(name, 32, "%.*s", (int)strcspn(line + 3, " "), line + 3);
}

/* A rule that leads to the chain of @line, or NULL. */
static const char *caller_of(struct craft *c, const struct ruleset *rules, const char *line)
{
	unsigned int i, first = rng_below(c->r, rules->nr);
	char name[32], jump[40], go[40];

	chain_of(line, name);
	snprintf(jump, sizeof(jump), "-j %s", name);
	snprintf(go, sizeof(go), "-g %s", name);
	for (i = 0; i < rules->nr; i++) {
		const char *other = rules->lines[(first + i) % rules->nr];
		size_t len = strlen(other), end = strlen(jump);

		if (other[0] == '-' && len > end &&
		    (!strcmp(other + len - end, jump) || !strcmp(other + len - end, go)))
			return other;
	}
	return NULL;
}

/* The rules that lead there come first, since they want less. */
#define CALLERS 5

static void aim_rule(struct craft *c, const struct ruleset *rules, const char *line)
{
	const char *way[CALLERS] = {line};
	struct aim a = {.way = WAY_FRAME};
	unsigned int nr = 1;
	struct packet *p;
	char chain[32];

	craft_draw(c, &a.h);
	while (nr < CALLERS && rng_chance(c->r, 95) && (way[nr] = caller_of(c, rules, way[nr - 1])))
		nr++;
	chain_of(way[nr - 1], chain);
	while (nr--)
		aim_options(c, &a, way[nr]);
	aim_where(c, &a, chain);
	if (a.mark)
		a.h.tos = tos_for_mark(a.mark);
	p = craft_make(c, a.way, &a.h);
	p->ifno = a.ifno;
	p->mark = a.mark;
}

void craft_aimed(struct craft *c, const struct ruleset *rules, unsigned int n)
{
	while (n-- && rules->nr) {
		const char *line = rules->lines[rng_below(c->r, rules->nr)];

		if (line[0] == '-')
			aim_rule(c, rules, line);
	}
}
