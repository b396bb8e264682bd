// SPDX-License-Identifier: GPL-2.0
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "array.h"

static size_t page_round(size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

size_t bf_array_bytes(uint32_t value_size, uint32_t max_entries)
{
	return page_round((value_size + 7UL) / 8 * 8 * max_entries);
}

int bf_array_create(const char *name, uint32_t value_size, uint32_t max_entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), value_size, max_entries,
				&opts);

	return fd < 0 ? -errno : fd;
}

void *bf_array_map(int fd, size_t size)
{
	void *p = mmap(NULL, page_round(size), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

void bf_array_unmap(void *p, size_t size)
{
	munmap(p, page_round(size));
}

int bf_array_fill(int fd, const struct bf_map_def *def, bool fresh)
{
	/* Mapped only as far as something is to be written. */
	size_t size = fresh ? def->data_size : bf_array_bytes(def->value_size, def->max_entries);
	uint8_t *p;

	if (!size)
		return 0;
	p = bf_array_map(fd, size);
	if (!p)
		return -ENOMEM;
	if (def->data_size)
		memcpy(p, def->data, def->data_size);
	if (!fresh)
		memset(p + def->data_size, 0, size - def->data_size);
	bf_array_unmap(p, size);
	return 0;
}
