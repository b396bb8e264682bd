// SPDX-License-Identifier: GPL-2.0
/*
 * By which bits to split a list of rules.
 *
 * Windows are proposed by what each of their bits would do alone, which is cheap to count for all
 * bits at once, and judged by what they do together, on a sample of the list.
 */
#include <string.h>

#include "tree_build.h"

/* Rules by which bits are counted, in bytes: less than 256 */
#define COUNTED	       80
/* Rules by which a window is judged: more of them in lists of many, where windows are wide */
#define JUDGED	       200
#define JUDGED_OF_MANY 1024
#define MANY	       4096
/* So few keys say nothing. */
#define KEYS_MIN       32
/* What memory weighs against the length of lists */
#define THRIFT	       0.3F
/* Nodes in one item's place */
#define NODES_PER_ITEM 4
/* Windows of each width that are judged at most, and in which lists it is more than one width */
#define PROPOSED       4
#define SEVERAL_WIDTHS 200
/* More than so many times the list is never worth it. */
#define COPIES	       16

/* Each bit of a byte in a byte of its own */
static uint64_t spread(uint32_t byte)
{
	const uint64_t ones = 0x0101010101010101;

	return (((byte * ones) & 0x8040201008040201) + 0x7f * ones) >> 7 & ones;
}

/* For each bit, how many rules want it clear and set */
struct bit_counts {
	union {
		uint64_t words[4];
		uint8_t bits[32];
	} clear, set;
};

static void bits_count(struct bit_counts *counts, uint32_t clear, uint32_t set)
{
	unsigned int i;

	for (i = 0; i < 4; i++) {
		counts->clear.words[i] += spread(clear >> 8 * i & 0xff);
		counts->set.words[i] += spread(set >> 8 * i & 0xff);
	}
}

static bool has_bounds(const struct rule_set *set, uint32_t rule, unsigned int f)
{
	const struct span *span;

	if (set->span_of[f] < 0)
		return false;
	span = &spans_of(set, rule)[set->span_of[f]];
	return span->lo || span->hi != UINT32_MAX;
}

/* Look at each of a sample of the rules: which bits are worth counting? */
static uint32_t bits_live(const struct rule_set *set, const struct cell *region,
			  const struct list *list, uint32_t step, unsigned int f)
{
	uint32_t clear = 0, ones = 0, bounded = 0, i;

	for (i = 0; i < list->nr; i += step) {
		uint32_t rule = ITEM_RULE(list->items[i]);
		const struct cell *cell = &cells_of(set, rule)[f];

		clear |= cell->mask & ~cell->value;
		ones |= cell->value;
		if (has_bounds(set, rule, f))
			bounded |= ~cell->mask;
	}
	return ((clear & ones) | bounded) & ~region[f].mask;
}

/*
 * What each bit is good for: the part of the list that is not behind it, on average. A bit within
 * bounds is good for something too, unlike one that nobody asks for.
 */
static void bits_worth(const struct rule_set *set, const struct list *list, uint32_t step,
		       unsigned int f, uint32_t live, float *worth)
{
	struct bit_counts counts = {0};
	uint32_t bounded = 0, n = 0, i;
	unsigned int b;

	for (i = 0; i < list->nr; i += step, n++) {
		uint32_t rule = ITEM_RULE(list->items[i]);
		const struct cell *cell = &cells_of(set, rule)[f];

		if (cell->mask & live)
			bits_count(&counts, cell->mask & ~cell->value & live, cell->value & live);
		bounded += has_bounds(set, rule, f);
	}
	for (b = 0; b < 32; b++) {
		float x = counts.clear.bits[b], y = counts.set.bits[b], z = n - x - y;

		worth[b] = 0;
		if (live >> b & 1)
			worth[b] = 1 - ((x + z / 2) * (x + z) + (y + z / 2) * (y + z)) / n / n +
				   0.1F * bounded / n;
	}
}

/* The best place for a window of at most @width bits, trimmed of what is good for nothing */
static bool window_propose(const float *worth, uint32_t free, unsigned int width, struct window *w)
{
	float best = 0, sum = 0;
	unsigned int pos = 0, b;
	int run = 0;

	w->width = 0;
	for (b = 0; b < 32; b++) {
		if (!(free >> b & 1)) {
			run = 0;
			sum = 0;
			continue;
		}
		sum += worth[b];
		if (++run > (int)width)
			sum -= worth[b - width];
		/* The higher one of equals: it is more likely to be part of a prefix. */
		if (sum >= best && sum > 0) {
			best = sum;
			pos = b;
			w->width = run > (int)width ? width : (unsigned int)run;
		}
	}
	if (!w->width)
		return false;
	while (w->width && worth[pos] <= 0)
		pos--, w->width--;
	if (!w->width)
		return false;
	w->pos = pos + 1 - w->width;
	while (worth[w->pos] <= 0)
		w->pos++, w->width--;
	for (b = 0, best = 1; b < w->width; b++)
		best *= 1 - worth[w->pos + b];
	w->score = best;
	return true;
}

/* The average length of the narrow part of the list that a key gets */
static float keys_meet(const struct rule_set *set, const struct list *list, const struct scratch *s,
		       const struct window *w)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < list->nr_keys; i++) {
		uint32_t key = set->keys[list->keys[i] * set->nr_fields + w->field];

		sum += s->count[key >> w->pos & window_mask(w)];
	}
	return (float)sum / list->nr_keys;
}

/* Count a sample of the rules behind the window. False if they would be too many. */
static bool window_judge(const struct split_job *job, struct window *w, uint64_t *work)
{
	const struct rule_set *set = job->set;
	const struct list *list = job->list;
	struct scratch *s = job->scratch;
	uint32_t children = 1U << w->width, most = list->nr < MANY ? JUDGED : JUDGED_OF_MANY;
	uint32_t step = (list->nr - 1) / most + 1;
	uint32_t n = 0, wide = 0, i, v, rest, used = 0;
	float own = 0, wide_share = 0, all = 0, hits = 0, scale;
	uint64_t copies = 0, items;

	memset(s->count, 0, children * sizeof(*s->count));
	memset(s->share, 0, children * sizeof(*s->share));
	for (i = 0; i < list->nr; i += step, n++) {
		float power = s->power[ITEM_SHARE(list->items[i])];
		struct slots slots = slots_of(set, job->region, w, ITEM_RULE(list->items[i]));
		uint32_t count = slots_count(&slots);

		if (count == children) {
			wide++;
			wide_share += power;
			continue;
		}
		if (!count)
			continue;
		copies += count;
		if (copies > (uint64_t)COPIES * most)
			return false;
		own += power;
		power /= count;
		rest = 0;
		do {
			v = slots.value | rest;
			rest = (rest - slots.free) & slots.free;
			if (v < slots.lo || v > slots.hi)
				continue;
			used += !s->count[v];
			s->count[v]++;
			s->share[v] += power;
		} while (rest);
	}
	*work += n + copies + children / 8;
	if (!copies)
		return false;
	for (v = 0; v < children; v++)
		hits += s->share[v] * s->count[v];
	all = own + wide_share;
	scale = (float)list->nr / n;
	w->list = wide + (hits + wide_share * copies / children) / all;
	if (list->nr_keys >= KEYS_MIN)
		w->list = wide + keys_meet(set, list, s, w);
	/* A rule meets itself, whatever the sample. */
	if (w->list > 1)
		w->list = 1 + (w->list - 1) * scale;
	if (step > 1)
		used = used * scale < children ? used * scale : children;
	items = copies * scale + (uint64_t)(wide * scale) * (used + (used < children)) +
		children / NODES_PER_ITEM;
	w->more = (float)items - list->nr;
	w->score = w->list;
	if (w->more > 0)
		w->score *= 1 + THRIFT * w->more / (list->nr + job->fair);
	return true;
}

/* Keep the best, best first. */
static unsigned int window_insert(struct window *found, unsigned int nr, unsigned int max,
				  const struct window *w)
{
	unsigned int i = nr < max ? nr : max;

	if (nr == max && w->score >= found[max - 1].score)
		return nr;
	if (nr == max)
		i = max - 1;
	for (; i && found[i - 1].score > w->score; i--)
		found[i] = found[i - 1];
	found[i] = *w;
	return nr < max ? nr + 1 : nr;
}

/* The best of the windows of at most @width bits */
static bool window_of_width(const struct split_job *job, float worth[][32], unsigned int width,
			    struct window *found, uint64_t *work)
{
	struct window proposed[PROPOSED], w;
	unsigned int nr = 0, f, i;
	bool some = false;

	for (f = 0; f < job->set->nr_fields; f++) {
		w.field = f;
		if (window_propose(worth[f], ~job->region[f].mask, width, &w) &&
		    (1 - w.score) * job->list->nr >= WORTH_A_STEP)
			nr = window_insert(proposed, nr, PROPOSED, &w);
	}
	for (i = 0; i < nr; i++) {
		w = proposed[i];
		if (!window_judge(job, &w, work) || w.more > job->room ||
		    w.list + WORTH_A_STEP > job->list->nr || (some && w.score >= found->score))
			continue;
		*found = w;
		some = true;
	}
	return some;
}

bool window_find(const struct split_job *job, struct window *found, uint64_t *work)
{
	const struct list *list = job->list;
	uint32_t step = (list->nr - 1) / COUNTED + 1, live;
	float worth[BF_TREE_FIELDS][32];
	unsigned int width, f;
	struct window w;
	bool some = false;

	for (f = 0; f < job->set->nr_fields; f++) {
		live = bits_live(job->set, job->region, list, step, f);
		if (live)
			bits_worth(job->set, list, step, f, live, worth[f]);
		else
			memset(worth[f], 0, sizeof(worth[f]));
		*work += list->nr / step * (live ? 2 : 1);
	}
	width = 31 - __builtin_clz(list->nr);
	if (width > WINDOW_MAX)
		width = WINDOW_MAX;
	/* Narrower ones too where it matters, or if nothing else will do. */
	for (; width; width /= 2) {
		bool last = some || list->nr < SEVERAL_WIDTHS;

		if (window_of_width(job, worth, width, &w, work) &&
		    (!some || w.score < found->score)) {
			*found = w;
			some = true;
		}
		if (some && last)
			break;
	}
	return some;
}
