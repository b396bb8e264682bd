/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the compiler must know of the kernel it compiles for: type offsets and ids from BTF.
 * Filled in by umh/btf.c; a test can fill it in by hand.
 */
#ifndef BPFILTER_KERNEL_H
#define BPFILTER_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

/* Offsets are in bytes; of nf_conn they may come from a module's BTF. */
struct bf_kernel {
	/* BTF ids in vmlinux */
	int32_t id_sk_buff;
	int32_t kfunc_rdonly_cast;
	int32_t kfunc_dynptr_from_skb;
	int32_t kfunc_dynptr_slice;

	uint32_t nf_ctx_state, nf_ctx_skb;
	uint32_t state_hook, state_in, state_out, state_net;
	uint32_t skb_len, skb_data_len, skb_mark, skb_nfct, skb_head, skb_network_header, skb_cb;
	uint32_t dev_name, dev_ifindex;

	bool has_conntrack;
	uint32_t ct_status, ct_timeout;
	uint32_t ct_tuple[2];		/* nf_conn.tuplehash[dir].tuple */
	uint32_t tuple_src, tuple_sport, tuple_dst, tuple_dport, tuple_protonum;

	/* The FIB, for addrtype: net/ipv4/fib_trie.c */
	bool has_fib;
	bool fib_multiple_tables;	/* CONFIG_IP_MULTIPLE_TABLES */
	uint32_t net_fib_main;		/* net.ipv4.fib_table_hash */
	uint32_t fib_table_id, fib_table_data, fib_table_hlist;
	uint32_t trie_kv;
	uint32_t kv_key, kv_pos, kv_bits, kv_slen, kv_leaf, kv_tnode;
	uint32_t fa_list, fa_info, fa_dscp, fa_type, fa_state, fa_slen;
	uint32_t fi_dead, fi_scope, fi_flags, fi_nhs, fi_nh, fi_nh_list;
	uint32_t nh_size, nh_dev, nh_flags, nh_scope;

	unsigned int hz;		/* CONFIG_HZ */
	unsigned int cpus;		/* possible CPUs */
};

#endif /* BPFILTER_KERNEL_H */
