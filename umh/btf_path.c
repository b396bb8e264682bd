// SPDX-License-Identifier: GPL-2.0
/* What the early-drop stage (early.h) must know of the kernel. */
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpfilter.h"
#include "btf_path.h"

/* There if it is a module, and loaded. */
#define TABLES_BTF "/sys/kernel/btf/x_tables"
#define NAT_BTF	   "/sys/kernel/btf/nf_nat"

static const struct bf_btf_wanted path[] = {
	BF_BTF_WANT("net", "net_cookie", net_cookie),
	BF_BTF_WANT("net", "nf.hooks_ipv4", net_hooks),
	BF_BTF_WANT("nf_hook_entries", "num_hook_entries", hooks_nr),
	BF_BTF_WANT("nf_hook_entries", "hooks", hooks_list),
	BF_BTF_WANT("bpf_prog", "aux", prog_aux),
	BF_BTF_WANT("bpf_prog_aux", "id", aux_id),
	BF_BTF_WANT("net_device", "features", dev_features),
	BF_BTF_WANT("net_device", "rx_handler", dev_rx_handler),
	BF_BTF_WANT("net_device", "nf_hooks_ingress", dev_nf_ingress),
	BF_BTF_WANT("net_device", "priv_flags", dev_priv_flags),
	BF_BTF_WANT("net_device", "rtnl_link_ops", dev_link_ops),
	BF_BTF_WANT("rtnl_link_ops", "kind", link_ops_kind),
	BF_BTF_WANT("net", "ipv4.fib_main", net_fib_main),
	BF_BTF_WANT("net", "ipv4.fib_has_custom_local_routes", net_custom_local),
	BF_BTF_WANT("sk_buff", "vlan_all", skb_vlan),
	BF_BTF_WANT("net", "hash_mix", net_hash_mix),
	BF_BTF_WANT("in_ifaddr", "ifa_local", ifa_local),
};

/* The addresses of a namespace, since Linux 6.14; and of all of them, before: a variable that BTF does not tell of. */
static const struct bf_btf_wanted addresses[] = {
	BF_BTF_WANT("net", "ipv4.inet_addr_lst", net_addresses),
	BF_BTF_WANT("in_ifaddr", "addr_lst", ifa_node),
};
static const struct bf_btf_wanted all_addresses[] = {
	BF_BTF_WANT("in_ifaddr", "hash", ifa_node),
	BF_BTF_WANT("in_ifaddr", "ifa_dev", ifa_dev),
	BF_BTF_WANT("in_device", "dev", in_device_dev),
};

/* Those of ip_tables may be a module's. */
static const struct bf_btf_wanted tables[] = {
	BF_BTF_WANT("xt_table", "private", table_private),
	BF_BTF_WANT("xt_table_info", "hook_entry", info_hook_entry),
	BF_BTF_WANT("xt_table_info", "underflow", info_underflow),
	BF_BTF_WANT("xt_table_info", "entries", info_entries),
};

static const struct bf_btf_wanted tracked[] = {
	BF_BTF_WANT("net", "gen", net_gen),
	BF_BTF_WANT("net_generic", "s.len", gen_len),
	BF_BTF_WANT("net_generic", "ptr", gen_ptr),
	BF_BTF_WANT("net", "ct.sysctl_checksum", net_ct_checksum),
	BF_BTF_WANT("ctl_table_header", "ctl_table", header_table),
	BF_BTF_WANT("ctl_table", "procname", ctl_name),
	BF_BTF_WANT("ctl_table", "data", ctl_data),
};

/* A module's, perhaps. */
static const struct bf_btf_wanted pernet[] = {
	BF_BTF_WANT("nf_conntrack_net", "count", cnet_count),
	BF_BTF_WANT("nf_conntrack_net", "expect_count", cnet_expect),
	BF_BTF_WANT("nf_conntrack_net", "sysctl_header", cnet_sysctl),
};

static const struct bf_btf_wanted nat[] = {
	BF_BTF_WANT("nf_nat_lookup_hook_priv", "entries", nat_entries)};

/* The number of a feature's bit: they are in an enum without a name. */
static bool find_feature(const struct btf *btf, const char *name, uint64_t *mask)
{
	uint32_t n = btf__type_cnt(btf), id, i;

	for (id = 1; id < n; id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);

		if (!btf_is_enum(t) || t->name_off || btf_vlen(t) < 32)
			continue;
		for (i = 0; i < btf_vlen(t); i++) {
			const struct btf_enum *e = btf_enum(t) + i;

			if (strcmp(btf__name_by_offset(btf, e->name_off), name) || e->val > 63)
				continue;
			*mask |= 1ULL << e->val;
			return true;
		}
	}
	return false;
}

static bool find_features(const struct btf *btf, struct bf_kernel *kernel)
{
	return find_feature(btf, "NETIF_F_HW_VLAN_CTAG_RX_BIT", &kernel->features_vlan) &&
	       find_feature(btf, "NETIF_F_HW_VLAN_STAG_RX_BIT", &kernel->features_vlan) &&
	       find_feature(btf, "NETIF_F_GRO_FRAGLIST_BIT", &kernel->features_merge) &&
	       find_feature(btf, "NETIF_F_GRO_UDP_FWD_BIT", &kernel->features_merge) &&
	       find_feature(btf, "NETIF_F_GRO_BIT", &kernel->feature_gro);
}

static bool find_vrf(const struct btf *btf, struct bf_kernel *kernel)
{
	static const char *const names[] = {"IFF_L3MDEV_MASTER", "IFF_L3MDEV_SLAVE",
					    "IFF_L3MDEV_RX_HANDLER"};
	uint32_t value;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (!bf_btf_value(btf, "netdev_priv_flags", names[i], &value))
			return false;
		kernel->flags_vrf |= value;
	}
	return true;
}

static const struct bf_btf_wanted forwarding[] = {
	BF_BTF_WANT("fib_info", "fib_metrics", fib_metrics),
	BF_BTF_WANT("dst_metrics", "metrics", metrics_list),
	BF_BTF_WANT("fib_nh_common", "nhc_lwtstate", nhc_lwtstate),
	BF_BTF_WANT("fib_nh_common", "nhc_exceptions", nhc_exceptions),
	BF_BTF_WANT("net_device", "mtu", dev_mtu),
	BF_BTF_WANT("net", "ipv4.sysctl_ip_fwd_use_pmtu", net_use_pmtu),
};

/* With CONFIG_XFRM there are all of these. */
static void find_forwarding(const struct btf *btf, struct bf_kernel *kernel)
{
	static const struct bf_btf_wanted any[] = {BF_BTF_WANT("net", "xfrm", net_xfrm_count)};
	static const struct bf_btf_wanted counts[] = {
		BF_BTF_WANT("net", "xfrm.policy_count", net_xfrm_count)};
	static const struct bf_btf_wanted defaults[] = {
		BF_BTF_WANT("net", "xfrm.policy_default", net_xfrm_default)};

	kernel->has_forward = !bf_btf_find(btf, kernel, forwarding, ARRAY_SIZE(forwarding), NULL);
	if (bf_btf_find(btf, kernel, any, 1, NULL))
		kernel->net_xfrm_count = 0;
	else if (bf_btf_find(btf, kernel, counts, 1, NULL) ||
		 bf_btf_find(btf, kernel, defaults, 1, NULL))
		kernel->has_forward = false;
}

static bool find_addresses(const struct btf *btf, struct bf_kernel *kernel)
{
	if (!bf_btf_find(btf, kernel, addresses, ARRAY_SIZE(addresses), NULL))
		return true;
	kernel->net_addresses = 0;
	return !bf_btf_find(btf, kernel, all_addresses, ARRAY_SIZE(all_addresses), NULL);
}

/* In the kernel, or in a module, which then is loaded. */
static bool find_in_module(struct btf *vmlinux, const char *module, struct bf_kernel *kernel,
			   const struct bf_btf_wanted *w, size_t n)
{
	struct btf *btf;
	bool found;

	if (!bf_btf_find(vmlinux, kernel, w, n, NULL))
		return true;
	btf = btf__load_module_btf(module, vmlinux);
	found = btf && !bf_btf_find(btf, kernel, w, n, NULL);
	btf__free(btf);
	return found;
}

void bf_btf_read_path(struct btf *btf, struct bf_kernel *kernel)
{
	static const struct bf_btf_wanted veth[] = {BF_BTF_WANT("veth_xdp_buff", "skb", veth_skb)};
	static const struct bf_btf_wanted key[] = {
		BF_BTF_WANT("static_key", "enabled", key_enabled)};
	static const struct bf_btf_wanted tc[] = {
		BF_BTF_WANT("net_device", "tcx_ingress", dev_tc_ingress)};
	static const struct bf_btf_wanted old_tc[] = {
		BF_BTF_WANT("net_device", "miniq_ingress", dev_tc_ingress)};
	static const struct bf_btf_wanted dsa[] = {BF_BTF_WANT("net_device", "dsa_ptr", dev_dsa)};
	static const struct bf_btf_wanted classid[] = {
		BF_BTF_WANT("net", "ipv4.fib_num_tclassid_users", net_tclassid)};

	kernel->features_vlan = kernel->features_merge = kernel->feature_gro = 0;
	kernel->flags_vrf = 0;
	kernel->path_with_modules = !access(TABLES_BTF, F_OK);
	kernel->has_path = !bf_btf_find(btf, kernel, path, ARRAY_SIZE(path), NULL) &&
			   find_addresses(btf, kernel) && find_features(btf, kernel) &&
			   find_vrf(btf, kernel) &&
			   find_in_module(btf, "x_tables", kernel, tables, ARRAY_SIZE(tables));
	if (!kernel->has_path)
		return;
	find_forwarding(btf, kernel);
	kernel->has_key = !bf_btf_find(btf, kernel, key, 1, NULL);
	if (!find_in_module(btf, "veth", kernel, veth, ARRAY_SIZE(veth)))
		kernel->veth_skb = 0;
	if (bf_btf_find(btf, kernel, tc, 1, NULL) && bf_btf_find(btf, kernel, old_tc, 1, NULL))
		kernel->dev_tc_ingress = 0;
	if (bf_btf_find(btf, kernel, dsa, 1, NULL))
		kernel->dev_dsa = 0;
	if (bf_btf_find(btf, kernel, classid, 1, NULL))
		kernel->net_tclassid = 0;
}

void bf_btf_read_tracked(struct btf *btf, struct bf_kernel *kernel)
{
	uint32_t bit;

	kernel->has_tracked =
		!bf_btf_find(btf, kernel, tracked, ARRAY_SIZE(tracked), NULL) &&
		!bf_btf_size(btf, "ctl_table", &kernel->ctl_size) &&
		bf_btf_bit(btf, "sk_buff", "ip_summed", &bit) &&
		find_in_module(btf, "nf_conntrack", kernel, pernet, ARRAY_SIZE(pernet));
	if (!kernel->has_tracked)
		return;
	kernel->skb_summed = bit / 8;
	kernel->skb_summed_bit = bit % 8;
	kernel->has_nat = find_in_module(btf, "nf_nat", kernel, nat, ARRAY_SIZE(nat));
}

void bf_btf_read_path_again(struct bf_kernel *kernel)
{
	bool xtables = !kernel->has_path && !kernel->path_with_modules && !access(TABLES_BTF, F_OK);
	bool nats = kernel->has_tracked && !kernel->has_nat && !access(NAT_BTF, F_OK);
	struct btf *btf = xtables || nats ? btf__load_vmlinux_btf() : NULL;

	if (btf && xtables)
		bf_btf_read_path(btf, kernel);
	if (btf && nats)
		bf_btf_read_tracked(btf, kernel);
	btf__free(btf);
}

/* --- symbols ----------------------------------------------------------------------------------- */

static uint64_t sum_modules(void)
{
	FILE *file = fopen("/proc/modules", "re");
	uint64_t sum = 1;
	unsigned long long address = 0;
	char line[512], name[64];

	/* How often one is used, and by which, changes all the time. Where it is tells whether it has been loaded again. */
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63s %*s %*s %*s %*s %llx", name, &address) < 1)
			continue;
		for (const char *c = name; *c; c++)
			sum = sum * 31 + *c;
		sum = sum * 31 + address;
	}
	if (file)
		fclose(file);
	return sum;
}

static void read_symbols(struct bf_symbols *s)
{
	const struct {
		const char *name;
		uint64_t *address;
	} symbols[] = {
		{"nf_hook_run_bpf", &s->link},
		{"ipt_do_table", &s->ipt},
		{"iptable_mangle_hook", &s->mangle},
		{"ipv4_conntrack_defrag", &s->defrag},
		{"ip_sabotage_in", &s->bridge},
		{"ipv4_conntrack_in", &s->conntrack},
		{"nf_nat_ipv4_pre_routing", &s->nat},
		{"inet_addr_lst", &s->all_addresses},
		{"udp_encap_needed_key", &s->udp_merging},
	};
	FILE *file = fopen("/proc/kallsyms", "re");
	unsigned long long address;
	char line[512], name[256];
	unsigned int i;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llx %*c %255s", &address, name) != 2)
			continue;
		for (i = 0; i < ARRAY_SIZE(symbols); i++)
			if (!strcmp(name, symbols[i].name))
				*symbols[i].address = address;
	}
	if (file)
		fclose(file);
}

bool bf_symbols_changed(const struct bf_symbols *s)
{
	return s->read && s->modules != sum_modules();
}

void bf_symbols_look(struct bf_symbols *s, struct bf_kernel *kernel)
{
	uint64_t modules = sum_modules();

	if (!s->read || s->modules != modules) {
		*s = (struct bf_symbols){.read = true, .modules = modules};
		read_symbols(s);
	}
	kernel->fn_link = s->link;
	kernel->fn_ipt = s->ipt;
	kernel->fn_mangle = s->mangle;
	kernel->fn_defrag = s->defrag;
	kernel->fn_bridge = s->bridge;
	kernel->fn_conntrack = s->conntrack;
	kernel->fn_nat = s->nat;
	kernel->all_addresses = s->all_addresses;
	kernel->udp_merging =
		s->udp_merging && kernel->has_key ? s->udp_merging + kernel->key_enabled : 0;
}
