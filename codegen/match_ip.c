// SPDX-License-Identifier: GPL-2.0
/*
 * struct ipt_ip, as ip_packet_match() in net/ipv4/netfilter/ip_tables.c reads it, and whole
 * rules.
 */
#include <arpa/inet.h>
#include <string.h>

#include "ext.h"

#define IFACE_WORDS (IFNAMSIZ / sizeof(uint32_t))

/*
 * An interface name under a mask of bytes. The name matches if no word differs; inverted, it
 * is enough that one does.
 */
static void compile_iface(struct bf_rule *r, enum bf_field field, const char *name,
			  const unsigned char *mask, bool invert)
{
	uint32_t n[IFACE_WORDS], m[IFACE_WORDS];
	unsigned int i, last = 0;
	int differs = 0;

	memcpy(n, name, sizeof(n));
	memcpy(m, mask, sizeof(m));
	for (i = 0; i < IFACE_WORDS; i++)
		if (m[i])
			last = i;
	if (invert)
		differs = bf_label(r);
	for (i = 0; i <= last; i++) {
		if (!invert)
			bf_eq(r, field + i, m[i], n[i] & m[i], false, BF_TO_NEXT);
		else if (i == last)
			bf_eq(r, field + i, m[i], n[i] & m[i], true, BF_TO_NEXT);
		else
			bf_eq(r, field + i, m[i], n[i] & m[i], false, differs);
	}
	if (invert)
		bf_label_here(r, differs);
}

/*
 * Nothing here has a side effect, so the order is free: what tells most rules apart comes
 * first. An address with bits outside its mask equals nothing, and bf_eq() knows.
 */
void bf_compile_ip(struct bf_rule *r, const struct ipt_entry *e)
{
	const struct ipt_ip *ip = &e->ip;

	bf_eq(r, BF_DADDR, ntohl(ip->dmsk.s_addr), ntohl(ip->dst.s_addr),
	      ip->invflags & IPT_INV_DSTIP, BF_TO_NEXT);
	bf_eq(r, BF_SADDR, ntohl(ip->smsk.s_addr), ntohl(ip->src.s_addr),
	      ip->invflags & IPT_INV_SRCIP, BF_TO_NEXT);
	/* Protocol 0 is any, and stays any when it is inverted. */
	if (ip->proto)
		bf_eq(r, BF_PROTO, UINT32_MAX, ip->proto, ip->invflags & IPT_INV_PROTO, BF_TO_NEXT);
	compile_iface(r, BF_IIF, ip->iniface, ip->iniface_mask, ip->invflags & IPT_INV_VIA_IN);
	compile_iface(r, BF_OIF, ip->outiface, ip->outiface_mask, ip->invflags & IPT_INV_VIA_OUT);
	/* "! -f" asks for what is no later fragment; the inversion alone never matches. */
	if (ip->flags & IPT_F_FRAG)
		bf_eq(r, BF_FRAGOFF, UINT32_MAX, 0, !(ip->invflags & IPT_INV_FRAG), BF_TO_NEXT);
	else if (ip->invflags & IPT_INV_FRAG)
		bf_never(r, BF_TO_NEXT);
}

int bf_place_rule(const struct ipt_entry *e, enum bf_attach attach, struct bf_why *why)
{
	const struct xt_entry_match *m;
	unsigned int offset;
	int err = 0;

	for (offset = sizeof(*e); offset < e->target_offset && !err; offset += m->u.match_size) {
		const struct bf_match *match;

		m = (const void *)((const char *)e + offset);
		match = bf_match_find(m->u.user.name, m->u.user.revision);
		if (match->place)
			err = match->place(m->data, attach, why);
	}
	return err;
}

void bf_compile_rule(struct bf_rule *r, const struct ipt_entry *e)
{
	const struct xt_entry_match *m;
	unsigned int offset;

	bf_compile_ip(r, e);
	for (offset = sizeof(*e); offset < e->target_offset; offset += m->u.match_size) {
		const struct bf_match *match;

		m = (const void *)((const char *)e + offset);
		match = bf_match_find(m->u.user.name, m->u.user.revision);
		r->conntrack |= match->conntrack;
		if (match->compile)
			match->compile(r, e, m->data);
	}
}

const struct bf_target *bf_compile_target(struct bf_rule *r, const struct ipt_entry *e)
{
	const struct xt_entry_target *t = (const void *)((const char *)e + e->target_offset);
	const struct bf_target *target = bf_target_find(t->u.user.name, t->u.user.revision);

	if (!target)
		return NULL;
	r->conntrack |= target->conntrack;
	target->compile(r, e, t->data);
	return target;
}
