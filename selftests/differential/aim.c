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
	} names[] = {{"tcp", 6},  {"udp", 17}, {"icmp", 1}, {"sctp", 132},    {"dccp", 33},
		     {"esp", 50}, {"ah", 51},  {"gre", 47}, {"udplite", 136}, {"igmp", 2}};
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
	static const uint32_t marks[] = {0x1,	  0xff,	      0x100,	  0x8000,
					 0x10000, 0x80000000, 0xdeadbeef, 0xffffffff};
	unsigned int i;

	for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (marks[i] == mark)
			return (i + 1) << 2;
	return 0;
}

static void aim_rule(struct craft *c, const char *line)
{
	char *copy = must_strdup(line), *token[TOKENS + 2], *save;
	struct aim a = {.way = WAY_FRAME};
	unsigned int nr = 0, i;
	struct packet *p;

	craft_draw(c, &a.h);
	for (token[0] = strtok_r(copy, " ", &save); token[nr] && nr < TOKENS - 1;)
		token[++nr] = strtok_r(NULL, " ", &save);
	token[nr] = token[nr + 1] = "";
	for (i = 2; i < nr; i++)
		/* Inverted ones are aimed at only now and then: most packets satisfy them. */
		if (token[i][0] == '-' && (strcmp(token[i - 1], "!") || rng_chance(c->r, 30)))
			aim_option(c, &a, token[i], token[i + 1], i + 2 < nr ? token[i + 2] : "");
	aim_where(c, &a, nr > 1 ? token[1] : "");
	if (a.mark)
		a.h.tos = tos_for_mark(a.mark);
	p = craft_make(c, a.way, &a.h);
	p->ifno = a.ifno;
	p->mark = a.mark;
	free(copy);
}

void craft_aimed(struct craft *c, const struct ruleset *rules, unsigned int n)
{
	while (n-- && rules->nr) {
		const char *line = rules->lines[rng_below(c->r, rules->nr)];

		if (line[0] == '-')
			aim_rule(c, line);
	}
}
