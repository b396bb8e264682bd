// SPDX-License-Identifier: GPL-2.0
#include "packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "ir.h"
#include "words.h"

#define IP_HEADER  20
#define TCP_HEADER 20

static uint32_t load(const uint8_t *p, int bytes)
{
	uint32_t v = 0;

	while (bytes--)
		v = v << 8 | *p++;
	return v;
}

/* Bytes behind the IP header that somebody may want to look at. */
static uint32_t wanted(const struct bf_packet *p)
{
	const struct bpfilter_packet *w = &p->what;
	uint32_t need = w->protocol == IPPROTO_TCP ? TCP_HEADER : 8;

	if (w->fragoff)
		return 0;
	if (w->protocol == IPPROTO_TCP && w->l4len >= TCP_HEADER && p->len >= w->thoff + TCP_HEADER)
		need = (p->data[w->thoff + 12] >> 4) * 4;
	return need < w->l4len ? need : w->l4len;
}

/* @len bytes are there. Of a later fragment they are data, which ecn and tcpmss look at as the kernel's do. */
static void describe_l4(struct bpfilter_packet *w, const uint8_t *l4, uint32_t len)
{
	if (len >= 4) {
		w->sport = load(l4, 2);
		w->dport = load(l4 + 2, 2);
	}
	if (len >= 8) {
		w->icmp = load(l4, 2);
		w->spi = load(l4 + 4, 4);
	}
	if (w->protocol == IPPROTO_TCP && len >= TCP_HEADER)
		w->tcp_flags = l4[13];
}

/* To whom the frame was for, as far as the address tells: what comes in for a group came to that group. */
static uint32_t frame_type(const struct bpfilter_packet *w)
{
	if (w->hook != NF_INET_LOCAL_IN)
		return PACKET_HOST;
	if (w->daddr == UINT32_MAX)
		return PACKET_BROADCAST;
	return w->daddr >> 28 == 14 ? PACKET_MULTICAST : PACKET_HOST;
}

/* As inet_addr_type(), as far as an address says it by itself. */
static uint8_t type_of(uint32_t address, bool local)
{
	if (address >> 28 == 14)
		return RTN_MULTICAST;
	if (!address || address == UINT32_MAX)
		return RTN_BROADCAST;
	return local || address >> 24 == 127 ? RTN_LOCAL : RTN_UNICAST;
}

static void describe_addresses(struct bpfilter_packet *w)
{
	bool local[2] = {w->hook == NF_INET_LOCAL_OUT, w->hook == NF_INET_LOCAL_IN};
	int dir, dev;

	for (dir = 0; dir < 2; dir++)
		for (dev = 0; dev < 3; dev++)
			w->addr_type[dir][dev] = type_of(dir ? w->daddr : w->saddr, local[dir]);
}

int bf_packet_describe(struct bf_packet *p, const void *data, uint32_t len,
		       const struct bf_context *context)
{
	struct bpfilter_packet *w = &p->what;
	const uint8_t *ip = data;

	memset(p, 0, sizeof(*p));
	p->data = data;
	p->len = len;
	if (len < IP_HEADER)
		return len && ip[0] >> 4 != 4 ? -EINVAL : -ENODATA;
	w->thoff = (ip[0] & 15) * 4;
	w->len = load(ip + 2, 2);
	if (ip[0] >> 4 != 4 || w->thoff < IP_HEADER || w->len < w->thoff)
		return -EINVAL;
	if (p->len > w->len)
		p->len = w->len; /* padding of the link */
	w->saddr = load(ip + 12, 4);
	w->daddr = load(ip + 16, 4);
	w->protocol = ip[9];
	w->fragoff = load(ip + 6, 2) & 0x1fff;
	w->l4len = w->len - w->thoff;
	w->tot_len = w->len;
	w->mark = context->mark;
	w->hook = context->hook;
	if (context->hook != NF_INET_LOCAL_OUT)
		memcpy(w->in, context->in, sizeof(w->in));
	if (context->hook != NF_INET_LOCAL_IN)
		memcpy(w->out, context->out, sizeof(w->out));
	if (p->len < w->thoff + wanted(p))
		return -ENODATA;
	w->header = (uint32_t)ip[8] << 24 | ip[1] << 16 | frame_type(w);
	describe_l4(w, ip + w->thoff, p->len - w->thoff);
	describe_addresses(w);
	if (context->ct != BF_CT_FLOWS)
		bf_packet_set_ct(p, context->ct, false);
	return 0;
}

void bf_packet_set_ct(struct bf_packet *p, enum bf_packet_ct ct, bool reply)
{
	static const uint32_t states[] = {
		[BF_CT_NEW] = XT_CONNTRACK_STATE_BIT(IP_CT_NEW),
		[BF_CT_ESTABLISHED] = XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED),
		[BF_CT_RELATED] = XT_CONNTRACK_STATE_BIT(IP_CT_RELATED),
		[BF_CT_INVALID] = XT_CONNTRACK_STATE_INVALID,
		[BF_CT_UNTRACKED] = XT_CONNTRACK_STATE_UNTRACKED,
	};
	struct bpfilter_packet *w = &p->what;

	w->ct_state = states[ct];
	if (ct == BF_CT_INVALID || ct == BF_CT_UNTRACKED)
		return;
	w->ct_dir = reply;
	w->ct_protocol = w->protocol;
	w->ct_status = ct == BF_CT_NEW ? 0 : IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED;
	w->ct_orig_saddr = w->ct_repl_daddr = reply ? w->daddr : w->saddr;
	w->ct_orig_daddr = w->ct_repl_saddr = reply ? w->saddr : w->daddr;
	if (w->fragoff)
		return;
	w->ct_orig_sport = w->ct_repl_dport = reply ? w->dport : w->sport;
	w->ct_orig_dport = w->ct_repl_sport = reply ? w->sport : w->dport;
}

struct bf_packet_text bf_packet_text(const struct bf_packet *p)
{
	const uint32_t *key = (const uint32_t *)&p->what;
	const struct bpfilter_packet *w = &p->what;
	bool ports = !w->fragoff && w->l4len >= 4 &&
		     (w->protocol == IPPROTO_TCP || w->protocol == IPPROTO_UDP);
	char sport[8] = "", dport[8] = "", more[40] = "";
	struct bf_packet_text t;

	if (ports) {
		snprintf(sport, sizeof(sport), ":%u", w->sport & 0xffff);
		snprintf(dport, sizeof(dport), ":%u", w->dport & 0xffff);
	}
	if (w->fragoff)
		snprintf(more, sizeof(more), " later fragment");
	else if (w->protocol == IPPROTO_TCP)
		snprintf(more, sizeof(more), " %.38s", bf_words_value(key, BF_TCP_FLAGS).text);
	else if (w->protocol == IPPROTO_ICMP)
		snprintf(more, sizeof(more), " %.38s", bf_words_value(key, BF_ICMP).text);
	snprintf(t.text, sizeof(t.text), "%.15s%s > %.15s%s %.10s%s, %u bytes",
		 bf_words_value(key, BF_SADDR).text, sport, bf_words_value(key, BF_DADDR).text,
		 dport, bf_words_value(key, BF_PROTO).text, more, w->len);
	return t;
}
