/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The values that rules speak of, from which packets are then made: packets drawn at random from
 * all there are would hardly ever match a rule.
 */
#ifndef DIFFERENTIAL_POOL_H
#define DIFFERENTIAL_POOL_H

#include <stdint.h>

#include "rng.h"

#define POOL_ADDRS  256
#define POOL_PORTS  256
#define POOL_PROTOS 32

/**
 * struct pool - values found in a rule set; host byte order
 * @seen_addrs, @seen_ports: how many there were; beyond the room a random choice is kept
 */
struct pool {
	struct pool_addr {
		uint32_t addr, mask;
	} addrs[POOL_ADDRS];
	uint16_t ports[POOL_PORTS];
	uint8_t protos[POOL_PROTOS];
	unsigned int nr_addrs, nr_ports, nr_protos;
	unsigned int seen_addrs, seen_ports;
};

/* Collect from rules as iptables-save writes them. @r chooses what is kept. */
void pool_scan(struct pool *pool, const char *rules, struct rng *r);

/* An address of the pool or close to one; any address if there is none. */
uint32_t pool_addr(const struct pool *pool, struct rng *r);
/* Likewise a port. */
uint16_t pool_port(const struct pool *pool, struct rng *r);
uint8_t pool_proto(const struct pool *pool, struct rng *r);

/* "1.2.3.4", "1.2.3.4/8" or "1.2.3.4/255.0.255.0". False if it is none of them. */
bool pool_parse_addr(const char *token, uint32_t *addr, uint32_t *mask);

/* A port with a preference for those at the ends of ranges. */
uint16_t pool_boundary_port(struct rng *r);

#endif /* DIFFERENTIAL_POOL_H */
