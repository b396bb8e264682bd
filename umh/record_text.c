// SPDX-License-Identifier: GPL-2.0
/* The record form's data as text: what the program reads (record.h). */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "record.h"
#include "translation.h"
#include "words.h"

static void put_address(FILE *f, const char *name, uint32_t address, uint32_t mask)
{
	struct in_addr a = {htonl(address)}, m = {htonl(mask)};
	char text[INET_ADDRSTRLEN];

	if (!mask)
		return;
	fprintf(f, "%s %s", name, inet_ntop(AF_INET, &a, text, sizeof(text)));
	if (~mask & (~mask + 1))
		fprintf(f, "/%s", inet_ntop(AF_INET, &m, text, sizeof(text)));
	else if (mask != UINT32_MAX)
		fprintf(f, "/%d", __builtin_popcount(mask));
	fputc(' ', f);
}

static void put_ports(FILE *f, const char *name, const struct bf_ports *ports)
{
	uint16_t last = ports->first + ports->span;

	if (ports->span == UINT16_MAX)
		return;
	if (last < ports->first)
		fprintf(f, "%s not %u-%u ", name, last + 1, ports->first - 1);
	else if (last == ports->first)
		fprintf(f, "%s %u ", name, last);
	else
		fprintf(f, "%s %u-%u ", name, ports->first, last);
}

/* What the bits of the word of predicates are that the record wants. */
static void put_bits(FILE *f, const struct bf_listing *l, uint32_t bits)
{
	uint32_t codes = l->name_bits ? ~0U << (32 - 2 * l->name_bits) : 0, i;
	bool first = true;

	if (!bits)
		return;
	fputc('{', f);
	for (i = 0; i < 32; i++) {
		if (!(bits & 1U << i) || (!l->bits[i] && (codes & 1U << i)))
			continue;
		fprintf(f, "%s%u: %s", first ? "" : ", ", i, l->bits[i] ?: "?");
		first = false;
	}
	for (i = 0; i < 32 && !(bits & codes & 1U << i); i++)
		;
	if (i < 32)
		fprintf(f, "%scode 0x%x of an interface's name", first ? "" : ", ", bits & codes);
	fputs("} ", f);
}

static const struct bf_record *record_of(const struct bf_translation *t, uint32_t entry)
{
	return (const struct bf_record *)t->program->maps[BF_MAP_RECORDS].data + entry;
}

static const char *act_name(uint32_t act)
{
	static const char *const names[] = {
		[BF_DO_NEXT] = "next rule", [BF_DO_ACCEPT] = "ACCEPT", [BF_DO_DROP] = "DROP",
		[BF_DO_RETURN] = "RETURN",  [BF_DO_JUMP] = "jump",     [BF_DO_GOTO] = "goto",
		[BF_DO_OPS] = "ops",	    [BF_DO_STOP] = "stop",
	};

	return names[act >> BF_ACT_SHIFT & 7];
}

char *bf_record_text(const struct bf_translation *t, uint32_t entry)
{
	const struct bf_record *r = record_of(t, entry);
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	put_address(f, "saddr", r->addresses, r->mask);
	put_address(f, "daddr", r->addresses >> 32, r->mask >> 32);
	put_ports(f, "sport", &r->sport);
	put_ports(f, "dport", &r->dport);
	put_bits(f, &t->listing, r->predicates);
	fprintf(f, "-> %s", act_name(r->act));
	if (t->listing.entries[entry].need)
		fprintf(f, " (drops a packet of less than %u bytes behind the IP header)",
			t->listing.entries[entry].need);
	return fclose(f) ? NULL : text;
}

static void put_op(FILE *f, const struct bf_op_record *op)
{
	const char *field = bf_words_field(op->field);

	switch (op->code) {
	case BF_OPS_TEST:
	case BF_OPS_TEST_DROP:
		fprintf(f, "if (u32)((%s & 0x%x) - 0x%x) > 0x%x ", field, op->a, op->b, op->limit);
		break;
	case BF_OPS_COND:
	case BF_OPS_NOT_COND:
		fprintf(f, "if %scondition %u of type %u ", op->code == BF_OPS_COND ? "not " : "",
			op->a, op->field);
		break;
	case BF_OPS_MARK:
		fprintf(f, "mark = (mark & 0x%x) ^ 0x%x", op->a, op->b);
		return;
	case BF_OPS_EFFECT:
		fprintf(f, "effect 0x%x", op->a);
		return;
	case BF_OPS_ACT:
		fprintf(f, "count, %s", act_name(op->a));
		return;
	default:
		fprintf(f, "does not match");
		return;
	}
	if (op->code == BF_OPS_TEST_DROP || !op->skip)
		fprintf(f, "DROP");
	else
		fprintf(f, "skip %u", op->skip);
}

char *bf_record_op_text(const struct bf_translation *t, uint32_t entry, uint32_t i)
{
	const uint64_t *words = t->program->maps[BF_MAP_WORDS].data;
	const struct bf_op_record *ops = t->program->maps[BF_MAP_OPS].data;
	uint32_t rest = t->listing.entries[entry].rest, pc;
	char *text = NULL;
	size_t len;
	FILE *f;

	if (!rest || i >= rest + 2)
		return NULL;
	pc = words[t->listing.entry_words + entry];
	f = open_memstream(&text, &len);
	if (!f)
		return NULL;
	put_op(f, &ops[(pc & ~BF_PC_OP) + i]);
	return fclose(f) ? NULL : text;
}
