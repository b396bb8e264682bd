// SPDX-License-Identifier: GPL-2.0
#include "replay.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

/* A progress bar comes after a second, and is drawn five times a second. */
#define FIRST_NS 1000000000ULL
#define NEXT_NS	 200000000ULL
#define WIDTH	 40

/* Packets between two looks at the clock. */
#define BATCH 256

struct progress {
	bool wanted, drawn;
	uint64_t next;
};

/* On a terminal, and not in between of what goes to the same one. */
static void progress_begin(struct progress *p, const struct bf_replay_show *show)
{
	p->wanted = isatty(STDERR_FILENO) && (show->summary || !isatty(STDOUT_FILENO));
	p->drawn = false;
	p->next = bf_now_ns() + FIRST_NS;
}

static void progress_show(struct progress *p, const struct bf_capture *c, uint64_t packets)
{
	double done = bf_capture_done(c);
	int n = done < 0 ? 0 : done * WIDTH;

	if (!p->wanted || bf_now_ns() < p->next)
		return;
	p->next = bf_now_ns() + NEXT_NS;
	p->drawn = true;
	if (done < 0)
		fprintf(stderr, "\r%llu packets", (unsigned long long)packets);
	else
		fprintf(stderr, "\r[%.*s%*s] %3.0f%% %llu packets", n,
			"########################################", WIDTH - n, "", done * 100,
			(unsigned long long)packets);
}

static void progress_end(const struct progress *p)
{
	if (p->drawn)
		fprintf(stderr, "\r%*s\r", WIDTH + 40, "");
}

bool bf_replay_differs(const struct bf_replay *r)
{
	return r->nr_sides == 2 && (r->sides[0].fate.verdict != r->sides[1].fate.verdict ||
				    r->sides[0].fate.mark != r->sides[1].fate.mark);
}

static void account(struct bf_replay_side *s, const struct bf_packet *p)
{
	uint64_t n = s->fate.nr < BF_TRACE_MAX ? s->fate.nr : BF_TRACE_MAX, i;

	for (i = 0; i < n; i++) {
		uint32_t entry = s->fate.counted[i];

		if (entry >= s->rules.nr_entries)
			continue;
		s->counters[entry].pcnt++;
		s->counters[entry].bcnt += p->what.len;
	}
	s->accepted += s->fate.verdict == NF_ACCEPT;
	s->dropped += s->fate.verdict != NF_ACCEPT;
}

static int run_side(struct bf_replay *r, struct bf_replay_side *s, struct bf_packet *p)
{
	int err;

	if (r->context.ct == BF_CT_FLOWS)
		bf_flows_describe(&s->flows, p);
	err = bf_testrun_packet(s->run, p, &s->fate);
	if (err)
		return err;
	account(s, p);
	return r->context.ct == BF_CT_FLOWS
		       ? bf_flows_note(&s->flows, p, s->fate.verdict == NF_ACCEPT)
		       : 0;
}

static int run_packet(struct bf_replay *r, const struct bf_captured *captured, FILE *f,
		      const struct bf_replay_show *show)
{
	struct bf_packet p;
	unsigned int i;
	int err;

	if (!captured->data) {
		r->other++;
		return 0;
	}
	err = bf_packet_describe(&p, captured->data, captured->len, &r->context);
	if (err) {
		r->malformed += err == -EINVAL;
		r->cut += err == -ENODATA;
		return 0;
	}
	for (i = 0; i < r->nr_sides && !err; i++)
		err = run_side(r, &r->sides[i], &p);
	if (err)
		return err;
	r->packets++;
	r->differ += bf_replay_differs(r);
	bf_replay_packet(f, r, show, captured, &p);
	return 0;
}

int bf_replay_run(struct bf_replay *r, struct bf_capture *capture, FILE *f,
		  const struct bf_replay_show *show, struct bf_why *why)
{
	struct bf_captured captured;
	struct progress progress;
	uint64_t n = 0;
	int err;

	progress_begin(&progress, show);
	while ((err = bf_capture_next(capture, &captured, why)) > 0) {
		err = run_packet(r, &captured, f, show);
		if (err) {
			bf_why(why, err, "packet %llu: %s", (unsigned long long)captured.number,
			       strerror(-err));
			break;
		}
		if (!(++n % BATCH))
			progress_show(&progress, capture, r->packets);
	}
	progress_end(&progress);
	return err;
}
