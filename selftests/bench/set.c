// SPDX-License-Identifier: GPL-2.0
#include "set.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct shape shapes[] = {
	{"acl", make_acl, NULL, "access list: exact destinations and ports"},
	{"fw", make_fw, NULL, "firewall: many wildcards and port ranges"},
	{"ipc", make_ipc, NULL, "IP chain: prefixes of all lengths on both sides"},
	{"k8s", make_k8s, NULL, "services: exact addresses and ports, states, comments"},
	{"block", make_block, NULL, "blocklist: sources, /32 and /24"},
	{"grid", make_grid, NULL, "10 sources x 5 destinations x 10 x 10 ports"},
	{"docker", make_docker, NULL, "bridges, isolation and published ports, as Docker has"},
	{"kube", make_kube, NULL, "kube-proxy's chains and one of policies for each pod"},
	{"calico", make_calico, NULL,
	 "dispatch by interface, policies that set marks, as Calico has"},
	{"docker-flat", NULL, "docker", "the rules of docker that decide, as one chain"},
	{"kube-flat", NULL, "kube", "the rules of kube that decide, as one chain"},
	{"calico-flat", NULL, "calico", "the rules of calico that decide, as one chain"},
	{"nested", make_nested, NULL, "prefixes within prefixes, on both sides"},
	{"crossing", make_crossing, NULL, "port ranges that cross each other"},
	{"nonterminal", make_nonterminal, NULL, "rules without a target that match often"},
	{"stateful", make_stateful, NULL, "the same limit again and again"},
};

const struct shape *shape_at(unsigned int i)
{
	return i < sizeof(shapes) / sizeof(shapes[0]) ? &shapes[i] : NULL;
}

const struct shape *shape_find(const char *name)
{
	unsigned int i;

	for (i = 0; shape_at(i); i++)
		if (!strcmp(shapes[i].name, name))
			return &shapes[i];
	return NULL;
}

static void *grow(void *p, uint32_t n, uint32_t *max, size_t size)
{
	if (n < *max)
		return p;
	*max = *max * 2 + 64;
	p = reallocarray(p, *max, size);
	if (!p)
		abort();
	return p;
}

static void text_reserve(struct text *t, size_t more)
{
	if (t->max - t->len >= more)
		return;
	t->max = t->max * 2 + more;
	t->s = realloc(t->s, t->max);
	if (!t->s)
		abort();
}

static void __attribute__((format(printf, 2, 0)))
text_vadd(struct text *t, const char *fmt, va_list args)
{
	text_reserve(t, 1024);
	t->len += vsnprintf(t->s + t->len, 1024, fmt, args);
}

static void __attribute__((format(printf, 2, 3))) text_add(struct text *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	text_vadd(t, fmt, args);
	va_end(args);
}

uint32_t prefix_mask(unsigned int len)
{
	return len ? ~0U << (32 - len) : 0;
}

bool is_ordinary(uint32_t addr)
{
	uint32_t net = addr >> 24;

	return net && net != 10 && net != 127 && net < 224;
}

uint32_t some_address(struct rng *r)
{
	uint32_t a;

	do
		a = rng_next(r);
	while (!is_ordinary(a));
	return a;
}

void set_chain(struct set *s, const char *fmt, ...)
{
	va_list args;

	text_add(&s->chains, ":");
	va_start(args, fmt);
	text_vadd(&s->chains, fmt, args);
	va_end(args);
	text_add(&s->chains, " - [0:0]\n");
}

bool set_rule(struct set *s, const char *fmt, ...)
{
	va_list args;

	if (set_full(s))
		return false;
	s->nr_rules++;
	text_add(&s->rules, "-A ");
	va_start(args, fmt);
	text_vadd(&s->rules, fmt, args);
	va_end(args);
	text_add(&s->rules, "\n");
	return true;
}

void set_region(struct set *s, const struct region *region)
{
	s->regions = grow(s->regions, s->nr_regions, &s->max_regions, sizeof(*s->regions));
	s->regions[s->nr_regions++] = *region;
}

uint16_t set_device(struct set *s, const char *fmt, ...)
{
	va_list args;

	s->devices = grow(s->devices, s->nr_devices, &s->max_devices, sizeof(*s->devices));
	memset(s->devices[s->nr_devices], 0, sizeof(*s->devices));
	va_start(args, fmt);
	vsnprintf(s->devices[s->nr_devices], sizeof(*s->devices), fmt, args);
	va_end(args);
	return s->nr_devices++;
}

static void add_address(struct text *t, const char *option, uint32_t addr, unsigned int len)
{
	struct in_addr in = {.s_addr = htonl(addr & prefix_mask(len))};
	char buf[INET_ADDRSTRLEN];

	if (len)
		text_add(t, " %s %s/%u", option, inet_ntop(AF_INET, &in, buf, sizeof(buf)), len);
}

static void add_ports(struct text *t, const char *option, const uint16_t *ports)
{
	if (ports[0] == ports[1])
		text_add(t, " %s %u", option, ports[0]);
	else if (ports[0] || ports[1] != 65535)
		text_add(t, " %s %u:%u", option, ports[0], ports[1]);
}

static void add_proto(struct text *t, const struct region *r)
{
	static const char *const names[256] = {[1] = "icmp", [6] = "tcp", [17] = "udp"};
	const char *name = names[r->proto];
	bool ports = r->sport[0] || r->dport[0] || (r->sport[1] & r->dport[1]) != 65535;

	if (!r->proto)
		return;
	text_add(t, " -p %s", name);
	if (!ports || r->proto == 1)
		return;
	text_add(t, " -m %s", name);
	add_ports(t, "--sport", r->sport);
	add_ports(t, "--dport", r->dport);
}

bool set_about(struct set *s, const char *chain, const struct region *r, const char *more)
{
	struct text t = {};
	bool added;

	text_add(&t, "%s", chain);
	add_address(&t, "-s", r->saddr, r->slen);
	add_address(&t, "-d", r->daddr, r->dlen);
	if (r->in)
		text_add(&t, "%s -i %s", r->not_in ? " !" : "", s->devices[r->in]);
	if (r->out)
		text_add(&t, " -o %s", s->devices[r->out]);
	add_proto(&t, r);
	text_add(&t, " %s", more);
	added = set_rule(s, "%s", t.s);
	free(t.s);
	if (added)
		set_region(s, r);
	return added;
}

static struct set *set_new(uint32_t rules, uint64_t seed)
{
	struct set *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->limit = rules;
	s->policy = "DROP";
	s->rng = rng_make(seed, 0);
	/* Where packets come from and go to in the benchmark's namespaces. */
	set_device(s, "bench-in");
	set_device(s, "bench-out");
	text_reserve(&s->chains, 1);
	text_reserve(&s->rules, 1);
	s->chains.s[0] = s->rules.s[0] = '\0';
	return s;
}

/* As many rules of the other shape as have that many that decide. */
static struct set *flatten(const struct shape *shape, uint32_t rules, uint64_t seed)
{
	struct set *s = set_new(rules, seed), *deep = NULL;
	uint32_t size = rules, i;

	do {
		set_free(deep);
		size *= 2;
		deep = set_make(shape_find(shape->flat_of), size, seed);
	} while (deep->nr_regions < rules);
	for (i = 2; i < deep->nr_devices; i++)
		set_device(s, "%s", deep->devices[i]);
	for (i = 0; i < rules; i++)
		set_about(s, "FORWARD", &deep->regions[i], "-j ACCEPT");
	set_free(deep);
	return s;
}

struct set *set_make(const struct shape *shape, uint32_t rules, uint64_t seed)
{
	struct set *s;

	if (!shape->make)
		return flatten(shape, rules, seed);
	s = set_new(rules, seed);
	shape->make(s);
	return s;
}

void set_free(struct set *s)
{
	if (!s)
		return;
	free(s->chains.s);
	free(s->rules.s);
	free(s->regions);
	free(s->devices);
	free(s);
}

char *set_text(const struct set *s)
{
	char *text;

	if (asprintf(&text,
		     "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD %s [0:0]\n:OUTPUT ACCEPT [0:0]\n"
		     "%s%sCOMMIT\n",
		     s->policy, s->chains.s, s->rules.s) < 0)
		abort();
	return text;
}
