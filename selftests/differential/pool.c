// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"
#include "text.h"

bool pool_parse_addr(const char *token, uint32_t *addr, uint32_t *mask)
{
	char copy[40], *slash, *end;
	struct in_addr in;
	unsigned long plen;

	if (strlen(token) >= sizeof(copy))
		return false;
	strcpy(copy, token);
	slash = strchr(copy, '/');
	if (slash)
		*slash++ = '\0';
	if (!strchr(copy, '.') || inet_pton(AF_INET, copy, &in) != 1)
		return false;
	*addr = ntohl(in.s_addr);
	*mask = 0xffffffff;
	if (!slash)
		return true;
	if (inet_pton(AF_INET, slash, &in) == 1) {
		*mask = ntohl(in.s_addr);
		return true;
	}
	plen = strtoul(slash, &end, 10);
	*mask = plen ? 0xffffffffU << (32 - plen) : 0;
	return !*end && plen <= 32;
}

/* Where the next of @seen goes so that each has the same chance to stay. */
static int reservoir(unsigned int *nr, unsigned int *seen, unsigned int max, struct rng *r)
{
	unsigned int at = rng_below(r, ++*seen);

	if (*nr < max)
		return (*nr)++;
	return at < max ? (int)at : -1;
}

static void add_port(struct pool *pool, unsigned int port, struct rng *r)
{
	int at = reservoir(&pool->nr_ports, &pool->seen_ports, POOL_PORTS, r);

	if (at >= 0)
		pool->ports[at] = port;
}

static void scan_ports(struct pool *pool, const char *list, struct rng *r)
{
	char *end;

	for (; *list; list = *end ? end + 1 : end) {
		unsigned long port = strtoul(list, &end, 10);

		if (end == list)
			end = (char *)list + 1;
		else if (port < 65536)
			add_port(pool, port, r);
		if (!*end)
			break;
	}
}

static void scan_proto(struct pool *pool, const char *name)
{
	static const struct {
		const char *name;
		uint8_t number;
	} names[] = {{"tcp", 6},   {"udp", 17},	   {"icmp", 1},	     {"igmp", 2},   {"gre", 47},
		     {"esp", 50},  {"ah", 51},	   {"sctp", 132},    {"dccp", 33},  {"ospf", 89},
		     {"ipip", 94}, {"ipencap", 4}, {"udplite", 136}, {"vrrp", 112}, {"pim", 103}};
	unsigned int number = atoi(name), i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i].name))
			number = names[i].number;
	for (i = 0; i < pool->nr_protos; i++)
		if (pool->protos[i] == number)
			return;
	if (number && number < 256 && pool->nr_protos < POOL_PROTOS)
		pool->protos[pool->nr_protos++] = number;
}

static void scan_token(struct pool *pool, const char *before, const char *token, struct rng *r)
{
	uint32_t addr, mask;
	int at;

	if (pool_parse_addr(token, &addr, &mask)) {
		at = reservoir(&pool->nr_addrs, &pool->seen_addrs, POOL_ADDRS, r);
		if (at >= 0)
			pool->addrs[at] = (struct pool_addr){addr, mask};
	} else if (!strcmp(before, "-p") || !strcmp(before, "--ctproto")) {
		scan_proto(pool, token);
	} else if (before[0] == '-' && strstr(before, "port")) {
		scan_ports(pool, token, r);
	}
}

void pool_scan(struct pool *pool, const char *rules, struct rng *r)
{
	char *copy = must_strdup(rules), *line, *token, *save, *save2;

	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *before = "";

		for (token = strtok_r(line, " ", &save2); token;
		     token = strtok_r(NULL, " ", &save2)) {
			scan_token(pool, before, token, r);
			before = token;
		}
	}
	free(copy);
}

uint32_t pool_addr(const struct pool *pool, struct rng *r)
{
	const struct pool_addr *a;

	if (!pool->nr_addrs)
		return rng_next(r);
	a = &pool->addrs[rng_below(r, pool->nr_addrs)];
	switch (rng_below(r, 10)) {
	case 0:
		return a->addr + 1;
	case 1:
		return a->addr - 1;
	case 2: /* just outside */
		return a->addr ^ (1U << rng_below(r, 32));
	case 3: /* the last inside */
		return a->addr | ~a->mask;
	case 4:
		return htonl(a->addr);
	case 5:
		return a->addr;
	default: /* anywhere inside */
		return (a->addr & a->mask) | ((uint32_t)rng_next(r) & ~a->mask);
	}
}

uint16_t pool_boundary_port(struct rng *r)
{
	static const uint16_t ports[] = {0,	1,     2,     22,    53,    80,
					 443,	1023,  1024,  1025,  4096,  8080,
					 32767, 32768, 65280, 65533, 65534, 65535};

	return rng_chance(r, 85) ? RNG_PICK(r, ports) : rng_next(r);
}

uint16_t pool_port(const struct pool *pool, struct rng *r)
{
	uint16_t port;

	if (!pool->nr_ports || rng_chance(r, 15))
		return pool_boundary_port(r);
	port = pool->ports[rng_below(r, pool->nr_ports)];
	switch (rng_below(r, 8)) {
	case 0:
		return port + 1;
	case 1:
		return port - 1;
	case 2:
		return htons(port);
	default:
		return port;
	}
}

uint8_t pool_proto(const struct pool *pool, struct rng *r)
{
	static const uint8_t others[] = {0,  1,	 2,  4,	  6,   17,  33,	 41,  47,  50,
					 51, 89, 94, 103, 108, 112, 132, 136, 254, 255};

	if (pool->nr_protos && rng_chance(r, 70))
		return pool->protos[rng_below(r, pool->nr_protos)];
	return RNG_PICK(r, others);
}
