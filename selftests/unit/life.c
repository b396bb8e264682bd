// SPDX-License-Identifier: GPL-2.0
#include "life.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/netfilter/xt_comment.h>
#include <linux/netfilter/xt_helper.h>
#include <linux/netfilter/xt_limit.h>
#include <linux/netfilter/xt_state.h>
#include <linux/netfilter/xt_string.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "dice.h"
#include "env.h"
#include "kernel_table.h"
#include "pins.h"

/* As long as the kernel takes them. */
static void add_comment(struct blob *b, struct dice *d)
{
	struct xt_comment_info comment = {};
	unsigned int i;

	for (i = 0; i + 1 < sizeof(comment.comment); i++)
		comment.comment[i] = 'a' + roll(d, 26);
	blob_match(b, "comment", 0, &comment, sizeof(comment));
}

static const char *chain_of(enum table_kind kind)
{
	return kind == PLAIN ? "plain" : kind == ALIKE ? "alike" : "other";
}

void table_make(struct blob *b, enum table_kind kind, int verdict)
{
	struct dice dice = {.state = 1};
	struct xt_helper_info foreign = {.invert = 1};
	const struct xt_state_info state = {.statemask = 0xff};
	const struct xt_rateinfo rate = {.avg = XT_LIMIT_SCALE, .burst = 5};
	const struct xt_string_info none = {.to_offset = 100,
					    .algo = "bm",
					    .pattern = "this is in no packet",
					    .patlen = 20,
					    .u.v1.flags = XT_STRING_FLAG_INVERT};
	unsigned int i;

	/* A name without end is left to ip_tables, and no packet is of it. */
	memset(foreign.name, 'x', sizeof(foreign.name));
	blob_hook(b, NF_INET_LOCAL_IN);
	blob_begin(b)->proto = IPPROTO_UDP;
	if (kind == ASKING)
		blob_match(b, "string", 1, &none, sizeof(none));
	if (kind == FOREIGN)
		blob_match(b, "helper", 0, &foreign, sizeof(foreign));
	if (kind == STATEFUL)
		blob_match(b, "state", 0, &state, sizeof(state));
	blob_end(b, verdict);
	for (i = 0; (kind == LARGE || kind == WORDY) && i < 400; i++) {
		blob_begin(b)->proto = IPPROTO_TCP;
		if (kind == WORDY)
			add_comment(b, &dice);
		blob_match(b, "limit", 0, &rate, sizeof(rate));
		blob_end(b, BLOB_ACCEPT);
	}
	blob_policy(b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_empty_hook(b, NF_INET_FORWARD, BLOB_DROP);
	blob_empty_hook(b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_chain(b, chain_of(kind));
	blob_rule(b, BLOB_RETURN);
	blob_finish(b);
}

static int skip(struct life *l, const char *why)
{
	life_end(l);
	snprintf(l->s.why, sizeof(l->s.why), "%s", why);
	return 1;
}

static bool has_module(enum life_hooks hooks)
{
	return hooks == LINKS_AND_MODULE || hooks == MODULE;
}

int life_begin(struct life *l, enum life_hooks hooks)
{
	struct bf_kernel kernel;
	int err;

	memset(l, 0, sizeof(*l));
	l->sk = l->t.rx = l->t.tx = -1;
	l->hooks = hooks;
	err = sandbox_enter(&l->s);
	if (err)
		return err;
	bf_env_kernel(l->s.env, &kernel);
	if (hooks != MODULE && !kernel.has_links)
		return skip(l, "the kernel has no netfilter links");
	if (!has_module(hooks) && !module_is_fake())
		return skip(l, "the module is loaded");
	if (has_module(hooks) && module_begin())
		return -1;
	module_hide_links(hooks == MODULE);
	bf_log_set_level(BF_LOG_ERR);
	l->sk = bf_kernel_socket();
	return l->sk < 0 || traffic_open(&l->t) || life_open(l) ? -1 : 0;
}

void life_end(struct life *l)
{
	life_close(l);
	traffic_close(&l->t);
	if (l->sk >= 0)
		close(l->sk);
	module_end();
	sandbox_leave(&l->s);
}

int life_open(struct life *l)
{
	int err = 0;

	if (has_module(l->hooks))
		err = module_open(l->s.env);
	err = err ?: bf_filter_open(l->s.env, l->s.inode, "test", &l->f, &l->why);
	if (!err && l->hooks == INTERFACES)
		bf_filter_ask(l->f, BF_TC);
	return err;
}

void life_close(struct life *l)
{
	bf_filter_close(l->f);
	l->f = NULL;
	if (has_module(l->hooks))
		module_close(l->s.env);
}

void life_status(struct life *l, struct bf_filter_status *status)
{
	memset(status, 0, sizeof(*status));
	if (!l->f)
		return;
	bf_filter_status(l->f, status);
	free(status->interfaces);
	status->interfaces = NULL;
}

static int attach_of(struct life *l)
{
	struct bf_filter_status status;

	life_status(l, &status);
	return status.ours ? (int)status.attach : -1;
}

/* As a move does: at the interfaces the pin is of another map than at links. */
static int set_moving(struct life *l, bool edge)
{
	char about[300];
	struct bf_pins pins;
	int err, fd = -1;

	bf_pins_init(&pins, l->s.inode);
	snprintf(about, sizeof(about), "%s/about", pins.dir);
	err = bf_pins_open(&pins);
	if (edge) {
		fd = bpf_obj_get(about);
		err = fd < 0 ? -errno : 0;
	}
	err = err ?: bf_pins_set_moving(&pins, fd, true);
	bf_pins_close(&pins);
	if (fd >= 0)
		close(fd);
	return err;
}

int life_interrupt(struct life *l)
{
	int err;

	if (attach_of(l) == BF_ATTACH_MODULE) {
		err = bf_device_ns_set(bf_env_device(l->s.env),
				       BPFILTER_NS_OWNED | BPFILTER_NS_HOOK | BPFILTER_NS_MOVING |
					       BPFILTER_NS_KEEP,
				       NULL);
	} else {
		err = set_moving(l, attach_of(l) == BF_ATTACH_TC);
	}
	life_close(l);
	return err;
}

void life_prefer(struct life *l, bool at_module)
{
	module_hide_links(at_module || l->hooks == MODULE);
}

int life_replace(struct life *l, struct blob *b, struct xt_counters **old)
{
	struct xt_counters *counters = NULL;
	struct ipt_getinfo info = {};
	int err = bf_filter_info(l->f, &info);

	blob_head(b)->num_counters = info.num_entries;
	err = err ?: bf_filter_replace(l->f, b->data, b->len, &counters, &l->why);
	if (old)
		*old = counters;
	else
		free(counters);
	return err;
}

uint8_t *life_entries(struct life *l, uint32_t *size)
{
	struct ipt_getinfo info = {};
	uint8_t *p;

	if (bf_filter_info(l->f, &info))
		return NULL;
	*size = info.size;
	p = calloc(1, info.size);
	if (p && bf_filter_entries(l->f, info.size, p)) {
		free(p);
		return NULL;
	}
	return p;
}

uint64_t life_packets(struct life *l, unsigned int index)
{
	uint32_t size;
	uint8_t *p = life_entries(l, &size);
	const struct ipt_entry *e = (const void *)p;
	struct xt_counters c;

	if (!p)
		return UINT64_MAX;
	while (index--)
		e = (const void *)((const char *)e + e->next_offset);
	c = e->counters;
	free(p);
	return c.bcnt == c.pcnt * TRAFFIC_BYTES ? c.pcnt : UINT64_MAX;
}

static void clear_counters(uint8_t *p, uint32_t size)
{
	struct ipt_entry *e;
	uint32_t at;

	for (at = 0; at < size; at += e->next_offset) {
		e = (void *)(p + at);
		memset(&e->counters, 0, sizeof(e->counters));
	}
}

/* What reading the table should give; NULL if bf_table_check() does not know all of it. */
static uint8_t *expected_entries(struct blob *b, uint32_t *size)
{
	struct xt_counters *none;
	struct bf_table *t;
	uint8_t *p;

	if (bf_table_check(b->data, b->len, &t, NULL))
		return NULL;
	p = malloc(t->size);
	none = calloc(t->num_entries, sizeof(*none));
	if (!p || !none)
		abort();
	bf_table_show(t, none, p);
	free(none);
	*size = t->size;
	bf_table_free(t);
	return p;
}

bool life_in_force(struct life *l, struct blob *b, bool ours)
{
	uint32_t size = 0, want_size = blob_head(b)->size;
	struct bf_kernel_table *kt = NULL;
	uint8_t *p = life_entries(l, &size), *want = expected_entries(b, &want_size);
	bool ok = false;

	if (p && !bf_kernel_read(l->sk, &kt)) {
		clear_counters(p, size);
		clear_counters(kt->entries, kt->info.size);
		ok = bf_filter_is_ours(l->f) == ours && size == want_size &&
		     (!want || !memcmp(p, want, size)) &&
		     (ours ? bf_kernel_table_is_empty(kt)
			   : kt->info.size == size && !memcmp(kt->entries, p, size));
	}
	bf_kernel_table_free(kt);
	free(p);
	free(want);
	return ok;
}

int life_pins(struct life *l)
{
	struct bf_pins pins;
	DIR *dir;
	int n = 0;

	bf_pins_init(&pins, l->s.inode);
	dir = opendir(pins.dir);
	if (!dir)
		return -1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

bool life_set(struct life *l, const struct state *s)
{
	life_prefer(l, s->at_module);
	if (s->ours) {
		/* It does not come back to links by itself. */
		if (l->hooks == LINKS_AND_MODULE && !s->at_module &&
		    attach_of(l) == BF_ATTACH_MODULE && bf_filter_detach(l->f, &l->why))
			return false;
		return !life_replace(l, s->table, NULL);
	}
	return !bf_filter_detach(l->f, &l->why) &&
	       !bf_kernel_replace(l->sk, s->table->data, s->table->len, NULL, NULL);
}

/* Do the pins and the module have what they should, and nothing else? */
static bool is_seated(struct life *l, const struct state *s, bool edge)
{
	bool module = s->ours && (s->at_module || l->hooks == MODULE);
	struct bf_filter_status status;

	life_status(l, &status);
	edge = edge && s->ours;
	if (life_pins(l) != (edge ? EDGE_PINS : s->ours && !module ? PINS : -1))
		return false;
	if (edge && status.attach != BF_ATTACH_TC)
		return false;
	if (!has_module(l->hooks))
		return true;
	return module_has((s->ours ? BPFILTER_NS_OWNED : 0) | (module ? BPFILTER_NS_HOOK : 0),
			  module ? status.prog_ids[1] : 0);
}

static bool is_so(struct life *l, const struct state *s, bool edge)
{
	int i;

	if (l->f && (!life_in_force(l, s->table, s->ours) || !is_seated(l, s, edge)))
		return false;
	if (module_fakes_program())
		return true;
	/* The kernel detaches a link that nobody has any more a little later. */
	for (i = 0; i < 50; i++)
		if (traffic_send(&l->t, 1) == s->passes)
			return true;
	return false;
}

bool life_is(struct life *l, const struct state *s)
{
	return is_so(l, s, l->hooks == INTERFACES);
}

bool life_is_at_links(struct life *l, const struct state *s)
{
	return is_so(l, s, false);
}

bool life_is_guarded(struct life *l)
{
	struct bf_kernel_table *kt = NULL;
	bool known = true;

	/* The real one would not let us ask. */
	if (has_module(l->hooks) && module_is_fake() && !bf_kernel_read(l->sk, &kt))
		known = !bf_kernel_table_is_empty(kt) || module_fakes_owned();
	bf_kernel_table_free(kt);
	if (!known)
		return false;
	return module_fakes_program() || !traffic_send(&l->t, 3);
}
