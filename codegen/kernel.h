/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the compiler must know of the kernel it compiles for: type offsets and ids from BTF.
 * Filled in by umh/btf.c; a test can fill it in by hand.
 */
#ifndef BPFILTER_KERNEL_H
#define BPFILTER_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

/* Which hooks a program is for. Both see the same packets, and decide the same. */
enum bf_attach {
	BF_ATTACH_LINK,	  /* BPF netfilter links: BPF_PROG_TYPE_NETFILTER */
	BF_ATTACH_MODULE, /* those of the kernel module (uapi/bpfilter.h): BPF_PROG_TYPE_SCHED_CLS */
};

/* Offsets are in bytes; of nf_conn they may come from a module's BTF. */
struct bf_kernel {
	/*
	 * It has BPF netfilter links, and the functions that their programs need. What follows
	 * up to hz is for those alone: programs for the module's hooks do without.
	 */
	bool has_links;

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
	uint32_t ct_tuple[2]; /* nf_conn.tuplehash[dir].tuple */
	uint32_t tuple_src, tuple_sport, tuple_dst, tuple_dport, tuple_protonum;

	/*
	 * The FIB, for addrtype (net/ipv4/fib_trie.c). Each is the member that it is named after,
	 * or the one beside it.
	 */
	bool has_fib;
	bool fib_multiple_tables;		      /* CONFIG_IP_MULTIPLE_TABLES */
	uint32_t net_fib_table_hash, net_devconf_all; /* struct net, through its ipv4 */
	uint32_t tb_hlist, tb_id, tb_data;	      /* fib_table */
	uint32_t trie_kv;
	int32_t kv_parent; /* tnode.parent, seen from tnode.kv: negative */
	uint32_t kv_key, kv_pos, kv_bits, kv_slen, kv_tnode;  /* key_vector; leaf is at tnode */
	uint32_t fa_list, fa_info, fa_dscp, fa_type, fa_slen; /* fib_alias */
	uint32_t fib_flags, fib_dead, fib_nhs;		      /* fib_info */
	uint32_t fib_nexthop, fib_nh;			      /* fib_info.nh, fib_info.fib_nh */
	uint32_t fib_nh_size;				      /* sizeof(struct fib_nh) */
	uint32_t nhc_dev, nhc_flags;			      /* fib_nh_common */
	uint32_t nexthop_is_group, nexthop_info;	      /* nexthop; nh_grp is at nh_info */
	uint32_t nh_info_reject_nh, nh_info_nhc;	      /* nh_info */
	uint32_t nh_group_num_nh, nh_group_entries;	      /* nh_group.num_nh, .nh_entries */
	uint32_t nh_entry_size, nh_entry_nh;		      /* nh_grp_entry */
	uint32_t dev_ip_ptr, in_device_cnf, devconf_data;

	unsigned int hz;   /* CONFIG_HZ */
	unsigned int cpus; /* possible CPUs */
};

#endif /* BPFILTER_KERNEL_H */
