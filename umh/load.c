// SPDX-License-Identifier: GPL-2.0
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter_ipv4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "array.h"
#include "asm.h"
#include "clock.h"
#include "ext.h"
#include "load.h"
#include "saved.h"
#include "trees.h"

/* Linux 6.4; the headers of Debian 12 do not have them. */
#define PROG_TYPE_NETFILTER 32
#define ATTACH_NETFILTER    45

#define COUNTERS_MAP "bf_counters"
#define LOG_SIZE     (1 << 20)

static int create_map(const struct bf_map_def *def)
{
	int fd = bf_array_create(def->name, def->value_size, def->max_entries);
	int err = fd < 0 ? fd : bf_array_fill(fd, def, true);

	if (err && fd >= 0)
		close(fd);
	return err ?: fd;
}

static void close_maps(struct bf_loaded *l)
{
	int i;

	for (i = 0; i < BF_NR_MAPS; i++)
		if (l->maps[i] >= 0)
			close(l->maps[i]);
	if (l->saved >= 0)
		close(l->saved);
}

/* @devs: BF_MAP_DEVS, which is not the table's, or -1 */
static int create_maps(struct bf_loaded *l, const struct bf_program *program, int devs)
{
	int i;

	if (devs >= 0) {
		l->maps[BF_MAP_DEVS] = fcntl(devs, F_DUPFD_CLOEXEC, 0);
		if (l->maps[BF_MAP_DEVS] < 0)
			return -errno;
	}
	for (i = 0; i < BF_NR_MAPS; i++) {
		const struct bf_map_def *def = &program->maps[i];

		if (!def->max_entries || i == BF_MAP_DEVS)
			continue;
		l->maps[i] = create_map(def);
		if (l->maps[i] < 0)
			return l->maps[i];
		l->map_bytes += bf_array_bytes(def->value_size, def->max_entries);
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
		if (insns[i].src_reg == BPF_PSEUDO_MAP_FD ||
		    insns[i].src_reg == BPF_PSEUDO_MAP_VALUE)
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
static int add_global_proto(struct btf *btf, int num, uint32_t shared)
{
	int byte = btf__add_int(btf, "u8", 1, 0);
	int state = add_memory_type(btf, byte, BF_COND_STATE);
	int frame = add_memory_type(btf, byte, shared);
	int proto = btf__add_func_proto(btf, num);

	if (byte < 0 || state < 0 || frame < 0 || proto < 0 ||
	    btf__add_func_param(btf, "state", state) || btf__add_func_param(btf, "frame", frame))
		return -ENOMEM;
	return proto;
}

/*
 * The verifier learns from BTF which functions are static, which it asks for where their address is
 * taken, and what the global ones get: make the little that it wants. 0 or -errno.
 */
static int describe_functions(struct btf *btf, const struct bf_program *program,
			      struct bpf_func_info *info)
{
	int num = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	int static_proto = btf__add_func_proto(btf, num);
	int global_proto = add_global_proto(btf, num, bf_frame_shared(program->fields));
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

static enum bpf_prog_type type_for(enum bf_attach attach)
{
	static const enum bpf_prog_type types[] = {
		[BF_ATTACH_LINK] = PROG_TYPE_NETFILTER,
		[BF_ATTACH_MODULE] = BPF_PROG_TYPE_SCHED_CLS,
		[BF_ATTACH_TC] = BPF_PROG_TYPE_SCHED_CLS,
		[BF_ATTACH_XDP] = BPF_PROG_TYPE_XDP,
	};

	return types[attach];
}

static unsigned int attach_type_of(enum bpf_prog_type type)
{
	switch ((int)type) {
	case PROG_TYPE_NETFILTER:
		return ATTACH_NETFILTER;
	case BPF_PROG_TYPE_XDP:
		return BPF_XDP;
	default:
		return 0;
	}
}

static int load_insns(const char *name, enum bpf_prog_type type, const struct bpf_insn *insns,
		      uint32_t n, struct bpf_prog_load_opts *opts, char *log, size_t log_size,
		      struct bf_why *why)
{
	int fd, err;
	char *own;

	opts->expected_attach_type = attach_type_of(type);
	opts->attempts = 1;
	fd = bpf_prog_load(type, name, "GPL", insns, n, opts);
	if (fd >= 0)
		return fd;
	err = -errno;
	own = log ? NULL : calloc(1, LOG_SIZE);
	if (own) {
		log = own;
		log_size = LOG_SIZE;
	}
	if (log) {
		opts->log_level = 1;
		opts->log_size = log_size;
		opts->log_buf = log;
		fd = bpf_prog_load(type, name, "GPL", insns, n, opts);
		if (fd < 0) {
			err = -errno;
			explain_refusal(log, err, why);
		}
	}
	free(own);
	return fd < 0 ? err : fd;
}

static int load_as(const char *name, enum bpf_prog_type type, const struct bf_program *program,
		   const int *fds, char *log, size_t log_size, struct bf_why *why)
{
	size_t size = program->nr_insns * sizeof(*program->insns);
	struct bpf_func_info info[ARRAY_SIZE(program->functions) + 1] = {};
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	int fd, fd_array[] = {-1, -1};
	struct bpf_insn *insns;

	opts.prog_ifindex = program->ifindex;
	opts.prog_flags = program->frags ? BPF_F_XDP_HAS_FRAGS : 0;
	if (program->nr_functions) {
		opts.prog_btf_fd = load_func_btf(program, info);
		if ((int)opts.prog_btf_fd < 0)
			return bf_why(why, (int)opts.prog_btf_fd,
				      "the kernel refused the program's BTF");
		opts.func_info = info;
		opts.func_info_cnt = program->nr_functions + 1;
		opts.func_info_rec_size = sizeof(info[0]);
	}
	if (program->btf_id) {
		fd_array[1] = bpf_btf_get_fd_by_id(program->btf_id);
		opts.fd_array = fd_array;
	}
	insns = malloc(size);
	if (insns) {
		memcpy(insns, program->insns, size);
		relocate(insns, program->nr_insns, fds);
		fd = load_insns(name, type, insns, program->nr_insns, &opts, log, log_size, why);
		free(insns);
	} else {
		fd = -ENOMEM;
	}
	if (program->nr_functions)
		close(opts.prog_btf_fd);
	if (fd_array[1] >= 0)
		close(fd_array[1]);
	return fd;
}

int bf_load_program(const char *name, const struct bf_program *program, const int *fds,
		    struct bf_why *why)
{
	return bf_load_logged(name, program, fds, NULL, 0, why);
}

int bf_load_logged(const char *name, const struct bf_program *program, const int *fds, char *log,
		   size_t log_size, struct bf_why *why)
{
	return load_as(name, type_for(program->attach), program, fds, log, log_size, why);
}

int bf_load_match(const struct bf_program *program, const int *fds, struct bf_why *why)
{
	return load_as("bpfilter_match", BPF_PROG_TYPE_SOCKET_FILTER, program, fds, NULL, 0, why);
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

static struct bf_loaded *alloc_loaded(void)
{
	struct bf_loaded *l = calloc(1, sizeof(*l));
	int i;

	if (!l)
		return NULL;
	l->prog = -1;
	l->xdp = -1;
	l->asking = -1;
	l->questions = -1;
	l->saved = -1;
	for (i = 0; i < BF_NR_MAPS; i++)
		l->maps[i] = -1;
	return l;
}

/* Without the content of its maps; its trees move. NULL if there is no memory. */
static struct bf_program *copy_shape(struct bf_program *program)
{
	struct bf_program *copy = malloc(sizeof(*copy));
	size_t size = program->nr_insns * sizeof(*program->insns);
	int i;

	if (!copy)
		return NULL;
	*copy = *program;
	copy->effects = (struct bf_effects){};
	copy->questions = (struct bf_questions){};
	for (i = 0; i < BF_NR_MAPS; i++) {
		copy->maps[i].data = NULL;
		copy->maps[i].data_size = 0;
	}
	copy->insns = malloc(size);
	if (!copy->insns) {
		free(copy);
		return NULL;
	}
	memcpy(copy->insns, program->insns, size);
	program->trees = NULL;
	return copy;
}

static void note_time(struct bf_loaded *l, uint64_t started)
{
	l->replaced_at = time(NULL);
	l->replace_us = (bf_now_ns() - started) / 1000;
}

/* Do the two share their maps from @first on, contents included? */
static bool has_maps(const struct bf_program *a, const struct bf_program *b, int first)
{
	int i;

	for (i = first; i < BF_NR_MAPS; i++)
		if (a->maps[i].value_size != b->maps[i].value_size ||
		    a->maps[i].max_entries != b->maps[i].max_entries ||
		    a->maps[i].data_size != b->maps[i].data_size ||
		    (a->maps[i].data_size &&
		     memcmp(a->maps[i].data, b->maps[i].data, a->maps[i].data_size)))
			return false;
	return a->stride == b->stride;
}

/* The other program of a table with questions, with the same maps. @fds: all of them, by number */
static int load_asking(struct bf_loaded *l, const struct bf_program *program, const int *fds,
		       struct bf_why *why)
{
	const struct bf_program *asking = program->asking;

	/* The counters and the conditions are described with the first one alone. */
	if (!has_maps(program, asking, BF_MAP_RECORDS))
		return bf_why(why, -EOPNOTSUPP, "the table's two programs cannot share its maps");
	l->asking = asking->behind ? bf_load_match(asking, fds, why)
				   : bf_load_program("bpfilter_asking", asking, fds, why);
	return l->asking < 0 ? l->asking : 0;
}

/* The descriptors of all maps of a table's programs, by number: its own, and the namespace's. */
static void all_maps(const struct bf_loaded *l, const int *stage, int *fds)
{
	memset(fds, 0xff, BF_NR_ALL_MAPS * sizeof(*fds));
	memcpy(fds, l->maps, sizeof(l->maps));
	if (stage)
		memcpy(fds + BF_NR_MAPS, stage, (BF_NR_ALL_MAPS - BF_NR_MAPS) * sizeof(*fds));
}

static int fill_loaded(struct bf_loaded *l, struct bf_program *program, const int *stage, int devs,
		       uint64_t started, struct bf_why *why)
{
	int err = create_maps(l, program, devs), fds[BF_NR_ALL_MAPS];

	if (err)
		return bf_why(why, err, "no memory for the table's maps");
	all_maps(l, stage, fds);
	l->prog = bf_load_program("bpfilter", program, fds, why);
	if (l->prog < 0)
		return l->prog;
	l->counters_size = (size_t)l->stride * l->cpus * sizeof(*l->counters);
	l->counters = bf_array_map(l->maps[BF_MAP_COUNTERS], l->counters_size);
	if (!l->counters)
		return -ENOMEM;
	err = read_prog_info(l);
	if (err)
		return err;
	if (program->asking)
		err = load_asking(l, program, fds, why);
	else
		/* If there is none, another table will not be made of it: no harm. */
		l->shape = copy_shape(program);
	if (err)
		return err;
	note_time(l, started);
	return bf_saved_make(l);
}

int bf_load(struct bf_table *table, struct bf_program *program, const int *stage, unsigned int cpus,
	    uint64_t started, struct bf_loaded **loaded, struct bf_why *why)
{
	return bf_load_at(table, program, stage, -1, cpus, started, loaded, why);
}

int bf_load_at(struct bf_table *table, struct bf_program *program, const int *stage, int devs,
	       unsigned int cpus, uint64_t started, struct bf_loaded **loaded, struct bf_why *why)
{
	struct bf_loaded *l = alloc_loaded();
	int err;

	*loaded = NULL;
	if (!l)
		return -ENOMEM;
	l->table = table;
	l->stride = program->stride;
	l->cpus = cpus;
	l->form = program->form;
	l->attach = program->attach;
	l->want = program->want;
	l->wants_conntrack = program->wants_conntrack;
	l->asks = program->questions.nr;
	err = fill_loaded(l, program, stage, devs, started, why);
	if (err) {
		l->table = NULL; /* still the caller's */
		bf_loaded_free(l);
		return err;
	}
	*loaded = l;
	return 0;
}

int bf_load_xdp(struct bf_loaded *l, const struct bf_program *program, const struct bf_program *xdp,
		const int *stage, struct bf_why *why)
{
	int fds[BF_NR_ALL_MAPS];

	all_maps(l, stage, fds);
	if (!has_maps(program, xdp, 0))
		return bf_why(why, -EOPNOTSUPP,
			      "the programs for tc and XDP cannot share the table's maps");
	l->xdp = bf_load_program("bpfilter_xdp", xdp, fds, why);
	if (l->xdp < 0)
		return l->xdp;
	/* What is refilled is one program's. */
	bf_program_free(l->shape);
	l->shape = NULL;
	return 0;
}

/* But for what their maps hold, are the two the same? */
static bool has_shape(const struct bf_program *a, const struct bf_program *b)
{
	int i;

	for (i = 0; i < BF_NR_MAPS; i++)
		if (a->maps[i].value_size != b->maps[i].value_size ||
		    a->maps[i].max_entries != b->maps[i].max_entries)
			return false;
	return a->attach == b->attach && a->form == b->form && a->want == b->want &&
	       a->stride == b->stride && a->wants_conntrack == b->wants_conntrack &&
	       a->globals == b->globals && a->nr_functions == b->nr_functions &&
	       !memcmp(a->functions, b->functions, a->nr_functions * sizeof(*a->functions)) &&
	       a->nr_insns == b->nr_insns &&
	       !memcmp(a->insns, b->insns, a->nr_insns * sizeof(*a->insns));
}

static int refill_maps(struct bf_loaded *l, const struct bf_program *program)
{
	int i, err = 0;

	memset(l->counters, 0, l->counters_size);
	for (i = 0; i < BF_NR_MAPS && !err; i++)
		if (i != BF_MAP_COUNTERS && i != BF_MAP_DEVS && i != BF_MAP_ROUTES &&
		    l->maps[i] >= 0)
			err = bf_array_fill(l->maps[i], &program->maps[i], false);
	return err;
}

int bf_refill(struct bf_loaded *l, struct bf_table *table, struct bf_program *program,
	      unsigned int cpus, uint64_t started)
{
	int err;

	if (!l->shape || l->cpus != cpus || program->asking || !has_shape(l->shape, program))
		return -EINVAL;
	err = refill_maps(l, program);
	if (err)
		return err;
	bf_trees_free(l->shape->trees);
	l->shape->trees = program->trees;
	program->trees = NULL;
	bf_table_free(l->table);
	l->table = table;
	l->reused = true;
	note_time(l, started);
	err = bf_saved_write(l);
	if (err)
		l->table = NULL; /* still the caller's */
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
		if (!strcmp(info.name, BF_SAVED_MAP)) {
			err = bf_saved_read(l, fd, size);
		} else if (!strcmp(info.name, COUNTERS_MAP)) {
			l->counters = bf_array_map(fd, size);
			l->counters_size = size;
			err = l->counters ? 0 : -ENOMEM;
		}
	}
	close(fd);
	return err;
}

int bf_load_by_id(uint32_t prog_id, struct bf_loaded **loaded, struct bf_why *why)
{
	struct bf_loaded *l = alloc_loaded();
	uint32_t ids[BF_NR_ALL_MAPS + 1] = {}, i;
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
		bf_array_unmap(l->counters, l->counters_size);
	if (l->prog >= 0)
		close(l->prog);
	if (l->xdp >= 0)
		close(l->xdp);
	if (l->asking >= 0)
		close(l->asking);
	if (l->questions >= 0)
		close(l->questions);
	close_maps(l);
	bf_program_free(l->shape);
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
				sizeof(uint32_t), BF_NR_SLOTS, NULL);

	return fd < 0 ? -errno : fd;
}

int bf_load_root(const struct bf_kernel *kernel, enum bf_root root, int switch_fd, int devs_fd,
		 struct bf_why *why)
{
	const int fds[] = {switch_fd, devs_fd};
	struct bf_program *program;
	int fd, err = bf_compile_root(kernel, root, &program);

	if (err)
		return err;
	fd = bf_load_program("bpfilter_root", program, fds, why);
	bf_program_free(program);
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

/* At the first free priority from @first up to the one before @end. */
static int attach_from(int prog, unsigned int hook, int first, int end)
{
	int priority, fd = -EBUSY;

	for (priority = first; priority < end && fd == -EBUSY; priority++)
		fd = attach_at(prog, hook, priority);
	return fd;
}

int bf_attach(int prog, unsigned int hook)
{
	return attach_from(prog, hook, NF_IP_PRI_FILTER + 1, BF_STAGE_PRIORITY);
}

int bf_attach_guard(int prog, unsigned int hook)
{
	return attach_from(prog, hook, BF_STAGE_PRIORITY + 1, BF_STAGE_PRIORITY + 10);
}
