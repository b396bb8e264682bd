// SPDX-License-Identifier: GPL-2.0
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "btf.h"
#include "btf_path.h"

static const struct bf_btf_wanted basic[] = {
	BF_BTF_WANT("bpf_nf_ctx", "state", nf_ctx_state),
	BF_BTF_WANT("bpf_nf_ctx", "skb", nf_ctx_skb),
	BF_BTF_WANT("nf_hook_state", "hook", state_hook),
	BF_BTF_WANT("nf_hook_state", "in", state_in),
	BF_BTF_WANT("nf_hook_state", "out", state_out),
	BF_BTF_WANT("nf_hook_state", "net", state_net),
	BF_BTF_WANT("sk_buff", "len", skb_len),
	BF_BTF_WANT("sk_buff", "data_len", skb_data_len),
	BF_BTF_WANT("sk_buff", "mark", skb_mark),
	BF_BTF_WANT("sk_buff", "_nfct", skb_nfct),
	BF_BTF_WANT("sk_buff", "head", skb_head),
	BF_BTF_WANT("sk_buff", "network_header", skb_network_header),
	BF_BTF_WANT("sk_buff", "cb", skb_cb),
	BF_BTF_WANT("net_device", "name", dev_name),
	BF_BTF_WANT("net_device", "ifindex", dev_ifindex),
};

static const struct bf_btf_wanted conntrack[] = {
	BF_BTF_WANT("nf_conn", "status", ct_status),
	BF_BTF_WANT("nf_conn", "timeout", ct_timeout),
	BF_BTF_WANT("nf_conn", "tuplehash", ct_tuple[0]),
	BF_BTF_WANT("nf_conntrack_tuple", "src.u3.ip", tuple_src),
	BF_BTF_WANT("nf_conntrack_tuple", "src.u.all", tuple_sport),
	BF_BTF_WANT("nf_conntrack_tuple", "dst.u3.ip", tuple_dst),
	BF_BTF_WANT("nf_conntrack_tuple", "dst.u.all", tuple_dport),
	BF_BTF_WANT("nf_conntrack_tuple", "dst.protonum", tuple_protonum),
};

static const struct bf_btf_wanted header[] = {
	BF_BTF_WANT("sk_buff", "pkt_type", skb_pkt_type),
	BF_BTF_WANT("sk_buff", "end", skb_end),
	BF_BTF_WANT("sk_buff", "dev", skb_dev),
	BF_BTF_WANT("sk_buff", "mac_header", skb_mac_header),
	BF_BTF_WANT("sk_buff", "data", skb_data),
	BF_BTF_WANT("net_device", "type", dev_type),
	BF_BTF_WANT("skb_shared_info", "gso_size", shinfo_gso_size),
	BF_BTF_WANT("skb_shared_info", "gso_type", shinfo_gso_type),
};

static const struct bf_btf_wanted owner[] = {
	BF_BTF_WANT("sk_buff", "sk", skb_sk),
	BF_BTF_WANT("sock", "__sk_common.skc_state", sk_state),
	BF_BTF_WANT("sock", "__sk_common.skc_listener", sk_listener),
	BF_BTF_WANT("sock", "__sk_common.skc_net.net", sk_net),
	BF_BTF_WANT("sock", "sk_socket", sk_socket),
	BF_BTF_WANT("socket", "file", socket_file),
	BF_BTF_WANT("file", "f_cred", file_cred),
	BF_BTF_WANT("cred", "fsuid.val", cred_fsuid),
	BF_BTF_WANT("cred", "fsgid.val", cred_fsgid),
};

static const struct bf_btf_wanted extensions[] = {
	BF_BTF_WANT("sk_buff", "active_extensions", skb_active_extensions),
	BF_BTF_WANT("sk_buff", "extensions", skb_extensions),
	BF_BTF_WANT("skb_ext", "offset", ext_offset),
};

static const struct bf_btf_wanted bridge[] = {
	BF_BTF_WANT("nf_bridge_info", "physoutdev", bridge_out),
	BF_BTF_WANT("net_device", "nd_net.net", dev_net),
	BF_BTF_WANT("net_device", "index_hlist", dev_index_hlist),
	BF_BTF_WANT("net", "dev_index_head", net_dev_index_head),
	BF_BTF_WANT("sk_buff", "dev", skb_dev),
};

static const struct bf_btf_wanted xfrm[] = {
	BF_BTF_WANT("sec_path", "len", sp_len),
	BF_BTF_WANT("sec_path", "xvec", sp_xvec),
	BF_BTF_WANT("sk_buff", "_skb_refdst", skb_refdst),
	BF_BTF_WANT("dst_entry", "xfrm", dst_xfrm),
	BF_BTF_WANT("xfrm_dst", "child", xdst_child),
	BF_BTF_WANT("xfrm_state", "id.daddr", xs_daddr),
	BF_BTF_WANT("xfrm_state", "id.spi", xs_spi),
	BF_BTF_WANT("xfrm_state", "id.proto", xs_proto),
	BF_BTF_WANT("xfrm_state", "props.reqid", xs_reqid),
	BF_BTF_WANT("xfrm_state", "props.mode", xs_mode),
	BF_BTF_WANT("xfrm_state", "props.saddr", xs_saddr),
};

static const struct bf_btf_wanted devgroup[] = {
	BF_BTF_WANT("net_device", "group", dev_group),
};

static const struct bf_btf_wanted ct_mark[] = {
	BF_BTF_WANT("nf_conn", "mark", ct_mark),
};

static const struct bf_btf_wanted fib[] = {
	BF_BTF_WANT("net", "ipv4.fib_table_hash", net_fib_table_hash),
	BF_BTF_WANT("net", "ipv4.devconf_all", net_devconf_all),
	BF_BTF_WANT("fib_table", "tb_hlist", tb_hlist),
	BF_BTF_WANT("fib_table", "tb_id", tb_id),
	BF_BTF_WANT("fib_table", "tb_data", tb_data),
	BF_BTF_WANT("trie", "kv", trie_kv),
	BF_BTF_WANT("key_vector", "key", kv_key),
	BF_BTF_WANT("key_vector", "pos", kv_pos),
	BF_BTF_WANT("key_vector", "bits", kv_bits),
	BF_BTF_WANT("key_vector", "slen", kv_slen),
	BF_BTF_WANT("key_vector", "tnode", kv_tnode),
	BF_BTF_WANT("fib_alias", "fa_list", fa_list),
	BF_BTF_WANT("fib_alias", "fa_info", fa_info),
	BF_BTF_WANT("fib_alias", "fa_type", fa_type),
	BF_BTF_WANT("fib_alias", "fa_slen", fa_slen),
	BF_BTF_WANT("fib_info", "fib_flags", fib_flags),
	BF_BTF_WANT("fib_info", "fib_dead", fib_dead),
	BF_BTF_WANT("fib_info", "fib_nhs", fib_nhs),
	BF_BTF_WANT("fib_info", "nh", fib_nexthop),
	BF_BTF_WANT("fib_info", "fib_nh", fib_nh),
	BF_BTF_WANT("fib_nh_common", "nhc_dev", nhc_dev),
	BF_BTF_WANT("fib_nh_common", "nhc_flags", nhc_flags),
	BF_BTF_WANT("nexthop", "is_group", nexthop_is_group),
	BF_BTF_WANT("nexthop", "nh_info", nexthop_info),
	BF_BTF_WANT("nh_info", "reject_nh", nh_info_reject_nh),
	BF_BTF_WANT("nh_info", "fib_nhc", nh_info_nhc),
	BF_BTF_WANT("nh_group", "num_nh", nh_group_num_nh),
	BF_BTF_WANT("nh_group", "nh_entries", nh_group_entries),
	BF_BTF_WANT("nh_grp_entry", "nh", nh_entry_nh),
	BF_BTF_WANT("net_device", "ip_ptr", dev_ip_ptr),
	BF_BTF_WANT("in_device", "cnf", in_device_cnf),
	BF_BTF_WANT("in_device", "ifa_list", in_device_addrs),
	BF_BTF_WANT("ipv4_devconf", "data", devconf_data),
};

/* Of the interface that a packet is at, and of its namespace. */
static const struct bf_btf_wanted device[] = {
	BF_BTF_WANT("xdp_buff", "rxq", xdp_rxq),
	BF_BTF_WANT("xdp_rxq_info", "dev", rxq_dev),
	BF_BTF_WANT("sk_buff", "dev", skb_dev),
	BF_BTF_WANT("sk_buff", "data", skb_data),
	BF_BTF_WANT("net_device", "dev_addr", dev_addr),
	BF_BTF_WANT("net_device", "nd_net.net", dev_net),
	BF_BTF_WANT("net_device", "ip_ptr", dev_ip_ptr),
	BF_BTF_WANT("in_device", "cnf", in_device_cnf),
	BF_BTF_WANT("ipv4_devconf", "data", devconf_data),
	BF_BTF_WANT("net", "ipv4.rt_genid", net_rt_genid),
};

static int find_bit(const struct btf *btf, int id, const char *path, uint32_t base, uint32_t *off);

/* The member itself has the name that @path begins with: go on inside it, or arrive. */
static int enter_member(const struct btf *btf, const struct btf_member *m, const char *rest,
			uint32_t off, uint32_t *result)
{
	if (*rest == '\0') {
		*result = off;
		return 0;
	}
	return find_bit(btf, m->type, rest + 1, off, result);
}

/* In bits. Unnamed structs and unions are searched as if their members were their parent's. */
static int find_bit(const struct btf *btf, int id, const char *path, uint32_t base, uint32_t *off)
{
	const struct btf_type *t;
	const struct btf_member *m;
	size_t len = strcspn(path, ".");
	int i;

	id = btf__resolve_type(btf, id);
	t = id < 0 ? NULL : btf__type_by_id(btf, id);
	if (!t || !btf_is_composite(t))
		return -ENOENT;
	for (i = 0, m = btf_members(t); i < btf_vlen(t); i++, m++) {
		const char *name = btf__name_by_offset(btf, m->name_off);
		uint32_t at = base + btf_member_bit_offset(t, i);

		if (!*name) {
			if (!find_bit(btf, m->type, path, at, off))
				return 0;
		} else if (strlen(name) == len && !strncmp(name, path, len)) {
			return enter_member(btf, m, path + len, at, off);
		}
	}
	return -ENOENT;
}

/* The same in bytes. */
static int find_member(const struct btf *btf, int id, const char *path, uint32_t base,
		       uint32_t *off)
{
	uint32_t bit;

	if (find_bit(btf, id, path, base * 8, &bit))
		return -ENOENT;
	*off = bit / 8;
	return 0;
}

bool bf_btf_bit(const struct btf *btf, const char *type, const char *path, uint32_t *bit)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT);

	return id >= 0 && !find_bit(btf, id, path, 0, bit);
}

/* Bytes of a member of a struct, 0 if there is none. */
static uint32_t member_size(const struct btf *btf, const char *type, const char *member)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT), i;
	const struct btf_type *t = id < 0 ? NULL : btf__type_by_id(btf, id);
	const struct btf_member *m = t ? btf_members(t) : NULL;
	int64_t size = 0;

	for (i = 0; t && i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, m[i].name_off), member))
			size = btf__resolve_size(btf, m[i].type);
	return size < 0 ? 0 : size;
}

int bf_btf_find(const struct btf *btf, struct bf_kernel *kernel, const struct bf_btf_wanted *w,
		size_t n, struct bf_why *why)
{
	for (; n; n--, w++) {
		int id = btf__find_by_name_kind(btf, w->type, BTF_KIND_STRUCT);
		uint32_t *off = (uint32_t *)((char *)kernel + w->where);

		if (id < 0 || find_member(btf, id, w->path, 0, off))
			return bf_why(why, -EOPNOTSUPP, "the kernel's BTF has no struct %s with %s",
				      w->type, w->path);
	}
	return 0;
}

int bf_btf_size(const struct btf *btf, const char *type, uint32_t *size)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT);

	if (id < 0)
		return -ENOENT;
	*size = btf__type_by_id(btf, id)->size;
	return 0;
}

bool bf_btf_value(const struct btf *btf, const char *type, const char *name, uint32_t *value)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_ENUM), i;
	const struct btf_type *t = id < 0 ? NULL : btf__type_by_id(btf, id);

	for (i = 0; t && i < btf_vlen(t); i++) {
		const struct btf_enum *e = btf_enum(t) + i;

		if (!strcmp(btf__name_by_offset(btf, e->name_off), name)) {
			*value = e->val;
			return true;
		}
	}
	return false;
}

/* What hangs on packets that pass a bridge, or IPsec. */
static void read_extensions(const struct btf *btf, struct bf_kernel *kernel)
{
	int info = btf__find_by_name_kind(btf, "nf_bridge_info", BTF_KIND_STRUCT);

	if (bf_btf_find(btf, kernel, extensions, ARRAY_SIZE(extensions), NULL))
		return;
	/* Its index since 6.8, and in stable releases before. */
	kernel->bridge_in_is_index = !find_member(btf, info, "physinif", 0, &kernel->bridge_in);
	kernel->has_bridge =
		bf_btf_value(btf, "skb_ext_id", "SKB_EXT_BRIDGE_NF", &kernel->ext_bridge) &&
		!bf_btf_find(btf, kernel, bridge, ARRAY_SIZE(bridge), NULL) &&
		(kernel->bridge_in_is_index ||
		 !find_member(btf, info, "physindev", 0, &kernel->bridge_in));
	/* An int, and a byte since Linux 7. */
	kernel->sp_len_size = member_size(btf, "sec_path", "len");
	kernel->has_xfrm =
		bf_btf_value(btf, "skb_ext_id", "SKB_EXT_SEC_PATH", &kernel->ext_sec_path) &&
		(kernel->sp_len_size == 1 || kernel->sp_len_size == 4) &&
		!bf_btf_find(btf, kernel, xfrm, ARRAY_SIZE(xfrm), NULL);
	bf_btf_look_bridge(kernel);
}

static bool find_conntrack(const struct btf *btf, struct bf_kernel *kernel)
{
	uint32_t element, tuple;
	int id;

	if (bf_btf_find(btf, kernel, conntrack, ARRAY_SIZE(conntrack), NULL) ||
	    bf_btf_size(btf, "nf_conntrack_tuple_hash", &element))
		return false;
	id = btf__find_by_name_kind(btf, "nf_conntrack_tuple_hash", BTF_KIND_STRUCT);
	if (find_member(btf, id, "tuple", 0, &tuple))
		return false;
	kernel->has_ct_mark = !bf_btf_find(btf, kernel, ct_mark, ARRAY_SIZE(ct_mark), NULL);
	kernel->ct_tuple[1] = kernel->ct_tuple[0] + element + tuple;
	kernel->ct_tuple[0] += tuple;
	return true;
}

/* Conntrack may be built in, or a module with types of its own. */
static void read_conntrack(struct btf *vmlinux, struct bf_kernel *kernel)
{
	struct btf *module;

	kernel->has_conntrack = find_conntrack(vmlinux, kernel);
	if (kernel->has_conntrack)
		return;
	module = btf__load_module_btf("nf_conntrack", vmlinux);
	if (!module)
		return;
	kernel->has_conntrack = find_conntrack(module, kernel);
	btf__free(module);
}

static void read_fib(const struct btf *btf, struct bf_kernel *kernel)
{
	int tnode = btf__find_by_name_kind(btf, "tnode", BTF_KIND_STRUCT);
	int alias = btf__find_by_name_kind(btf, "fib_alias", BTF_KIND_STRUCT);
	int net = btf__find_by_name_kind(btf, "net", BTF_KIND_STRUCT);
	uint32_t parent = 0, kv = 0, off;

	kernel->has_fib = !bf_btf_find(btf, kernel, fib, ARRAY_SIZE(fib), NULL) &&
			  !bf_btf_size(btf, "fib_nh", &kernel->fib_nh_size) &&
			  !bf_btf_size(btf, "nh_grp_entry", &kernel->nh_entry_size) &&
			  !find_member(btf, tnode, "parent", 0, &parent) &&
			  !find_member(btf, tnode, "kv", 0, &kv) &&
			  /* fa_tos before 5.18 */
			  (!find_member(btf, alias, "fa_dscp", 0, &kernel->fa_dscp) ||
			   !find_member(btf, alias, "fa_tos", 0, &kernel->fa_dscp));
	/* net.ipv4 has this one only with CONFIG_IP_MULTIPLE_TABLES. */
	kernel->fib_multiple_tables = !find_member(btf, net, "ipv4.fib_main", 0, &off);
	/* And this one with CONFIG_IP_ROUTE_MULTIPATH. */
	kernel->fib_multipath =
		!find_member(btf, net, "ipv4.sysctl_fib_multipath_use_neigh", 0, &off);
	if (kernel->has_fib)
		kernel->kv_parent = (int32_t)parent - (int32_t)kv;
}

/* What read_fib() tells is known. */
static void read_device(const struct btf *btf, struct bf_kernel *kernel)
{
	int net = btf__find_by_name_kind(btf, "net", BTF_KIND_STRUCT);

	kernel->has_dev =
		!bf_btf_find(btf, kernel, device, ARRAY_SIZE(device), NULL) &&
		(!kernel->fib_multiple_tables ||
		 !find_member(btf, net, "ipv4.fib_has_custom_rules", 0, &kernel->net_custom_rules));
}

/* There is one with CONFIG_NET_SCHED. */
static void read_tc_index(const struct btf *btf, struct bf_kernel *kernel)
{
	if (find_member(btf, kernel->id_sk_buff, "tc_index", 0, &kernel->skb_tc_index))
		kernel->skb_tc_index = 0;
}

static int read_functions(const struct btf *btf, struct bf_kernel *kernel, struct bf_why *why)
{
	const struct {
		const char *name;
		int32_t *id;
	} functions[] = {
		{"bpf_rdonly_cast", &kernel->kfunc_rdonly_cast},
		{"bpf_dynptr_from_skb", &kernel->kfunc_dynptr_from_skb},
		{"bpf_dynptr_slice", &kernel->kfunc_dynptr_slice},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		*functions[i].id = btf__find_by_name_kind(btf, functions[i].name, BTF_KIND_FUNC);
		if (*functions[i].id < 0)
			return bf_why(why, -EOPNOTSUPP,
				      "the kernel has no function %s for BPF "
				      "programs; Linux 6.4 or later is needed",
				      functions[i].name);
	}
	return 0;
}

static bool find_ct_lookup(const struct btf *btf, struct bf_kernel *kernel)
{
	static const struct bf_btf_wanted entry[] = {
		BF_BTF_WANT("nf_conn", "status", ct_status),
		BF_BTF_WANT("nf_conn", "proto.tcp.state", ct_tcp_state),
	};
	const struct {
		const char *name;
		int32_t *id;
	} functions[] = {
		{"bpf_skb_ct_lookup", &kernel->kfunc_skb_ct_lookup},
		{"bpf_xdp_ct_lookup", &kernel->kfunc_xdp_ct_lookup},
		{"bpf_ct_release", &kernel->kfunc_ct_release},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		*functions[i].id = btf__find_by_name_kind(btf, functions[i].name, BTF_KIND_FUNC);
		if (*functions[i].id < 0)
			return false;
	}
	return !bf_btf_find(btf, kernel, entry, ARRAY_SIZE(entry), NULL);
}

/* The id of a module's BTF, to be opened by; 0 if there is none. */
static uint32_t module_btf_id(const char *module)
{
	struct bpf_btf_info info;
	uint32_t id = 0, len;
	char name[64];
	int fd, err;

	while (!bpf_btf_get_next_id(id, &id)) {
		fd = bpf_btf_get_fd_by_id(id);
		if (fd < 0)
			continue;
		info = (struct bpf_btf_info){.name = (uintptr_t)name, .name_len = sizeof(name)};
		len = sizeof(info);
		err = bpf_obj_get_info_by_fd(fd, &info, &len);
		close(fd);
		if (!err && info.kernel_btf && !strcmp(name, module))
			return id;
	}
	return 0;
}

/* What programs at interfaces need to look at conntrack, if the kernel has it. False: its module could not be read. */
static bool read_ct_lookup(struct btf *vmlinux, struct bf_kernel *kernel)
{
	static const struct bf_btf_wanted nfct[] = {BF_BTF_WANT("sk_buff", "_nfct", skb_nfct)};
	struct btf *module;

	kernel->ct_btf_id = 0;
	kernel->has_ct_lookup = false;
	if (bf_btf_find(vmlinux, kernel, nfct, ARRAY_SIZE(nfct), NULL))
		return true;
	kernel->has_ct_lookup = find_ct_lookup(vmlinux, kernel);
	if (kernel->has_ct_lookup)
		return true;
	module = btf__load_module_btf("nf_conntrack", vmlinux);
	if (!module)
		return false;
	if (find_ct_lookup(module, kernel))
		kernel->ct_btf_id = module_btf_id("nf_conntrack");
	kernel->has_ct_lookup = kernel->ct_btf_id;
	btf__free(module);
	return true;
}

/* Conntrack's module, which is another one when it is loaded again; 0: it is not there, or is none. */
static ino_t conntrack_module(void)
{
	struct stat st;

	return stat("/sys/kernel/btf/nf_conntrack", &st) ? 0 : st.st_ino;
}

int bf_btf_read(struct bf_kernel *kernel, struct bf_why *why)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int err;

	if (!btf)
		return bf_why(why, -ENOENT,
			      "the kernel's types cannot be read from "
			      "/sys/kernel/btf/vmlinux: a kernel with CONFIG_DEBUG_INFO_BTF and "
			      "a mounted /sys are needed");
	kernel->ct_module = conntrack_module();
	if (!read_ct_lookup(btf, kernel))
		kernel->ct_module = 0;
	err = read_functions(btf, kernel, why);
	err = err ?: bf_btf_find(btf, kernel, basic, ARRAY_SIZE(basic), why);
	if (!err) {
		kernel->id_sk_buff = btf__find_by_name_kind(btf, "sk_buff", BTF_KIND_STRUCT);
		kernel->has_header = !bf_btf_find(btf, kernel, header, ARRAY_SIZE(header), NULL);
		kernel->has_owner = !bf_btf_find(btf, kernel, owner, ARRAY_SIZE(owner), NULL);
		read_tc_index(btf, kernel);
		read_conntrack(btf, kernel);
		read_fib(btf, kernel);
		read_device(btf, kernel);
		bf_btf_read_path(btf, kernel);
		bf_btf_read_tracked(btf, kernel);
		read_extensions(btf, kernel);
		kernel->has_devgroup =
			!bf_btf_find(btf, kernel, devgroup, ARRAY_SIZE(devgroup), NULL);
	}
	btf__free(btf);
	return err;
}

void bf_btf_read_conntrack(struct bf_kernel *kernel)
{
	ino_t module = conntrack_module();
	struct btf *btf;

	/* Reading all of the kernel's types takes longer than the rest of a replace. */
	if (!module || module == kernel->ct_module)
		return;
	btf = btf__load_vmlinux_btf();
	if (!btf)
		return;
	read_conntrack(btf, kernel);
	kernel->ct_module = read_ct_lookup(btf, kernel) ? module : 0;
	bf_btf_read_tracked(btf, kernel);
	btf__free(btf);
}

void bf_btf_look_bridge(struct bf_kernel *kernel)
{
	kernel->has_br_netfilter = !access("/proc/sys/net/bridge/bridge-nf-call-iptables", F_OK);
}
