// SPDX-License-Identifier: GPL-2.0
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_helper.h>
#include <linux/netfilter/xt_state.h>
#include <linux/netfilter/xt_tcpudp.h>

#include "table.h"

#define ROOM 16384

#define ACCEPT (-NF_ACCEPT - 1)
#define DROP   (-NF_DROP - 1)

/**
 * struct builder - a table that grows at its end
 */
struct builder {
	struct ipt_replace *r;
	bool foreign;
};

static struct ipt_entry *add_entry(struct builder *b)
{
	struct ipt_entry *e = (void *)((uint8_t *)b->r->entries + b->r->size);

	e->target_offset = e->next_offset = sizeof(*e);
	b->r->num_entries++;
	return e;
}

static void *add_match(struct ipt_entry *e, const char *name, size_t size)
{
	struct xt_entry_match *m = (void *)((uint8_t *)e + e->next_offset);

	strcpy(m->u.user.name, name);
	m->u.match_size = XT_ALIGN(sizeof(*m) + size);
	e->next_offset += m->u.match_size;
	e->target_offset = e->next_offset;
	return m->data;
}

static void end_entry(struct builder *b, struct ipt_entry *e, int verdict)
{
	struct xt_standard_target *t = (void *)((uint8_t *)e + e->target_offset);

	t->target.u.target_size = XT_ALIGN(sizeof(*t));
	t->verdict = verdict;
	e->next_offset += t->target.u.target_size;
	b->r->size += e->next_offset;
}

/* What the kernel wants at the end of a table and at the head of a user chain. */
static void add_error(struct builder *b, const char *name)
{
	struct ipt_entry *e = add_entry(b);
	struct xt_error_target *t = (void *)((uint8_t *)e + e->target_offset);

	strcpy(t->target.u.user.name, XT_ERROR_TARGET);
	t->target.u.target_size = XT_ALIGN(sizeof(*t));
	strcpy(t->errorname, name);
	e->next_offset += t->target.u.target_size;
	b->r->size += e->next_offset;
}

static void add_port_rule(struct builder *b, unsigned int class, int verdict)
{
	struct ipt_entry *e = add_entry(b);
	struct xt_udp *udp;
	struct xt_state_info *state;
	struct xt_helper_info *helper;

	e->ip.proto = IPPROTO_UDP;
	udp = add_match(e, "udp", sizeof(*udp));
	udp->spts[1] = 65535;
	udp->dpts[0] = udp->dpts[1] = CLASS_PORT(class);
	/*
	 * Conntrack comes and goes with the foreign table: the kernel throws away what is held when
	 * conntrack's hooks go. A name without end is left to ip_tables, and no packet is of it.
	 */
	if (b->foreign) {
		state = add_match(e, "state", sizeof(*state));
		state->statemask = UINT32_MAX;
		helper = add_match(e, "helper", sizeof(*helper));
		helper->invert = 1;
		memset(helper->name, 'x', sizeof(helper->name));
	}
	end_entry(b, e, verdict);
}

static void add_rule(struct builder *b, int verdict)
{
	end_entry(b, add_entry(b), verdict);
}

static void add_classes(struct builder *b, unsigned int passing)
{
	unsigned int class;

	for (class = 0; class < CLASSES; class ++)
		add_port_rule(b, class, class == CLASS_PASS || class == passing ? ACCEPT : DROP);
}

struct ipt_replace *table_build(enum flood_table which)
{
	static const unsigned int hooks[] = {NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT};
	struct builder b = {.r = calloc(1, ROOM), .foreign = which == TABLE_FOREIGN};
	struct xt_standard_target *jump[3];
	unsigned int i;

	strcpy(b.r->name, "filter");
	b.r->valid_hooks = 1 << hooks[0] | 1 << hooks[1] | 1 << hooks[2];
	for (i = 0; i < 3; i++) {
		b.r->hook_entry[hooks[i]] = b.r->size;
		if (which == TABLE_FLAT) {
			add_classes(&b, CLASS_FIRST);
		} else {
			jump[i] = (void *)((uint8_t *)b.r->entries + b.r->size +
					   sizeof(struct ipt_entry));
			add_rule(&b, 0);
		}
		b.r->underflow[hooks[i]] = b.r->size;
		add_rule(&b, ACCEPT);
	}
	if (which != TABLE_FLAT) {
		add_error(&b, "classes");
		for (i = 0; i < 3; i++)
			jump[i]->verdict = b.r->size;
		add_classes(&b, CLASS_SECOND);
		add_rule(&b, XT_RETURN);
	}
	add_error(&b, XT_ERROR_TARGET);
	return b.r;
}

int table_class(const struct ipt_entry *e)
{
	const struct xt_entry_match *m = (const void *)e->elems;
	const struct xt_udp *udp = (const void *)m->data;

	if (e->target_offset == sizeof(*e) || strcmp(m->u.user.name, "udp"))
		return -1;
	return udp->dpts[0] - CLASS_PORT(0);
}

void table_tally(struct tally *t, const void *entries, uint32_t size,
		 const struct xt_counters *counters)
{
	uint32_t at = 0;

	for (; at < size; counters++) {
		const struct ipt_entry *e = (const void *)((const uint8_t *)entries + at);
		const struct xt_standard_target *target =
			(const void *)((const uint8_t *)e + e->target_offset);
		int class = table_class(e);

		at += e->next_offset;
		/* A jump counts what the chain counts again. */
		if (class < 0 && (target->target.u.user.name[0] || target->verdict >= 0))
			continue;
		t->of[class < 0 ? CLASSES : class].pcnt += counters->pcnt;
		t->of[class < 0 ? CLASSES : class].bcnt += counters->bcnt;
	}
}
