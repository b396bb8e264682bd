// SPDX-License-Identifier: GPL-2.0
/*
 * Shapes of many chains, laid out as Docker, kube-proxy with network policies, and Calico lay them out. A
 * machine has not more than some hundred containers: larger sets have more rules for each.
 */
#include "set.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_BRIDGES   64
#define MAX_WORKLOADS 250

static uint32_t clamp(uint32_t x, uint32_t most)
{
	return x < 1 ? 1 : x > most ? most : x;
}

/* An address in 172.BRIDGE.0.0/16, as Docker gives them. */
static uint32_t container(struct set *s, uint32_t bridge)
{
	return 0xac000000 | (17 + bridge) << 16 | rng_between(&s->rng, 2, 65534);
}

static void publish_port(struct set *s, const uint16_t *bridges, uint32_t n)
{
	struct region r = REGION_ANY;
	uint32_t b = rng_below(&s->rng, n);

	r.daddr = container(s, b);
	r.dlen = 32;
	r.in = r.out = bridges[b];
	r.not_in = true;
	r.proto = rng_chance(&s->rng, 90) ? 6 : 17;
	r.dport[0] = r.dport[1] = rng_between(&s->rng, 1, 32767);
	set_about(s, "DOCKER", &r, "-j ACCEPT");
}

/* What Docker adds for each of its networks. */
static void add_bridge(struct set *s, uint32_t b, uint16_t device)
{
	const char *name = s->devices[device];
	struct region r = REGION_ANY;

	set_rule(s, "FORWARD -o %s -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", name);
	set_rule(s, "FORWARD -o %s -j DOCKER", name);
	if (set_rule(s, "FORWARD -i %s ! -o %s -j ACCEPT", name, name)) {
		r.saddr = container(s, b);
		r.slen = 32;
		r.in = device;
		set_region(s, &r);
	}
	set_rule(s, "FORWARD -i %s -o %s -j ACCEPT", name, name);
	set_rule(s, "DOCKER-ISOLATION-STAGE-1 -i %s ! -o %s -j DOCKER-ISOLATION-STAGE-2", name,
		 name);
	set_rule(s, "DOCKER-ISOLATION-STAGE-2 -o %s -j DROP", name);
}

void make_docker(struct set *s)
{
	uint32_t n = clamp(s->limit / 40, MAX_BRIDGES), i;
	uint16_t bridges[MAX_BRIDGES];

	set_chain(s, "DOCKER");
	set_chain(s, "DOCKER-ISOLATION-STAGE-1");
	set_chain(s, "DOCKER-ISOLATION-STAGE-2");
	set_chain(s, "DOCKER-USER");
	for (i = 0; i < n; i++)
		bridges[i] = set_device(s, i ? "br-%012x" : "docker%x",
					i ? (uint32_t)rng_next(&s->rng) : 0);
	set_rule(s, "FORWARD -j DOCKER-USER");
	set_rule(s, "FORWARD -j DOCKER-ISOLATION-STAGE-1");
	publish_port(s, bridges, n);
	for (i = 0; i < n; i++)
		add_bridge(s, i, bridges[i]);
	set_rule(s, "DOCKER-ISOLATION-STAGE-1 -j RETURN");
	set_rule(s, "DOCKER-ISOLATION-STAGE-2 -j RETURN");
	set_rule(s, "DOCKER-USER -j RETURN");
	while (!set_full(s))
		publish_port(s, bridges, n);
}

/* In 100.64.0.0/10. */
static uint32_t some_pod(struct set *s)
{
	return 0x64400000 | rng_below(&s->rng, 1 << 22);
}

/* One who may, in the chain of a pod's policy. */
static void allow_pod(struct set *s, uint32_t pod, uint32_t i)
{
	static const uint16_t ports[] = {80, 443, 8080, 8443, 9090, 5432, 6379, 3306};
	struct region r = REGION_ANY;
	char chain[32], more[120];

	r.saddr = some_pod(s);
	r.daddr = pod;
	r.slen = r.dlen = 32;
	r.proto = 6;
	r.dport[0] = r.dport[1] = RNG_PICK(&s->rng, ports);
	snprintf(chain, sizeof(chain), "KUBE-NWPLCY-%08X", i);
	snprintf(more, sizeof(more),
		 "-m comment --comment \"rule to ACCEPT traffic of policy %u\" -j ACCEPT", i);
	set_about(s, chain, &r, more);
}

static void add_pod(struct set *s, uint32_t pod, uint32_t i)
{
	set_chain(s, "KUBE-POD-FW-%08X", i);
	set_chain(s, "KUBE-NWPLCY-%08X", i);
	set_rule(s,
		 "KUBE-ROUTER-FORWARD -d %u.%u.%u.%u/32 -m comment --comment "
		 "\"traffic to pod %u\" -j KUBE-POD-FW-%08X",
		 pod >> 24, pod >> 16 & 255, pod >> 8 & 255, pod & 255, i, i);
	set_rule(s, "KUBE-POD-FW-%08X -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", i);
	set_rule(s, "KUBE-POD-FW-%08X -j KUBE-NWPLCY-%08X", i, i);
	allow_pod(s, pod, i);
	set_rule(s, "KUBE-POD-FW-%08X -j DROP", i);
}

/* kube-proxy rejects here, which is not translated. */
static void add_idle_service(struct set *s, uint32_t i)
{
	struct region r = REGION_ANY;
	char more[120];

	r.daddr = 0xac100000 | rng_below(&s->rng, 1 << 20);
	r.dlen = 32;
	r.proto = 6;
	r.dport[0] = r.dport[1] = rng_chance(&s->rng, 50) ? 80 : 443;
	snprintf(more, sizeof(more),
		 "-m comment --comment \"ns-%u/svc-%u:http has no endpoints\" -j DROP", i % 97, i);
	set_about(s, "KUBE-SERVICES", &r, more);
}

void make_kube(struct set *s)
{
	uint32_t n = clamp(s->limit / 12, MAX_WORKLOADS), pods[MAX_WORKLOADS], i;

	s->policy = "ACCEPT";
	set_chain(s, "KUBE-FORWARD");
	set_chain(s, "KUBE-SERVICES");
	set_chain(s, "KUBE-EXTERNAL-SERVICES");
	set_chain(s, "KUBE-ROUTER-FORWARD");
	set_rule(s, "FORWARD -j KUBE-ROUTER-FORWARD");
	for (i = 0; i < n; i++) {
		pods[i] = some_pod(s);
		add_pod(s, pods[i], i);
	}
	set_rule(s, "FORWARD -j KUBE-FORWARD");
	set_rule(s, "FORWARD -m conntrack --ctstate NEW -j KUBE-SERVICES");
	set_rule(s, "FORWARD -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES");
	set_rule(s, "KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT");
	set_rule(s, "KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
	for (i = 0; !set_full(s); i++) {
		if (i % 8 == 7)
			add_idle_service(s, i);
		else
			allow_pod(s, pods[i % n], i % n);
	}
}

/**
 * struct workload - one that Calico knows by its interface
 * @policy: number of the policy for both directions
 */
struct workload {
	uint32_t addr, hash, policy;
	uint16_t device;
};

/* "cali-fw-" and "cali-tw-": what leaves a workload, and what goes to it. */
static void add_direction(struct set *s, const struct workload *w, const char *dir, char option)
{
	const char *name = s->devices[w->device];
	uint32_t group = w->hash >> 28;

	set_chain(s, "cali-%cw-%s", dir[0], name);
	set_rule(s, "cali-%s-wl-dispatch-%x -%c %s -g cali-%cw-%s", dir, group, option, name,
		 dir[0], name);
	set_rule(s, "cali-%cw-%s -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", dir[0],
		 name);
	set_rule(s, "cali-%cw-%s -m conntrack --ctstate INVALID -j DROP", dir[0], name);
	set_rule(s, "cali-%cw-%s -j MARK --set-xmark 0x0/0x30000", dir[0], name);
	set_rule(s, "cali-%cw-%s -m mark --mark 0x0/0x20000 -j cali-p%c-%u", dir[0], name,
		 dir[0] == 't' ? 'i' : 'o', w->policy);
	set_rule(s, "cali-%cw-%s -m mark --mark 0x10000/0x10000 -j RETURN", dir[0], name);
	set_rule(s, "cali-%cw-%s -j DROP", dir[0], name);
}

/* A rule of a policy, for one of its workloads, and the RETURN behind it. */
static void allow_workload(struct set *s, const struct workload *w, bool to)
{
	struct region r = REGION_ANY;
	uint32_t peer = some_address(&s->rng) & prefix_mask(24), port;
	char way = to ? 'i' : 'o';

	port = rng_between(&s->rng, 1, 32000);
	if (!set_rule(s,
		      "cali-p%c-%u -%c %u.%u.%u.0/24 -p tcp -m multiport --dports %u,%u:%u -j MARK "
		      "--set-xmark 0x10000/0x10000",
		      way, w->policy, to ? 's' : 'd', peer >> 24, peer >> 16 & 255, peer >> 8 & 255,
		      port, port + 100, port + 110))
		return;
	set_rule(s, "cali-p%c-%u -m mark --mark 0x10000/0x10000 -j RETURN", way, w->policy);
	r.proto = 6;
	r.dport[0] = port + 100;
	r.dport[1] = port + 110;
	r.saddr = to ? peer : w->addr;
	r.slen = to ? 24 : 32;
	r.daddr = to ? w->addr : peer;
	r.dlen = to ? 32 : 24;
	*(to ? &r.out : &r.in) = w->device;
	set_region(s, &r);
}

static void add_dispatch(struct set *s, const char *dir, char option)
{
	unsigned int i;

	set_chain(s, "cali-%s-wl-dispatch", dir);
	for (i = 0; i < 16; i++) {
		set_chain(s, "cali-%s-wl-dispatch-%x", dir, i);
		/* The smallest sets have a few workloads only. */
		if (s->limit > 200 || !i)
			set_rule(s, "cali-%s-wl-dispatch -%c cali%x+ -g cali-%s-wl-dispatch-%x",
				 dir, option, i, dir, i);
	}
}

static void add_workload(struct set *s, struct workload *w, uint32_t i)
{
	w->addr = some_pod(s);
	w->hash = rng_next(&s->rng);
	if (s->limit <= 200)
		w->hash &= 0xfffffff;
	w->policy = i / 2;
	w->device = set_device(s, "cali%08x%03x", w->hash, rng_below(&s->rng, 4096));
	if (i % 2 == 0) {
		set_chain(s, "cali-pi-%u", w->policy);
		set_chain(s, "cali-po-%u", w->policy);
	}
	add_direction(s, w, "to", 'o');
	allow_workload(s, w, true);
	add_direction(s, w, "from", 'i');
	allow_workload(s, w, false);
}

void make_calico(struct set *s)
{
	uint32_t n = clamp(s->limit / 30, MAX_WORKLOADS), i;
	struct workload workloads[MAX_WORKLOADS];

	set_chain(s, "cali-FORWARD");
	set_rule(s, "FORWARD -j cali-FORWARD");
	set_rule(s, "FORWARD -m mark --mark 0x10000/0x10000 -j ACCEPT");
	set_rule(s, "cali-FORWARD -j MARK --set-xmark 0x0/0xe0000");
	set_rule(s, "cali-FORWARD -i cali+ -j cali-from-wl-dispatch");
	set_rule(s, "cali-FORWARD -o cali+ -j cali-to-wl-dispatch");
	add_dispatch(s, "to", 'o');
	add_dispatch(s, "from", 'i');
	for (i = 0; i < n; i++)
		add_workload(s, &workloads[i], i);
	for (i = 0; i < 16; i++) {
		set_rule(s, "cali-to-wl-dispatch-%x -j DROP", i);
		set_rule(s, "cali-from-wl-dispatch-%x -j DROP", i);
	}
	set_rule(s, "cali-to-wl-dispatch -j DROP");
	set_rule(s, "cali-from-wl-dispatch -j DROP");
	for (i = 0; !set_full(s); i++)
		allow_workload(s, &workloads[i / 2 % n], i % 2);
}
