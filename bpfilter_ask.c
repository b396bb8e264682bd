// SPDX-License-Identifier: GPL-2.0
/* Questions that the kernel's own matches answer. See bpfilter_ask.h. */
#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kmod.h>
#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <net/ip.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "bpfilter_ask.h"
#include "uapi/bpfilter.h"

/**
 * struct bf_question - one of them
 * @match: held, by its module; NULL: it is a target
 * @target: held, by its module; NULL: it is a match
 * @info: as the rule has it, and as the match has completed it
 */
struct bf_question {
	const struct xt_match *match;
	const struct xt_target *target;
	void *info;
};

/**
 * struct bf_questions - those of a table
 * @ref: of descriptors, and of what runs at the hooks
 * @list: in struct bf_asked, while @net is not NULL
 * @net: not held; NULL when it has ended
 * @nr: those whose matches have been checked
 * @question: room for all of them
 */
struct bf_questions {
	struct kref ref;
	struct list_head list;
	struct net *net;
	unsigned int nr;
	struct bf_question question[];
};

/* The questions of a namespace. */
struct bf_asked {
	struct list_head list;
};

static unsigned int bf_asked_id;

/* For the lists, and for the ends of what is on them. */
static DEFINE_MUTEX(bf_questions_mutex);

/* --- of one match --------------------------------------------------------------------------- */

static int bf_question_check_match(const struct bf_question *question, struct net *net,
				   const struct bpfilter_question *ask)
{
	int (*check)(struct xt_mtchk_param *par, unsigned int size, u16 proto, bool inv_proto);
	const struct ipt_ip ip = { .proto = ask->proto, .invflags = ask->invflags };
	struct xt_mtchk_param par = {
		.net = net,
		.table = "filter",
		.entryinfo = &ip,
		.match = question->match,
		.matchinfo = question->info,
		.hook_mask = ask->hooks,
		.family = NFPROTO_IPV4,
	};
	int err;

	check = symbol_get(xt_check_match);
	if (!check)
		return -ENOENT;
	err = check(&par, ask->size, ip.proto, ip.invflags & IPT_INV_PROTO);
	symbol_put(xt_check_match);
	return err;
}

static int bf_question_check_target(const struct bf_question *question, struct net *net,
				    const struct bpfilter_question *ask)
{
	int (*check)(struct xt_tgchk_param *par, unsigned int size, u16 proto, bool inv_proto);
	/* Some look at the rule, of which there is this much. */
	const struct ipt_entry entry = { .ip = { .proto = ask->proto, .invflags = ask->invflags } };
	struct xt_tgchk_param par = {
		.net = net,
		.table = "filter",
		.entryinfo = &entry,
		.target = question->target,
		.targinfo = question->info,
		.hook_mask = ask->hooks,
		.family = NFPROTO_IPV4,
	};
	int err;

	check = symbol_get(xt_check_target);
	if (!check)
		return -ENOENT;
	err = check(&par, ask->size, entry.ip.proto, entry.ip.invflags & IPT_INV_PROTO);
	symbol_put(xt_check_target);
	return err;
}

/*
 * x_tables is looked for when somebody asks: the module works without it, and one that depended on
 * it could not be inserted by itself.
 */
static void bf_question_need_x_tables(void)
{
	if (symbol_get(xt_request_find_match))
		symbol_put(xt_request_find_match);
	else
		request_module("x_tables");
}

static int bf_question_find_match(struct bf_question *question, const struct bpfilter_question *ask)
{
	struct xt_match *(*find)(u8 af, const char *name, u8 revision);

	find = symbol_get(xt_request_find_match);
	if (!find)
		return -ENOENT;
	question->match = find(NFPROTO_IPV4, ask->name, ask->revision);
	symbol_put(xt_request_find_match);
	return PTR_ERR_OR_ZERO(question->match);
}

/*
 * Those that leave what is in the packet alone, and the packet itself, which goes on being ours.
 * ip_tables also has targets that take it, and two without a name or a function.
 */
static bool bf_question_is_effect(const char *name)
{
	return !strcmp(name, "REJECT") || !strcmp(name, "LOG") || !strcmp(name, "NFLOG") ||
	       !strcmp(name, "MARK") || !strcmp(name, "CONNMARK");
}

static int bf_question_find_target(struct bf_question *question,
				   const struct bpfilter_question *ask)
{
	struct xt_target *(*find)(u8 af, const char *name, u8 revision);

	if (!bf_question_is_effect(ask->name))
		return -EINVAL;
	find = symbol_get(xt_request_find_target);
	if (!find)
		return -ENOENT;
	question->target = find(NFPROTO_IPV4, ask->name, ask->revision);
	symbol_put(xt_request_find_target);
	return PTR_ERR_OR_ZERO(question->target);
}

/* @info is copied. As find_check_match() and check_target() of ip_tables.c. */
static int bf_question_make(struct bf_question *question, struct net *net,
			    const struct bpfilter_question *ask, const void *info)
{
	bool is_target = ask->flags & BPFILTER_QUESTION_TARGET;
	int err;

	question->info = kmemdup(info, ask->size, GFP_KERNEL_ACCOUNT);
	if (!question->info)
		return -ENOMEM;
	err = is_target ? bf_question_find_target(question, ask) :
			  bf_question_find_match(question, ask);
	if (err)
		goto fail;
	err = is_target ? bf_question_check_target(question, net, ask) :
			  bf_question_check_match(question, net, ask);
	if (!err)
		return 0;
	module_put(is_target ? question->target->me : question->match->me);
fail:
	kfree(question->info);
	return err;
}

/* As cleanup_match(). */
static void bf_question_end_match(const struct bf_question *question, struct net *net)
{
	const struct xt_mtdtor_param par = {
		.net = net,
		.match = question->match,
		.matchinfo = question->info,
		.family = NFPROTO_IPV4,
	};

	if (par.match->destroy)
		par.match->destroy(&par);
	module_put(par.match->me);
}

/* As cleanup_entry(). */
static void bf_question_end_target(const struct bf_question *question, struct net *net)
{
	const struct xt_tgdtor_param par = {
		.net = net,
		.target = question->target,
		.targinfo = question->info,
		.family = NFPROTO_IPV4,
	};

	if (par.target->destroy)
		par.target->destroy(&par);
	module_put(par.target->me);
}

static void bf_question_end(struct bf_question *question, struct net *net)
{
	if (question->target)
		bf_question_end_target(question, net);
	else
		bf_question_end_match(question, net);
	kfree(question->info);
}

/* --- of a table ----------------------------------------------------------------------------- */

static void bf_questions_end(struct bf_questions *q)
{
	lockdep_assert_held(&bf_questions_mutex);
	if (!q->net)
		return;
	while (q->nr)
		bf_question_end(&q->question[--q->nr], q->net);
	list_del(&q->list);
	WRITE_ONCE(q->net, NULL);
}

static void bf_questions_free(struct kref *ref)
{
	struct bf_questions *q = container_of(ref, struct bf_questions, ref);

	bf_questions_end(q);
	mutex_unlock(&bf_questions_mutex);
	kfree(q);
}

void bf_questions_put(struct bf_questions *q)
{
	if (q)
		kref_put_mutex(&q->ref, bf_questions_free, &bf_questions_mutex);
}

unsigned int bf_questions_nr(const struct bf_questions *q)
{
	return q->nr;
}

static int bf_questions_release(struct inode *inode, struct file *file)
{
	bf_questions_put(file->private_data);
	return 0;
}

static const struct file_operations bf_questions_fops = {
	.owner = THIS_MODULE,
	.release = bf_questions_release,
};

int bf_questions_fd(struct bf_questions *q)
{
	int fd;

	kref_get(&q->ref);
	fd = anon_inode_getfd("bpfilter-questions", &bf_questions_fops, q, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		bf_questions_put(q);
	return fd;
}

struct bf_questions *bf_questions_get(int fd, const struct net *net)
{
	struct bf_questions *q = ERR_PTR(-EINVAL);
	struct file *file = fget(fd);

	if (!file)
		return ERR_PTR(-EBADF);
	if (file->f_op == &bf_questions_fops) {
		q = file->private_data;
		if (READ_ONCE(q->net) == net)
			kref_get(&q->ref);
		else
			q = ERR_PTR(-EINVAL);
	}
	fput(file);
	return q;
}

/* @list: arg->size bytes, of which nothing has been looked at. */
static int bf_questions_fill(struct bf_questions *q, struct bpfilter_questions *arg,
			     const void *list)
{
	const struct bpfilter_question *ask;
	u32 size = arg->size, i;
	int err;

	bf_question_need_x_tables();
	for (i = 0; i < arg->nr; i++) {
		ask = list;
		if (size < sizeof(*ask) || ask->size > size - sizeof(*ask) ||
		    ask->size != XT_ALIGN(ask->size) || ask->flags & ~BPFILTER_QUESTION_TARGET ||
		    !memchr(ask->name, 0, sizeof(ask->name)))
			return -EINVAL;
		arg->failed = i;
		err = bf_question_make(&q->question[i], q->net, ask, ask + 1);
		if (err)
			return err;
		arg->failed = arg->nr;
		q->nr++;
		list += sizeof(*ask) + ask->size;
		size -= sizeof(*ask) + ask->size;
	}
	return size ? -EINVAL : 0;
}

/* While @net is held. */
static int bf_questions_make(struct net *net, struct bpfilter_questions *arg, const void *list)
{
	struct bf_asked *asked = net_generic(net, bf_asked_id);
	struct bf_questions *q = kzalloc(struct_size(q, question, arg->nr), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!q)
		return -ENOMEM;
	kref_init(&q->ref);
	q->net = net;
	mutex_lock(&bf_questions_mutex);
	list_add(&q->list, &asked->list);
	mutex_unlock(&bf_questions_mutex);
	ret = bf_questions_fill(q, arg, list);
	if (!ret)
		ret = bf_questions_fd(q);
	bf_questions_put(q);
	return ret;
}

int bf_questions_new(struct bpfilter_questions *arg)
{
	struct net *net;
	void *list;
	int ret;

	arg->failed = arg->nr;
	if (arg->nr < 1 || arg->nr > BPFILTER_QUESTIONS_MAX || arg->size > BPFILTER_QUESTIONS_SIZE)
		return -EINVAL;
	net = get_net_ns_by_fd(arg->netns);
	if (IS_ERR(net))
		return PTR_ERR(net);
	list = vmemdup_user(u64_to_user_ptr(arg->list), arg->size);
	if (IS_ERR(list)) {
		ret = PTR_ERR(list);
	} else {
		ret = bf_questions_make(net, arg, list);
		kvfree(list);
	}
	put_net(net);
	return ret;
}

/* As ipt_do_table(). */
static bool bf_question_match(const struct bf_question *question, const struct sk_buff *skb,
			      struct xt_action_param *par)
{
	par->match = question->match;
	par->matchinfo = question->info;
	return question->match->match(skb, par);
}

bool bf_questions_ask(const struct bf_questions *q, unsigned int k, unsigned int n,
		      const struct sk_buff *skb, const struct nf_hook_state *state,
		      struct bpfilter_packet *packet)
{
	struct xt_action_param par = {
		.state = state,
		.thoff = packet->thoff,
		.fragoff = packet->fragoff,
	};
	u32 bit = 1U << (n % 32);
	unsigned int i = n / 32;
	bool yes;

	if (k >= q->nr || !q->question[k].match || n >= BPFILTER_QUESTIONS_MAX)
		return false;
	yes = bf_question_match(&q->question[k], skb, &par);
	if (!par.hotdrop)
		packet->known[i] |= bit;
	if (yes || par.hotdrop)
		packet->yes[i] |= bit;
	return true;
}

void bf_questions_run(const struct bf_questions *q, unsigned int k, struct sk_buff *skb,
		      const struct nf_hook_state *state, const struct bpfilter_packet *packet)
{
	struct xt_action_param par = {
		.state = state,
		.thoff = packet->thoff,
		.fragoff = packet->fragoff,
	};
	const struct bf_question *question;

	if (k >= q->nr)
		return;
	question = &q->question[k];
	if (!question->target) {
		bf_question_match(question, skb, &par);
		return;
	}
	par.target = question->target;
	par.targinfo = question->info;
	question->target->target(skb, &par);
}

/* --- of a namespace ------------------------------------------------------------------------- */

static int __net_init bf_asked_net_init(struct net *net)
{
	struct bf_asked *asked = net_generic(net, bf_asked_id);

	INIT_LIST_HEAD(&asked->list);
	return 0;
}

/* Nothing runs there any more; descriptors may be left. */
static void __net_exit bf_asked_net_exit(struct net *net)
{
	struct bf_asked *asked = net_generic(net, bf_asked_id);
	struct bf_questions *q, *next;

	mutex_lock(&bf_questions_mutex);
	list_for_each_entry_safe(q, next, &asked->list, list)
		bf_questions_end(q);
	mutex_unlock(&bf_questions_mutex);
}

static struct pernet_operations bf_asked_net_ops = {
	.init = bf_asked_net_init,
	.exit = bf_asked_net_exit,
	.id = &bf_asked_id,
	.size = sizeof(struct bf_asked),
};

int bf_questions_init(void)
{
	return register_pernet_subsys(&bf_asked_net_ops);
}

void bf_questions_exit(void)
{
	unregister_pernet_subsys(&bf_asked_net_ops);
}
