// SPDX-License-Identifier: GPL-2.0
#include "testrun.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array.h"
#include "asm.h"
#include "clock.h"
#include "compile.h"
#include "load.h"

/* Of a packet: no program looks behind the headers, and a test run takes a page at most. */
#define MAX_DATA 1500

/* Where the program finds the description. */
struct shared {
	uint64_t address; /* of this structure in the kernel */
	struct bpfilter_packet packet;
};

struct bf_testrun {
	const struct bf_ruleset *rules;
	struct bf_loaded *loaded;
	bool *decides; /* of each entry: its packets go no further */
	struct bf_trace *trace;
	struct shared *shared;
	uint8_t frame[ETH_HLEN + MAX_DATA];
};

static int test_run(int prog, const struct bf_testrun *t, uint32_t len, struct __sk_buff *in,
		    struct __sk_buff *out)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = t->frame, .data_size_in = len, .ctx_in = in,
		    .ctx_size_in = sizeof(*in), .ctx_out = out, .ctx_size_out = sizeof(*out),
		    .repeat = 1);

	return bpf_prog_test_run_opts(prog, &opts) ? -errno : (int)opts.retval;
}

/* A program that stores the address of the map's value in that value. */
static int find_address(struct bf_testrun *t, int map)
{
	struct __sk_buff in = {}, out;
	struct bf_kernel none = {};
	struct bf_asm a;
	int prog, err;

	bf_asm_init(&a, &none);
	bf_map_value(&a, BPF_REG_1, map);
	bf_stx(&a, BPF_DW, BPF_REG_1, offsetof(struct shared, address), BPF_REG_1);
	bf_movi(&a, BPF_REG_0, 0);
	bf_exit(&a);
	err = bf_asm_finish(&a);
	prog = err
		       ?: bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "bf_address", "GPL", a.insns,
					a.nr_insns, NULL);
	if (!err && prog < 0)
		err = -errno;
	bf_asm_free(&a);
	if (err)
		return err;
	err = test_run(prog, t, sizeof(t->frame), &in, &out);
	close(prog);
	return err;
}

static int share(struct bf_testrun *t)
{
	int map = bf_array_create("bf_packet", sizeof(*t->shared), 1), err;

	if (map < 0)
		return map;
	t->shared = bf_array_map(map, sizeof(*t->shared));
	err = t->shared ? find_address(t, map) : -ENOMEM;
	close(map);
	return err;
}

static int find_decisions(struct bf_testrun *t, const struct bf_kernel *kernel, struct bf_why *why)
{
	struct bf_rules rules;
	uint32_t i;
	int err = bf_rules_make(&rules, t->rules->table, BF_ATTACH_MODULE, kernel, why);

	if (err)
		return err;
	t->decides = calloc(t->rules->nr_entries, sizeof(*t->decides));
	for (i = 0; t->decides && i < t->rules->nr_entries; i++)
		t->decides[i] = rules.codes[i].action == BF_ACT_ACCEPT ||
				rules.codes[i].action == BF_ACT_DROP;
	bf_rules_free(&rules);
	return t->decides ? 0 : -ENOMEM;
}

static int load(struct bf_testrun *t, const struct bf_kernel *kernel, enum bf_form form,
		struct bf_why *why)
{
	struct bf_limits limits = BF_LIMITS_NONE;
	struct bf_program *program = NULL;
	struct bf_table *table;
	int err;

	limits.trace = true;
	err = bf_table_check(t->rules->replace, t->rules->len, &table, why);
	if (!err)
		err = bf_compile_limited(table, kernel, BF_ATTACH_MODULE, form,
					 bf_jiffies_about(kernel->hz), &limits, &program, why);
	if (!err)
		err = bf_load(table, program, NULL, kernel->cpus, 0, &t->loaded, why);
	if (err)
		bf_table_free(table);
	bf_program_free(program);
	return err;
}

int bf_testrun_open(struct bf_testrun **result, const struct bf_ruleset *rules,
		    const struct bf_kernel *kernel, enum bf_form form, struct bf_why *why)
{
	struct bf_testrun *t = calloc(1, sizeof(*t));
	int err;

	*result = NULL;
	if (!t)
		return bf_why(why, -ENOMEM, "no memory");
	t->rules = rules;
	t->frame[12] = ETH_P_IP >> 8;
	t->frame[ETH_HLEN] = 0x45;
	err = share(t);
	if (err)
		bf_why(why, err,
		       err == -EPERM ? "root is needed to run a program on packets: run it as root"
				     : "no program can be run: %s",
		       strerror(-err));
	err = err ?: load(t, kernel, form, why) ?: find_decisions(t, kernel, why);
	if (!err) {
		t->trace = bf_array_map(t->loaded->maps[BF_MAP_TRACE], sizeof(*t->trace));
		err = t->trace ? 0 : -ENOMEM;
	}
	if (err) {
		bf_testrun_close(t);
		return err;
	}
	*result = t;
	return 0;
}

void bf_testrun_close(struct bf_testrun *t)
{
	if (!t)
		return;
	if (t->trace)
		bf_array_unmap(t->trace, sizeof(*t->trace));
	if (t->shared)
		bf_array_unmap(t->shared, sizeof(*t->shared));
	bf_loaded_free(t->loaded);
	free(t->decides);
	free(t);
}

static uint32_t who_decided(const struct bf_testrun *t, const struct bf_fate *fate)
{
	uint32_t last;

	if (!fate->nr)
		return UINT32_MAX;
	last = fate->counted[fate->nr > BF_TRACE_MAX ? BF_TRACE_MAX - 1 : fate->nr - 1];
	if (last >= t->rules->nr_entries)
		return UINT32_MAX;
	return t->decides[last] ? last : UINT32_MAX;
}

/* If there were more than there is room for, the first of those that are left is in the middle. */
static void unroll(struct bf_trace *trace)
{
	uint32_t at = trace->nr % BF_TRACE_MAX;
	uint32_t *copy = trace->nr > BF_TRACE_MAX && at ? malloc(sizeof(trace->entries)) : NULL;

	if (!copy)
		return;
	memcpy(copy, trace->entries + at, (BF_TRACE_MAX - at) * sizeof(*copy));
	memcpy(copy + BF_TRACE_MAX - at, trace->entries, at * sizeof(*copy));
	memcpy(trace->entries, copy, sizeof(trace->entries));
	free(copy);
}

int bf_testrun_packet(struct bf_testrun *t, const struct bf_packet *p, struct bf_fate *fate)
{
	uint64_t address = t->shared->address + offsetof(struct shared, packet);
	struct __sk_buff in = {.mark = p->what.mark, .cb = {address, address >> 32}}, out = {};
	uint32_t len = p->len < MAX_DATA ? p->len : MAX_DATA;
	int ret;

	memcpy(t->frame + ETH_HLEN, p->data, len);
	t->shared->packet = p->what;
	t->trace->nr = 0;
	ret = test_run(t->loaded->prog, t, ETH_HLEN + len, &in, &out);
	if (ret < 0)
		return ret;
	unroll(t->trace);
	*fate = (struct bf_fate){.verdict = ret == NF_ACCEPT ? NF_ACCEPT : NF_DROP,
				 .counted = t->trace->entries,
				 .nr = t->trace->nr,
				 .mark = out.mark};
	fate->decided = who_decided(t, fate);
	return 0;
}
