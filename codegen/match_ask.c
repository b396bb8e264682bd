// SPDX-License-Identifier: GPL-2.0
/* What the matches have in common that are questions to the kernel. See question.h. */
#include "match.h"

void bf_ask_for_target(struct bf_rule *r, const struct ipt_entry *e, const void *info, bool grows)
{
	const struct xt_entry_target *t = info - offsetof(struct xt_entry_target, data);
	struct bf_question q = {
		.revision = t->u.user.revision,
		.invflags = e->ip.invflags,
		.proto = e->ip.proto,
		.hooks = e->comefrom & BF_FILTER_HOOKS,
		.target = true,
		.size = t->u.target_size - sizeof(*t),
		.info = (void *)info,
	};

	memcpy(q.name, t->u.user.name, sizeof(t->u.user.name));
	bf_ask_target(r, &q, grows);
}

void bf_ask_compile(struct bf_rule *r, const struct ipt_entry *e, const void *info)
{
	const struct xt_entry_match *m = info - offsetof(struct xt_entry_match, data);
	struct bf_question q = {
		.revision = m->u.user.revision,
		.invflags = e->ip.invflags,
		.proto = e->ip.proto,
		.hooks = e->comefrom & BF_FILTER_HOOKS,
		.size = m->u.match_size - sizeof(*m),
		.info = (void *)info,
	};

	memcpy(q.name, m->u.user.name, sizeof(m->u.user.name));
	bf_ask(r, &q, BF_TO_NEXT);
}
