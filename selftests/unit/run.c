// SPDX-License-Identifier: GPL-2.0
#include "run.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "compile.h"
#include "env.h"

/* Linux 6.4; the headers of Debian 12 do not have them. */
#define PROG_TYPE_NETFILTER 32
#define ATTACH_NETFILTER    45

/* What bf_compile() lets become straight-line code, when it may choose. */
#define STRAIGHT_COST 600

/* struct nf_hook_state, as the context of a test run */
struct hook_state {
	uint8_t hook, pf;
	void *pointers[5];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static int load(struct sandbox *s, struct blob *b, enum bf_attach attach, enum bf_form form,
		const struct bf_kernel *kernel, const int *stage, struct bf_loaded **loaded,
		struct bf_why *why)
{
	struct bf_table *table = blob_table(b);
	uint64_t started = now_ns();
	struct bf_program *program;
	int err;

	*loaded = NULL;
	if (!table)
		return -EINVAL;
	err = bf_compile(table, kernel, attach, form, bf_env_jiffies(s->env), &program, why);
	if (!err) {
		err = bf_load(table, program, stage, kernel->cpus, started, loaded, why);
		bf_program_free(program);
	}
	if (err)
		bf_table_free(table);
	return err;
}

int run_load(struct sandbox *s, struct blob *b, enum bf_attach attach, enum bf_form form,
	     struct bf_loaded **loaded, struct bf_why *why)
{
	struct bf_kernel kernel;

	bf_env_kernel(s->env, &kernel);
	return load(s, b, attach, form, &kernel, NULL, loaded, why);
}

int run_load_staged(struct sandbox *s, struct blob *b, enum bf_form form, const int *stage,
		    struct bf_loaded **loaded, struct bf_why *why)
{
	struct bf_kernel kernel;

	bf_env_kernel(s->env, &kernel);
	return load(s, b, BF_ATTACH_LINK, form, &kernel, stage, loaded, why);
}

/*
 * For a kernel of which it is said that no packet has anything in one piece, so that the program
 * takes the way that is meant for those: skb->data_len is where skb->len is.
 */
static int load_paged(struct sandbox *s, struct blob *b, struct bf_loaded **loaded,
		      struct bf_why *why)
{
	struct bf_kernel kernel;

	bf_env_kernel(s->env, &kernel);
	kernel.skb_data_len = kernel.skb_len;
	return load(s, b, BF_ATTACH_LINK, BF_FORM_RECORDS, &kernel, NULL, loaded, why);
}

int run_program(int prog, const struct packet *p)
{
	struct hook_state state = {.hook = p->hook, .pf = NFPROTO_IPV4};
	uint8_t frame[ETH_HLEN + PACKET_MAX] = {[12] = ETH_P_IP >> 8, [13] = ETH_P_IP & 0xff};
	bool local_out = p->hook == NF_INET_LOCAL_OUT;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &state, .ctx_size_in = sizeof(state),
		    .data_in = frame, .data_size_in = p->len + ETH_HLEN);

	/* A packet that is sent has no link header yet. */
	memcpy(frame + ETH_HLEN, p->data, p->len);
	if (local_out) {
		opts.data_in = p->data;
		opts.data_size_in = p->len;
	}
	return bpf_prog_test_run_opts(prog, &opts) ? -errno : (int)opts.retval;
}

static int run_marked(const struct run *r, const struct bf_loaded *loaded, const struct packet *p,
		      uint32_t *mark)
{
	if (loaded->attach == BF_ATTACH_MODULE)
		return teller_run(&r->teller, loaded->prog, loaded->want, p, mark, 1, NULL);
	*mark = p->mark;
	return run_program(loaded->prog, p);
}

int run_packet(const struct run *r, const struct bf_loaded *loaded, const struct packet *p)
{
	uint32_t mark;

	return run_marked(r, loaded, p, &mark);
}

/* return !!state->in, or !!state->out: written by hand, for it is what the key is compared with. */
static int has_device(const struct bf_kernel *k, uint32_t offset, const struct packet *p)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_LDX | BPF_DW | BPF_MEM,
		 .dst_reg = 2,
		 .src_reg = 1,
		 .off = k->nf_ctx_state},
		{.code = BPF_LDX | BPF_DW | BPF_MEM, .dst_reg = 2, .src_reg = 2, .off = offset},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
		{.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 2, .imm = 0, .off = 1},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = ATTACH_NETFILTER);
	int ret, prog = bpf_prog_load((enum bpf_prog_type)PROG_TYPE_NETFILTER, "device", "GPL",
				      insns, ARRAY_SIZE(insns), &opts);

	if (prog < 0)
		return -errno;
	ret = run_program(prog, p);
	close(prog);
	return ret;
}

int run_interfaces(struct sandbox *s, struct packet *p)
{
	struct packet probe = {.hook = p->hook, .len = 20, .data = {0x45}};
	struct bf_kernel k;
	int in, out;

	bf_env_kernel(s->env, &k);
	if (!k.has_links) {
		strcpy(p->in, p->hook == NF_INET_LOCAL_OUT ? "" : "lo");
		strcpy(p->out, p->hook == NF_INET_LOCAL_IN ? "" : "lo");
		return 0;
	}
	in = has_device(&k, k.state_in, &probe);
	out = has_device(&k, k.state_out, &probe);
	if (in < 0 || out < 0)
		return in < 0 ? in : out;
	memset(p->in, 0, sizeof(p->in));
	memset(p->out, 0, sizeof(p->out));
	strcpy(p->in, in ? "lo" : "");
	strcpy(p->out, out ? "lo" : "");
	return 0;
}

/* The kernel's tcp_find_option() and what leads to it. */
static int has_tcp_option(const struct packet *p, uint8_t option)
{
	uint32_t at = (p->data[0] & 15) * 4, doff, i;
	const uint8_t *op;

	if (at + 20 > p->len)
		return BF_HOTDROP;
	doff = (p->data[at + 12] >> 4) * 4;
	if (doff < 20 || at + doff > p->len)
		return BF_HOTDROP;
	op = p->data + at + 20;
	for (i = 0; i < doff - 20;) {
		if (op[i] == option)
			return 1;
		i += op[i] < 2 || i + 1 == doff - 20 ? 1 : op[i + 1] ?: 1;
	}
	return 0;
}

static int decide(void *arg, const struct bf_cond *cond)
{
	if (!strcmp(cond->type->name, "tcp option"))
		return has_tcp_option(arg, cond->state[0]);
	return 1; /* limits of the random tables are never reached */
}

/* What walk() says of the packet, its mark, and its counters. */
static int expected(const struct bf_table *t, const struct packet *p, uint32_t *mark,
		    struct xt_counters *counters)
{
	uint32_t key[BF_NR_FIELDS];
	int verdict;

	memset(counters, 0, t->num_entries * sizeof(*counters));
	packet_key(p, key);
	verdict = walk(t, p->hook, key, decide, (void *)p, counters);
	/* Or it gets it behind the program. */
	*mark = t->connection_marks ? p->mark : key[BF_MARK];
	return verdict;
}

/* Runs the packet; @counters receives what it added to each. */
static int observed(const struct run *r, struct bf_loaded *l, const struct packet *p,
		    uint32_t *mark, struct xt_counters *counters)
{
	uint32_t i, n = l->table->num_entries;
	struct xt_counters before[n];
	int verdict;

	bf_loaded_counters(l, before);
	verdict = run_marked(r, l, p, mark);
	bf_loaded_counters(l, counters);
	for (i = 0; i < n; i++) {
		counters[i].pcnt -= before[i].pcnt;
		counters[i].bcnt -= before[i].bcnt;
	}
	return verdict;
}

static void show_packet(const struct packet *p)
{
	uint32_t i;

	printf("# hook %u, in \"%s\", out \"%s\", %u bytes:", p->hook, p->in, p->out, p->len);
	for (i = 0; i < p->len; i++)
		printf(" %02x", p->data[i]);
	printf("\n");
}

/* Does this program do to the packet what it should? Says what it did if not. */
static bool agrees(const struct run *r, struct bf_loaded *l, const struct packet *p)
{
	uint32_t i, n = l->table->num_entries, mark, should_mark;
	struct xt_counters want[n], got[n];
	int verdict = observed(r, l, p, &mark, got);
	int should = expected(l->table, p, &should_mark, want);

	if (verdict == should && mark == should_mark && !memcmp(want, got, sizeof(want)))
		return true;
	show_packet(p);
	printf("# %s, %s: verdict %d, should be %d; mark 0x%x, should be 0x%x\n",
	       bf_attach_name(l->attach), bf_form_name(l->form), verdict, should, mark,
	       should_mark);
	for (i = 0; i < n; i++)
		if (memcmp(&want[i], &got[i], sizeof(*want)))
			printf("# entry %u: [%llu:%llu], should be [%llu:%llu]\n", i, got[i].pcnt,
			       got[i].bcnt, want[i].pcnt, want[i].bcnt);
	return false;
}

bool run_without_links(void)
{
	const char *attach = getenv("TEST_ATTACH");

	return attach && !strcmp(attach, "module");
}

int run_begin(struct run *r)
{
	struct bf_kernel kernel;
	unsigned int hook;
	int err;

	memset(r, 0, sizeof(*r));
	err = sandbox_enter(&r->s);
	if (err)
		return err;
	bf_env_kernel(r->s.env, &kernel);
	r->module_only = !kernel.has_links || run_without_links();
	err = teller_open(&r->teller) ? -1 : 0;
	for (hook = NF_INET_LOCAL_IN; !err && hook <= NF_INET_LOCAL_OUT; hook++) {
		r->with[hook].hook = hook;
		err = run_interfaces(&r->s, &r->with[hook]) ? -1 : 0;
	}
	return err;
}

void run_unload(struct run *r)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(r->loaded); i++) {
		bf_loaded_free(r->loaded[i]);
		r->loaded[i] = NULL;
	}
	blob_free(&r->b);
}

void run_end(struct run *r)
{
	run_unload(r);
	teller_close(&r->teller);
	sandbox_leave(&r->s);
}

static uint32_t max_cost(struct blob *b)
{
	struct bf_table *table = blob_table(b);
	struct bf_rules rules = {};
	uint32_t cost = 0;

	if (table && !bf_rules_make(&rules, table, BF_ATTACH_LINK, NULL, NULL) &&
	    !bf_rules_measure(&rules, NULL))
		cost = rules.max_cost;
	bf_rules_free(&rules);
	bf_table_free(table);
	return cost;
}

static int load_one(struct run *r, unsigned int i, struct bf_why *why)
{
	static const struct {
		enum bf_attach attach;
		enum bf_form form;
	} programs[RUN_PROGRAMS] = {
		[RUN_STRAIGHT] = {BF_ATTACH_LINK, BF_FORM_STRAIGHT},
		[RUN_RECORDS] = {BF_ATTACH_LINK, BF_FORM_RECORDS},
		[RUN_MODULE_STRAIGHT] = {BF_ATTACH_MODULE, BF_FORM_STRAIGHT},
		[RUN_MODULE_RECORDS] = {BF_ATTACH_MODULE, BF_FORM_RECORDS},
	};

	if (i == RUN_PAGED)
		return load_paged(&r->s, &r->b, &r->loaded[i], why);
	return run_load(&r->s, &r->b, programs[i].attach, programs[i].form, &r->loaded[i], why);
}

bool run_load_forms(struct run *r)
{
	bool small = max_cost(&r->b) <= STRAIGHT_COST;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(r->loaded); i++) {
		struct bf_why why = {};
		int err;

		if ((i == RUN_STRAIGHT || i == RUN_MODULE_STRAIGHT) && !small)
			continue;
		if (i == RUN_PAGED && r->not_paged)
			continue;
		if (i < RUN_MODULE_STRAIGHT && r->module_only)
			continue;
		err = load_one(r, i, &why);
		if (err) {
			printf("# program %u: %d %s\n", i, err, why.text);
			return false;
		}
	}
	return true;
}

bool run_agrees(struct run *r, struct packet *p)
{
	unsigned int i;
	bool ok = true;

	memcpy(p->in, r->with[p->hook].in, IFNAMSIZ);
	memcpy(p->out, r->with[p->hook].out, IFNAMSIZ);
	for (i = 0; i < ARRAY_SIZE(r->loaded); i++)
		if (r->loaded[i] && !agrees(r, r->loaded[i], p))
			ok = false;
	return ok;
}
