// SPDX-License-Identifier: GPL-2.0
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <linux/netfilter_ipv4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "asm.h"
#include "ext.h"
#include "load.h"

/* Linux 6.4; the headers of Debian 12 do not have them. */
#define PROG_TYPE_NETFILTER 32
#define ATTACH_NETFILTER    45

#define TABLE_MAP    "bf_table"
#define COUNTERS_MAP "bf_counters"
#define CHUNK	     4096
#define LOG_SIZE     (1 << 20)

/*
 * The table's own map: what a later helper needs, then the table. The program does not read it but is
 * bound to it, so that whoever finds the program finds the table it came from.
 */
#define SAVED_MAGIC 0x62660002

struct saved_head {
	uint32_t magic;
	uint32_t size; /* of the saved table that follows */
	uint32_t stride, cpus;
	uint32_t form;
	uint32_t attach, want;
	uint32_t wants_conntrack;
	uint64_t replaced_at, replace_us;
	uint64_t map_bytes;
};

static size_t page_round(size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

static void *map_memory(int fd, size_t size)
{
	void *p = mmap(NULL, page_round(size), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* A plain array that can be mapped into memory. The descriptor or -errno. */
static int create_array(const char *name, uint32_t value_size, uint32_t max_entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), value_size, max_entries,
				&opts);

	return fd < 0 ? -errno : fd;
}

static int create_map(const struct bf_map_def *def)
{
	size_t size = (size_t)def->value_size * def->max_entries;
	int fd = create_array(def->name, def->value_size, def->max_entries);
	void *p;

	if (fd < 0 || !def->data)
		return fd;
	p = map_memory(fd, size);
	if (!p) {
		close(fd);
		return -ENOMEM;
	}
	memcpy(p, def->data, size);
	munmap(p, page_round(size));
	return fd;
}

static void close_maps(int *fds, int n)
{
	while (n--)
		if (fds[n] >= 0)
			close(fds[n]);
}

static int create_maps(const struct bf_program *program, int *fds, uint64_t *bytes)
{
	int i;

	for (i = 0; i < BF_NR_MAPS; i++) {
		const struct bf_map_def *def = &program->maps[i];

		fds[i] = -1;
		if (!def->max_entries)
			continue;
		fds[i] = create_map(def);
		if (fds[i] < 0) {
			int err = fds[i];

			close_maps(fds, i);
			return err;
		}
		*bytes += page_round((size_t)def->value_size * def->max_entries);
	}
	return 0;
}

/* Put descriptors where the compiler put the numbers of maps. */
static void relocate(struct bpf_insn *insns, uint32_t n, const int *fds)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (insns[i].code != (BPF_LD | BPF_DW | BPF_IMM))
			continue;
		if (insns[i].src_reg == BPF_PSEUDO_MAP_FD)
			insns[i].imm = fds[insns[i].imm];
		i++;
	}
}

/* A pointer to @size bytes, for the verifier. The id of the type, or negative. */
static int add_memory_type(struct btf *btf, int byte, uint32_t size)
{
	int index = btf__add_int(btf, "u32", 4, 0);
	int array = btf__add_array(btf, index, byte, size);
	int type = btf__add_struct(btf, "memory", size);

	if (index < 0 || array < 0 || type < 0 || btf__add_field(btf, "bytes", array, 0, 0))
		return -ENOMEM;
	return btf__add_ptr(btf, type);
}

/* int f(struct state *r1, struct frame *r2): a condition, see bf_global_function() */
static int add_global_proto(struct btf *btf, int num)
{
	int byte = btf__add_int(btf, "u8", 1, 0);
	int state = add_memory_type(btf, byte, BF_COND_STATE);
	int frame = add_memory_type(btf, byte, BF_FRAME_SHARED);
	int proto = btf__add_func_proto(btf, num);

	if (byte < 0 || state < 0 || frame < 0 || proto < 0 ||
	    btf__add_func_param(btf, "state", state) || btf__add_func_param(btf, "frame", frame))
		return -ENOMEM;
	return proto;
}

/*
 * The verifier learns from BTF which functions are static, which it asks for where their address is taken,
 * and what the global ones get: make the little that it wants. 0 or -errno.
 */
static int describe_functions(struct btf *btf, const struct bf_program *program,
			      struct bpf_func_info *info)
{
	int num = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	int static_proto = btf__add_func_proto(btf, num);
	int global_proto = add_global_proto(btf, num);
	uint32_t i;

	if (num < 0 || static_proto < 0 || global_proto < 0)
		return -ENOMEM;
	for (i = 0; i <= program->nr_functions; i++) {
		bool global = i && program->globals & 1U << (i - 1);
		char name[16];
		int id;

		snprintf(name, sizeof(name), "f%u", i);
		id = btf__add_func(btf, name, global ? BTF_FUNC_GLOBAL : BTF_FUNC_STATIC,
				   global ? global_proto : static_proto);
		if (id < 0)
			return -ENOMEM;
		info[i].insn_off = i ? program->functions[i - 1] : 0;
		info[i].type_id = id;
	}
	return 0;
}

/* A descriptor or -errno; @info receives one record a function. */
static int load_func_btf(const struct bf_program *program, struct bpf_func_info *info)
{
	struct btf *btf = btf__new_empty();
	const void *raw;
	uint32_t size;
	int fd;

	if (!btf)
		return -ENOMEM;
	fd = describe_functions(btf, program, info);
	raw = fd ? NULL : btf__raw_data(btf, &size);
	if (raw) {
		fd = bpf_btf_load(raw, size, NULL);
		if (fd < 0)
			fd = -errno;
	} else {
		fd = fd ?: -ENOMEM;
	}
	btf__free(btf);
	return fd;
}

/* The last lines of the verifier's log say what is wrong. */
static void explain_refusal(const char *log, int err, struct bf_why *why)
{
	const char *end = log + strlen(log), *line = end;
	int lines = 0;

	while (line > log && lines < 3)
		if (*--line == '\n' && line + 1 < end)
			lines++;
	bf_why(why, err, "the kernel refused the program (%s): %.160s", strerror(-err), line);
	for (char *p = why ? why->text : NULL; p && *p; p++)
		if (*p == '\n')
			*p = ' ';
}

static int load_insns(const char *name, enum bf_attach attach, const struct bpf_insn *insns,
		      uint32_t n, struct bpf_prog_load_opts *opts, struct bf_why *why)
{
	bool link = attach == BF_ATTACH_LINK;
	enum bpf_prog_type type = link ? PROG_TYPE_NETFILTER : BPF_PROG_TYPE_SCHED_CLS;
	int fd, err;
	char *log;

	opts->expected_attach_type = link ? ATTACH_NETFILTER : 0;
	opts->attempts = 1;
	fd = bpf_prog_load(type, name, "GPL", insns, n, opts);
	if (fd >= 0)
		return fd;
	err = -errno;
	log = calloc(1, LOG_SIZE);
	if (log) {
		opts->log_level = 1;
		opts->log_size = LOG_SIZE;
		opts->log_buf = log;
		fd = bpf_prog_load(type, name, "GPL", insns, n, opts);
		if (fd < 0) {
			err = -errno;
			explain_refusal(log, err, why);
		}
		free(log);
	}
	return fd < 0 ? err : fd;
}

static int load_program(const struct bf_program *program, const int *fds, struct bf_why *why)
{
	size_t size = program->nr_insns * sizeof(*program->insns);
	struct bpf_func_info info[ARRAY_SIZE(program->functions) + 1] = {};
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	struct bpf_insn *insns;
	int fd;

	if (program->nr_functions) {
		opts.prog_btf_fd = load_func_btf(program, info);
		if ((int)opts.prog_btf_fd < 0)
			return bf_why(why, (int)opts.prog_btf_fd,
				      "the kernel refused the program's BTF");
		opts.func_info = info;
		opts.func_info_cnt = program->nr_functions + 1;
		opts.func_info_rec_size = sizeof(info[0]);
	}
	insns = malloc(size);
	if (insns) {
		memcpy(insns, program->insns, size);
		relocate(insns, program->nr_insns, fds);
		fd = load_insns("bpfilter", program->attach, insns, program->nr_insns, &opts, why);
		free(insns);
	} else {
		fd = -ENOMEM;
	}
	if (program->nr_functions)
		close(opts.prog_btf_fd);
	return fd;
}

static int save_table(struct bf_loaded *l)
{
	size_t size = sizeof(struct saved_head) + bf_table_saved_size(l->table);
	uint32_t chunks = (size + CHUNK - 1) / CHUNK;
	int err = 0, fd = create_array(TABLE_MAP, CHUNK, chunks);
	struct saved_head *head;

	if (fd < 0)
		return fd;
	l->map_bytes += (uint64_t)chunks * CHUNK;
	head = map_memory(fd, (size_t)chunks * CHUNK);
	if (head) {
		*head = (struct saved_head){.magic = SAVED_MAGIC,
					    .size = bf_table_saved_size(l->table),
					    .stride = l->stride,
					    .cpus = l->cpus,
					    .form = l->form,
					    .attach = l->attach,
					    .want = l->want,
					    .wants_conntrack = l->wants_conntrack,
					    .replaced_at = l->replaced_at,
					    .replace_us = l->replace_us,
					    .map_bytes = l->map_bytes};
		bf_table_save(l->table, head + 1);
		munmap(head, page_round((size_t)chunks * CHUNK));
		if (bpf_prog_bind_map(l->prog, fd, NULL))
			err = -errno;
	} else {
		err = -ENOMEM;
	}
	close(fd);
	return err;
}

static int read_prog_info(struct bf_loaded *l)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(l->prog, &info, &len))
		return -errno;
	l->prog_id = info.id;
	l->jited_bytes = info.jited_prog_len;
	l->nr_insns = info.xlated_prog_len / sizeof(struct bpf_insn);
	return 0;
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static int fill_loaded(struct bf_loaded *l, const struct bf_program *program, const int *fds,
		       uint64_t started, struct bf_why *why)
{
	int err;

	l->prog = load_program(program, fds, why);
	if (l->prog < 0)
		return l->prog;
	l->counters_size = (size_t)l->stride * l->cpus * sizeof(*l->counters);
	l->counters = map_memory(fds[BF_MAP_COUNTERS], l->counters_size);
	if (!l->counters)
		return -ENOMEM;
	err = read_prog_info(l);
	if (err)
		return err;
	l->replaced_at = now_ns(CLOCK_REALTIME) / 1000000000;
	l->replace_us = (now_ns(CLOCK_MONOTONIC) - started) / 1000;
	return save_table(l);
}

int bf_load(struct bf_table *table, const struct bf_program *program, unsigned int cpus,
	    uint64_t started, struct bf_loaded **loaded, struct bf_why *why)
{
	struct bf_loaded *l = calloc(1, sizeof(*l));
	int fds[BF_NR_MAPS], err;

	*loaded = NULL;
	if (!l)
		return -ENOMEM;
	l->prog = -1;
	l->table = table;
	l->stride = program->stride;
	l->cpus = cpus;
	l->form = program->form;
	l->attach = program->attach;
	l->want = program->want;
	l->wants_conntrack = program->wants_conntrack;
	err = create_maps(program, fds, &l->map_bytes);
	if (err) {
		bf_why(why, err, "no memory for the table's maps");
	} else {
		err = fill_loaded(l, program, fds, started, why);
		close_maps(fds, BF_NR_MAPS);
	}
	if (err) {
		l->table = NULL; /* still the caller's */
		bf_loaded_free(l);
		return err;
	}
	*loaded = l;
	return 0;
}

/* Takes over what the table's map says. */
static int read_saved(struct bf_loaded *l, int fd, size_t size)
{
	const struct saved_head *head = map_memory(fd, size);
	int err = -EINVAL;

	if (!head)
		return -ENOMEM;
	if (size >= sizeof(*head) && head->magic == SAVED_MAGIC &&
	    head->size <= size - sizeof(*head) && head->form <= BF_FORM_RECORDS &&
	    head->attach <= BF_ATTACH_MODULE) {
		l->stride = head->stride;
		l->cpus = head->cpus;
		l->form = head->form;
		l->attach = head->attach;
		l->want = head->want;
		l->wants_conntrack = head->wants_conntrack;
		l->replaced_at = head->replaced_at;
		l->replace_us = head->replace_us;
		l->map_bytes = head->map_bytes;
		err = bf_table_load(head + 1, head->size, &l->table);
	}
	munmap((void *)head, page_round(size));
	return err;
}

static int take_map(struct bf_loaded *l, uint32_t id)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);
	int fd = bpf_map_get_fd_by_id(id), err = 0;
	size_t size;

	if (fd < 0)
		return -errno;
	if (bpf_obj_get_info_by_fd(fd, &info, &len)) {
		err = -errno;
	} else {
		size = (size_t)info.value_size * info.max_entries;
		if (!strcmp(info.name, TABLE_MAP)) {
			err = read_saved(l, fd, size);
		} else if (!strcmp(info.name, COUNTERS_MAP)) {
			l->counters = map_memory(fd, size);
			l->counters_size = size;
			err = l->counters ? 0 : -ENOMEM;
		}
	}
	close(fd);
	return err;
}

int bf_load_by_id(uint32_t prog_id, struct bf_loaded **loaded, struct bf_why *why)
{
	struct bf_loaded *l = calloc(1, sizeof(*l));
	uint32_t ids[BF_NR_MAPS + 1] = {}, i;
	struct bpf_prog_info info = {.nr_map_ids = ARRAY_SIZE(ids), .map_ids = (uintptr_t)ids};
	uint32_t len = sizeof(info);
	int err = 0;

	*loaded = NULL;
	if (!l)
		return -ENOMEM;
	l->prog = bpf_prog_get_fd_by_id(prog_id);
	if (l->prog < 0 || bpf_obj_get_info_by_fd(l->prog, &info, &len)) {
		err = bf_why(why, -errno, "the pinned program cannot be opened");
		goto fail;
	}
	for (i = 0; i < info.nr_map_ids && i < ARRAY_SIZE(ids) && !err; i++)
		err = take_map(l, ids[i]);
	err = err ?: read_prog_info(l);
	if (!err && (!l->table || !l->counters || l->stride < l->table->num_entries ||
		     l->counters_size != (size_t)l->stride * l->cpus * sizeof(*l->counters)))
		err = -EINVAL;
	if (err) {
		bf_why(why, err, "the pinned program is not one of this version's");
		goto fail;
	}
	*loaded = l;
	return 0;
fail:
	bf_loaded_free(l);
	return err;
}

void bf_loaded_free(struct bf_loaded *l)
{
	if (!l)
		return;
	if (l->counters)
		munmap(l->counters, page_round(l->counters_size));
	if (l->prog >= 0)
		close(l->prog);
	bf_table_free(l->table);
	free(l);
}

void bf_loaded_counters(const struct bf_loaded *l, struct xt_counters *counters)
{
	uint32_t cpu, i;

	memset(counters, 0, l->table->num_entries * sizeof(*counters));
	for (cpu = 0; cpu < l->cpus; cpu++) {
		struct xt_counters *own = l->counters + (size_t)cpu * l->stride;

		for (i = 0; i < l->table->num_entries; i++) {
			counters[i].pcnt += __atomic_load_n(&own[i].pcnt, __ATOMIC_RELAXED);
			counters[i].bcnt += __atomic_load_n(&own[i].bcnt, __ATOMIC_RELAXED);
		}
	}
}

void bf_loaded_add_counters(struct bf_loaded *l, const struct xt_counters *counters)
{
	uint32_t i;

	for (i = 0; i < l->table->num_entries; i++) {
		__atomic_fetch_add(&l->counters[i].pcnt, counters[i].pcnt, __ATOMIC_RELAXED);
		__atomic_fetch_add(&l->counters[i].bcnt, counters[i].bcnt, __ATOMIC_RELAXED);
	}
}

int bf_create_switch(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "bf_switch", sizeof(uint32_t),
				sizeof(uint32_t), 1, NULL);

	return fd < 0 ? -errno : fd;
}

int bf_load_root(const struct bf_kernel *kernel, int switch_fd, struct bf_why *why)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	struct bf_program *root;
	int fd, err = bf_compile_root(kernel, &root);

	if (err)
		return err;
	relocate(root->insns, root->nr_insns, &switch_fd);
	fd = load_insns("bpfilter_root", BF_ATTACH_LINK, root->insns, root->nr_insns, &opts, why);
	bf_program_free(root);
	return fd;
}

static int attach_at(int prog, unsigned int hook, int priority)
{
	/* union bpf_attr of Linux 6.4 for BPF_LINK_CREATE */
	struct {
		uint32_t prog_fd, target_fd, attach_type, flags;
		struct {
			uint32_t pf, hooknum;
			int32_t priority;
			uint32_t flags;
		} netfilter;
		uint8_t rest[32];
	} attr = {
		.prog_fd = prog,
		.attach_type = ATTACH_NETFILTER,
		.netfilter = {.pf = NFPROTO_IPV4, .hooknum = hook, .priority = priority},
	};
	int fd = syscall(__NR_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : fd;
}

int bf_attach(int prog, unsigned int hook)
{
	int priority, fd = -EBUSY;

	for (priority = NF_IP_PRI_FILTER + 1; priority < 10 && fd == -EBUSY; priority++)
		fd = attach_at(prog, hook, priority);
	return fd;
}
