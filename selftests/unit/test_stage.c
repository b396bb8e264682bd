// SPDX-License-Identifier: GPL-2.0
/*
 * What is left of packets that a match drops by itself: which notes the helper removes, and which it must not; and what
 * the programs make of the note of a packet whose address another one has.
 */
#include "run.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/netfilter/xt_string.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "env.h"
#include "kselftest_harness.h"
#include "note.h"
#include "question.h"
#include "stage.h"

FIXTURE(stage)
{
	struct run r;
	struct bf_stage stage;
};

FIXTURE_SETUP(stage)
{
	struct bf_kernel kernel;
	struct bf_why why = {};
	int err = run_begin(&self->r);

	if (err == 1)
		SANDBOX_SKIP(&self->r.s);
	ASSERT_EQ(0, err) TH_LOG("%s", self->r.s.why);
	bf_env_kernel(self->r.s.env, &kernel);
	if (!kernel.has_links)
		SKIP(_exit(255), "the kernel has no BPF netfilter links");
	bf_stage_init(&self->stage, self->r.s.env, self->r.s.inode);
	ASSERT_EQ(0, bf_stage_prepare_questions(&self->stage, &why)) TH_LOG("%s", why.text);
}

FIXTURE_TEARDOWN(stage)
{
	bf_stage_remove(&self->stage);
	run_end(&self->r);
}

static int questions(const FIXTURE_DATA(stage) * self)
{
	return self->stage.maps[BF_MAP_QUESTIONS - BF_NR_MAPS];
}

/* @n notes like this one, of packets at @key and what follows. */
static int add_notes(FIXTURE_DATA(stage) * self, uint64_t key, unsigned int n,
		     const struct bf_question_note *note)
{
	unsigned int i;

	for (i = 0; i < n; i++, key++)
		if (bpf_map_update_elem(questions(self), &key, note, BPF_NOEXIST))
			return -1;
	__atomic_add_fetch(&self->stage.asked->pending, n, __ATOMIC_SEQ_CST);
	return 0;
}

static unsigned int count_notes(const FIXTURE_DATA(stage) * self, uint64_t key, unsigned int n)
{
	struct bf_question_note note;
	unsigned int i, found = 0;

	for (i = 0; i < n; i++, key++)
		found += !bpf_map_lookup_elem(questions(self), &key, &note);
	return found;
}

#define OLD	 0x10000
#define WAITING	 0x20000
#define DECIDED	 0x30000
#define ANOTHERS 0x40000

TEST_F(stage, notes_of_packets_that_are_gone_go)
{
	/* Put to the kernel, which has dropped the packet. */
	const struct bf_question_note old = {.table = 1, .asked = BF_QUESTION_PUT};
	/* These somebody comes for. */
	const struct bf_question_note waiting = {.table = 1, .asked = 3};
	const struct bf_question_note decided = {.table = 1, .answers = 2, .decided = 1};
	/* While we were about it, the next one is put to the kernel. */
	const struct bf_question_note now = {.table = 1, .asked = BF_QUESTION_PUT, .epoch = 1};

	ASSERT_EQ(0, add_notes(self, OLD, 1000, &old));
	bf_stage_reap(&self->stage);
	/* So few are worth no effort. */
	EXPECT_EQ(1000, count_notes(self, OLD, 1000));
	ASSERT_EQ(0, add_notes(self, OLD + 1000, 20000, &old));
	ASSERT_EQ(0, add_notes(self, WAITING, 50, &waiting));
	ASSERT_EQ(0, add_notes(self, DECIDED, 60, &decided));
	ASSERT_EQ(0, add_notes(self, ANOTHERS, 70, &now));
	bf_stage_reap(&self->stage);
	EXPECT_EQ(0, count_notes(self, OLD, 21000));
	EXPECT_EQ(50, count_notes(self, WAITING, 50));
	EXPECT_EQ(60, count_notes(self, DECIDED, 60));
	EXPECT_EQ(70, count_notes(self, ANOTHERS, 70));
	EXPECT_EQ(50 + 60 + 70, self->stage.asked->pending);
	EXPECT_EQ(0, self->stage.asked->lost);
	/* And in the next round that one. */
	ASSERT_EQ(0, add_notes(self, OLD, 2000, &old));
	bf_stage_reap(&self->stage);
	EXPECT_EQ(0, count_notes(self, ANOTHERS, 70) + count_notes(self, OLD, 2000));
	EXPECT_EQ(50 + 60, self->stage.asked->pending);
}

/* --- a packet at the address of one that is gone ------------------------------------------------ */

enum { PROGRAMS = BF_MAP_COUNTERS }; /* number of the only map of the program below */

/*
 * Gives the packet a note as state->empty is, and runs the program in a map, which is a match's or one for links.
 * Without one it is dropped.
 */
static int compile_heir(const struct bf_kernel *kernel, bool match, struct bf_program **program)
{
	static const struct bf_note_maps maps = {BF_MAP_QUESTIONS, BF_MAP_QUESTION_STATE};
	struct bf_asm a;
	int lost;

	bf_asm_init(&a, kernel);
	lost = bf_asm_label(&a);
	bf_mov(&a, BPF_REG_6, BPF_REG_1);
	if (!match)
		bf_ldx(&a, BPF_DW, BPF_REG_1, BPF_REG_6, kernel->nf_ctx_skb);
	bf_stx(&a, BPF_DW, BPF_REG_10, BF_NOTE_KEY, BPF_REG_1);
	bf_note_create(&a, &maps, BPF_REG_10, BF_NOTE_KEY, lost);
	bf_mov(&a, BPF_REG_1, BPF_REG_6);
	bf_map(&a, BPF_REG_2, PROGRAMS);
	bf_movi(&a, BPF_REG_3, 0);
	bf_helper(&a, BPF_FUNC_tail_call);
	bf_asm_here(&a, lost);
	bf_note_end(&a, NF_DROP);
	return bf_note_finish(&a, program);
}

static int load_heir(const FIXTURE_DATA(stage) * self, bool match, int programs)
{
	int fds[BF_NR_ALL_MAPS], fd;
	struct bf_program *program;
	struct bf_kernel kernel;
	struct bf_why why = {};

	bf_env_kernel(self->r.s.env, &kernel);
	if (compile_heir(&kernel, match, &program))
		return -1;
	memset(fds, 0xff, sizeof(fds));
	fds[PROGRAMS] = programs;
	memcpy(fds + BF_NR_MAPS, self->stage.maps, sizeof(self->stage.maps));
	fd = match ? bf_load_match(program, fds, &why)
		   : bf_load_program("heir", program, fds, &why);
	if (fd < 0)
		printf("# %s: %s\n", strerror(-fd), why.text);
	bf_program_free(program);
	return fd;
}

/* The kernel's test of a program for sockets. */
static int run_match(int prog)
{
	uint8_t frame[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame));

	return bpf_prog_test_run_opts(prog, &opts) ? -errno : (int)opts.retval;
}

/* What @prog says to a packet that has the note @note, of which *left is what it is then, if anything is. */
static int run_noted(FIXTURE_DATA(stage) * self, bool match, int prog,
		     const struct bf_question_note *note, struct bf_question_note *left)
{
	int programs = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "programs", 4, 4, 1, NULL);
	struct packet p = {.hook = NF_INET_LOCAL_IN, .len = 40};
	int heir = load_heir(self, match, programs), verdict = -1;
	uint64_t key;

	memset(left, 0, sizeof(*left));
	memcpy(p.data, "\x45\0\0\x28\0\0\0\0\x40\x11\0\0\x0a\0\0\1\x0a\0\0\2", 20);
	self->stage.asked->empty = *note;
	if (!bpf_map_update_elem(programs, &(int){0}, &prog, BPF_ANY))
		verdict = match ? run_match(heir) : run_program(heir, &p);
	if (!bpf_map_get_next_key(questions(self), NULL, &key))
		bpf_map_lookup_elem(questions(self), &key, left);
	close(heir);
	close(programs);
	return verdict;
}

static int run_heir(FIXTURE_DATA(stage) * self, int prog, const struct bf_question_note *note,
		    struct bf_question_note *left)
{
	return run_noted(self, false, prog, note, left);
}

/* One rule, with a question. */
static int load_asking(FIXTURE_DATA(stage) * self, enum bf_form form, struct bf_loaded **loaded)
{
	struct xt_string_info string = {.to_offset = 100, .algo = "bm", .patlen = 1};
	struct bf_why why = {};
	struct blob b = {};
	int err;

	blob_hook(&b, NF_INET_LOCAL_IN);
	blob_begin(&b);
	blob_match(&b, "string", 1, &string, sizeof(string));
	blob_end(&b, BLOB_DROP);
	blob_policy(&b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_empty_hook(&b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(&b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(&b);
	err = run_load_staged(&self->r.s, &b, form, self->stage.maps, loaded, &why);
	if (err)
		printf("# %s\n", why.text);
	blob_free(&b);
	return err;
}

static const enum bf_form forms[] = {BF_FORM_STRAIGHT, BF_FORM_RECORDS};

TEST_F(stage, a_note_is_removed_by_the_next_packet_there)
{
	const struct bf_question_note old = {.table = 1, .asked = BF_QUESTION_PUT, .answers = 1};
	struct bf_question_note left;
	struct bf_loaded *loaded;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		ASSERT_EQ(0, load_asking(self, forms[i], &loaded));
		EXPECT_EQ(NF_ACCEPT, run_heir(self, loaded->prog, &old, &left));
		/* It has one of its own then. */
		EXPECT_EQ(1, left.asked);
		EXPECT_NE(1, left.table);
		EXPECT_EQ(0, self->stage.asked->lost);
		bf_loaded_free(loaded);
		bf_stage_remove(&self->stage);
		ASSERT_EQ(0, bf_stage_prepare_questions(&self->stage, NULL));
	}
}

/* Who reaps it has not come to remove it: he would remove a new one as well, and let the packet pass. */
TEST_F(stage, a_note_that_is_reaped_is_left_to_who_does)
{
	const struct bf_question_note reaped = {.table = 1, .asked = BF_QUESTION_REAPED};
	struct bf_question_note left;
	struct bf_loaded *loaded;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		ASSERT_EQ(0, load_asking(self, forms[i], &loaded));
		EXPECT_EQ(NF_DROP, run_heir(self, loaded->prog, &reaped, &left));
		EXPECT_EQ(1, left.table);
		EXPECT_EQ(BF_QUESTION_REAPED, left.asked);
		EXPECT_EQ(1, self->stage.asked->lost);
		EXPECT_EQ(1, self->stage.asked->pending);
		bf_loaded_free(loaded);
		bf_stage_remove(&self->stage);
		ASSERT_EQ(0, bf_stage_prepare_questions(&self->stage, NULL));
	}
}

static void forget_notes(FIXTURE_DATA(stage) * self)
{
	uint64_t key;

	while (!bpf_map_get_next_key(questions(self), NULL, &key))
		bpf_map_delete_elem(questions(self), &key);
	self->stage.asked->pending = 0;
}

/* An answer is that of its own question, wherever a packet goes by then. */
TEST_F(stage, an_answer_is_of_its_own_question)
{
	static const struct {
		uint32_t answers;
		uint8_t numbers[2];
		bool yes, left, decided;
	} cases[] = {
		{1, {0}, .yes = false, .left = false},
		{1, {0}, .yes = true, .left = true, .decided = true},
		/* Of another one. */
		{1, {1}, .yes = false, .left = true},
		{1, {1}, .yes = true, .left = true},
		/* It does not come to the second one any more. */
		{2, {0, 1}, .yes = false, .left = true},
		{2, {0, 1}, .yes = true, .left = true},
	};
	struct bf_question_note first, left;
	struct bf_loaded *loaded;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		ASSERT_EQ(0, load_asking(self, forms[i], &loaded));
		EXPECT_EQ(NF_ACCEPT, run_heir(self, loaded->prog,
					      &(struct bf_question_note){.table = 1}, &first));
		ASSERT_EQ(1, first.asked);
		forget_notes(self);
		for (j = 0; j < ARRAY_SIZE(cases); j++) {
			struct bf_question_note note = first;

			note.asked = BF_QUESTION_PUT;
			note.answers = cases[j].answers;
			memcpy(note.numbers, cases[j].numbers, sizeof(cases[j].numbers));
			note.yes = cases[j].yes;
			EXPECT_EQ(0, run_noted(self, true, loaded->asking, &note, &left));
			EXPECT_EQ(cases[j].left, left.table != 0) TH_LOG("form %u, %u", i, j);
			EXPECT_EQ(cases[j].decided, left.decided) TH_LOG("form %u, %u", i, j);
			EXPECT_EQ(0, left.asked);
			forget_notes(self);
		}
		bf_loaded_free(loaded);
	}
}

/* The program of question @number writes down that it is the one. */
TEST_F(stage, an_answer_has_its_number)
{
	struct bf_question_note note = {.table = 1, .asked = 201, .answers = 3}, left;
	int fds[BF_NR_ALL_MAPS], is;
	struct bf_program *program;
	struct bf_kernel kernel;
	struct bf_why why = {};

	bf_env_kernel(self->r.s.env, &kernel);
	ASSERT_EQ(0, bf_compile_is_question(&kernel, 200, &program));
	memset(fds, 0xff, sizeof(fds));
	memcpy(fds + BF_NR_MAPS, self->stage.maps, sizeof(self->stage.maps));
	is = bf_load_match(program, fds, &why);
	bf_program_free(program);
	ASSERT_LE(0, is) TH_LOG("%s", why.text);
	EXPECT_EQ(1, run_noted(self, true, is, &note, &left));
	EXPECT_EQ(BF_QUESTION_PUT, left.asked);
	EXPECT_EQ(4, left.answers);
	EXPECT_EQ(200, left.numbers[3]);
	close(is);
}

/* Its table has been replaced by one that does not ask, and has accepted the packet. */
TEST_F(stage, the_gate_drops_no_packet_for_another_one)
{
	static const uint32_t gone[] = {BF_QUESTION_PUT, BF_QUESTION_REAPED};
	struct bf_question_note note = {.table = 1}, left;
	struct bf_program *program;
	struct bf_kernel kernel;
	struct bf_why why = {};
	int fds[BF_NR_ALL_MAPS], gate;
	unsigned int i;

	bf_env_kernel(self->r.s.env, &kernel);
	memset(fds, 0xff, sizeof(fds));
	memcpy(fds + BF_NR_MAPS, self->stage.maps, sizeof(self->stage.maps));
	ASSERT_EQ(0, bf_compile_gate(&kernel, &program));
	gate = bf_load_program("gate", program, fds, &why);
	bf_program_free(program);
	ASSERT_LE(0, gate) TH_LOG("%s", why.text);
	for (i = 0; i < ARRAY_SIZE(gone); i++) {
		note.asked = gone[i];
		EXPECT_EQ(NF_ACCEPT, run_heir(self, gate, &note, &left));
		EXPECT_EQ(gone[i], left.asked);
		forget_notes(self);
	}
	EXPECT_EQ(0, self->stage.asked->lost);
	/* One that waits, and one about which nobody knows more, are dropped; and one of which that is the verdict. */
	for (note.asked = 0; note.asked < 2; note.asked++) {
		EXPECT_EQ(NF_DROP, run_heir(self, gate, &note, &left));
		EXPECT_EQ(0, left.table);
	}
	EXPECT_EQ(2, self->stage.asked->lost);
	note = (struct bf_question_note){.table = 1, .decided = 1};
	EXPECT_EQ(NF_DROP, run_heir(self, gate, &note, &left));
	EXPECT_EQ(2, self->stage.asked->lost);
	EXPECT_EQ(0, self->stage.asked->pending);
	close(gate);
}

/* What another version has pinned, whose notes are as large as this one, is not taken for ours. */
TEST_F(stage, notes_of_another_version_are_not_ours)
{
	struct bf_stage *s = &self->stage;
	struct bf_why why = {};
	char path[256];
	int other;

	bf_stage_close(s);
	snprintf(path, sizeof(path), "%s/questions", s->dir);
	ASSERT_EQ(0, unlink(path));
	other = bpf_map_create(BPF_MAP_TYPE_HASH, "other", 8, 360, 16, NULL);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, bpf_obj_pin(other, path));
	close(other);

	bf_stage_init(s, self->r.s.env, self->r.s.inode);
	EXPECT_EQ(-EOPNOTSUPP, bf_stage_prepare_questions(s, &why));
	EXPECT_NE(NULL, strstr(why.text, "of another version")) TH_LOG("%s", why.text);
	/* With the gates it goes, as when a table without questions comes. */
	bf_stage_remove(s);
	EXPECT_EQ(0, bf_stage_prepare_questions(s, &why)) TH_LOG("%s", why.text);
}

TEST_HARNESS_MAIN
