// SPDX-License-Identifier: GPL-2.0
/* From a table to a loaded program, for the hooks that it is to have. See filter_parts.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "acct.h"
#include "clock.h"
#include "config.h"
#include "env.h"
#include "filter_parts.h"
#include "kernel_table.h"
#include "others.h"
#include "questions.h"

/* Inode of the first user namespace, PROC_USER_INIT_INO of the kernel. */
#define FIRST_USERS 0xeffffffdU

/* The limits of a program that is to be like the one before. */
static struct bf_limits limits_of(const struct bf_filter *f)
{
	return (struct bf_limits){
		.tree_bytes = UINT64_MAX,
		.tree_work = UINT64_MAX,
		.like = f->spare    ? f->spare->shape
			: f->loaded ? f->loaded->shape
				    : NULL,
		.trees = f->loaded && f->loaded->shape ? f->loaded->shape->trees : NULL,
	};
}

static int compile_at(struct bf_filter *f, const struct bf_table *table,
		      const struct bf_kernel *kernel, enum bf_attach attach,
		      struct bf_program **program, struct bf_why *why)
{
	const struct bf_limits limits = limits_of(f);

	return bf_compile_limited(table, kernel, attach, BF_FORM_AUTO, bf_env_jiffies(f->env),
				  &limits, program, why);
}

/*
 * By links, unless the kernel has none or the table is one that only the module's hooks can do. It
 * stays there for as long as it is ours: going back is worth no pause.
 */
static int compile(struct bf_filter *f, const struct bf_table *table,
		   const struct bf_kernel *kernel, struct bf_program **program, struct bf_why *why)
{
	bool module = bf_env_device(f->env);
	struct bf_why other = {};
	int err = -EOPNOTSUPP;

	if (!module && !kernel->has_links)
		return bf_why(why, err,
			      "the kernel has no BPF netfilter links, which came with Linux 6.4, "
			      "and the module is not loaded");
	if (!kernel->has_links || (f->loaded && f->loaded->attach == BF_ATTACH_MODULE))
		return compile_at(f, table, kernel, BF_ATTACH_MODULE, program, why);
	err = compile_at(f, table, kernel, BF_ATTACH_LINK, program, why);
	if (err == -EOPNOTSUPP && module &&
	    !compile_at(f, table, kernel, BF_ATTACH_MODULE, program, &other))
		err = 0;
	return err;
}

/*
 * Does the network namespace belong to the first user namespace? Whoever may replace its table is then
 * in that one himself, and user ids are what the kernel has in its own structures.
 */
static bool is_first_users(void)
{
	int net = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int users = net < 0 ? -1 : ioctl(net, NS_GET_USERNS);
	struct stat st;
	bool first = users >= 0 && !fstat(users, &st) && st.st_ino == FIRST_USERS;

	if (users >= 0)
		close(users);
	if (net >= 0)
		close(net);
	return first;
}

/* One of this thread's namespace; @value stays as it is where there is none. */
static void read_setting(const char *name, uint32_t *value)
{
	char path[64];
	unsigned int n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fscanf(f, "%u", &n) == 1)
		*value = n;
	fclose(f);
}

#define UNREACHABLES (1U << 3) /* ICMP_DEST_UNREACH, in icmp_ratemask */

static void look_at_replying(struct bf_replying *r)
{
	uint32_t ttl = r->ttl, mask = UNREACHABLES;

	read_setting("ip_default_ttl", &ttl);
	r->ttl = ttl;
	read_setting("icmp_ratemask", &mask);
	read_setting("icmp_ratelimit", &r->interval_ms);
	read_setting("icmp_msgs_per_sec", &r->per_second);
	read_setting("icmp_msgs_burst", &r->burst);
	if (!(mask & UNREACHABLES))
		r->interval_ms = r->per_second = 0;
}

/* What the compiler must know for this table, in this namespace. */
static void look(struct bf_filter *f, const struct bf_table *table, struct bf_kernel *kernel)
{
	bf_env_kernel(f->env, kernel);
	look_at_replying(&kernel->replying);
	kernel->other_users = !is_first_users();
	kernel->asks_instead = !kernel->has_links && bf_env_device(f->env);
	bf_env_try(f->env, table, kernel);
}

/* A program to be loaded: the spare one, if it is the same but for its data. @devs: see bf_load_at() */
static int load(struct bf_filter *f, struct bf_table *table, struct bf_program *program,
		const int *stage, int devs, uint64_t started, struct bf_loaded **loaded,
		struct bf_why *why)
{
	struct bf_kernel kernel;

	bf_env_kernel(f->env, &kernel);
	*loaded = f->spare;
	f->spare = NULL;
	if (*loaded && !bf_refill(*loaded, table, program, kernel.cpus, started))
		return 0;
	bf_loaded_free(*loaded);
	return bf_load_at(table, program, stage, devs, kernel.cpus, started, loaded, why);
}

/* The table as programs at the interfaces; @xdp: for XDP, too. */
static int translate_edge(struct bf_filter *f, struct bf_table *table, bool xdp, uint64_t started,
			  struct bf_loaded **loaded, struct bf_why *why)
{
	uint64_t jiffies = bf_env_jiffies(f->env);
	const struct bf_limits limits = limits_of(f);
	struct bf_program *tc, *also = NULL;
	int err, devs = bf_edge_devs(&f->seat.edge), stage[BF_NR_ALL_MAPS - BF_NR_MAPS];
	struct bf_kernel kernel;

	if (devs < 0)
		return devs;
	memset(stage, 0xff, sizeof(stage));
	stage[BF_MAP_REPLIES - BF_NR_MAPS] = bf_edge_replies(&f->seat.edge);
	if (stage[BF_MAP_REPLIES - BF_NR_MAPS] < 0)
		return stage[BF_MAP_REPLIES - BF_NR_MAPS];
	look(f, table, &kernel);
	err = bf_compile_limited(table, &kernel, BF_ATTACH_TC, BF_FORM_AUTO, jiffies, &limits, &tc,
				 why);
	if (!err && xdp)
		err = bf_compile_limited(table, &kernel, BF_ATTACH_XDP, tc->form, jiffies, &limits,
					 &also, why);
	err = err ?: load(f, table, tc, stage, devs, started, loaded, why);
	if (!err && also) {
		err = bf_load_xdp(*loaded, tc, also, stage, why);
		if (err) {
			(*loaded)->table = NULL; /* still the caller's */
			bf_loaded_free(*loaded);
		}
	}
	if (!err) {
		f->next_effects = tc->effects;
		tc->effects = (struct bf_effects){};
	}
	bf_program_free(tc);
	bf_program_free(also);
	return err;
}

/*
 * What asks the questions of a loaded table is there. The kernel's matches have checked them then, before anything else
 * is done: what they know by a name is theirs before the table in force, whoever has it, gives it up.
 */
static int prepare_questions(struct bf_filter *f, struct bf_program *program,
			     struct bf_loaded *loaded, struct bf_why *why)
{
	int fd;

	if (!program->questions.nr)
		return 0;
	if (program->attach == BF_ATTACH_LINK)
		return bf_stage_ask(&f->stage, loaded, &program->questions, why);
	fd = bf_questions_make(bf_env_device(f->env), &program->questions, why);
	/* Of the table before, if this is a program that was kept. */
	if (loaded->questions >= 0)
		close(loaded->questions);
	loaded->questions = fd < 0 ? -1 : fd;
	return fd < 0 ? fd : bf_acct_check_here(&program->effects, why);
}

static int load_for_hooks(struct bf_filter *f, struct bf_table *table, struct bf_program *program,
			  uint64_t started, struct bf_loaded **loaded, struct bf_why *why)
{
	int err = 0;

	if (program->questions.nr && program->attach == BF_ATTACH_LINK)
		err = bf_stage_prepare_questions(&f->stage, why);
	if (!err && program->effects.nr && program->attach == BF_ATTACH_LINK)
		err = bf_stage_prepare(&f->stage, &program->effects, bf_filter_staged(f), why);
	err = err ?: load(f, table, program, f->stage.maps, -1, started, loaded, why);
	if (err)
		return err;
	err = prepare_questions(f, program, *loaded, why);
	if (err) {
		(*loaded)->table = NULL; /* still the caller's */
		bf_loaded_free(*loaded);
		*loaded = NULL;
	}
	return err;
}

/* At the hooks of netfilter. */
int bf_filter_translate_hooks(struct bf_filter *f, struct bf_table *table, uint64_t started,
			      struct bf_loaded **loaded, struct bf_why *why)
{
	struct bf_program *program, *other;
	struct bf_kernel kernel;
	int err;

	look(f, table, &kernel);
	err = compile(f, table, &kernel, &program, why);
	if (err)
		return err;
	err = load_for_hooks(f, table, program, started, loaded, why);
	/* nf_tables may lack what asks questions and runs effects behind links: the module needs nothing of it. */
	if (err && (program->questions.nr || program->effects.nr) &&
	    program->attach == BF_ATTACH_LINK && bf_env_device(f->env) &&
	    !compile_at(f, table, &kernel, BF_ATTACH_MODULE, &other, NULL)) {
		bf_program_free(program);
		program = other;
		err = load_for_hooks(f, table, program, started, loaded, why);
	}
	f->next_effects = program->effects;
	program->effects = (struct bf_effects){};
	bf_program_free(program);
	return err;
}

/* The placement at the interfaces that the table is to have; BF_AUTO: none, it goes to netfilter's hooks. */
static enum bf_placement edge_placement(struct bf_filter *f)
{
	struct bf_kernel kernel;

	if (f->asked != BF_AUTO && f->asked != BF_EARLY)
		return f->asked >= BF_TC ? f->asked : BF_AUTO;
	bf_env_kernel(f->env, &kernel);
	return kernel.has_links || bf_env_device(f->env) ? BF_AUTO : BF_TC;
}

/* It was to be at the interfaces and cannot. */
void bf_filter_note_place(struct bf_filter *f, int err, const struct bf_why *why)
{
	struct bf_why before = f->why_place;

	bf_why(&f->why_place, err, "%s", why->text[0] ? why->text : strerror(-err));
	if (strcmp(before.text, f->why_place.text))
		bf_log(BF_LOG_WARN, "%s: the table cannot have the placement %s: %s", f->name,
		       bf_placement_name(f->asked), f->why_place.text);
}

#define OTHERS_NS 2000000000ULL

int bf_filter_refuse_edge(const char *name, struct bf_why *why)
{
	return bf_why(
		why, -EOPNOTSUPP,
		"table %.31s has rules: what they do to packets is not seen at the interfaces",
		name);
}

/* What was told of a moment ago may not be in force yet. */
static int check_others(struct bf_filter *f, struct bf_why *why)
{
	int sk = bf_filter_socket(f);
	const char *name = sk < 0 ? "nat" : bf_others_with_rules(sk);

	if (!name && f->others_at && bf_now_ns() - f->others_at < OTHERS_NS)
		name = "nat";
	return name ? bf_filter_refuse_edge(name, why) : 0;
}

/*
 * The table as a loaded program; at netfilter's hooks where it cannot be at the interfaces, if it was to be there.
 * @table is taken over on success.
 */
int bf_filter_translate(struct bf_filter *f, struct bf_table *table, uint64_t started,
			struct bf_loaded **loaded, struct bf_why *why)
{
	enum bf_placement place = edge_placement(f);
	struct bf_why reason = {}, other = {};
	int err;

	if (place == BF_AUTO) {
		f->why_place.text[0] = '\0';
		return bf_filter_translate_hooks(f, table, started, loaded, why);
	}
	f->place = place;
	err = check_others(f, &reason);
	if (!err)
		err = translate_edge(f, table, bf_config_wants_xdp(bf_env_config(f->env), place),
				     started, loaded, &reason);
	if (!err) {
		f->why_place.text[0] = '\0';
		return 0;
	}
	if (bf_filter_translate_hooks(f, table, started, loaded, &other))
		return bf_why(why, err, "%s", reason.text[0] ? reason.text : strerror(-err));
	bf_filter_note_place(f, err, &reason);
	return 0;
}

/* Another table as a program for links, from the value of an option; NULL if it cannot be. */
struct bf_loaded *bf_filter_load_for_links(struct bf_filter *f, const void *value, size_t len)
{
	struct bf_table *table = NULL;
	struct bf_loaded *loaded = NULL;
	struct bf_program *program;
	struct bf_kernel kernel;

	bf_env_kernel(f->env, &kernel);
	if (!kernel.has_links || bf_table_check(value, len, &table, NULL))
		return NULL;
	look(f, table, &kernel);
	if (!bf_compile(table, &kernel, BF_ATTACH_LINK, BF_FORM_AUTO, bf_env_jiffies(f->env),
			&program, NULL)) {
		if (bf_load(table, program, NULL, kernel.cpus, bf_now_ns(), &loaded, NULL))
			loaded = NULL;
		bf_program_free(program);
	}
	if (!loaded)
		bf_table_free(table);
	return loaded;
}
