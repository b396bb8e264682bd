// SPDX-License-Identifier: GPL-2.0
/* Questions, handed to the module. See questions.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "questions.h"

_Static_assert(BF_QUESTIONS_MAX == BPFILTER_QUESTIONS_MAX, "as many as the module takes");
_Static_assert(sizeof(((struct bf_question *)0)->name) ==
		       sizeof(((struct bpfilter_question *)0)->name),
	       "names are copied");

static size_t size_of(const struct bf_questions *questions)
{
	size_t size = 0;
	uint32_t i;

	for (i = 0; i < questions->nr; i++)
		size += sizeof(struct bpfilter_question) + questions->list[i].size;
	return size;
}

/* One behind the other. */
static void write_list(const struct bf_questions *questions, char *to)
{
	struct bpfilter_question head;
	uint32_t i;

	for (i = 0; i < questions->nr; i++) {
		const struct bf_question *q = &questions->list[i];

		head = (struct bpfilter_question){
			.revision = q->revision,
			.invflags = q->invflags,
			.proto = q->proto,
			.hooks = q->hooks,
			.size = q->size,
			.flags = q->target ? BPFILTER_QUESTION_TARGET : 0,
		};
		memcpy(head.name, q->name, sizeof(head.name));
		memcpy(to, &head, sizeof(head));
		memcpy(to + sizeof(head), q->info, q->size);
		to += sizeof(head) + q->size;
	}
}

int bf_questions_make(struct bf_device *device, const struct bf_questions *questions,
		      struct bf_why *why)
{
	size_t size = size_of(questions);
	uint32_t failed;
	void *list;
	int fd;

	list = malloc(size);
	if (!list)
		return -ENOMEM;
	write_list(questions, list);
	fd = bf_device_questions(device, list, size, questions->nr, &failed);
	free(list);
	if (fd >= 0)
		return fd;
	if (failed < questions->nr)
		return bf_why(why, fd, "%s %s: the kernel refuses it: %s",
			      questions->list[failed].target ? "target" : "match",
			      questions->list[failed].name, strerror(-fd));
	return bf_why(why, fd, "the module cannot ask the kernel's matches: %s", strerror(-fd));
}
