// SPDX-License-Identifier: GPL-2.0
/* Maps, guards and programs of effects and questions; their chain is in stage_chain.c. See stage.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "acct.h"
#include "array.h"
#include "env.h"
#include "load.h"
#include "nft.h"
#include "rcu.h"
#include "stage_chain.h"

enum { NOTES, STATE, QUESTIONS, QUESTION_STATE, NR_MAPS };

#define NR_GUARDS 3

static const char *const map_names[NR_MAPS] = {"notes", "effect_state", "questions",
					       "question_state"};
static const uint32_t map_sizes[NR_MAPS] = {
	sizeof(struct bf_effect_note), sizeof(struct bf_effect_state),
	sizeof(struct bf_question_note), sizeof(struct bf_question_state)};
static const char *const guard_names[NR_GUARDS] = {"guard_input", "guard_forward", "guard_output"};
static const char *const gate_names[NR_GUARDS] = {"gate_input", "gate_forward", "gate_output"};
static const unsigned int guard_hooks[NR_GUARDS] = {NF_INET_LOCAL_IN, NF_INET_FORWARD,
						    NF_INET_LOCAL_OUT};

/*
 * Packets that are between the program and the guard at one time: on each CPU one of a process, one in a softirq,
 * and those that reject sends from there; and some whose process was preempted.
 */
static uint32_t max_notes(const struct bf_kernel *kernel)
{
	return 128 + 16 * kernel->cpus;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void set_dir(char *dir, size_t size, ino_t inode)
{
	snprintf(dir, size, "%s/%lu", bf_pin_dir(), (unsigned long)inode);
}

void bf_stage_init(struct bf_stage *s, struct bf_env *env, ino_t inode)
{
	int i;

	*s = (struct bf_stage){.env = env,
			       .sk = -1,
			       .events = -1,
			       .has = -1,
			       .forget = -1,
			       .has_question = -1,
			       .answer = -1,
			       .reap = -1};
	set_dir(s->dir, sizeof(s->dir), inode);
	for (i = 0; i < NR_MAPS; i++)
		s->maps[i] = -1;
	for (i = 0; i < NR_GUARDS; i++)
		s->guards[i] = s->gates[i] = -1;
}

static const char *path_of(const struct bf_stage *s, const char *name, char *buf, size_t size)
{
	snprintf(buf, size, "%s/%s", s->dir, name);
	return buf;
}

int bf_stage_open_pin(const struct bf_stage *s, const char *name)
{
	char path[256];
	int fd = bpf_obj_get(path_of(s, name, path, sizeof(path)));

	return fd < 0 ? -errno : fd;
}

int bf_stage_pin(const struct bf_stage *s, const char *name, int fd)
{
	char path[256];
	int err;

	if (fd < 0)
		return fd;
	if (!bpf_obj_pin(fd, path_of(s, name, path, sizeof(path))))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static void unpin(const char *dir, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlink(path);
}

/* Notes of packets that are gone. */
#define MAX_LEFT 32768

/* --- maps ---------------------------------------------------------------------------------- */

/*
 * A packet that a match drops by itself leaves its note, until another one at its address: of those there may be as many
 * as a flood from new sources has, once a table of hashlimit is full. So there is room for many, which takes memory only
 * when they are there.
 */
static int create_questions(const struct bf_kernel *kernel)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "bf_asked", sizeof(uint64_t),
				sizeof(struct bf_question_note), 8 * max_notes(kernel) + MAX_LEFT,
				&opts);

	return fd < 0 ? -errno : fd;
}

static int create_map(struct bf_stage *s, int map)
{
	struct bf_kernel kernel;
	int fd;

	if (map == STATE)
		return bf_array_create("bf_effects", sizeof(struct bf_effect_state), 1);
	if (map == QUESTION_STATE)
		return bf_array_create("bf_questions", sizeof(struct bf_question_state), 1);
	bf_env_kernel(s->env, &kernel);
	if (map == QUESTIONS)
		return create_questions(&kernel);
	fd = bpf_map_create(BPF_MAP_TYPE_HASH, "bf_notes", sizeof(uint64_t),
			    sizeof(struct bf_effect_note), max_notes(&kernel), NULL);
	return fd < 0 ? -errno : fd;
}

static void unmap_asked(struct bf_stage *s)
{
	if (s->asked)
		bf_array_unmap(s->asked, sizeof(*s->asked));
	s->asked = NULL;
}

static void close_maps(struct bf_stage *s)
{
	int i;

	if (s->state)
		bf_array_unmap(s->state, sizeof(*s->state));
	s->state = NULL;
	unmap_asked(s);
	for (i = 0; i < NR_MAPS; i++)
		close_fd(&s->maps[i]);
}

static bool is_pinned(const struct bf_stage *s, const char *name)
{
	char path[256];

	return !access(path_of(s, name, path, sizeof(path)), F_OK);
}

static bool is_as_ours(int fd, int map)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &len) && info.value_size == map_sizes[map];
}

/*
 * The one that is pinned, or a new one. What another version of ours has left looks different; while programs of that
 * look into it, it stays, and so does what they make of packets.
 */
static int make_map(struct bf_stage *s, int map, struct bf_why *why)
{
	const char *link = map < QUESTIONS ? guard_names[0] : gate_names[0];
	int fd = bf_stage_open_pin(s, map_names[map]);

	if (fd >= 0 && !is_as_ours(fd, map)) {
		close(fd);
		if (is_pinned(s, link))
			return bf_why(why, -EOPNOTSUPP, "%s/%s is of another version of bpfilter",
				      s->dir, map_names[map]);
		unpin(s->dir, map_names[map]);
		fd = -ENOENT;
	}
	return fd >= 0 ? fd : bf_stage_pin(s, map_names[map], create_map(s, map));
}

/* Those that are missing. */
static int make_maps(struct bf_stage *s, struct bf_why *why)
{
	int i, err = 0;

	if (mkdir(s->dir, 0700) && errno != EEXIST)
		return -errno;
	for (i = 0; i < NR_MAPS && !err; i++) {
		if (s->maps[i] >= 0)
			continue;
		s->maps[i] = make_map(s, i, why);
		if (s->maps[i] < 0)
			err = s->maps[i];
	}
	if (!err && !s->state) {
		s->state = bf_array_map(s->maps[STATE], sizeof(*s->state));
		err = s->state ? 0 : -ENOMEM;
	}
	if (!err && !s->asked) {
		s->asked = bf_array_map(s->maps[QUESTION_STATE], sizeof(*s->asked));
		err = s->asked ? 0 : -ENOMEM;
	}
	if (err && !s->state)
		close_maps(s);
	return err;
}

/* --- programs ------------------------------------------------------------------------------ */

/* Numbers of maps in programs are those of the table's program. */
static void fds_of(const struct bf_stage *s, int *fds)
{
	memset(fds, 0xff, BF_NR_ALL_MAPS * sizeof(*fds));
	memcpy(fds + BF_NR_MAPS, s->maps, sizeof(s->maps));
}

/* A descriptor or -errno. @program is freed. */
static int load_match(const struct bf_stage *s, struct bf_program *program, struct bf_why *why)
{
	int fds[BF_NR_ALL_MAPS], fd;

	fds_of(s, fds);
	fd = bf_load_match(program, fds, why);
	bf_program_free(program);
	return fd;
}

static int load_is(const struct bf_stage *s, const struct bf_effect *effect, struct bf_why *why)
{
	struct bf_program *program;
	struct bf_kernel kernel;
	int err;

	bf_env_kernel(s->env, &kernel);
	err = bf_compile_is_effect(&kernel, effect, &program);
	return err ?: load_match(s, program, why);
}

int bf_stage_load(const struct bf_stage *s, bf_stage_compiler *compile, int *fd, struct bf_why *why)
{
	struct bf_program *program;
	struct bf_kernel kernel;
	int prog;

	if (*fd >= 0)
		return 0;
	bf_env_kernel(s->env, &kernel);
	prog = compile(&kernel, &program) ?: load_match(s, program, why);
	*fd = prog < 0 ? -1 : prog;
	return prog < 0 ? prog : 0;
}

static int load_guard(const struct bf_stage *s, bf_stage_compiler *compile, struct bf_why *why)
{
	int fds[BF_NR_ALL_MAPS], fd;
	struct bf_program *program;
	struct bf_kernel kernel;

	bf_env_kernel(s->env, &kernel);
	fd = compile(&kernel, &program);
	if (fd)
		return fd;
	fds_of(s, fds);
	fd = bf_load_program("bpfilter_guard", program, fds, why);
	bf_program_free(program);
	return fd;
}

/* *@link becomes that at a hook: the one that is pinned under @name, or a new one. */
static int make_guard(struct bf_stage *s, bf_stage_compiler *compile, const char *name,
		      unsigned int hook, int *prog, int *link, struct bf_why *why)
{
	int fd;

	if (*link >= 0)
		return 0;
	fd = bf_stage_open_pin(s, name);
	if (fd < 0 && *prog < 0)
		*prog = load_guard(s, compile, why);
	if (fd < 0 && *prog < 0)
		return *prog;
	if (fd < 0)
		fd = bf_stage_pin(s, name, bf_attach_guard(*prog, hook));
	*link = fd < 0 ? -1 : fd;
	return fd < 0 ? fd : 0;
}

static int make_guards(struct bf_stage *s, bf_stage_compiler *compile, const char *const *names,
		       int *links, struct bf_why *why)
{
	int i, err = 0, prog = -1;

	for (i = 0; i < NR_GUARDS && !err; i++)
		err = make_guard(s, compile, names[i], guard_hooks[i], &prog, &links[i], why);
	close_fd(&prog);
	return err;
}

/* --- the whole ----------------------------------------------------------------------------- */

/* The program of an effect that is shown, or -1. */
static int shown_program(const struct bf_stage *s, const struct bf_effect *effect)
{
	uint32_t i;

	for (i = 0; i < s->shown.nr; i++)
		if (s->shown.list[i].id == effect->id)
			return s->is[i];
	return -1;
}

static bool has_effect(const struct bf_effects *effects, const struct bf_effect *effect)
{
	uint32_t i;

	for (i = 0; i < effects->nr; i++)
		if (effects->list[i].id == effect->id)
			return true;
	return false;
}

/* Close the programs in @is, one for each of @of, that are not of an effect in @but. */
static void close_programs(int *is, const struct bf_effects *of, const struct bf_effects *but)
{
	uint32_t i;

	for (i = 0; is && i < of->nr; i++)
		if (!has_effect(but, &of->list[i]))
			close_fd(&is[i]);
}

/* Show these effects: @effects is taken over. On error it is what it was that is shown. */
static int show(struct bf_stage *s, struct bf_effects *effects, struct bf_why *why)
{
	int *is = calloc(effects->nr ?: 1, sizeof(*is)), err = is ? 0 : -ENOMEM;
	uint32_t i, n = 0;

	if (!err && effects->nr)
		err = bf_stage_load(s, bf_compile_has_effect, &s->has, why)
			      ?: bf_stage_load(s, bf_compile_forget_effects, &s->forget, why);
	for (i = 0; i < effects->nr && !err; i++, n++) {
		is[i] = shown_program(s, &effects->list[i]);
		if (is[i] < 0)
			is[i] = load_is(s, &effects->list[i], why);
		if (is[i] < 0) {
			err = is[i];
			break;
		}
	}
	err = err ?: bf_stage_chain_make(s, effects, is, why);
	if (err) {
		effects->nr = n;
		close_programs(is, effects, &s->shown);
		bf_effects_free(effects);
		free(is);
		return err;
	}
	close_programs(s->is, &s->shown, effects);
	bf_effects_free(&s->shown);
	free(s->is);
	s->shown = *effects;
	s->is = is;
	return 0;
}

/* Those of both, each once: the second one's behind those of the first. */
static int join(struct bf_effects *to, const struct bf_effects *a, const struct bf_effects *b)
{
	int err = bf_effects_copy(to, a);
	uint32_t i;

	for (i = 0; i < b->nr && !err; i++) {
		struct bf_effect effect;

		memcpy(&effect, &b->list[i], sizeof(effect));
		err = bf_effects_add(to, &effect);
	}
	if (err)
		bf_effects_free(to);
	return err;
}

int bf_stage_prepare(struct bf_stage *s, const struct bf_effects *effects,
		     const struct bf_effects *now, struct bf_why *why)
{
	struct bf_effects all;
	int err = join(&all, effects, now);

	if (err == -EEXIST)
		return bf_why(why, err, "two targets cannot be told apart: change a prefix");
	if (err)
		return err;
	if (s->sk >= 0 && bf_effects_equal(&all, &s->shown)) {
		bf_effects_free(&all);
		return bf_acct_check(s->sk, effects, why);
	}
	err = make_maps(s, why);
	if (!err && all.nr)
		err = make_guards(s, bf_compile_guard, guard_names, s->guards, why);
	if (!err)
		return show(s, &all, why) ?: bf_acct_check(s->sk, effects, why);
	bf_effects_free(&all);
	return err;
}

/* Programs and sockets are closed; what there is in the kernel stays. */
static void forget_chain(struct bf_stage *s)
{
	close_programs(s->is, &s->shown, &(struct bf_effects){});
	bf_effects_free(&s->shown);
	free(s->is);
	s->is = NULL;
	close_fd(&s->has);
	close_fd(&s->forget);
	close_fd(&s->reap);
	bf_stage_forget_askers(s);
	bf_stage_chain_close(s);
}

/* A guard goes by itself, not with its last reference, which may take a while. */
static void remove_guards(struct bf_stage *s, const char *const *names, int *links)
{
	int i;

	for (i = 0; i < NR_GUARDS; i++) {
		if (links[i] < 0)
			links[i] = bf_stage_open_pin(s, names[i]);
		if (links[i] >= 0)
			bpf_link_detach(links[i]);
		close_fd(&links[i]);
		links[i] = -1;
		unpin(s->dir, names[i]);
	}
}

/* And the notes of packets that never came to them, and with their map all programs that look into it. */
static void remove_gates(struct bf_stage *s)
{
	int i;

	close_fd(&s->reap);
	bf_stage_forget_askers(s);
	remove_guards(s, gate_names, s->gates);
	unmap_asked(s);
	bf_stage_unpin_asking(s->dir, 0);
	for (i = QUESTIONS; i <= QUESTION_STATE; i++) {
		close_fd(&s->maps[i]);
		unpin(s->dir, map_names[i]);
	}
}

/* Without notes no packet needs any of it. 0 or -errno: it is still there. */
static int clear(struct bf_stage *s)
{
	int err;

	if (s->guards[0] < 0 && s->gates[0] < 0 && s->sk < 0 && !is_pinned(s, guard_names[0]) &&
	    !is_pinned(s, gate_names[0]))
		return 0;
	err = bf_rcu_wait(bf_env_rcu(s->env), bf_env_device(s->env));
	if (err) {
		bf_log(BF_LOG_WARN, "what REJECT and LOG needed stays: %s", strerror(-err));
		return err;
	}
	bf_stage_chain_remove(s);
	remove_guards(s, guard_names, s->guards);
	/* The sets and objects that its matches named are free. */
	if (s->nr_askers)
		bf_nft_wait_destroyed();
	remove_gates(s);
	forget_chain(s);
	return 0;
}

/* Are there objects that match nfacct does not count in any more? */
static bool drops_account(const struct bf_stage *s, const struct bf_effects *effects)
{
	uint32_t i;

	for (i = 0; i < s->shown.nr; i++)
		if (s->shown.list[i].kind == BF_EFFECT_ACCOUNT &&
		    !has_effect(effects, &s->shown.list[i]))
			return true;
	return false;
}

/* Without questions there are no gates, when no packet is in front of one any more. */
static void leave_gates(struct bf_stage *s, bool asks)
{
	int err;

	if (asks || (s->gates[0] < 0 && !is_pinned(s, gate_names[0])))
		return;
	err = bf_rcu_wait(bf_env_rcu(s->env), bf_env_device(s->env));
	if (err)
		bf_log(BF_LOG_WARN, "what asked questions stays: %s", strerror(-err));
	else
		remove_gates(s);
}

void bf_stage_settle(struct bf_stage *s, const struct bf_effects *effects,
		     const struct bf_loaded *loaded)
{
	bool asks = loaded->asks && loaded->attach == BF_ATTACH_LINK;
	bool leave = bf_stage_leave_askers(s, asks ? loaded->prog_id : 0);
	struct bf_why why = {};
	struct bf_effects copy;
	bool drops;
	int err;

	if (!effects->nr && !asks) {
		clear(s);
		return;
	}
	if (!leave && bf_effects_equal(effects, &s->shown)) {
		leave_gates(s, asks);
		return;
	}
	drops = leave || drops_account(s, effects);
	err = bf_effects_copy(&copy, effects) ?: show(s, &copy, &why);
	if (!err)
		bf_stage_drop_askers(s);
	if (!err && drops)
		bf_nft_wait_destroyed();
	if (err)
		bf_log(BF_LOG_WARN, "what REJECT and LOG needed before stays: %s",
		       why.text[0] ? why.text : strerror(-err));
	else
		leave_gates(s, asks);
}

int bf_stage_prepare_questions(struct bf_stage *s, struct bf_why *why)
{
	return make_maps(s, why) ?: make_guards(s, bf_compile_gate, gate_names, s->gates, why);
}

int bf_stage_show_askers(struct bf_stage *s, struct bf_why *why)
{
	struct bf_effects copy;

	return bf_effects_copy(&copy, &s->shown) ?: show(s, &copy, why);
}

int bf_stage_load_match(const struct bf_stage *s, struct bf_program *program, struct bf_why *why)
{
	return load_match(s, program, why);
}

static void unpin_all(const char *dir)
{
	int i;

	for (i = 0; i < NR_GUARDS; i++) {
		unpin(dir, guard_names[i]);
		unpin(dir, gate_names[i]);
	}
	for (i = 0; i < NR_MAPS; i++)
		unpin(dir, map_names[i]);
	bf_stage_unpin_asking(dir, 0);
	rmdir(dir);
}

void bf_stage_remove(struct bf_stage *s)
{
	/* What is still there goes on with the maps that it has. */
	if (clear(s))
		return;
	close_maps(s);
	unpin_all(s->dir);
}

void bf_stage_unpin(ino_t inode)
{
	char dir[200];

	set_dir(dir, sizeof(dir), inode);
	unpin_all(dir);
}

void bf_stage_close(struct bf_stage *s)
{
	int i;

	forget_chain(s);
	for (i = 0; i < NR_GUARDS; i++) {
		close_fd(&s->guards[i]);
		close_fd(&s->gates[i]);
	}
	close_maps(s);
}

int bf_stage_fd(const struct bf_stage *s)
{
	return s->events;
}

uint64_t bf_stage_lost(const struct bf_stage *s)
{
	return s->state ? __atomic_load_n(&s->state->lost, __ATOMIC_RELAXED) : 0;
}

uint64_t bf_stage_unanswered(const struct bf_stage *s)
{
	return s->asked ? __atomic_load_n(&s->asked->lost, __ATOMIC_RELAXED) : 0;
}
