// SPDX-License-Identifier: GPL-2.0
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "array.h"
#include "saved.h"

/* Of its layout and of that of all other maps. */
#define MAGIC 0x62660003

#define CHUNK 4096

struct head {
	uint32_t magic;
	uint32_t size; /* of the saved table that follows */
	uint32_t stride, cpus;
	uint32_t form;
	uint32_t attach, want;
	uint32_t wants_conntrack;
	uint32_t reused;
	uint32_t asks;
	uint64_t replaced_at, replace_us;
	uint64_t map_bytes;
};

static int write_map(const struct bf_loaded *l, const void *saved, size_t len)
{
	struct head *head = bf_array_map(l->saved, l->saved_room);

	if (!head)
		return -ENOMEM;
	*head = (struct head){.magic = MAGIC,
			      .size = len,
			      .stride = l->stride,
			      .cpus = l->cpus,
			      .form = l->form,
			      .attach = l->attach,
			      .want = l->want,
			      .wants_conntrack = l->wants_conntrack,
			      .reused = l->reused,
			      .asks = l->asks,
			      .replaced_at = l->replaced_at,
			      .replace_us = l->replace_us,
			      .map_bytes = l->map_bytes};
	memcpy(head + 1, saved, len);
	bf_array_unmap(head, l->saved_room);
	return 0;
}

/* With room for a table that is somewhat larger. */
static int make_map(struct bf_loaded *l, size_t len)
{
	size_t size = sizeof(struct head) + len;
	uint32_t chunks = (size + size / 32) / CHUNK + 2;

	l->saved = bf_array_create(BF_SAVED_MAP, CHUNK, chunks);
	if (l->saved < 0)
		return l->saved;
	l->saved_room = (size_t)chunks * CHUNK;
	l->map_bytes += bf_array_bytes(CHUNK, chunks);
	return bpf_prog_bind_map(l->prog, l->saved, NULL) ? -errno : 0;
}

int bf_saved_make(struct bf_loaded *l)
{
	const void *saved;
	size_t len;
	int err = bf_table_save(l->table, &saved, &len);

	err = err ?: make_map(l, len);
	return err ?: write_map(l, saved, len);
}

int bf_saved_write(const struct bf_loaded *l)
{
	const void *saved;
	size_t len;
	int err = bf_table_save(l->table, &saved, &len);

	if (err)
		return err;
	return sizeof(struct head) + len <= l->saved_room ? write_map(l, saved, len) : -E2BIG;
}

int bf_saved_read(struct bf_loaded *l, int fd, size_t size)
{
	struct head *head = bf_array_map(fd, size);
	int err = -EINVAL;

	if (!head)
		return -ENOMEM;
	if (size >= sizeof(*head) && head->magic == MAGIC && head->size <= size - sizeof(*head) &&
	    head->form <= BF_FORM_RECORDS && head->attach <= BF_ATTACH_TC) {
		l->stride = head->stride;
		l->cpus = head->cpus;
		l->form = head->form;
		l->attach = head->attach;
		l->want = head->want;
		l->wants_conntrack = head->wants_conntrack;
		l->reused = head->reused;
		l->replaced_at = head->replaced_at;
		l->replace_us = head->replace_us;
		l->map_bytes = head->map_bytes;
		err = bf_table_load(head + 1, head->size, &l->table);
		l->asks = !err && (head->asks || l->table->asks);
	}
	bf_array_unmap(head, size);
	return err;
}
