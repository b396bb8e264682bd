// SPDX-License-Identifier: GPL-2.0
/*
 * Who gets a packet at an interface: INPUT or FORWARD, and the interface that it leaves by.
 *
 * bpf_fib_lookup() knows, but takes a tenth of a microsecond, and more than the search in most tables. So what it says
 * of an address is remembered (struct bf_routes), for as long as it is certain to say the same:
 *
 *	- Whether the interface forwards is looked at each time.
 *	- The kernel counts changes of routes, addresses, rules, next hops and links in net->ipv4.rt_genid, after each, for
 *	  the routes that its own sockets remember. Read before the lookup, it is part of the entry: what was remembered
 *	  before a change is never found behind it.
 *	- It does not count everything: not ignore_routes_with_linkdown being switched where a link is down, the next hop of
 *	  a group becoming a blackhole or ceasing to be one, nor at times a route that goes before anybody has used it. So
 *	  entries end after two seconds at most.
 *	- Whatever is remembered, the rules of one of the two are asked. That the stack will discard a packet, which then
 *	  passes, is not.
 *	- With policy routing, and for packets with a TOS, more than the address matters: the FIB is asked.
 *	- So it is about what is forwarded if the table looks at the interface that it leaves by: with several next hops
 *	  that depends on more.
 *	- An interface may be in another namespace by now, where our program is at it for another moment: of that nothing is
 *	  remembered.
 *
 * An entry is one word, read and written as a whole:
 *
 *	63..32	rt_genid
 *	31..16	the address; its other bits are told by which entry this is
 *	15..2	the time, in units of one to two seconds
 *	1..0	what becomes of packets: enum route; 0: nothing is known
 */
#include <linux/if_packet.h>
#include <linux/netfilter.h>

#include "key_packet.h"

enum route { ROUTE_NONE, ROUTE_INPUT, ROUTE_FORWARD };

#define TIME_BITS (BF_ROUTE_BITS - 2)

/* How the FIB is used; labels: where each of its answers leads to. */
struct ways {
	int input, forwarded, ask;
};

static void store(struct bf_asm *a, enum bf_field field, int reg)
{
	bf_stx(a, BPF_W, BPF_REG_6, BF_KEY(field), reg);
}

static void load(struct bf_asm *a, int reg, enum bf_field field)
{
	bf_ldx(a, BPF_W, reg, BPF_REG_6, BF_KEY(field));
}

static bool is_tc(const struct bf_packet_key *k)
{
	return k->a->attach == BF_ATTACH_TC;
}

static bool tells_output(const struct bf_program *p)
{
	return p->fields & BF_NAME_FIELDS(BF_OIF);
}

/* key[BF_HOOK] = hook, without the verifier knowing: LEN ^ LEN is 0. */
static void store_hook(struct bf_asm *a, uint32_t hook)
{
	load(a, BPF_REG_1, BF_LEN);
	load(a, BPF_REG_2, BF_LEN);
	bf_alu(a, BPF_XOR, BPF_REG_1, BPF_REG_2);
	bf_alui(a, BPF_XOR, BPF_REG_1, hook);
	store(a, BF_HOOK, BPF_REG_1);
}

/* The header's place becomes the question: who gets this packet? r9 = TTL. */
static void ask_fib(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;
	unsigned int off;

	bf_ldx(a, BPF_B, BPF_REG_9, BPF_REG_6, BF_FRAME_HEADER + 8);
	bf_ldx(a, BPF_B, BPF_REG_4, BPF_REG_6, BF_FRAME_HEADER + 1);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_HEADER + 12);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, BF_FRAME_HEADER + 16);
	load(a, BPF_REG_5, BF_PROTO);
	for (off = 0; off < sizeof(struct bpf_fib_lookup); off += 8)
		bf_sti(a, BPF_DW, BPF_REG_6, BF_FRAME_FIB + off, 0);
	bf_sti(a, BPF_B, BPF_REG_6, BF_FRAME_FIB + offsetof(struct bpf_fib_lookup, family), 2);
	bf_stx(a, BPF_B, BPF_REG_6, BF_FRAME_FIB + offsetof(struct bpf_fib_lookup, l4_protocol),
	       BPF_REG_5);
	bf_stx(a, BPF_B, BPF_REG_6, BF_FRAME_FIB + offsetof(struct bpf_fib_lookup, tos), BPF_REG_4);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_FIB + offsetof(struct bpf_fib_lookup, ipv4_src),
	       BPF_REG_1);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_FIB + offsetof(struct bpf_fib_lookup, ipv4_dst),
	       BPF_REG_2);
	bf_emit_own_index(k);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_FIB + offsetof(struct bpf_fib_lookup, ifindex),
	       BPF_REG_1);
	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_mov(a, BPF_REG_2, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_2, BF_FRAME_FIB);
	bf_movi(a, BPF_REG_3, sizeof(struct bpf_fib_lookup));
	bf_movi(a, BPF_REG_4, 0);
	bf_helper(a, BPF_FUNC_fib_lookup);
}

/*
 * The packet is forwarded, r9 is its TTL; if the table looks at where to, r0 says how:
 *
 *	if (fib == UNSUPP_LWT)
 *		out = 0;		// it has no such index
 *	if (ttl <= 1 || group)
 *		pass;			// ip_forward() discards it
 */
static void forward(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;
	int known = bf_asm_label(a);

	if (tells_output(k->p)) {
		bf_ldx(a, BPF_W, BPF_REG_8, BPF_REG_6,
		       BF_FRAME_FIB + offsetof(struct bpf_fib_lookup, ifindex));
		bf_jifi(a, BPF_JNE, BPF_REG_0, BPF_FIB_LKUP_RET_UNSUPP_LWT, known);
		bf_alui(a, BPF_AND, BPF_REG_8, 0);
		bf_asm_here(a, known);
	}
	bf_jifi(a, BPF_JLE, BPF_REG_9, 1, k->pass);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_GROUP);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, k->pass);
	if (tells_output(k->p)) {
		bf_mov(a, BPF_REG_1, BPF_REG_8);
		bf_emit_find_dev(k);
		bf_emit_dev_name(k, BF_OIF);
	}
	store_hook(a, NF_INET_FORWARD);
}

/*
 * To @input with what the machine has sent to itself: it comes with its route, which nobody asks for again.
 * On the loopback that is all, elsewhere copies of multicasts and broadcasts.
 */
static void sent_to_self(struct bf_packet_key *k, int input)
{
	struct bf_asm *a = k->a;

	bf_emit_own_index(k);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_LOOPBACK, input);
	if (!is_tc(k))
		return;
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_GROUP);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, PACKET_LOOPBACK, input);
}

/* To @input if the interface is not to forward; r9 = address of its struct net. */
static void check_forwarding(struct bf_packet_key *k, int input)
{
	struct bf_asm *a = k->a;
	const struct bf_kernel *kernel = a->kernel;

	bf_emit_dev(k);
	bf_mov(a, BPF_REG_8, BPF_REG_1);
	bf_raw(a, BPF_REG_8, kernel->dev_net);
	bf_raw_ldx(a, BPF_DW, BPF_REG_9, 0);
	bf_raw(a, BPF_REG_8, kernel->dev_ip_ptr);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, input);
	/* IPV4_DEVCONF_FORWARDING is 1, the first. */
	bf_raw(a, BPF_REG_1, kernel->in_device_cnf + kernel->devconf_data);
	bf_raw_ldx(a, BPF_W, BPF_REG_1, 0);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, input);
}

/* To @ask unless the cache is of the namespace r9; if it is nobody's, it becomes that. */
static void check_owner(struct bf_packet_key *k, int ask)
{
	struct bf_asm *a = k->a;
	int owner = bf_asm_label(a);

	bf_map_value(a, BPF_REG_2, BF_MAP_ROUTES);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_2, offsetof(struct bf_routes, net));
	bf_jif(a, BPF_JEQ, BPF_REG_1, BPF_REG_9, owner);
	bf_movi(a, BPF_REG_0, 0);
	bf_atomic(a, BPF_DW, BPF_CMPXCHG, BPF_REG_2, offsetof(struct bf_routes, net), BPF_REG_9);
	bf_jmp(a, ask);
	bf_asm_here(a, owner);
}

/* r2 = &routes->entries[hash(DADDR)]. The hash is such that it and the upper bits tell the address. */
static void find_entry(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;

	load(a, BPF_REG_1, BF_DADDR);
	bf_mov(a, BPF_REG_2, BPF_REG_1);
	bf_alui(a, BPF_RSH, BPF_REG_2, BF_ROUTE_BITS);
	bf_alu(a, BPF_XOR, BPF_REG_1, BPF_REG_2);
	bf_alui(a, BPF_RSH, BPF_REG_2, BF_ROUTE_BITS);
	bf_alu(a, BPF_XOR, BPF_REG_1, BPF_REG_2);
	bf_alui(a, BPF_AND, BPF_REG_1, (1 << BF_ROUTE_BITS) - 1);
	bf_alui(a, BPF_LSH, BPF_REG_1, 3);
	bf_map_value(a, BPF_REG_2, BF_MAP_ROUTES);
	bf_alu(a, BPF_ADD, BPF_REG_2, BPF_REG_1);
}

/* The longest time unit that is no longer than two seconds: a shift of jiffies. */
static int time_shift(const struct bf_kernel *kernel)
{
	int shift = 0;

	while (2ULL << shift <= 2ULL * kernel->hz)
		shift++;
	return shift;
}

/*
 * What is remembered of the packet's address, if something is: r9 = TTL then. Else to @ask with r8 = the entry that
 * it may have, without a route, or 0 if none. r9 is the namespace.
 */
static void look_up(struct bf_packet_key *k, const struct ways *to)
{
	struct bf_asm *a = k->a;
	const struct bf_kernel *kernel = a->kernel;

	bf_movi(a, BPF_REG_8, 0);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, BF_FRAME_HEADER + 1);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, to->ask);
	check_owner(k, to->ask);
	if (kernel->fib_multiple_tables) {
		bf_raw(a, BPF_REG_9, kernel->net_custom_rules);
		bf_raw_ldx(a, BPF_B, BPF_REG_1, 0);
		bf_jifi(a, BPF_JNE, BPF_REG_1, 0, to->ask);
	}
	bf_raw(a, BPF_REG_9, kernel->net_rt_genid);
	bf_raw_ldx(a, BPF_W, BPF_REG_8, 0);
	bf_alui(a, BPF_LSH, BPF_REG_8, 32);
	bf_helper(a, BPF_FUNC_jiffies64);
	bf_alui(a, BPF_RSH, BPF_REG_0, time_shift(kernel));
	bf_alui(a, BPF_AND, BPF_REG_0, (1 << TIME_BITS) - 1);
	bf_alui(a, BPF_LSH, BPF_REG_0, 2);
	bf_alu(a, BPF_OR, BPF_REG_8, BPF_REG_0);
	load(a, BPF_REG_1, BF_DADDR);
	bf_alui(a, BPF_RSH, BPF_REG_1, BF_ROUTE_BITS);
	bf_alui(a, BPF_LSH, BPF_REG_1, BF_ROUTE_BITS);
	bf_alu(a, BPF_OR, BPF_REG_8, BPF_REG_1);
	find_entry(k);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_2, offsetof(struct bf_routes, entries));
	bf_alu(a, BPF_XOR, BPF_REG_1, BPF_REG_8);
	bf_ldx(a, BPF_B, BPF_REG_9, BPF_REG_6, BF_FRAME_HEADER + 8);
	if (!tells_output(k->p))
		bf_jifi(a, BPF_JEQ, BPF_REG_1, ROUTE_FORWARD, to->forwarded);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, ROUTE_INPUT, to->input);
}

/* Remember what becomes of packets to that address; r8 as look_up() leaves it. */
static void remember(struct bf_packet_key *k, enum route route)
{
	struct bf_asm *a = k->a;
	int none = bf_asm_label(a);

	if (!a->kernel->has_dev)
		return;
	bf_jifi(a, BPF_JEQ, BPF_REG_8, 0, none);
	find_entry(k);
	bf_alui(a, BPF_OR, BPF_REG_8, route);
	bf_stx(a, BPF_DW, BPF_REG_2, offsetof(struct bf_routes, entries), BPF_REG_8);
	bf_asm_here(a, none);
}

/*
 * By what the FIB says. Where it does not forward, because the interface shall not or because there is no route, the
 * stack receives the packet or discards it: INPUT. Falls through to where it is forwarded.
 */
static void ask(struct bf_packet_key *k, const struct ways *to)
{
	struct bf_asm *a = k->a;
	int input = bf_asm_label(a), forwarded = bf_asm_label(a);

	ask_fib(k);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, BPF_FIB_LKUP_RET_NOT_FWDED, input);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, BPF_FIB_LKUP_RET_FWD_DISABLED, to->input);
	/* Not remembered: no rule would be asked, should the stack forward it a moment later. */
	bf_jifi(a, BPF_JEQ, BPF_REG_0, BPF_FIB_LKUP_RET_BLACKHOLE, k->pass);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, BPF_FIB_LKUP_RET_UNREACHABLE, k->pass);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, BPF_FIB_LKUP_RET_PROHIBIT, k->pass);
	bf_jifi(a, BPF_JGT, BPF_REG_0, BPF_FIB_LKUP_RET_FRAG_NEEDED, k->drop);
	if (!tells_output(k->p))
		remember(k, ROUTE_FORWARD);
	bf_jmp(a, forwarded);
	bf_asm_here(a, input);
	remember(k, ROUTE_INPUT);
	bf_jmp(a, to->input);
	bf_asm_here(a, forwarded);
}

/* Multicasts and broadcasts are INPUT's; for the rest the FIB knows. */
void bf_emit_hook(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;
	int output = bf_asm_label(a), done = bf_asm_label(a);
	struct ways to = {
		.input = bf_asm_label(a), .forwarded = bf_asm_label(a), .ask = bf_asm_label(a)};

	bf_emit_if_egress(k, output);
	/* What XDP has looked up has its name already. */
	if (is_tc(k) || a->kernel->has_dev)
		bf_emit_own_name(k, BF_IIF);
	sent_to_self(k, to.input);
	load(a, BPF_REG_8, BF_DADDR);
	bf_jif32i(a, BPF_JEQ, BPF_REG_8, 0xffffffff, to.input);
	bf_jifi(a, BPF_JEQ, BPF_REG_8, 0, to.input);
	bf_alu32i(a, BPF_RSH, BPF_REG_8, 28);
	bf_jifi(a, BPF_JEQ, BPF_REG_8, 14, to.input);
	if (a->kernel->has_dev)
		check_forwarding(k, to.input);
	if (a->kernel->has_dev)
		look_up(k, &to);
	bf_asm_here(a, to.ask);
	ask(k, &to);
	bf_asm_here(a, to.forwarded);
	forward(k);
	bf_jmp(a, done);

	bf_asm_here(a, to.input);
	store_hook(a, NF_INET_LOCAL_IN);
	bf_jmp(a, done);

	bf_asm_here(a, output);
	if (is_tc(k)) {
		bf_emit_own_name(k, BF_OIF);
		store_hook(a, NF_INET_LOCAL_OUT);
	}
	bf_asm_here(a, done);
}
