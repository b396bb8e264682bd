/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the compiler must know of the kernel it compiles for: type offsets and ids from BTF.
 * Filled in by umh/btf.c; a test can fill it in by hand.
 */
#ifndef BPFILTER_KERNEL_H
#define BPFILTER_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Which hooks a program is for. The first two see the same packets, and decide the same; those at
 * interfaces see them before (or behind) the stack does: docs/placements.md.
 */
enum bf_attach {
	BF_ATTACH_LINK,	  /* BPF netfilter links: BPF_PROG_TYPE_NETFILTER */
	BF_ATTACH_MODULE, /* those of the kernel module (uapi/bpfilter.h): BPF_PROG_TYPE_SCHED_CLS */
	BF_ATTACH_TC,	  /* both ends of interfaces: BPF_PROG_TYPE_SCHED_CLS */
	BF_ATTACH_XDP,	  /* what interfaces receive, as frames: BPF_PROG_TYPE_XDP */
};

/* The matches in which kernels differ: what they do is tried (umh/trial.h). */
enum bf_trial { BF_TRY_TCPMSS, BF_TRY_ECN, BF_NR_TRIALS };

/*
 * What such a match makes of later fragments, whatever is asked for. No version tells: the change is a fix that is
 * taken over into older kernels as well.
 */
enum bf_fragments {
	BF_FRAGMENTS_UNKNOWN,
	BF_FRAGMENTS_READ,    /* it takes their data for a header */
	BF_FRAGMENTS_SKIPPED, /* it does not match them, inverted or not */
};

/**
 * struct bf_replying - how a namespace replies: of net.ipv4
 * @ttl: ip_default_ttl
 * @interval_ms: icmp_ratelimit, 0: no limit
 * @per_second, @burst: icmp_msgs_per_sec, icmp_msgs_burst; 0 per second: no limit
 */
struct bf_replying {
	uint8_t ttl;
	uint32_t interval_ms;
	uint32_t per_second, burst;
};

/* Linux's defaults. */
#define BF_REPLYING_DEFAULT                                                                        \
	{                                                                                          \
		.ttl = 64, .interval_ms = 1000, .per_second = 1000, .burst = 50                    \
	}

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
	uint32_t skb_tc_index; /* 0: it has none */

	bool has_conntrack;
	uint32_t ct_status, ct_timeout;
	uint32_t ct_tuple[2]; /* nf_conn.tuplehash[dir].tuple */
	uint32_t tuple_src, tuple_sport, tuple_dst, tuple_dport, tuple_protonum;
	bool has_ct_mark; /* CONFIG_NF_CONNTRACK_MARK */
	uint32_t ct_mark;

	/* What BF_HEADER, BF_TOTLEN and BF_MAC are read from. */
	bool has_header;
	uint32_t skb_pkt_type; /* of its byte, in which it is the lowest or highest 3 bits */
	uint32_t skb_end, skb_dev, skb_mac_header, skb_data;
	uint32_t dev_type;
	uint32_t shinfo_gso_size, shinfo_gso_type;

	/* What BF_OWNER, BF_UID and BF_GID are read from. */
	bool has_owner;
	uint32_t skb_sk, sk_state, sk_listener, sk_net, sk_socket;
	uint32_t socket_file, file_cred, cred_fsuid, cred_fsgid;

	/*
	 * What hangs on a packet (struct skb_ext): where it is, and number of each in skb_ext.offset.
	 * These, and what follows up to xs_saddr, programs for the module's hooks need as well.
	 */
	uint32_t skb_active_extensions, skb_extensions, ext_offset;

	/*
	 * There are no links, and a module that can be asked: what the programs at its hooks cannot read there (physdev, policy,
	 * devgroup) is a question. See question.h.
	 */
	bool asks_instead;

	/* For physdev. br_netfilter is there, and described; physindev was a pointer before 6.8. */
	bool has_bridge, has_br_netfilter;
	bool bridge_in_is_index;
	uint32_t ext_bridge, bridge_in, bridge_out;
	uint32_t dev_net, dev_index_hlist, net_dev_index_head;

	/* For devgroup. */
	bool has_devgroup;
	uint32_t dev_group;

	/* For policy: sec_path, dst_entry, xfrm_dst, xfrm_state. */
	bool has_xfrm;
	uint32_t ext_sec_path, sp_len, sp_xvec;
	uint32_t sp_len_size; /* 1 or 4 bytes */
	uint32_t skb_refdst, dst_xfrm, xdst_child;
	uint32_t xs_daddr, xs_spi, xs_proto, xs_reqid, xs_mode, xs_saddr;

	/*
	 * For programs at interfaces that look at conntrack: its functions' BTF ids, and the id of the
	 * BTF object that these are in, 0 for vmlinux. Beyond these, skb_nfct and ct_status are needed.
	 */
	bool has_ct_lookup;
	int32_t kfunc_skb_ct_lookup, kfunc_xdp_ct_lookup, kfunc_ct_release;
	uint32_t ct_btf_id;
	uint64_t ct_module;    /* the one, if it is one, that this is known of; 0: none */
	uint32_t ct_tcp_state; /* uint8_t: enum tcp_conntrack */

	/*
	 * What programs at interfaces read of the interface that a packet came or goes by, and of its
	 * namespace; where they cannot, they ask maps and helpers. Beyond these, what links need, skb_head,
	 * skb_network_header, skb_data, skb_dev, dev_name, dev_net, dev_ip_ptr, in_device_cnf and
	 * devconf_data.
	 */
	bool has_dev;
	uint32_t xdp_rxq, rxq_dev; /* xdp_buff, xdp_rxq_info */
	uint32_t dev_addr;
	uint32_t net_rt_genid;	   /* what routes are has changed if this has */
	uint32_t net_custom_rules; /* bool, only with fib_multiple_tables: of policy routing */

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
	uint32_t in_device_addrs; /* in_device.ifa_list */
	bool fib_multipath;	  /* CONFIG_IP_ROUTE_MULTIPATH */

	struct bf_replying replying; /* for programs at interfaces with REJECT */

	/*
	 * What the early-drop stage (early.h) makes sure of for each packet that it drops: that nothing is between
	 * the driver and INPUT. Beyond these, what has_dev and has_fib are about is needed.
	 */
	bool has_path;
	uint32_t net_cookie, net_hooks; /* net.nf.hooks_ipv4 */
	uint32_t hooks_nr,
		hooks_list;	/* nf_hook_entries; each is two pointers: function, private */
	uint32_t table_private; /* xt_table */
	uint32_t info_hook_entry, info_underflow, info_entries;
	uint32_t prog_aux, aux_id; /* bpf_prog, bpf_prog_aux */
	uint32_t dev_features, dev_rx_handler, dev_nf_ingress, dev_priv_flags;
	uint32_t dev_tc_ingress, dev_dsa; /* 0: there is none */
	bool path_with_modules;		  /* it was looked for when x_tables was there */
	uint32_t dev_link_ops, link_ops_kind;
	uint32_t net_fib_main, net_custom_local;
	uint32_t net_hash_mix;
	uint32_t net_addresses;		 /* net.ipv4.inet_addr_lst; 0: one for all namespaces */
	bool addresses_known;		 /* they are where they are looked for (umh/addresses.h) */
	uint64_t all_addresses;		 /* then: its address, or 0, as of the functions below */
	uint32_t ifa_node, ifa_local;	 /* in_ifaddr.addr_lst, or .hash; .ifa_local */
	uint32_t ifa_dev, in_device_dev; /* in_ifaddr, in_device: for all_addresses */
	/* What is forwarded: the route's and the next hop's own, net.ipv4.*, net.xfrm.* (0: there is no IPsec). */
	bool has_forward;
	uint32_t fib_metrics, metrics_list; /* fib_info, dst_metrics.metrics */
	uint32_t nhc_lwtstate, nhc_exceptions;
	uint32_t dev_mtu;
	uint32_t net_use_pmtu;
	uint32_t net_xfrm_count, net_xfrm_default;
	uint32_t net_tclassid;	     /* 0: there is none */
	uint32_t veth_skb, skb_vlan; /* veth_xdp_buff.skb, 0 if not known; sk_buff.vlan_all */
	uint64_t features_vlan;	     /* tags are taken off by the card */
	uint64_t features_merge;     /* datagrams, or what is forwarded, is merged by GRO */
	uint64_t feature_gro;
	uint32_t flags_vrf;
	/* Of the count of sockets for which datagrams may be merged, udp_encap_needed_key; 0: not known. */
	uint64_t udp_merging;
	bool has_key;
	uint32_t key_enabled; /* static_key */
	/* Addresses of functions; 0: not known, or not there. The first is needed. */
	uint64_t fn_link, fn_ipt, fn_mangle, fn_defrag, fn_bridge, fn_conntrack, fn_nat;

	/*
	 * What it must know of conntrack beyond has_ct_lookup, where connections are tracked: has_tracked are the
	 * types, which umh/ct_pernet.h makes a way to the namespace's own of (has_ct_pernet).
	 */
	bool has_tracked, has_nat;
	uint32_t net_gen, gen_len, gen_ptr;	       /* net.gen, net_generic.s.len, .ptr */
	uint32_t cnet_count, cnet_expect, cnet_sysctl; /* nf_conntrack_net */
	uint32_t header_table, ctl_name, ctl_data,
		ctl_size;		     /* ctl_table_header, ctl_table, its size */
	uint32_t net_ct_checksum;	     /* u8 net.ct.sysctl_checksum */
	uint32_t nat_entries;		     /* nf_nat_lookup_hook_priv, with has_nat */
	uint32_t skb_summed, skb_summed_bit; /* sk_buff.ip_summed: byte, bit in it */
	bool has_ct_pernet;
	uint32_t ct_net; /* of the pointer to the nf_conntrack_net, in net_generic */
	uint32_t ct_at_max,
		ct_at_count; /* of what ctl_table.data is of these two, from the table's begin */

	enum bf_fragments tried[BF_NR_TRIALS]; /* those of bf_table.tries alone are needed */

	bool other_users;   /* the network namespace is another user namespace's than the first */
	bool has_may_goto;  /* its programs may loop without a call */
	uint32_t max_value; /* bytes that one element of an array may have; 0: no limit is known */
	unsigned int hz;    /* CONFIG_HZ */
	unsigned int cpus;  /* possible CPUs */
};

#endif /* BPFILTER_KERNEL_H */
