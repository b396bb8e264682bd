// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netns.h"
#include "record.h"

#define PREFIX "record "

static const char *const names[] = {
	[RECORD_NEW] = "new",
	[RECORD_ESTABLISHED] = "established",
	[RECORD_RELATED] = "related",
	[RECORD_INVALID] = "invalid",
	[RECORD_UNTRACKED] = "untracked",
	[RECORD_ANY] = "any",
	[RECORD_PASSED] = "passed",
};

const char *record_name(enum record_note note)
{
	return names[note];
}

enum record_note record_note_of(const char *prefix, size_t len)
{
	enum record_note note;

	if (len <= strlen(PREFIX) || strncmp(prefix, PREFIX, strlen(PREFIX)))
		return RECORD_NONE;
	for (note = RECORD_NEW; note <= RECORD_PASSED; note++)
		if (!strncmp(prefix + strlen(PREFIX), names[note], len - strlen(PREFIX)))
			return note;
	return RECORD_NONE;
}

static void add_log(struct text *t, enum record_note note)
{
	text_add(t, "log prefix \"" PREFIX "%s\" group %u; ", names[note], TOPOLOGY_NFLOG_GROUP);
}

static void add_chains(struct text *t, const char *hook, bool states)
{
	enum record_note note;

	/* iptables' filter table is at 0. */
	text_add(t, "chain before_%s { type filter hook %s priority -1; ", hook, hook);
	if (!states)
		add_log(t, RECORD_ANY);
	for (note = RECORD_NEW; states && note <= RECORD_UNTRACKED; note++) {
		text_add(t, "ct state %s ", names[note]);
		add_log(t, note);
	}
	text_add(t, "}\nchain behind_%s { type filter hook %s priority 1; ", hook, hook);
	add_log(t, RECORD_PASSED);
	text_add(t, "}\n");
}

static int run_nft(struct world *w, const char *commands)
{
	char *const argv[] = {"nft", "-f", "-", NULL};

	return netns_run(w->host_ns, argv, commands) ? -EIO : 0;
}

int record_begin(struct world *w, bool states)
{
	struct text t = {0};
	int err;

	text_add(&t, "table ip record {\n");
	add_chains(&t, "input", states);
	add_chains(&t, "forward", states);
	add_chains(&t, "output", states);
	text_add(&t, "}\n");
	err = run_nft(w, t.s);
	text_free(&t);
	return err;
}

void record_end(struct world *w)
{
	run_nft(w, "delete table ip record\n");
}

static struct record *add(struct records *rs)
{
	if (rs->nr == rs->max) {
		rs->max = rs->max * 2 + 256;
		rs->list = must_realloc(rs->list, rs->max * sizeof(*rs->list));
	}
	return &rs->list[rs->nr++];
}

static bool same_packet(const struct events *evs, const struct event *a, const struct event *b)
{
	return a->where == b->where && a->in == b->in && a->out == b->out && a->len == b->len &&
	       !memcmp(evs->bytes.s + a->at, evs->bytes.s + b->at, a->len);
}

/*
 * The one that this is, behind the table. One packet at a time is in it, but for those that it sends itself, which
 * are through before the one that they are about goes on: it is the last one that has not passed.
 */
static int note_passed(struct records *rs, const struct events *evs, const struct event *ev)
{
	unsigned int i;

	for (i = rs->nr; i-- > 0;) {
		struct record *r = &rs->list[i];

		if (r->passed || !same_packet(evs, &r->ev, ev))
			continue;
		r->passed = true;
		r->mark = ev->mark;
		return 0;
	}
	fprintf(stderr, "a packet came out of the filter table that had not gone in\n");
	return -EPROTO;
}

int record_take(struct records *rs, struct events *evs)
{
	unsigned int i, nr = 0;
	int err = 0;

	for (i = 0; i < evs->nr && !err; i++) {
		const struct event ev = evs->list[i];

		if (ev.note == RECORD_NONE)
			evs->list[nr++] = ev;
		else if (ev.note == RECORD_PASSED)
			err = note_passed(rs, evs, &ev);
		else
			*add(rs) = (struct record){.ev = ev};
	}
	evs->nr = nr;
	return err;
}

void records_free(struct records *rs)
{
	free(rs->list);
	memset(rs, 0, sizeof(*rs));
}
