// SPDX-License-Identifier: GPL-2.0
/* -m esp, as xt_esp.c has it. */
#include <errno.h>
#include <linux/netfilter/xt_esp.h>
#include <netinet/in.h>

#include "match.h"

/* The SPI, which is where others have their ports, and the sequence number. */
#define ESP_HEADER 8

static int esp_check(const struct ipt_entry *e, const void *info, unsigned int hook_mask,
		     struct bf_why *why)
{
	const struct xt_esp *esp = info;

	if (esp->invflags & ~XT_ESP_INV_MASK)
		return bf_why(why, -EINVAL, "esp: unknown inversion flags 0x%x", esp->invflags);
	return 0;
}

/*
 * A bound on the SPI, of which each half is a field: unless it is below @bound (or above it, if
 * @above), go to @to.
 */
static void beyond(struct bf_rule *r, uint32_t bound, bool above, int to)
{
	uint32_t high = bound >> 16, low = bound & 0xffff;
	int holds = bf_label(r);

	if (above) {
		bf_range(r, BF_SPORT, high + 1, 0xffff, true, holds);
		bf_eq(r, BF_SPORT, 0xffff, high, false, to);
		bf_range(r, BF_DPORT, low + 1, 0xffff, false, to);
	} else {
		/* Below 0 is an empty range, which must not wrap around. */
		bf_range(r, BF_SPORT, high ? 0 : 1, high ? high - 1 : 0, true, holds);
		bf_eq(r, BF_SPORT, 0xffff, high, false, to);
		bf_range(r, BF_DPORT, low ? 0 : 1, low ? low - 1 : 0, false, to);
	}
	bf_label_here(r, holds);
}

static void esp_compile(struct bf_rule *r, const struct ipt_entry *e, const void *info)
{
	const struct xt_esp *esp = info;
	uint32_t lo = esp->spis[0], hi = esp->spis[1];
	int matched, above;

	bf_need_header(r, ESP_HEADER);
	if (!(esp->invflags & XT_ESP_INV_SPI)) {
		/* Not below and not above. */
		if (lo) {
			matched = bf_label(r);
			beyond(r, lo, false, matched);
			bf_never(r, BF_TO_NEXT);
			bf_label_here(r, matched);
		}
		if (hi != UINT32_MAX) {
			matched = bf_label(r);
			beyond(r, hi, true, matched);
			bf_never(r, BF_TO_NEXT);
			bf_label_here(r, matched);
		}
		return;
	}
	above = bf_label(r);
	matched = bf_label(r);
	beyond(r, lo, false, above);
	bf_never(r, matched);
	bf_label_here(r, above);
	beyond(r, hi, true, BF_TO_NEXT);
	bf_label_here(r, matched);
}

const struct bf_match bf_match_esp = {
	.name = "esp",
	.size = sizeof(struct xt_esp),
	.proto = IPPROTO_ESP,
	.options = "--espspi, with !",
	.check = esp_check,
	.compile = esp_compile,
};
