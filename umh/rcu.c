// SPDX-License-Identifier: GPL-2.0
/*
 * User space has no call that waits for a grace period, but some calls do before they return:
 *
 * An update of a map of maps, after synchronize_rcu() (maybe_wait_bpf_programs() in
 * kernel/bpf/syscall.c): since Linux 4.12, whatever the number of CPUs, and documented;
 * milliseconds.
 *
 * Closing the last reference to a mount that is in no namespace, after synchronize_rcu_expedited()
 * (namespace_unlock() in fs/namespace.c): since Linux 5.2; microseconds. Nobody has promised that
 * it stays so: it is used only where it has been seen to wait for a running program.
 *
 * membarrier(2) takes as long as the first but waits for nothing where one CPU is online, where a
 * preempted sender can still be inside a hook, and fails with nohz_full.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "asm.h"
#include "clock.h"
#include "device.h"
#include "load.h"
#include "rcu.h"

/* linux/mount.h, which does not go with sys/mount.h */
#define OPEN_TREE_CLONE	  1
#define OPEN_TREE_CLOEXEC O_CLOEXEC

/* So often may a test fail to tell before it is given up. */
#define MAX_TRIES 8

/* The most rounds that bpf_loop() runs, if nothing ends it: about 10 ms. */
#define MAX_ROUNDS (1 << 20)
/* How long the program must have kept the other from returning. */
#define KEEP_NS	   300000
/* How long to wait for one of the two to get where it should be. */
#define START_MS   100

int bf_rcu_wait_map(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	int inner, outer, err;
	uint32_t key = 0;

	inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "bf_rcu_inner", sizeof(key), sizeof(key), 1,
			       NULL);
	if (inner < 0)
		return -errno;
	opts.inner_map_fd = inner;
	outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "bf_rcu", sizeof(key), sizeof(key), 1,
			       &opts);
	if (outer < 0) {
		err = -errno;
		close(inner);
		return err;
	}
	err = bpf_map_update_elem(outer, &key, &inner, BPF_ANY) ? -errno : 0;
	close(outer);
	close(inner);
	return err;
}

int bf_rcu_wait_mount(void)
{
	int fd = syscall(__NR_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0)
		return -errno;
	return close(fd) ? -errno : 0;
}

/* What the program and we tell each other, in its map. */
struct words {
	uint32_t inside; /* it runs */
	uint32_t go;	 /* 1: it may end */
	uint32_t left;	 /* it has come to its end */
};

/**
 * struct check - one test
 * @wait: what is tested
 * @tid: of the thread that waits; 0 until it begins
 * @returned: it is back, with @err
 */
struct check {
	int prog;
	volatile struct words *words;
	int (*wait)(void);
	pid_t tid;
	bool returned;
	int err;
};

static void words_address(struct bf_asm *a, int dst)
{
	bf_insn(a, (struct bpf_insn){.code = BPF_LD | BPF_DW | BPF_IMM,
				     .dst_reg = dst,
				     .src_reg = BPF_PSEUDO_MAP_VALUE});
	bf_insn(a, (struct bpf_insn){0});
}

/*
 * words->inside = 1;
 * bpf_loop(MAX_ROUNDS, round, NULL, 0);	int round() { return words->go & 1; }
 * words->left = 1;
 */
static int write_program(struct bf_asm *a)
{
	int round = bf_asm_label(a);

	words_address(a, BPF_REG_6);
	bf_sti(a, BPF_W, BPF_REG_6, offsetof(struct words, inside), 1);
	bf_movi(a, BPF_REG_1, MAX_ROUNDS);
	bf_function_addr(a, BPF_REG_2, round);
	bf_movi(a, BPF_REG_3, 0);
	bf_movi(a, BPF_REG_4, 0);
	bf_helper(a, BPF_FUNC_loop);
	bf_sti(a, BPF_W, BPF_REG_6, offsetof(struct words, left), 1);
	bf_movi(a, BPF_REG_0, 0);
	bf_exit(a);
	bf_function(a, round);
	words_address(a, BPF_REG_1);
	bf_ldx(a, BPF_W, BPF_REG_0, BPF_REG_1, offsetof(struct words, go));
	bf_alui(a, BPF_AND, BPF_REG_0, 1);
	bf_exit(a);
	return bf_asm_finish(a);
}

/* A descriptor or -errno. */
static int load_checker(int map)
{
	struct bf_kernel none = {};
	struct bf_program p = {.attach = BF_ATTACH_MODULE};
	struct bf_asm a;
	int fd;

	bf_asm_init(&a, &none);
	fd = write_program(&a);
	if (!fd) {
		p.insns = a.insns;
		p.nr_insns = a.nr_insns;
		p.nr_functions = a.nr_functions;
		memcpy(p.functions, a.functions, sizeof(p.functions));
		fd = bf_load_program("bf_rcu_check", &p, &map, NULL);
	}
	bf_asm_free(&a);
	return fd;
}

static int open_check(struct check *c)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "bf_rcu_check", sizeof(uint32_t),
				 sizeof(struct words), 1, &opts);
	void *words;

	if (map < 0)
		return -errno;
	words = mmap(NULL, sizeof(*c->words), PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	c->prog = words == MAP_FAILED ? -ENOMEM : load_checker(map);
	close(map);
	if (c->prog < 0 && words != MAP_FAILED)
		munmap(words, sizeof(*c->words));
	c->words = words;
	return c->prog < 0 ? c->prog : 0;
}

static void close_check(struct check *c)
{
	close(c->prog);
	munmap((void *)c->words, sizeof(*c->words));
}

/* In an RCU section, as in a hook: bpf_test_run() of net/bpf/test_run.c. */
static void *run_program(void *arg)
{
	static const char frame[64];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame));
	struct check *c = arg;

	bpf_prog_test_run_opts(c->prog, &opts);
	return NULL;
}

static void *run_wait(void *arg)
{
	struct check *c = arg;

	__atomic_store_n(&c->tid, gettid(), __ATOMIC_RELEASE);
	c->err = c->wait();
	__atomic_store_n(&c->returned, true, __ATOMIC_RELEASE);
	return NULL;
}

static void sleep_ns(long ns)
{
	const struct timespec t = {.tv_nsec = ns};

	nanosleep(&t, NULL);
}

/* Uninterruptible: neither on its way there nor doing something else. */
static bool sleeps_in_kernel(pid_t tid)
{
	char path[64], line[128] = "", *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "re");
	if (!f)
		return false;
	state = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	fclose(f);
	return state && !strncmp(state, ") D", 3);
}

static bool has_returned(struct check *c)
{
	return __atomic_load_n(&c->returned, __ATOMIC_ACQUIRE);
}

static bool is_asleep(struct check *c)
{
	pid_t tid = __atomic_load_n(&c->tid, __ATOMIC_ACQUIRE);

	return tid && sleeps_in_kernel(tid);
}

/* The program is inside. */
static int watch(struct check *c)
{
	uint64_t deadline = bf_now_ms() + START_MS;
	bool asleep, returned, running;
	pthread_t waiter;

	if (pthread_create(&waiter, NULL, run_wait, c))
		return -EAGAIN;
	while (!has_returned(c) && !is_asleep(c) && bf_now_ms() < deadline)
		sleep_ns(20000);
	sleep_ns(KEEP_NS);
	asleep = is_asleep(c);
	returned = has_returned(c);
	/* It ends by itself if this takes too long: then it did not keep anybody. */
	running = !c->words->left;
	c->words->go = 1;
	pthread_join(waiter, NULL);
	if (c->err)
		return c->err;
	if (!running || asleep == returned)
		return -EAGAIN;
	return asleep;
}

/*
 * A CPU for the program, taken out of @cpus, so that our other threads keep away from it: the
 * kernel may not take it away from the program. False if there is no other.
 */
static bool take_cpu(cpu_set_t *cpus, cpu_set_t *taken)
{
	int cpu;

	if (CPU_COUNT(cpus) < 2)
		return false;
	for (cpu = 0; !CPU_ISSET(cpu, cpus); cpu++)
		;
	CPU_CLR(cpu, cpus);
	CPU_ZERO(taken);
	CPU_SET(cpu, taken);
	return true;
}

/* Start the program on that CPU. 0 or -EAGAIN. */
static int start_program(struct check *c, const cpu_set_t *cpu, pthread_t *thread)
{
	pthread_attr_t attr;
	int err;

	pthread_attr_init(&attr);
	err = pthread_attr_setaffinity_np(&attr, sizeof(*cpu), cpu);
	err = err ?: pthread_create(thread, &attr, run_program, c);
	pthread_attr_destroy(&attr);
	return err ? -EAGAIN : 0;
}

/* On the CPUs that are left. */
static int check_on(struct check *c, const cpu_set_t *cpu)
{
	uint64_t deadline = bf_now_ms() + START_MS;
	pthread_t runner;
	int ret = start_program(c, cpu, &runner);

	if (ret)
		return ret;
	while (!c->words->inside && bf_now_ms() < deadline)
		sleep_ns(20000);
	ret = c->words->inside ? watch(c) : -EAGAIN;
	c->words->go = 1;
	pthread_join(runner, NULL);
	return ret;
}

int bf_rcu_check(int (*wait)(void))
{
	struct check c = {.wait = wait};
	cpu_set_t all, others, one;
	int ret;

	if (pthread_getaffinity_np(pthread_self(), sizeof(all), &all))
		return -EAGAIN;
	others = all;
	if (!take_cpu(&others, &one))
		return -EAGAIN;
	ret = open_check(&c);
	if (ret)
		return ret;
	/* The thread that waits inherits it. */
	if (pthread_setaffinity_np(pthread_self(), sizeof(others), &others))
		ret = -EAGAIN;
	ret = ret ?: check_on(&c, &one);
	pthread_setaffinity_np(pthread_self(), sizeof(all), &all);
	close_check(&c);
	return ret;
}

void bf_rcu_init(struct bf_rcu *rcu)
{
	pthread_mutex_init(&rcu->lock, NULL);
	rcu->fast = -1;
	rcu->tries = 0;
}

void bf_rcu_exit(struct bf_rcu *rcu)
{
	pthread_mutex_destroy(&rcu->lock);
}

static bool is_fast(struct bf_rcu *rcu)
{
	bool fast;
	int ret;

	pthread_mutex_lock(&rcu->lock);
	if (rcu->fast < 0 && rcu->tries < MAX_TRIES) {
		rcu->tries++;
		ret = bf_rcu_check(bf_rcu_wait_mount);
		if (ret >= 0)
			rcu->fast = ret;
	}
	fast = rcu->fast > 0;
	pthread_mutex_unlock(&rcu->lock);
	return fast;
}

int bf_rcu_wait(struct bf_rcu *rcu, struct bf_device *device)
{
	if (device && !bf_device_sync(device))
		return 0;
	if (rcu && is_fast(rcu) && !bf_rcu_wait_mount())
		return 0;
	return bf_rcu_wait_map();
}
