// SPDX-License-Identifier: GPL-2.0
/*
 * bpfilter: hand the iptables socket options for table "filter" to a helper process.
 *
 * An entry for the options of ip_tables is put in front of its own in netfilter's list. What is not
 * for table "filter", and what concerns a namespace whose filter table ip_tables has, goes on to
 * ip_tables. The rest becomes a request, which the helper reads from /dev/bpfilter and answers
 * there (uapi/bpfilter.h). In namespaces where the helper asks for it, this module has hooks at
 * ip_tables' filter priority, too, which run the BPF program that the helper hands over, and answer
 * what it asks of the kernel's own matches (bpfilter_ask.h).
 *
 * A request is on one of two lists, or on none when it is finished:
 *
 *	pending --read()--> sent --write()--> finished
 *	   |   <--close()--  |  --close()-->    ^
 *	   `-----------------+------------------'  killed, timeout, no helper
 *
 * bf_finish() is the only way to the end, under bf_lock, and whoever comes second finds the
 * request finished. It is freed with its last reference: the caller has one, and so has a
 * read() or write() that is copying. Every caller holds the module (the core takes a reference for
 * each call), so does an open device, a helper that is being started, and a namespace with a
 * state: when the module is unloaded, there is none of these.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bpf.h>
#include <linux/compat.h>
#include <linux/completion.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/kmod.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/nsproxy.h>
#include <linux/poll.h>
#include <linux/proc_fs.h>
#include <linux/proc_ns.h>
#include <linux/uio.h>
#include <net/inet_sock.h>
#include <net/ip.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/route.h>
#include <net/sch_generic.h>
#include <net/sock.h>
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
#include <linux/netfilter/xt_conntrack.h>
#include <net/netfilter/nf_conntrack.h>
#endif

#include <asm/ioctls.h>

#include "bpfilter_ask.h"
#include "uapi/bpfilter.h"

/* As in x_tables.c. */
#define BF_MAX_TABLE_SIZE (512 * 1024 * 1024)

/* All of BPFILTER_WANT_TYPE(). */
#define BF_WANT_TYPES (0x3fU << 4)

/* Not an errno: ip_tables is to answer. */
#define BF_TO_KERNEL 1

static char bf_helper[256] = "/usr/local/sbin/bpfilter";
module_param_string(helper, bf_helper, sizeof(bf_helper), 0644);
MODULE_PARM_DESC(helper, "program that is started as \"HELPER umh --device\"");

static unsigned int bf_timeout = 60;
module_param_named(timeout, bf_timeout, uint, 0644);
MODULE_PARM_DESC(timeout, "seconds that a call waits for the helper");

static unsigned int bf_exclude;
module_param_named(exclude, bf_exclude, uint, 0644);
MODULE_PARM_DESC(exclude, "inode of a network namespace that is left to ip_tables, to compare with");

/* Requests in existence, for those who look for leaks. */
static atomic_t bf_requests = ATOMIC_INIT(0);

static int bf_requests_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&bf_requests));
}

static const struct kernel_param_ops bf_requests_ops = { .get = bf_requests_get };
module_param_cb(requests, &bf_requests_ops, NULL, 0444);
MODULE_PARM_DESC(requests, "calls that wait for the helper now");

enum bf_state { BF_PENDING, BF_SENT, BF_FINISHED };

/**
 * struct bf_request - one call of setsockopt or getsockopt
 * @list: in bf_pending or bf_sent, as @state says
 * @state: where it is
 * @ref: the caller's, and one of each read() and write() that is copying
 * @finished: what the caller waits for
 * @net: of the caller's socket, held
 * @tgid: the caller's, to be compared only
 * @head: as the helper sees it
 * @payload: @head.len bytes, for the helper
 * @reply: for the caller
 * @reply_len: bytes of @reply
 * @reply_max: how many there may be
 * @result: 0, -errno, or BF_TO_KERNEL
 */
struct bf_request {
	struct list_head list;
	enum bf_state state;
	struct kref ref;
	struct completion finished;
	struct net *net;
	struct pid *tgid;
	struct bpfilter_request head;
	void *payload;
	void *reply;
	u32 reply_len;
	u32 reply_max;
	int result;
};

/* For the lists, the states of requests on them, and what follows. Innermost. */
static DEFINE_SPINLOCK(bf_lock);
static LIST_HEAD(bf_pending);
static LIST_HEAD(bf_sent);
static u64 bf_next_id;
/* Requests may be read. */
static bool bf_ready;
/* Some helper was ready since the module is here: before that, nobody knows who has what table. */
static bool bf_known;
/* The thread group that has opened the device; NULL if none has. */
static struct pid *bf_opener;
/* A helper is being started; the last one that could not be. */
static bool bf_starting;
static unsigned long bf_failed_at;

static DECLARE_WAIT_QUEUE_HEAD(bf_wait);

/* For the entry in netfilter's list and for the state of namespaces. */
static DEFINE_MUTEX(bf_mutex);
static bool bf_intercepting;
/* Stepped back for ip_tables, which is being loaded. */
static bool bf_yielding;
static unsigned int bf_nr_owned;

/* ip_tables' own entry, whose owner we hold; NULL if the kernel has none. */
static struct nf_sockopt_ops *bf_ip_tables;

/**
 * struct bf_run - what runs at the hooks of a namespace
 * @prog: held
 * @want: BPFILTER_WANT_*
 * @asking: held; NULL if @prog has no questions
 * @questions: held, likewise
 */
struct bf_run {
	struct bpf_prog *prog;
	u32 want;
	struct bpf_prog *asking;
	struct bf_questions *questions;
};

/**
 * struct bf_net - a network namespace
 * @lost: notes of programs beyond what there is room for
 * @flags: BPFILTER_NS_*, changed under bf_mutex; not 0: the module is held
 * @run: NULL: packets are accepted
 * @ops: registered if @flags has BPFILTER_NS_HOOK
 */
struct bf_net {
	atomic64_t lost;
	u32 flags;
	struct bf_run __rcu *run;
	struct nf_hook_ops ops[3];
};

static unsigned int bf_net_id;

/* --- requests ----------------------------------------------------------------------------- */

static struct bf_request *bf_request_new(struct net *net, u32 op, int optlen, u32 len,
					 u32 reply_max)
{
	struct bf_request *req = kzalloc(sizeof(*req), GFP_KERNEL_ACCOUNT);

	if (!req)
		return NULL;
	req->payload = kvmalloc(len, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!req->payload) {
		kfree(req);
		return NULL;
	}
	INIT_LIST_HEAD(&req->list);
	kref_init(&req->ref);
	init_completion(&req->finished);
	req->net = get_net(net);
	req->tgid = task_tgid(current);
	req->head.version = BPFILTER_VERSION;
	req->head.op = op;
	req->head.pid = task_pid_nr(current);
	req->head.len = len;
	req->head.optlen = optlen;
	req->reply_max = reply_max;
	atomic_inc(&bf_requests);
	return req;
}

static void bf_request_free(struct kref *ref)
{
	struct bf_request *req = container_of(ref, struct bf_request, ref);

	put_net(req->net);
	kvfree(req->payload);
	kvfree(req->reply);
	kfree(req);
	atomic_dec(&bf_requests);
}

static void bf_request_put(struct bf_request *req)
{
	kref_put(&req->ref, bf_request_free);
}

static void bf_move(struct bf_request *req, enum bf_state state, struct list_head *list)
{
	lockdep_assert_held(&bf_lock);
	req->state = state;
	list_move_tail(&req->list, list);
}

static void bf_finish(struct bf_request *req, int result)
{
	lockdep_assert_held(&bf_lock);
	if (req->state == BF_FINISHED)
		return;
	req->state = BF_FINISHED;
	req->result = result;
	list_del_init(&req->list);
	complete(&req->finished);
}

static bool bf_is_set(const struct bf_request *req)
{
	return !(req->head.op & BPFILTER_GET);
}

static bool bf_is_owned(struct net *net)
{
	struct bf_net *bn = net_generic(net, bf_net_id);

	return READ_ONCE(bn->flags) & BPFILTER_NS_OWNED;
}

/* Nobody will answer. A table that is not owned is ip_tables'; one that is stays as it is. */
static int bf_nobody(struct bf_request *req)
{
	if (!bf_is_owned(req->net))
		return BF_TO_KERNEL;
	pr_warn_ratelimited("the helper cannot be had: the filter table of net:[%u], which is in force, cannot be read or changed\n",
			    req->net->ns.inum);
	return -ENODEV;
}

static void bf_finish_pending(void)
{
	struct bf_request *req, *next;

	lockdep_assert_held(&bf_lock);
	list_for_each_entry_safe(req, next, &bf_pending, list)
		bf_finish(req, bf_nobody(req));
}

/* A helper that opens the device while its threads ask ip_tables must not wait for itself. */
static void bf_finish_openers(void)
{
	struct bf_request *req, *next;

	lockdep_assert_held(&bf_lock);
	list_for_each_entry_safe(req, next, &bf_pending, list)
		if (req->tgid == bf_opener)
			bf_finish(req, BF_TO_KERNEL);
}

/* --- starting the helper ------------------------------------------------------------------- */

/* Ends when the helper has the device open: 0, an exit status, or -errno. */
static int bf_exec_helper(void)
{
	char *path, *argv[4], *envp[3];
	int ret;

	kernel_param_lock(THIS_MODULE);
	path = kstrdup(bf_helper, GFP_KERNEL);
	kernel_param_unlock(THIS_MODULE);
	if (!path)
		return -ENOMEM;
	/* From "echo" into the parameter's file. */
	path[strcspn(path, "\n")] = '\0';
	argv[0] = path;
	argv[1] = "umh";
	argv[2] = "--device";
	argv[3] = NULL;
	envp[0] = "HOME=/";
	envp[1] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	envp[2] = NULL;
	ret = call_usermodehelper(path, argv, envp, UMH_WAIT_PROC);
	if (ret > 0)
		ret >>= 8;
	if (ret)
		pr_warn_ratelimited("%s umh --device: %d\n", path, ret);
	kfree(path);
	return ret;
}

static void bf_start_fn(struct work_struct *work)
{
	bf_exec_helper();
	spin_lock(&bf_lock);
	bf_starting = false;
	if (!bf_opener) {
		bf_failed_at = jiffies;
		bf_finish_pending();
	}
	spin_unlock(&bf_lock);
	/* The exit function waits until this one has returned. */
	module_put(THIS_MODULE);
}

static DECLARE_WORK(bf_start_work, bf_start_fn);

/* Not again at once if it has just failed: it would fail for every call. */
static void bf_start_helper(void)
{
	lockdep_assert_held(&bf_lock);
	if (bf_opener || bf_starting)
		return;
	if (!bf_intercepting || (bf_failed_at && time_before(jiffies, bf_failed_at + HZ))) {
		bf_finish_pending();
		return;
	}
	bf_starting = true;
	__module_get(THIS_MODULE);
	schedule_work(&bf_start_work);
}

/* Wait for the answer: 0, -errno, or BF_TO_KERNEL. */
static int bf_ask(struct bf_request *req)
{
	unsigned long limit = clamp(READ_ONCE(bf_timeout), 1U, 3600U) * HZ;
	long left;

	spin_lock(&bf_lock);
	req->head.id = ++bf_next_id;
	bf_move(req, BF_PENDING, &bf_pending);
	if (req->tgid == bf_opener)
		bf_finish(req, BF_TO_KERNEL);
	else
		bf_start_helper();
	spin_unlock(&bf_lock);
	wake_up(&bf_wait);

	left = wait_for_completion_killable_timeout(&req->finished, limit);
	if (left <= 0) {
		spin_lock(&bf_lock);
		if (left < 0)
			bf_finish(req, -EINTR);
		else if (req->state == BF_SENT)
			bf_finish(req, -ETIMEDOUT);
		else if (req->state == BF_PENDING)
			bf_finish(req, bf_nobody(req));
		spin_unlock(&bf_lock);
	}
	return req->result;
}

/* --- the socket options -------------------------------------------------------------------- */

static bool bf_is_filter(const char *name)
{
	return !memcmp(name, "filter", sizeof("filter"));
}

/* Whose calls are never ours: the helper's, which reaches ip_tables by them. */
static bool bf_is_exempt(struct net *net)
{
	return task_tgid(current) == READ_ONCE(bf_opener) || net->ns.inum == READ_ONCE(bf_exclude);
}

/*
 * Does ip_tables have the table, so that nothing but a replace concerns the helper? Where there is
 * no ip_tables, it is the helper that knows what an empty table looks like.
 */
static bool bf_is_kernels(struct net *net)
{
	return READ_ONCE(bf_known) && READ_ONCE(bf_ip_tables) && !bf_is_owned(net);
}

static int bf_refuse_compat(struct net *net)
{
	if (!bf_is_owned(net))
		return BF_TO_KERNEL;
	pr_warn_ratelimited("refused a 32-bit iptables (%s): use the 64-bit one\n", current->comm);
	return -ENOPROTOOPT;
}

static int bf_set_replace(struct net *net, sockptr_t arg, unsigned int len)
{
	struct ipt_replace head;
	struct bf_request *req;
	int ret;

	if (len < sizeof(head))
		return BF_TO_KERNEL;
	if (copy_from_sockptr(&head, arg, sizeof(head)))
		return -EFAULT;
	if (!bf_is_filter(head.name))
		return BF_TO_KERNEL;
	/* In the order of do_replace(). */
	if (head.num_counters >= INT_MAX / sizeof(struct xt_counters))
		return -ENOMEM;
	if (!head.num_counters || (u64)len < (u64)head.size + sizeof(head))
		return -EINVAL;
	if (head.size > BF_MAX_TABLE_SIZE)
		return -ENOMEM;

	req = bf_request_new(net, IPT_SO_SET_REPLACE, len, sizeof(head) + head.size,
			     head.num_counters * sizeof(struct xt_counters));
	if (!req)
		return -ENOMEM;
	memcpy(req->payload, &head, sizeof(head));
	if (copy_from_sockptr_offset(req->payload + sizeof(head), arg, sizeof(head), head.size))
		ret = -EFAULT;
	else
		ret = bf_ask(req);
	/* The new table is in force: as in ip_tables, the counters cannot make it fail any more. */
	if (!ret && copy_to_user(head.counters, req->reply, req->reply_len))
		net_warn_ratelimited("bpfilter: counters copy to user failed while replacing table\n");
	bf_request_put(req);
	return ret;
}

static int bf_set_counters(struct net *net, sockptr_t arg, unsigned int len)
{
	struct xt_counters_info info;
	struct bf_request *req;
	int ret;

	if (len <= sizeof(info))
		return BF_TO_KERNEL;
	if (copy_from_sockptr(&info, arg, sizeof(info)))
		return -EFAULT;
	if (!bf_is_filter(info.name) || bf_is_kernels(net))
		return BF_TO_KERNEL;
	if ((u64)info.num_counters * sizeof(struct xt_counters) != len - sizeof(info))
		return -EINVAL;
	if (len > BF_MAX_TABLE_SIZE)
		return -ENOMEM;

	req = bf_request_new(net, IPT_SO_SET_ADD_COUNTERS, len, len, 0);
	if (!req)
		return -ENOMEM;
	memcpy(req->payload, &info, sizeof(info));
	if (copy_from_sockptr_offset(req->payload + sizeof(info), arg, sizeof(info),
				     len - sizeof(info)))
		ret = -EFAULT;
	else
		ret = bf_ask(req);
	bf_request_put(req);
	return ret;
}

static int bf_try_set(struct net *net, int opt, sockptr_t arg, unsigned int len)
{
	char name[XT_TABLE_MAXNAMELEN];

	if (bf_is_exempt(net))
		return BF_TO_KERNEL;
	if (in_compat_syscall()) {
		if (len < sizeof(name) || copy_from_sockptr(name, arg, sizeof(name)) ||
		    !bf_is_filter(name))
			return BF_TO_KERNEL;
		return bf_refuse_compat(net);
	}
	switch (opt) {
	case IPT_SO_SET_REPLACE:
		return bf_set_replace(net, arg, len);
	case IPT_SO_SET_ADD_COUNTERS:
		return bf_set_counters(net, arg, len);
	}
	return BF_TO_KERNEL;
}

static int bf_set(struct sock *sk, int opt, sockptr_t arg, unsigned int len)
{
	struct nf_sockopt_ops *ip_tables = READ_ONCE(bf_ip_tables);
	int ret;

	if (!ns_capable(sock_net(sk)->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	ret = bf_try_set(sock_net(sk), opt, arg, len);
	if (ret != BF_TO_KERNEL)
		return ret;
	return ip_tables ? ip_tables->set(sk, opt, arg, len) : -ENOPROTOOPT;
}

/* The largest of what a get reads. */
#define BF_GET_HEAD sizeof(struct ipt_get_entries)

/* How much of the option is read; 0 if ip_tables would refuse @len. */
static unsigned int bf_get_head(int opt, int len)
{
	const int entries = sizeof(struct ipt_get_entries);

	switch (opt) {
	case IPT_SO_GET_INFO:
		return len == sizeof(struct ipt_getinfo) ? XT_TABLE_MAXNAMELEN : 0;
	case IPT_SO_GET_ENTRIES:
		return len >= entries ? entries : 0;
	case IPT_SO_GET_REVISION_MATCH:
	case IPT_SO_GET_REVISION_TARGET:
		return len == sizeof(struct xt_get_revision) ? len : 0;
	}
	return 0;
}

static bool bf_is_revision(int opt)
{
	return opt == IPT_SO_GET_REVISION_MATCH || opt == IPT_SO_GET_REVISION_TARGET;
}

static int bf_ask_get(struct net *net, int opt, void __user *user, int *len, const void *head,
		      unsigned int size)
{
	struct bf_request *req = bf_request_new(net, opt | BPFILTER_GET, *len, size, *len);
	int ret;

	if (!req)
		return -ENOMEM;
	memcpy(req->payload, head, size);
	ret = bf_ask(req);
	if (!ret) {
		*len = req->reply_len;
		if (copy_to_user(user, req->reply, req->reply_len))
			ret = -EFAULT;
	}
	bf_request_put(req);
	return ret;
}

static int bf_try_get(struct net *net, int opt, void __user *user, int *len)
{
	unsigned int size = bf_get_head(opt, *len);
	bool revision = bf_is_revision(opt);
	char head[BF_GET_HEAD];

	BUILD_BUG_ON(sizeof(head) < sizeof(struct xt_get_revision) ||
		     sizeof(head) < XT_TABLE_MAXNAMELEN);
	if (bf_is_exempt(net) || (revision && READ_ONCE(bf_ip_tables)))
		return BF_TO_KERNEL;
	if (in_compat_syscall() && !revision) {
		if (*len < XT_TABLE_MAXNAMELEN || copy_from_user(head, user, XT_TABLE_MAXNAMELEN) ||
		    !bf_is_filter(head))
			return BF_TO_KERNEL;
		return bf_refuse_compat(net);
	}
	if (!size)
		return READ_ONCE(bf_ip_tables) ? BF_TO_KERNEL : -EINVAL;
	if (copy_from_user(head, user, size))
		return -EFAULT;
	if (!revision && (!bf_is_filter(head) || bf_is_kernels(net)))
		return BF_TO_KERNEL;
	return bf_ask_get(net, opt, user, len, head, size);
}

static int bf_get(struct sock *sk, int opt, void __user *user, int *len)
{
	struct nf_sockopt_ops *ip_tables = READ_ONCE(bf_ip_tables);
	int ret;

	if (!ns_capable(sock_net(sk)->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	ret = bf_try_get(sock_net(sk), opt, user, len);
	if (ret != BF_TO_KERNEL)
		return ret;
	return ip_tables ? ip_tables->get(sk, opt, user, len) : -ENOPROTOOPT;
}

/* --- in front of ip_tables ------------------------------------------------------------------ */

/*
 * Netfilter takes the first entry that covers an option, and refuses one that overlaps with
 * another; an empty range overlaps with none. So this one is registered empty, which puts it first,
 * and then opened by a store to its end.
 */
static struct nf_sockopt_ops bf_sockopts = {
	.pf = PF_INET,
	.set_optmin = IPT_BASE_CTL,
	.set_optmax = IPT_BASE_CTL,
	.set = bf_set,
	.get_optmin = IPT_BASE_CTL,
	.get_optmax = IPT_BASE_CTL,
	.get = bf_get,
	.owner = THIS_MODULE,
};

/*
 * The entry of ip_tables, with a reference to its module. The list's lock is not ours to take, but
 * entries are static data of the kernel or of modules, whose memory outlasts a grace period, and
 * one that is deleted as we stand on it says so.
 */
static struct nf_sockopt_ops *bf_find_ip_tables(void)
{
	const struct list_head *head = bf_sockopts.list.prev;
	struct nf_sockopt_ops *ops, *found = NULL;
	struct list_head *p;

	rcu_read_lock();
	for (p = READ_ONCE(bf_sockopts.list.next); p != head && p != LIST_POISON1;
	     p = READ_ONCE(p->next)) {
		ops = list_entry(p, struct nf_sockopt_ops, list);
		if (ops->pf != PF_INET || ops->get_optmin != IPT_BASE_CTL || ops == &bf_sockopts)
			continue;
		if (try_module_get(ops->owner))
			found = ops;
		break;
	}
	rcu_read_unlock();
	return found;
}

static void bf_set_range(int set_end, int get_end)
{
	WRITE_ONCE(bf_sockopts.set_optmax, set_end);
	WRITE_ONCE(bf_sockopts.get_optmax, get_end);
}

static int bf_intercept(void)
{
	int err;

	lockdep_assert_held(&bf_mutex);
	if (bf_intercepting || bf_yielding)
		return 0;
	bf_set_range(IPT_BASE_CTL, IPT_BASE_CTL);
	err = nf_register_sockopt(&bf_sockopts);
	if (err)
		return err;
	if (!bf_ip_tables)
		WRITE_ONCE(bf_ip_tables, bf_find_ip_tables());
	bf_set_range(IPT_SO_SET_MAX + 1, IPT_SO_GET_MAX + 1);
	WRITE_ONCE(bf_intercepting, true);
	return 0;
}

/* Callers that are inside already go on. */
static void bf_stop_intercepting(void)
{
	lockdep_assert_held(&bf_mutex);
	if (bf_intercepting)
		nf_unregister_sockopt(&bf_sockopts);
	WRITE_ONCE(bf_intercepting, false);
	bf_yielding = false;
}

/* ip_tables, when it is loaded after us, could not register its entry if ours were there. */
static int bf_module_event(struct notifier_block *nb, unsigned long state, void *data)
{
	const struct module *mod = data;

	if (strcmp(mod->name, "ip_tables"))
		return NOTIFY_DONE;
	mutex_lock(&bf_mutex);
	if (state == MODULE_STATE_COMING && bf_intercepting && !bf_ip_tables) {
		bf_stop_intercepting();
		bf_yielding = true;
	} else if (state != MODULE_STATE_COMING && bf_yielding) {
		bf_yielding = false;
		bf_intercept();
	}
	mutex_unlock(&bf_mutex);
	return NOTIFY_OK;
}

static struct notifier_block bf_module_nb = { .notifier_call = bf_module_event };

/* --- the hooks ------------------------------------------------------------------------------ */

static void bf_describe_l4(struct bpfilter_packet *p, const struct sk_buff *skb, u32 want)
{
	u8 buf[20];
	const u8 *l4;

	if ((p->fragoff && !(want & BPFILTER_WANT_FRAGMENTS)) || p->l4len < 4)
		return;
	l4 = skb_header_pointer(skb, skb_network_offset(skb) + p->thoff,
				p->l4len >= 20 ? 20 : p->l4len >= 8 ? 8 : 4, buf);
	if (!l4)
		return;
	p->sport = get_unaligned_be16(l4);
	p->dport = get_unaligned_be16(l4 + 2);
	if (p->l4len >= 8) {
		p->icmp = get_unaligned_be16(l4);
		p->spi = get_unaligned_be32(l4 + 4);
	}
	if (p->l4len >= 20)
		p->tcp_flags = l4[13];
}

#if IS_ENABLED(CONFIG_NF_CONNTRACK)
/* As conntrack_mt() of xt_conntrack.c. */
static void bf_describe_ct(struct bpfilter_packet *p, const struct sk_buff *skb)
{
	const struct nf_conntrack_tuple *orig, *repl;
	enum ip_conntrack_info ctinfo;
	const struct nf_conn *ct = nf_ct_get(skb, &ctinfo);

	if (!ct) {
		p->ct_state = ctinfo == IP_CT_UNTRACKED ? XT_CONNTRACK_STATE_UNTRACKED :
							  XT_CONNTRACK_STATE_INVALID;
		return;
	}
	p->ct_state = XT_CONNTRACK_STATE_BIT(ctinfo);
	p->ct_status = ct->status;
	if (p->ct_status & IPS_SRC_NAT)
		p->ct_state |= XT_CONNTRACK_STATE_SNAT;
	if (p->ct_status & IPS_DST_NAT)
		p->ct_state |= XT_CONNTRACK_STATE_DNAT;
	p->ct_dir = CTINFO2DIR(ctinfo);
	p->ct_protocol = nf_ct_protonum(ct);
	orig = &ct->tuplehash[IP_CT_DIR_ORIGINAL].tuple;
	repl = &ct->tuplehash[IP_CT_DIR_REPLY].tuple;
	p->ct_orig_saddr = ntohl(orig->src.u3.ip);
	p->ct_orig_daddr = ntohl(orig->dst.u3.ip);
	p->ct_repl_saddr = ntohl(repl->src.u3.ip);
	p->ct_repl_daddr = ntohl(repl->dst.u3.ip);
	p->ct_orig_sport = ntohs(orig->src.u.all);
	p->ct_orig_dport = ntohs(orig->dst.u.all);
	p->ct_repl_sport = ntohs(repl->src.u.all);
	p->ct_repl_dport = ntohs(repl->dst.u.all);
	p->ct_expires = nf_ct_expires(ct) / HZ;
#ifdef CONFIG_NF_CONNTRACK_MARK
	p->ct_mark = READ_ONCE(ct->mark);
#endif
}
#else
static void bf_describe_ct(struct bpfilter_packet *p, const struct sk_buff *skb)
{
	p->ct_state = 1; /* XT_CONNTRACK_STATE_INVALID */
}
#endif

/* What xt_addrtype would find, where a rule asks for it. */
static void bf_describe_types(struct bpfilter_packet *p, const struct iphdr *iph,
			      const struct nf_hook_state *state, u32 want)
{
	const struct net_device *devs[] = { NULL, state->in, state->out };
	int dir, dev;

	for (dir = 0; dir < 2; dir++)
		for (dev = 0; dev < 3; dev++)
			if (want & BPFILTER_WANT_TYPE(dir, dev))
				p->addr_type[dir][dev] =
					inet_dev_addr_type(state->net, devs[dev],
							   dir ? iph->daddr : iph->saddr);
}

/* As xt_length.c, xt_mac.c and others. */
static void bf_describe_header(struct bpfilter_packet *p, const struct sk_buff *skb,
			       const struct iphdr *iph)
{
	const u8 *mac = skb_mac_header(skb);

	p->header = (u32)iph->ttl << 24 | iph->tos << 16 | skb->pkt_type;
	/* skb_ip_totlen(), which not all kernels have. */
	p->tot_len = ntohs(iph->tot_len);
	if (!p->tot_len && skb_is_gso(skb) && skb_is_gso_tcp(skb))
		p->tot_len = skb->len;
	p->cpu = raw_smp_processor_id();
	if (!skb->dev || skb->dev->type != ARPHRD_ETHER || mac < skb->head ||
	    mac + ETH_HLEN > skb->data)
		return;
	p->mac[0] = get_unaligned_be32(mac + ETH_ALEN);
	p->mac[1] = get_unaligned_be16(mac + ETH_ALEN + 4) << 16 | 1;
}

/* As xt_owner.c, which is for senders alone: other packets' sockets may be in TIME_WAIT. */
static void bf_describe_owner(struct bpfilter_packet *p, const struct sk_buff *skb,
			      const struct nf_hook_state *state)
{
	struct sock *sk = skb_to_full_sk(skb);

	if (state->hook != NF_INET_LOCAL_OUT || !sk || !sk_fullsock(sk) || !sk->sk_socket ||
	    !net_eq(state->net, sock_net(sk)))
		return;
	read_lock_bh(&sk->sk_callback_lock);
	if (sk->sk_socket)
		p->owner = 1;
	if (sk->sk_socket && sk->sk_socket->file) {
		const struct cred *cred = sk->sk_socket->file->f_cred;

		p->owner |= 2;
		p->uid = __kuid_val(cred->fsuid);
		p->gid = __kgid_val(cred->fsgid);
	}
	read_unlock_bh(&sk->sk_callback_lock);
}

static void bf_describe(struct bpfilter_packet *p, const struct sk_buff *skb,
			const struct nf_hook_state *state, u32 want)
{
	const struct iphdr *iph = ip_hdr(skb);

	memset(p, 0, offsetof(struct bpfilter_packet, known));
	p->saddr = ntohl(iph->saddr);
	p->daddr = ntohl(iph->daddr);
	p->protocol = iph->protocol;
	p->fragoff = ntohs(iph->frag_off) & IP_OFFSET;
	p->len = skb->len;
	p->thoff = ip_hdrlen(skb);
	p->l4len = p->len > p->thoff ? p->len - p->thoff : 0;
	p->mark = skb->mark;
	p->hook = state->hook;
	bf_describe_l4(p, skb, want);
	if (state->in)
		memcpy(p->in, state->in->name, sizeof(p->in));
	if (state->out)
		memcpy(p->out, state->out->name, sizeof(p->out));
	if (want & BPFILTER_WANT_CT)
		bf_describe_ct(p, skb);
	if (want & BPFILTER_WANT_HEADER)
		bf_describe_header(p, skb, iph);
	if (want & BPFILTER_WANT_OWNER)
		bf_describe_owner(p, skb, state);
	if (want & BF_WANT_TYPES)
		bf_describe_types(p, iph, state, want);
}

/* What a program has noted: see struct bpfilter_ns. */
struct bf_notes {
	u64 list;
	u32 nr;
};

/* The program may use all of cb[], where the stack keeps what it knows of the packet. */
static u32 bf_hook_run(const struct bpf_prog *prog, struct sk_buff *skb,
		       const struct bpfilter_packet *packet, struct bf_notes *notes)
{
	u64 address = (unsigned long)packet;
	char cb[sizeof(skb->cb)];
	u8 *shown = bpf_skb_cb(skb);
	u32 ret;

	memcpy(cb, skb->cb, sizeof(cb));
	bpf_compute_data_pointers(skb);
	memcpy(shown, &address, sizeof(address));
	memset(shown + sizeof(address), 0, BPF_SKB_CB_LEN - sizeof(address));
	ret = bpf_prog_run_pin_on_cpu(prog, skb);
	memcpy(&notes->list, shown + sizeof(address), sizeof(notes->list));
	memcpy(&notes->nr, shown + sizeof(address) + sizeof(notes->list), sizeof(notes->nr));
	memcpy(skb->cb, cb, sizeof(cb));
	return ret;
}

/* Until nothing is asked any more: each turn has one more answer, or is the last one. */
static u32 bf_hook_ask(const struct bf_run *run, struct sk_buff *skb,
		       const struct nf_hook_state *state, struct bpfilter_packet *packet,
		       struct bf_notes *notes)
{
	u32 mark = skb->mark, n, ret;

	memset(packet->known, 0, sizeof(packet->known));
	memset(packet->yes, 0, sizeof(packet->yes));
	local_bh_disable();
	for (n = 0;; n++) {
		ret = bf_hook_run(run->asking, skb, packet, notes);
		if ((ret & ~(BPFILTER_QUESTIONS_MAX - 1)) != BPFILTER_ASK) {
			skb->mark = mark;
			ret = bf_hook_run(run->prog, skb, packet, notes);
			break;
		}
		if (!bf_questions_ask(run->questions, ret - BPFILTER_ASK, n, skb, state, packet)) {
			notes->nr = 0;
			break;
		}
		skb->mark = mark;
	}
	local_bh_enable();
	return ret;
}

/* The last ones are in the list, the very last in the lowest byte. */
static void bf_hook_effects(struct bf_net *bn, const struct bf_run *run, struct sk_buff *skb,
			    const struct nf_hook_state *state,
			    const struct bpfilter_packet *packet, const struct bf_notes *notes)
{
	u32 kept = min_t(u32, notes->nr, sizeof(notes->list)), i;

	atomic64_add(notes->nr - kept, &bn->lost);
	local_bh_disable();
	for (i = kept; i-- > 0;) {
		u8 number = notes->list >> (8 * i);

		bf_questions_run(run->questions, number - 1, skb, state, packet);
	}
	local_bh_enable();
}

static unsigned int bf_hook(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct bf_net *bn = priv;
	const struct bf_run *run = rcu_dereference(bn->run);
	struct bpfilter_packet packet;
	struct bf_notes notes;
	u32 verdict;

	if (!run)
		return NF_ACCEPT;
	bf_describe(&packet, skb, state, run->want);
	verdict = run->asking ? bf_hook_ask(run, skb, state, &packet, &notes) :
				bf_hook_run(run->prog, skb, &packet, &notes);
	if (unlikely(notes.nr) && run->questions)
		bf_hook_effects(bn, run, skb, state, &packet, &notes);
	return verdict == NF_ACCEPT ? NF_ACCEPT : NF_DROP;
}

static const struct nf_hook_ops bf_hook_ops[] = {
	{ .hook = bf_hook, .pf = NFPROTO_IPV4, .hooknum = NF_INET_LOCAL_IN,
	  .priority = NF_IP_PRI_FILTER },
	{ .hook = bf_hook, .pf = NFPROTO_IPV4, .hooknum = NF_INET_FORWARD,
	  .priority = NF_IP_PRI_FILTER },
	{ .hook = bf_hook, .pf = NFPROTO_IPV4, .hooknum = NF_INET_LOCAL_OUT,
	  .priority = NF_IP_PRI_FILTER },
};

static int bf_register_hooks(struct net *net, struct bf_net *bn)
{
	int i;

	BUILD_BUG_ON(sizeof(bn->ops) != sizeof(bf_hook_ops));
	memcpy(bn->ops, bf_hook_ops, sizeof(bn->ops));
	for (i = 0; i < ARRAY_SIZE(bn->ops); i++)
		bn->ops[i].priv = bn;
	return nf_register_net_hooks(net, bn->ops, ARRAY_SIZE(bn->ops));
}

/* --- namespaces ----------------------------------------------------------------------------- */

static void bf_run_free(struct bf_run *run)
{
	if (!run)
		return;
	if (run->prog)
		bpf_prog_put(run->prog);
	if (run->asking)
		bpf_prog_put(run->asking);
	bf_questions_put(run->questions);
	kfree(run);
}

/* The program of a descriptor, held, into @prog; unchanged on error. */
static int bf_run_prog(int fd, struct bpf_prog **prog)
{
	struct bpf_prog *p = bpf_prog_get_type_dev(fd, BPF_PROG_TYPE_SCHED_CLS, false);

	if (IS_ERR(p))
		return PTR_ERR(p);
	*prog = p;
	return 0;
}

static int bf_run_questions(struct bf_run *run, const struct bpfilter_ns *ns, const struct net *net)
{
	struct bf_questions *q;
	int err;

	if (ns->questions < 0)
		return ns->asking < 0 ? 0 : -EINVAL;
	err = ns->asking < 0 ? 0 : bf_run_prog(ns->asking, &run->asking);
	if (err)
		return err;
	q = bf_questions_get(ns->questions, net);
	if (IS_ERR(q))
		return PTR_ERR(q);
	run->questions = q;
	return 0;
}

/* NULL: nothing is to run. */
static struct bf_run *bf_run_new(const struct bpfilter_ns *ns, const struct net *net)
{
	struct bf_run *run;
	int err;

	if (ns->prog < 0)
		return ns->asking < 0 && ns->questions < 0 ? NULL : ERR_PTR(-EINVAL);
	run = kzalloc(sizeof(*run), GFP_KERNEL);
	if (!run)
		return ERR_PTR(-ENOMEM);
	run->want = ns->want;
	err = bf_run_prog(ns->prog, &run->prog);
	if (!err)
		err = bf_run_questions(run, ns, net);
	if (!err)
		return run;
	bf_run_free(run);
	return ERR_PTR(err);
}

static void bf_set_flags(struct bf_net *bn, u32 flags)
{
	bf_nr_owned += !!(flags & BPFILTER_NS_OWNED) - !!(bn->flags & BPFILTER_NS_OWNED);
	if (flags && !bn->flags)
		__module_get(THIS_MODULE);
	else if (!flags && bn->flags)
		module_put(THIS_MODULE);
	WRITE_ONCE(bn->flags, flags);
}

/* @keep: whatever program there is stays, and @run is NULL. Takes over @run on success. */
static int bf_net_set(struct net *net, u32 flags, bool keep, struct bf_run *run)
{
	struct bf_net *bn = net_generic(net, bf_net_id);
	struct bf_run *old = rcu_dereference_protected(bn->run, lockdep_is_held(&bf_mutex));
	u32 changed = flags ^ bn->flags;
	int err;

	if (keep)
		run = old;
	if (run && !(flags & BPFILTER_NS_HOOK))
		return -EINVAL;
	rcu_assign_pointer(bn->run, run);
	if (changed & BPFILTER_NS_HOOK) {
		if (flags & BPFILTER_NS_HOOK) {
			err = bf_register_hooks(net, bn);
			if (err) {
				/* One of the hooks may have been there for a moment. */
				rcu_assign_pointer(bn->run, old);
				synchronize_rcu_expedited();
				return err;
			}
		} else {
			nf_unregister_net_hooks(net, bn->ops, ARRAY_SIZE(bn->ops));
		}
	}
	bf_set_flags(bn, flags);
	if (old && old != run) {
		synchronize_rcu_expedited();
		bf_run_free(old);
	}
	return 0;
}

static int bf_ioctl_ns_set(const struct bpfilter_ns *ns)
{
	u32 flags = ns->flags & ~BPFILTER_NS_KEEP;
	struct bf_run *run = NULL;
	struct net *net;
	int err;

	if (flags & ~(BPFILTER_NS_OWNED | BPFILTER_NS_MOVING | BPFILTER_NS_HOOK))
		return -EINVAL;
	net = get_net_ns_by_fd(ns->netns);
	if (IS_ERR(net))
		return PTR_ERR(net);
	if (!(ns->flags & BPFILTER_NS_KEEP))
		run = bf_run_new(ns, net);
	if (IS_ERR(run)) {
		put_net(net);
		return PTR_ERR(run);
	}
	mutex_lock(&bf_mutex);
	err = bf_net_set(net, flags, ns->flags & BPFILTER_NS_KEEP, run);
	mutex_unlock(&bf_mutex);
	put_net(net);
	if (err)
		bf_run_free(run);
	return err;
}

static int bf_ioctl_ns_get(struct bpfilter_ns *ns)
{
	struct net *net = get_net_ns_by_fd(ns->netns);
	const struct bf_run *run;
	struct bf_net *bn;

	if (IS_ERR(net))
		return PTR_ERR(net);
	bn = net_generic(net, bf_net_id);
	mutex_lock(&bf_mutex);
	run = rcu_dereference_protected(bn->run, lockdep_is_held(&bf_mutex));
	ns->flags = bn->flags;
	ns->prog = run ? run->prog->aux->id : 0;
	ns->want = run ? run->want : 0;
	ns->asking = run && run->asking ? run->asking->aux->id : 0;
	ns->questions = run && run->questions ? bf_questions_nr(run->questions) : 0;
	ns->lost = atomic64_read(&bn->lost);
	mutex_unlock(&bf_mutex);
	put_net(net);
	return 0;
}

static int bf_ioctl_questions(struct bpfilter_questions __user *user)
{
	struct bpfilter_questions arg;
	int ret;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	ret = bf_questions_new(&arg);
	if (ret < 0 && put_user(arg.failed, &user->failed))
		return -EFAULT;
	return ret;
}

static int bf_ioctl_questions_now(int netns)
{
	struct net *net = get_net_ns_by_fd(netns);
	const struct bf_run *run;
	struct bf_net *bn;
	int fd = -ENOENT;

	if (IS_ERR(net))
		return PTR_ERR(net);
	bn = net_generic(net, bf_net_id);
	mutex_lock(&bf_mutex);
	run = rcu_dereference_protected(bn->run, lockdep_is_held(&bf_mutex));
	if (run && run->questions)
		fd = bf_questions_fd(run->questions);
	mutex_unlock(&bf_mutex);
	put_net(net);
	return fd;
}

static void __net_exit bf_net_pre_exit(struct net *net)
{
	struct bf_net *bn = net_generic(net, bf_net_id);

	if (bn->flags & BPFILTER_NS_HOOK)
		nf_unregister_net_hooks(net, bn->ops, ARRAY_SIZE(bn->ops));
}

/* A grace period after the above. */
static void __net_exit bf_net_exit(struct net *net)
{
	struct bf_net *bn = net_generic(net, bf_net_id);

	bf_run_free(rcu_dereference_protected(bn->run, true));
	mutex_lock(&bf_mutex);
	bf_set_flags(bn, 0);
	mutex_unlock(&bf_mutex);
}

static struct pernet_operations bf_net_ops = {
	.pre_exit = bf_net_pre_exit,
	.exit = bf_net_exit,
	.id = &bf_net_id,
	.size = sizeof(struct bf_net),
};

/* --- the device ----------------------------------------------------------------------------- */

static int bf_open(struct inode *inode, struct file *file)
{
	struct pid *pid = get_task_pid(current, PIDTYPE_TGID);
	int err = -EBUSY;

	if (!capable(CAP_NET_ADMIN)) {
		put_pid(pid);
		return -EPERM;
	}
	mutex_lock(&bf_mutex);
	/* One that we had begun to start must not undo the stop that has come in between. */
	if (!bf_intercepting && READ_ONCE(bf_starting))
		err = -ECANCELED;
	else if (!bf_opener)
		err = bf_intercept();
	if (!err) {
		spin_lock(&bf_lock);
		WRITE_ONCE(bf_opener, pid);
		bf_finish_openers();
		spin_unlock(&bf_lock);
	}
	mutex_unlock(&bf_mutex);
	if (err)
		put_pid(pid);
	return err ?: stream_open(inode, file);
}

static int bf_release(struct inode *inode, struct file *file)
{
	struct bf_request *req, *next;
	struct pid *pid = bf_opener;

	mutex_lock(&bf_mutex);
	spin_lock(&bf_lock);
	bf_ready = false;
	WRITE_ONCE(bf_opener, NULL);
	bf_failed_at = 0;
	list_for_each_entry_safe(req, next, &bf_sent, list) {
		/* It may have been done, and must not be done twice. */
		if (bf_is_set(req))
			bf_finish(req, -EAGAIN);
		else
			bf_move(req, BF_PENDING, &bf_pending);
	}
	if (!list_empty(&bf_pending))
		bf_start_helper();
	spin_unlock(&bf_lock);
	mutex_unlock(&bf_mutex);
	put_pid(pid);
	return 0;
}

static bool bf_readable(void)
{
	return READ_ONCE(bf_ready) && !list_empty(&bf_pending);
}

/* The next request, as much as fits into @room: now sent, with a reference. */
static struct bf_request *bf_take(size_t room)
{
	struct bf_request *req = ERR_PTR(-EAGAIN);

	spin_lock(&bf_lock);
	if (bf_readable()) {
		req = list_first_entry(&bf_pending, struct bf_request, list);
		if (room < sizeof(req->head) + req->head.len) {
			req = ERR_PTR(-EMSGSIZE);
		} else {
			kref_get(&req->ref);
			bf_move(req, BF_SENT, &bf_sent);
		}
	}
	spin_unlock(&bf_lock);
	return req;
}

static ssize_t bf_read(struct kiocb *kiocb, struct iov_iter *to)
{
	struct bf_request *req;
	ssize_t ret;

	while ((req = bf_take(iov_iter_count(to))) == ERR_PTR(-EAGAIN)) {
		if (kiocb->ki_filp->f_flags & O_NONBLOCK || kiocb->ki_flags & IOCB_NOWAIT)
			return -EAGAIN;
		ret = wait_event_interruptible(bf_wait, bf_readable());
		if (ret)
			return ret;
	}
	if (IS_ERR(req))
		return PTR_ERR(req);
	ret = sizeof(req->head) + req->head.len;
	if (copy_to_iter(&req->head, sizeof(req->head), to) != sizeof(req->head) ||
	    copy_to_iter(req->payload, req->head.len, to) != req->head.len) {
		ret = -EFAULT;
		spin_lock(&bf_lock);
		if (req->state == BF_SENT) {
			req->state = BF_PENDING;
			list_move(&req->list, &bf_pending);
		}
		spin_unlock(&bf_lock);
	}
	bf_request_put(req);
	return ret;
}

/* A request that has been read, with a reference; NULL if nobody waits for an answer to it. */
static struct bf_request *bf_find_sent(u64 id)
{
	struct bf_request *req, *found = NULL;

	spin_lock(&bf_lock);
	list_for_each_entry(req, &bf_sent, list) {
		if (req->head.id == id) {
			kref_get(&req->ref);
			found = req;
			break;
		}
	}
	spin_unlock(&bf_lock);
	return found;
}

static int bf_answer(struct bf_request *req, const struct bpfilter_reply *reply,
		     struct iov_iter *from)
{
	void *data = NULL;
	int err = 0;

	if (reply->len > req->reply_max)
		return -EINVAL;
	if (reply->len) {
		data = kvmalloc(reply->len, GFP_KERNEL | __GFP_NOWARN);
		if (!data)
			return -ENOMEM;
		if (!copy_from_iter_full(data, reply->len, from)) {
			kvfree(data);
			return -EFAULT;
		}
	}
	spin_lock(&bf_lock);
	if (req->state == BF_SENT) {
		req->reply = data;
		req->reply_len = reply->len;
		bf_finish(req, reply->error);
		data = NULL;
	} else {
		err = -ENOENT;
	}
	spin_unlock(&bf_lock);
	kvfree(data);
	return err;
}

static ssize_t bf_write(struct kiocb *kiocb, struct iov_iter *from)
{
	size_t count = iov_iter_count(from);
	struct bpfilter_reply reply;
	struct bf_request *req;
	int err;

	if (count < sizeof(reply))
		return -EINVAL;
	if (!copy_from_iter_full(&reply, sizeof(reply), from))
		return -EFAULT;
	if (reply.error > 0 || reply.error < -MAX_ERRNO || (reply.error && reply.len) ||
	    reply.len != count - sizeof(reply))
		return -EINVAL;
	req = bf_find_sent(reply.id);
	if (!req)
		return -ENOENT;
	err = bf_answer(req, &reply, from);
	bf_request_put(req);
	return err ?: count;
}

static __poll_t bf_poll(struct file *file, poll_table *table)
{
	poll_wait(file, &bf_wait, table);
	return EPOLLOUT | EPOLLWRNORM | (bf_readable() ? EPOLLIN | EPOLLRDNORM : 0);
}

static int bf_next_size(void)
{
	int size = 0;

	spin_lock(&bf_lock);
	if (bf_readable())
		size = sizeof(struct bpfilter_request) +
		       list_first_entry(&bf_pending, struct bf_request, list)->head.len;
	spin_unlock(&bf_lock);
	return size;
}

static int bf_ioctl_ready(u32 version)
{
	if (version != BPFILTER_VERSION)
		return -EPROTO;
	spin_lock(&bf_lock);
	bf_ready = true;
	bf_known = true;
	spin_unlock(&bf_lock);
	wake_up(&bf_wait);
	return 0;
}

static int bf_ioctl_netns(u64 id)
{
	struct bf_request *req = bf_find_sent(id);
	int fd;

	if (!req)
		return -ENOENT;
	fd = open_related_ns(&req->net->ns, get_net_ns);
	bf_request_put(req);
	return fd;
}

static int bf_ioctl_stop(void)
{
	int err = 0;

	mutex_lock(&bf_mutex);
	if (bf_nr_owned)
		err = -EBUSY;
	else
		bf_stop_intercepting();
	mutex_unlock(&bf_mutex);
	return err;
}

static long bf_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	struct bpfilter_ns ns;
	u32 version;
	s32 netns;
	u64 id;
	int err;

	switch (cmd) {
	case BPFILTER_IOC_READY:
		if (copy_from_user(&version, user, sizeof(version)))
			return -EFAULT;
		return bf_ioctl_ready(version);
	case BPFILTER_IOC_NETNS:
		if (copy_from_user(&id, user, sizeof(id)))
			return -EFAULT;
		return bf_ioctl_netns(id);
	case BPFILTER_IOC_NS_SET:
		if (copy_from_user(&ns, user, sizeof(ns)))
			return -EFAULT;
		return bf_ioctl_ns_set(&ns);
	case BPFILTER_IOC_NS_GET:
		if (copy_from_user(&ns, user, sizeof(ns)))
			return -EFAULT;
		err = bf_ioctl_ns_get(&ns);
		if (!err && copy_to_user(user, &ns, sizeof(ns)))
			err = -EFAULT;
		return err;
	case BPFILTER_IOC_SYNC:
		synchronize_rcu_expedited();
		return 0;
	case BPFILTER_IOC_STOP:
		return bf_ioctl_stop();
	case BPFILTER_IOC_QUESTIONS:
		return bf_ioctl_questions(user);
	case BPFILTER_IOC_QUESTIONS_NOW:
		if (copy_from_user(&netns, user, sizeof(netns)))
			return -EFAULT;
		return bf_ioctl_questions_now(netns);
	case FIONREAD:
		return put_user(bf_next_size(), (int __user *)user);
	}
	return -ENOTTY;
}

static const struct file_operations bf_fops = {
	.owner = THIS_MODULE,
	.open = bf_open,
	.release = bf_release,
	.read_iter = bf_read,
	.write_iter = bf_write,
	.poll = bf_poll,
	.unlocked_ioctl = bf_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice bf_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "bpfilter",
	.fops = &bf_fops,
	.mode = 0600,
};

/* -------------------------------------------------------------------------------------------- */

static int __init bf_init(void)
{
	int err;

	/*
	 * If the kernel has it at all, ours has to come after it. With a soft dependency instead,
	 * "modprobe -r" would want to remove that, too.
	 */
	request_module("ip_tables");
	err = bf_questions_init();
	if (err)
		return err;
	err = register_pernet_subsys(&bf_net_ops);
	if (err)
		goto fail_questions;
	err = misc_register(&bf_device);
	if (err)
		goto fail_pernet;
	err = register_module_notifier(&bf_module_nb);
	if (err)
		goto fail_device;
	mutex_lock(&bf_mutex);
	err = bf_intercept();
	mutex_unlock(&bf_mutex);
	if (err)
		goto fail_notifier;
	return 0;

fail_notifier:
	unregister_module_notifier(&bf_module_nb);
fail_device:
	misc_deregister(&bf_device);
fail_pernet:
	unregister_pernet_subsys(&bf_net_ops);
fail_questions:
	bf_questions_exit();
	return err;
}

static void __exit bf_exit(void)
{
	mutex_lock(&bf_mutex);
	bf_stop_intercepting();
	mutex_unlock(&bf_mutex);
	unregister_module_notifier(&bf_module_nb);
	misc_deregister(&bf_device);
	unregister_pernet_subsys(&bf_net_ops);
	bf_questions_exit();
	cancel_work_sync(&bf_start_work);
	if (bf_ip_tables)
		module_put(bf_ip_tables->owner);
}

module_init(bf_init);
module_exit(bf_exit);

MODULE_DESCRIPTION("iptables' filter table, served by a helper process that translates it to BPF");
MODULE_LICENSE("GPL");
