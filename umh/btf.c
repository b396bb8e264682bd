// SPDX-License-Identifier: GPL-2.0
#include <bpf/btf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "btf.h"

/* One offset to be found: member @path ("dst.u3.ip") of struct @type. */
struct wanted {
	const char *type;
	const char *path;
	size_t where; /* in struct bf_kernel */
};

#define WANT(type, path, field)                                                                    \
	{                                                                                          \
		type, path, offsetof(struct bf_kernel, field)                                      \
	}

static const struct wanted basic[] = {
	WANT("bpf_nf_ctx", "state", nf_ctx_state),
	WANT("bpf_nf_ctx", "skb", nf_ctx_skb),
	WANT("nf_hook_state", "hook", state_hook),
	WANT("nf_hook_state", "in", state_in),
	WANT("nf_hook_state", "out", state_out),
	WANT("nf_hook_state", "net", state_net),
	WANT("sk_buff", "len", skb_len),
	WANT("sk_buff", "data_len", skb_data_len),
	WANT("sk_buff", "mark", skb_mark),
	WANT("sk_buff", "_nfct", skb_nfct),
	WANT("sk_buff", "head", skb_head),
	WANT("sk_buff", "network_header", skb_network_header),
	WANT("sk_buff", "cb", skb_cb),
	WANT("net_device", "name", dev_name),
	WANT("net_device", "ifindex", dev_ifindex),
};

static const struct wanted conntrack[] = {
	WANT("nf_conn", "status", ct_status),
	WANT("nf_conn", "timeout", ct_timeout),
	WANT("nf_conn", "tuplehash", ct_tuple[0]),
	WANT("nf_conntrack_tuple", "src.u3.ip", tuple_src),
	WANT("nf_conntrack_tuple", "src.u.all", tuple_sport),
	WANT("nf_conntrack_tuple", "dst.u3.ip", tuple_dst),
	WANT("nf_conntrack_tuple", "dst.u.all", tuple_dport),
	WANT("nf_conntrack_tuple", "dst.protonum", tuple_protonum),
};

static const struct wanted fib[] = {
	WANT("net", "ipv4.fib_table_hash", net_fib_table_hash),
	WANT("net", "ipv4.devconf_all", net_devconf_all),
	WANT("fib_table", "tb_hlist", tb_hlist),
	WANT("fib_table", "tb_id", tb_id),
	WANT("fib_table", "tb_data", tb_data),
	WANT("trie", "kv", trie_kv),
	WANT("key_vector", "key", kv_key),
	WANT("key_vector", "pos", kv_pos),
	WANT("key_vector", "bits", kv_bits),
	WANT("key_vector", "slen", kv_slen),
	WANT("key_vector", "tnode", kv_tnode),
	WANT("fib_alias", "fa_list", fa_list),
	WANT("fib_alias", "fa_info", fa_info),
	WANT("fib_alias", "fa_type", fa_type),
	WANT("fib_alias", "fa_slen", fa_slen),
	WANT("fib_info", "fib_flags", fib_flags),
	WANT("fib_info", "fib_dead", fib_dead),
	WANT("fib_info", "fib_nhs", fib_nhs),
	WANT("fib_info", "nh", fib_nexthop),
	WANT("fib_info", "fib_nh", fib_nh),
	WANT("fib_nh_common", "nhc_dev", nhc_dev),
	WANT("fib_nh_common", "nhc_flags", nhc_flags),
	WANT("nexthop", "is_group", nexthop_is_group),
	WANT("nexthop", "nh_info", nexthop_info),
	WANT("nh_info", "reject_nh", nh_info_reject_nh),
	WANT("nh_info", "fib_nhc", nh_info_nhc),
	WANT("nh_group", "num_nh", nh_group_num_nh),
	WANT("nh_group", "nh_entries", nh_group_entries),
	WANT("nh_grp_entry", "nh", nh_entry_nh),
	WANT("net_device", "ip_ptr", dev_ip_ptr),
	WANT("in_device", "cnf", in_device_cnf),
	WANT("ipv4_devconf", "data", devconf_data),
};

static int find_member(const struct btf *btf, int id, const char *path, uint32_t base,
		       uint32_t *off);

/* The member itself has the name that @path begins with: go on inside it, or arrive. */
static int enter_member(const struct btf *btf, const struct btf_member *m, const char *rest,
			uint32_t off, uint32_t *result)
{
	if (*rest == '\0') {
		*result = off;
		return 0;
	}
	return find_member(btf, m->type, rest + 1, off, result);
}

/* Unnamed structs and unions are searched as if their members were their parent's. */
static int find_member(const struct btf *btf, int id, const char *path, uint32_t base,
		       uint32_t *off)
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
		uint32_t at = base + btf_member_bit_offset(t, i) / 8;

		if (!*name) {
			if (!find_member(btf, m->type, path, at, off))
				return 0;
		} else if (strlen(name) == len && !strncmp(name, path, len)) {
			return enter_member(btf, m, path + len, at, off);
		}
	}
	return -ENOENT;
}

static int find_all(const struct btf *btf, struct bf_kernel *kernel, const struct wanted *w,
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

static int find_size(const struct btf *btf, const char *type, uint32_t *size)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT);

	if (id < 0)
		return -ENOENT;
	*size = btf__type_by_id(btf, id)->size;
	return 0;
}

static bool find_conntrack(const struct btf *btf, struct bf_kernel *kernel)
{
	uint32_t element, tuple;
	int id;

	if (find_all(btf, kernel, conntrack, ARRAY_SIZE(conntrack), NULL) ||
	    find_size(btf, "nf_conntrack_tuple_hash", &element))
		return false;
	id = btf__find_by_name_kind(btf, "nf_conntrack_tuple_hash", BTF_KIND_STRUCT);
	if (find_member(btf, id, "tuple", 0, &tuple))
		return false;
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
	uint32_t parent, kv, fib_main;

	kernel->has_fib = !find_all(btf, kernel, fib, ARRAY_SIZE(fib), NULL) &&
			  !find_size(btf, "fib_nh", &kernel->fib_nh_size) &&
			  !find_size(btf, "nh_grp_entry", &kernel->nh_entry_size) &&
			  !find_member(btf, tnode, "parent", 0, &parent) &&
			  !find_member(btf, tnode, "kv", 0, &kv) &&
			  /* fa_tos before 5.18 */
			  (!find_member(btf, alias, "fa_dscp", 0, &kernel->fa_dscp) ||
			   !find_member(btf, alias, "fa_tos", 0, &kernel->fa_dscp));
	/* net.ipv4 has this one only with CONFIG_IP_MULTIPLE_TABLES. */
	kernel->fib_multiple_tables = !find_member(btf, net, "ipv4.fib_main", 0, &fib_main);
	if (kernel->has_fib)
		kernel->kv_parent = (int32_t)parent - (int32_t)kv;
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

int bf_btf_read(struct bf_kernel *kernel, struct bf_why *why)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int err;

	if (!btf)
		return bf_why(why, -ENOENT,
			      "the kernel's types cannot be read from "
			      "/sys/kernel/btf/vmlinux: a kernel with CONFIG_DEBUG_INFO_BTF and "
			      "a mounted /sys are needed");
	err = read_functions(btf, kernel, why);
	err = err ?: find_all(btf, kernel, basic, ARRAY_SIZE(basic), why);
	if (!err) {
		kernel->id_sk_buff = btf__find_by_name_kind(btf, "sk_buff", BTF_KIND_STRUCT);
		read_conntrack(btf, kernel);
		read_fib(btf, kernel);
	}
	btf__free(btf);
	return err;
}

void bf_btf_read_conntrack(struct bf_kernel *kernel)
{
	struct btf *btf;

	/* Reading all of the kernel's types takes longer than the rest of a replace. */
	if (kernel->has_conntrack || access("/sys/kernel/btf/nf_conntrack", F_OK))
		return;
	btf = btf__load_vmlinux_btf();
	if (!btf)
		return;
	read_conntrack(btf, kernel);
	btf__free(btf);
}
