// SPDX-License-Identifier: GPL-2.0
/*
 * What a former helper has left, who may have been killed between any two steps: chains and programs of a table that
 * never came into force, or was not removed; or nothing, since somebody has removed nf_tables' table.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nft.h"
#include "stage_chain.h"

void bf_stage_unpin_asking(const char *dir, uint32_t id)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[512];
	uint32_t n;

	if (!d)
		return;
	while ((e = readdir(d))) {
		if (sscanf(e->d_name, "asking-%u", &n) != 1 || n == id)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		unlink(path);
	}
	closedir(d);
}

/* The id in the name of a chain that a table with questions has for itself. */
static bool is_own_chain(const char *chain, uint32_t *id)
{
	return sscanf(chain, "questions-%u", id) == 1 || sscanf(chain, "here-%u", id) == 1 ||
	       sscanf(chain, "rounds-%u", id) == 1;
}

static bool is_known(const struct bf_stage *s, uint32_t id)
{
	uint32_t i;

	for (i = 0; i < s->nr_askers; i++)
		if (s->askers[i].id == id)
			return true;
	for (i = 0; i < s->nr_left; i++)
		if (s->left[i] == id)
			return true;
	return false;
}

/* What there is no memory for stays, until the next helper. */
static void look_at_chain(void *arg, const char *chain)
{
	struct bf_stage *s = arg;
	uint32_t id, *left;

	if (!is_own_chain(chain, &id) || is_known(s, id))
		return;
	left = reallocarray(s->left, s->nr_left + 1, sizeof(*left));
	if (!left)
		return;
	s->left = left;
	s->left[s->nr_left++] = id;
}

/* Rules of the chains of a table with questions. */
struct rules {
	uint32_t questions, here[BF_STAGE_BASES], rounds[BF_STAGE_BASES];
};

struct counted {
	const struct bf_stage *stage;
	struct rules rules[BF_MAX_ASKERS];
};

/* What chain of table @id it is that has this name, as a place in *@r; NULL: none. */
static uint32_t *place_of(struct rules *r, uint32_t id, const char *chain)
{
	char name[64];
	int i;

	snprintf(name, sizeof(name), "questions-%u", id);
	if (!strcmp(chain, name))
		return &r->questions;
	for (i = 0; i < BF_STAGE_BASES; i++) {
		snprintf(name, sizeof(name), "here-%u-%s", id, bf_stage_bases[i].chain);
		if (!strcmp(chain, name))
			return &r->here[i];
		snprintf(name, sizeof(name), "rounds-%u-%s", id, bf_stage_bases[i].chain);
		if (!strcmp(chain, name))
			return &r->rounds[i];
	}
	return NULL;
}

static void count_rule(void *arg, const char *chain)
{
	struct counted *c = arg;
	uint32_t i, *n;

	for (i = 0; i < c->stage->nr_askers; i++) {
		n = place_of(&c->rules[i], c->stage->askers[i].id, chain);
		if (n)
			++*n;
	}
}

/* Has each of its chains as many as it was made with? */
static bool is_there(const struct rules *r, const struct bf_asker *asker)
{
	bool there = r->questions == bf_stage_shared_rules(asker);
	int i;

	for (i = 0; i < BF_STAGE_BASES; i++) {
		unsigned int hook = bf_stage_bases[i].hook;

		there &= r->here[i] == bf_stage_here_rules(asker, hook) &&
			 r->rounds[i] == bf_stage_rounds_rules(asker, hook);
	}
	return there;
}

#define TRIES 8

/* A walk that somebody's change has broken is begun again. What has no nf_tables has nothing there. */
static int look(struct bf_stage *s, struct counted *c, const char *table)
{
	int err, i = 0;

	do {
		*c = (struct counted){.stage = s};
		err = bf_nft_each_rule(s->sk, table, count_rule, c)
			      ?: bf_nft_each_chain(s->sk, table, look_at_chain, s);
	} while (err == -EAGAIN && ++i < TRIES);
	return err == -EINVAL || err == -EOPNOTSUPP ? 0 : err;
}

int bf_stage_look(struct bf_stage *s, const char *table)
{
	struct counted c;
	int err = look(s, &c, table);
	uint32_t i;

	for (i = 0; i < s->nr_askers && !err; i++) {
		struct bf_asker *asker = &s->askers[i];

		if (!asker->shown || is_there(&c.rules[i], asker))
			continue;
		asker->shown = false;
		bf_log(BF_LOG_WARN,
		       "rules of nft table %s were gone: what they knew (limit, connlimit) begins "
		       "anew",
		       table);
	}
	return err;
}
