// SPDX-License-Identifier: GPL-2.0
#include "words.h"

#include <arpa/inet.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext.h"

struct flag {
	uint32_t bit;
	const char *name;
};

static const struct flag tcp_flags[] = {
	{1, "FIN"},  {2, "SYN"},  {4, "RST"},	{8, "PSH"}, {16, "ACK"},
	{32, "URG"}, {64, "ECE"}, {128, "CWR"}, {},
};

static const struct flag ct_states[] = {
	{XT_CONNTRACK_STATE_INVALID, "INVALID"},
	{XT_CONNTRACK_STATE_UNTRACKED, "UNTRACKED"},
	{XT_CONNTRACK_STATE_BIT(IP_CT_NEW), "NEW"},
	{XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED), "ESTABLISHED"},
	{XT_CONNTRACK_STATE_BIT(IP_CT_RELATED), "RELATED"},
	{XT_CONNTRACK_STATE_SNAT, "SNAT"},
	{XT_CONNTRACK_STATE_DNAT, "DNAT"},
	{},
};

static BF_PRINTF(2, 3) void add(struct bf_words *w, const char *fmt, ...)
{
	size_t len = strlen(w->text);
	va_list args;

	va_start(args, fmt);
	vsnprintf(w->text + len, sizeof(w->text) - len, fmt, args);
	va_end(args);
}

static void add_flags(struct bf_words *w, uint32_t value, const struct flag *flags)
{
	const char *comma = "";

	if (!value)
		add(w, "none");
	for (; flags->name; flags++) {
		if (!(value & flags->bit))
			continue;
		add(w, "%s%s", comma, flags->name);
		value &= ~flags->bit;
		comma = ",";
	}
	if (value)
		add(w, "%s0x%x", comma, value);
}

static void add_address(struct bf_words *w, uint32_t address)
{
	struct in_addr in = {htonl(address)};
	char text[INET_ADDRSTRLEN];

	add(w, "%s", inet_ntop(AF_INET, &in, text, sizeof(text)));
}

static void add_protocol(struct bf_words *w, uint32_t protocol)
{
	static const char *const names[256] = {
		[1] = "icmp",	    [2] = "igmp",   [4] = "ipip",      [6] = "tcp",  [17] = "udp",
		[33] = "dccp",	    [41] = "ipv6",  [47] = "gre",      [50] = "esp", [51] = "ah",
		[58] = "ipv6-icmp", [132] = "sctp", [136] = "udplite",
	};

	if (protocol < 256 && names[protocol])
		add(w, "%s", names[protocol]);
	else
		add(w, "%u", protocol);
}

static bool is_address(enum bf_field field)
{
	return field == BF_SADDR || field == BF_DADDR ||
	       (field >= BF_CT_ORIGSRC && field <= BF_CT_REPLDST);
}

static bool is_name(enum bf_field field)
{
	return field >= BF_IIF && field < BF_OIF + 4;
}

const char *bf_words_field(enum bf_field field)
{
	if (is_name(field))
		return field < BF_OIF ? "in" : "out";
	return bf_field_name(field);
}

static const char *hook_name(uint32_t hook)
{
	return hook == 1 ? "INPUT" : hook == 2 ? "FORWARD" : hook == 3 ? "OUTPUT" : "?";
}

/* One value of a field that is not a name. */
static void add_value(struct bf_words *w, enum bf_field field, uint32_t value)
{
	if (is_address(field))
		add_address(w, value);
	else if (field == BF_PROTO || field == BF_CT_PROTO)
		add_protocol(w, value);
	else if (field == BF_TCP_FLAGS)
		add_flags(w, value, tcp_flags);
	else if (field == BF_CT_STATE)
		add_flags(w, value, ct_states);
	else if (field == BF_ICMP)
		add(w, "type %u code %u", value >> 8, value & 0xff);
	else if (field == BF_HOOK)
		add(w, "%s", hook_name(value));
	else if (field == BF_MARK || field == BF_CT_MARK || field == BF_CT_STATUS)
		add(w, "0x%x", value);
	else
		add(w, "%u", value);
}

struct bf_words bf_words_value(const uint32_t *key, enum bf_field field)
{
	struct bf_words w = {""};

	if (is_name(field)) {
		const char *name = (const char *)&key[field < BF_OIF ? BF_IIF : BF_OIF];

		if (*name)
			add(&w, "%.15s", name);
		else
			add(&w, "none");
	} else {
		add_value(&w, field, key[field]);
	}
	return w;
}

/* The bytes of one word of a name that are compared. */
static void add_name(struct bf_words *w, const struct bf_op *op)
{
	const char *value = (const char *)&op->b, *mask = (const char *)&op->a;
	int first = (op->field - BF_IIF) % 4 * 4, i;

	if (!*value && *mask && first) {
		add(w, "%s ends at %d", bf_words_field(op->field), first);
		return;
	}
	add(w, first ? "%s[%d..] \"" : "%s \"", bf_words_field(op->field), first);
	for (i = 0; i < 4 && mask[i]; i++) {
		if (!value[i])
			break;
		add(w, "%c", value[i]);
	}
	add(w, i < 4 && mask[i] ? "\"" : "...\"");
}

static bool is_prefix(uint32_t mask)
{
	return !(~mask & (~mask + 1));
}

static void add_equal(struct bf_words *w, const struct bf_op *op)
{
	const char *name = bf_words_field(op->field);

	if (is_name(op->field)) {
		add_name(w, op);
	} else if (op->a == UINT32_MAX) {
		add(w, "%s ", name);
		add_value(w, op->field, op->b);
	} else if (is_address(op->field) && is_prefix(op->a)) {
		add(w, "%s ", name);
		add_address(w, op->b);
		add(w, "/%d", __builtin_popcount(op->a));
	} else if (op->field == BF_TCP_FLAGS) {
		add(w, "tcp flags ");
		add_flags(w, op->b, tcp_flags);
		add(w, " of ");
		add_flags(w, op->a, tcp_flags);
	} else if (op->field == BF_ICMP && op->a == ~0xffU) {
		add(w, "icmp type %u", op->b >> 8);
	} else if (!(~op->a & (~op->a + 1)) && (op->field == BF_SPORT || op->field == BF_DPORT)) {
		add(w, "%s %u-%u", name, op->b, op->b | (~op->a & 0xffff));
	} else {
		add(w, "%s & 0x%x == 0x%x", name, op->a, op->b);
	}
}

/* What is said better than as a comparison. */
static bool add_special(struct bf_words *w, const struct bf_op *op, bool opposite)
{
	if (op->code == BF_OP_EQ && !op->a && op->b)
		add(w, opposite ? "always" : "never");
	else if (op->code == BF_OP_EQ && op->field == BF_FRAGOFF && op->a == UINT32_MAX && !op->b)
		add(w, opposite ? "a later fragment" : "no later fragment");
	else if (op->code == BF_OP_EQ && op->field == BF_CT_STATE && !op->b) {
		add(w, opposite ? "ctstate " : "ctstate none of ");
		add_flags(w, op->a, ct_states);
	} else {
		return false;
	}
	return true;
}

/* What an op makes of a mark. */
static void add_change(struct bf_words *w, const struct bf_op *op)
{
	const char *mark = bf_words_field(op->field);
	int bits = op->b;

	if (op->code == BF_OP_MARK) {
		add(w, "%s = (%s & 0x%x) ^ 0x%x", mark, mark, op->a, op->b);
		return;
	}
	add(w, "%s = ", mark);
	if (op->code == BF_OP_MIX)
		add(w, "%s ^ (%s & 0x%x)", mark, bf_words_field(bf_op_source(op)), op->a);
	else
		add(w, "%s", mark);
	if (bits)
		add(w, bits < 0 ? " >> %d" : " << %d", bits < 0 ? -bits : bits);
}

struct bf_words bf_words_test(const struct bf_op *op, bool negate, const struct bf_cond *conds)
{
	struct bf_words w = {""};
	bool opposite = op->invert != negate;

	if (bf_op_marks(op)) {
		add_change(&w, op);
		return w;
	}
	if (op->code == BF_OP_COUNT || op->code == BF_OP_GROW) {
		add(&w, op->code == BF_OP_COUNT ? "counted" : "length as it is now");
		return w;
	}
	if (op->code == BF_OP_EFFECT) {
		add(&w, "effect 0x%x", op->a);
		return w;
	}
	if (add_special(&w, op, opposite))
		return w;
	if (opposite)
		add(&w, "not ");
	if (op->code == BF_OP_COND)
		add(&w, "%s", conds ? conds[op->a].type->name : "condition");
	else if (op->code == BF_OP_EQ)
		add_equal(&w, op);
	else if (op->b == UINT32_MAX)
		add(&w, "%s >= %u", bf_words_field(op->field), op->a);
	else if (is_address(op->field)) {
		add(&w, "%s ", bf_words_field(op->field));
		add_address(&w, op->a);
		add(&w, "-");
		add_address(&w, op->b);
	} else {
		add(&w, "%s %u-%u", bf_words_field(op->field), op->a, op->b);
	}
	return w;
}

/*
 * Op by op: one that leads to the next rule is needed, "this && the rest"; one that leads to the end of the
 * group does without the rest: "not this || the rest".
 */
char *bf_words_ops(const struct bf_op *ops, uint32_t n, uint32_t base, const struct bf_cond *conds)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	uint32_t i, open = 0;

	if (!f)
		return NULL;
	for (i = 0; i < n; i++) {
		bool leaves = ops[i].to >= 0, last = i + 1 == n;

		if (!bf_op_is_test(&ops[i]))
			leaves = false;
		/* To the end of the group, or past some of it. */
		fputs(bf_words_test(&ops[i], leaves && !last, conds).text, f);
		if (leaves && !last && (uint32_t)ops[i].to - base < n)
			fprintf(f, " (then on at test %u)", ops[i].to - base + 1);
		if (last)
			break;
		fputs(leaves ? " || " : " && ", f);
		if (!leaves && i + 2 < n && ops[i + 1].to >= 0) {
			fputc('(', f);
			open++;
		}
	}
	while (open--)
		fputc(')', f);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}
