// SPDX-License-Identifier: GPL-2.0
#include "verify.h"

#include <bpf/bpf.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array.h"
#include "clock.h"
#include "load.h"

#define LOG_SIZE (4 << 20)

/* Is this a line about an instruction, such as "12: (85) call ..."? Its number, or UINT32_MAX. */
static uint32_t insn_of(const char *line)
{
	char *end;
	unsigned long n = strtoul(line, &end, 10);

	if (end == line || strncmp(end, ": (", 3) || !isxdigit((unsigned char)end[3]))
		return UINT32_MAX;
	return n;
}

uint32_t bf_verify_blame(char *log, char **message)
{
	uint32_t insn = UINT32_MAX;
	char *line, *end;

	*message = log;
	for (line = log; *line; line = end) {
		uint32_t n = insn_of(line);

		end = strchrnul(line, '\n');
		end += *end != '\0';
		if (n == UINT32_MAX)
			continue;
		insn = n;
		*message = end;
	}
	return insn;
}

/* What follows the last instruction: the message, and counts that say nothing about it. */
static void take_message(struct bf_verified *v, char *log)
{
	char *message, *counts;

	v->insn = bf_verify_blame(log, &message);
	counts = strstr(message, "processed ");
	if (counts && (counts == message || counts[-1] == '\n'))
		*counts = '\0';
	while (*message && isspace((unsigned char)message[strlen(message) - 1]))
		message[strlen(message) - 1] = '\0';
	v->message = strdup(message);
}

static void close_all(const int *fds)
{
	int i;

	for (i = 0; i < BF_NR_ALL_MAPS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* Those that a table with effects shares with the rest of its namespace (effect.h). */
static int make_effect_maps(int *fds)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "bf_notes", sizeof(uint64_t),
				sizeof(struct bf_effect_note), 64, NULL);

	if (fd < 0)
		return -errno;
	fds[BF_MAP_NOTES] = fd;
	fd = bf_array_create("bf_effects", sizeof(struct bf_effect_state), 1);
	fds[BF_MAP_EFFECT_STATE] = fd;
	return fd < 0 ? fd : 0;
}

/* And one with questions (question.h). */
static int make_question_maps(int *fds)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "bf_asked", sizeof(uint64_t),
				sizeof(struct bf_question_note), 64, NULL);

	if (fd < 0)
		return -errno;
	fds[BF_MAP_QUESTIONS] = fd;
	fd = bf_array_create("bf_questions", sizeof(struct bf_question_state), 1);
	fds[BF_MAP_QUESTION_STATE] = fd;
	return fd < 0 ? fd : 0;
}

/* Those of one with REJECT at interfaces. */
static int make_reply_map(int *fds)
{
	int fd = bf_array_create("bf_replies", sizeof(struct bf_replies), 1);

	fds[BF_MAP_REPLIES] = fd;
	return fd < 0 ? fd : 0;
}

static int make_maps(const struct bf_program *program, int *fds)
{
	int i;

	for (i = 0; i < BF_NR_ALL_MAPS; i++)
		fds[i] = -1;
	for (i = 0; i < BF_NR_MAPS; i++) {
		const struct bf_map_def *def = &program->maps[i];

		if (!def->max_entries)
			continue;
		fds[i] = bf_array_create(def->name, def->value_size, def->max_entries);
		if (fds[i] < 0)
			return fds[i];
	}
	if (program->questions.nr && make_question_maps(fds))
		return -ENOMEM;
	if (!program->effects.nr)
		return 0;
	if (program->attach == BF_ATTACH_TC || program->attach == BF_ATTACH_XDP)
		return make_reply_map(fds);
	return make_effect_maps(fds);
}

static void look_at(struct bf_verified *v, int prog)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(prog, &info, &len))
		return;
	v->jited_bytes = info.jited_prog_len;
	v->verified_insns = info.verified_insns;
}

int bf_verify(const struct bf_program *program, struct bf_verified *v)
{
	int fds[BF_NR_ALL_MAPS], prog, err;
	struct bf_why why = {};
	char *log;

	*v = (struct bf_verified){.insn = UINT32_MAX};
	err = make_maps(program, fds);
	if (err) {
		close_all(fds);
		return err == -EPERM || err == -EACCES ? 0 : err;
	}
	log = calloc(1, LOG_SIZE);
	if (!log) {
		close_all(fds);
		return -ENOMEM;
	}
	v->tried = true;
	v->load_ns = bf_now_ns();
	prog = bf_load_logged("bpfilter", program, fds, log, LOG_SIZE, &why);
	v->load_ns = bf_now_ns() - v->load_ns;
	if (prog < 0) {
		v->err = prog;
		v->tried = prog != -EPERM && prog != -EACCES ? true : *log != '\0';
		take_message(v, log);
	} else {
		look_at(v, prog);
		close(prog);
	}
	free(log);
	close_all(fds);
	return 0;
}

void bf_verified_free(struct bf_verified *v)
{
	free(v->message);
	v->message = NULL;
}
