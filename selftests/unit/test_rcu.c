// SPDX-License-Identifier: GPL-2.0
/* Waiting for packets: that it waits, and that what does not wait is found out. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "rcu.h"
#include "kselftest_harness.h"

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

#define RUNNING 1
#define DONE	2

/**
 * struct slow - a program that runs for some 100 ms, the most that one can inside an RCU section
 * @state: a map's memory: 0, RUNNING, or DONE just before it returns
 */
struct slow {
	int prog;
	volatile uint32_t *state;
};

static int load_slow_program(struct slow *slow)
{
	LIBBPF_OPTS(bpf_map_create_opts, mappable, .map_flags = BPF_F_MMAPABLE);
	int tail = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "tail", 4, 4, 1, NULL);
	int state = bpf_map_create(BPF_MAP_TYPE_ARRAY, "state", 4, 4, 1, &mappable);
	struct bpf_insn code[] = {
		{BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0, 0},
		{BPF_LD | BPF_IMM | BPF_DW, BPF_REG_8, BPF_PSEUDO_MAP_VALUE, 0, state},
		{0, 0, 0, 0, 0},
		{BPF_ST | BPF_MEM | BPF_W, BPF_REG_8, 0, 0, RUNNING},
		{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_7, 0, 0, 0},
		{BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ktime_get_ns},
		{BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_7, 0, 0, 1},
		{BPF_JMP | BPF_JLT | BPF_K, BPF_REG_7, 0, -3, 100000},
		/* then itself again, as often as the kernel allows */
		{BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_6, 0, 0},
		{BPF_LD | BPF_IMM | BPF_DW, BPF_REG_2, BPF_PSEUDO_MAP_FD, 0, tail},
		{0, 0, 0, 0, 0},
		{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, 0},
		{BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_tail_call},
		{BPF_ST | BPF_MEM | BPF_W, BPF_REG_8, 0, 0, DONE},
		{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
		{BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
	};
	uint32_t key = 0;

	slow->prog = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "slow", "GPL", code,
				   sizeof(code) / sizeof(code[0]), NULL);
	slow->state = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, state, 0);
	if (slow->prog < 0 || slow->state == MAP_FAILED)
		return -1;
	return bpf_map_update_elem(tail, &key, &slow->prog, 0);
}

static void run_on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *run_slow_program(void *arg)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	struct slow *slow = arg;
	char packet[64] = {0};

	run_on_cpu(1);
	opts.data_in = packet;
	opts.data_size_in = sizeof(packet);
	bpf_prog_test_run_opts(slow->prog, &opts);
	return NULL;
}

/* 1: @wait returned when the program had ended; 0: before; -1: that cannot be told here. */
static int outlasts(int (*wait)(void))
{
	unsigned int tries;
	struct slow slow;
	pthread_t thread;
	cpu_set_t all;
	int ret = -1;

	if (load_slow_program(&slow) || sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return -1;
	sched_getaffinity(0, sizeof(all), &all);
	run_on_cpu(0);
	/* On a busy machine this thread may get its turn only when the program has ended. */
	for (tries = 0; ret < 0 && tries < 20; tries++) {
		double t;

		*slow.state = 0;
		if (pthread_create(&thread, NULL, run_slow_program, &slow))
			break;
		t = now_us();
		while (!*slow.state && now_us() - t < 5e6)
			usleep(100);
		t = now_us();
		if (*slow.state == RUNNING && !wait()) {
			ret = *slow.state == DONE;
			printf("# waited %.0f ms for a program that was running\n",
			       (now_us() - t) / 1e3);
		}
		pthread_join(thread, NULL);
	}
	sched_setaffinity(0, sizeof(all), &all);
	close(slow.prog);
	munmap((void *)slow.state, 4);
	return ret;
}

static int do_nothing(void)
{
	return 0;
}

/* Not for the program. */
static int sleep_well(void)
{
	return usleep(20000) ? -errno : 0;
}

static int fail(void)
{
	return -EXDEV;
}

/* Not what a busy machine leaves open. */
static int check(int (*wait)(void))
{
	int tries = 0, ret;

	do
		ret = bf_rcu_check(wait);
	while (ret == -EAGAIN && ++tries < 20);
	return ret;
}

static int wait_slowly(void)
{
	return bf_rcu_wait(NULL, NULL);
}

TEST(waits_for_readers)
{
	int ret = outlasts(wait_slowly);

	if (ret < 0)
		SKIP(return, "needs BPF and two CPUs that are not too busy");
	EXPECT_EQ(1, ret);
	EXPECT_EQ(0, outlasts(do_nothing));
	EXPECT_EQ(1, outlasts(bf_rcu_wait_map));
}

/* What the check says of each way is what is so. */
TEST(knows_what_waits)
{
	int ret = outlasts(do_nothing);

	if (ret < 0)
		SKIP(return, "needs BPF and two CPUs that are not too busy");
	EXPECT_EQ(0, check(do_nothing));
	EXPECT_GE(0, bf_rcu_check(sleep_well));
	EXPECT_EQ(-EXDEV, check(fail));
	EXPECT_EQ(1, check(bf_rcu_wait_map));
	ret = check(bf_rcu_wait_mount);
	printf("# closing a mount %s\n", ret == 1 ? "waits" : "does not wait");
	if (ret >= 0)
		EXPECT_EQ(ret, outlasts(bf_rcu_wait_mount));
}

/* Nothing is left of a check: memory, descriptors, threads. */
TEST(leaves_nothing)
{
	int first = dup(0), ret, i;

	close(first);
	if (bf_rcu_check(do_nothing) == -EPERM)
		SKIP(return, "needs BPF");
	for (i = 0; i < 20; i++)
		bf_rcu_check(do_nothing);
	ret = dup(0);
	EXPECT_EQ(first, ret);
	close(ret);
}

TEST(the_fastest_way_is_taken)
{
	struct bf_rcu rcu;
	double t, first, best = 1e9;
	int i;

	if (outlasts(do_nothing) < 0)
		SKIP(return, "needs BPF and two CPUs that are not too busy");
	bf_rcu_init(&rcu);
	EXPECT_GT(0, rcu.fast);
	t = now_us();
	ASSERT_EQ(0, bf_rcu_wait(&rcu, NULL));
	first = now_us() - t;
	for (i = 0; i < 20; i++) {
		t = now_us();
		ASSERT_EQ(0, bf_rcu_wait(&rcu, NULL));
		t = now_us() - t;
		best = t < best ? t : best;
	}
	printf("# first %.0f us, later %.0f us, %u tries\n", first, best, rcu.tries);
	/* On a very slow machine it may have given up, and waits the slow way. */
	if (rcu.fast >= 0) {
		EXPECT_EQ(check(bf_rcu_wait_mount), rcu.fast);
	} else {
		EXPECT_EQ(8U, rcu.tries);
	}
	bf_rcu_exit(&rcu);
}

TEST_HARNESS_MAIN
