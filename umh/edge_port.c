// SPDX-License-Identifier: GPL-2.0
/* Our programs at each interface. See edge.h. */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "edge_port.h"
#include "env.h"
#include "tc.h"

/* Index of links; the first two are those of enum bf_tc_dir, too. */
enum { LINK_IN = BF_TC_IN, LINK_OUT = BF_TC_OUT, LINK_XDP, NR_LINKS };

static const char *const link_names[] = {"in", "out", "xdp"};

static void pin_name(const struct bf_edge_port *p, const char *kind, char name[32])
{
	snprintf(name, 32, "%s_%d", kind, p->dev.ifindex);
}

static void unpin_link(struct bf_edge *e, const struct bf_edge_port *p, const char *kind)
{
	char name[32], path[256];

	pin_name(p, kind, name);
	bf_edge_path(e, name, path, sizeof(path));
	unlink(path);
}

static int pin_link(struct bf_edge *e, const struct bf_edge_port *p, const char *kind, int fd)
{
	char name[32];

	pin_name(p, kind, name);
	/* One of the same name is of an interface that is gone. */
	unpin_link(e, p, kind);
	return bf_edge_pin(e, name, fd);
}

static bool has_pin(struct bf_edge *e, const struct bf_edge_port *p, const char *kind)
{
	char name[32], path[256];

	pin_name(p, kind, name);
	bf_edge_path(e, name, path, sizeof(path));
	return !access(path, F_OK);
}

void bf_edge_port_close(struct bf_edge_port *p)
{
	unsigned int i;

	for (i = 0; i < NR_LINKS; i++) {
		if (p->links[i] >= 0)
			close(p->links[i]);
		p->links[i] = -1;
	}
}

/* By the link, not by losing it: it ends at once, wherever the interface may be by now. */
static void detach_link(struct bf_edge *e, struct bf_edge_port *p, int i)
{
	if (p->links[i] >= 0) {
		bpf_link_detach(p->links[i]);
		close(p->links[i]);
		p->links[i] = -1;
	}
	unpin_link(e, p, link_names[i]);
	if (i == LINK_XDP || !p->filters[i])
		return;
	bf_tc_unfilter(p->dev.ifindex, i);
	p->filters[i] = false;
}

void bf_edge_port_detach(struct bf_edge *e, struct bf_edge_port *p)
{
	unsigned int i;

	for (i = 0; i < NR_LINKS; i++)
		detach_link(e, p, i);
	if (has_pin(e, p, "qdisc")) {
		bf_tc_remove_qdisc(p->dev.ifindex);
		unpin_link(e, p, "qdisc");
	}
	p->how = BF_AUTO;
}

void bf_edge_unfilter_all(struct bf_edge *e)
{
	struct bf_netdev *list;
	size_t n, i;

	if (access(e->dir, F_OK) || bf_netdev_list(&list, &n))
		return;
	for (i = 0; i < n; i++) {
		struct bf_edge_port p = {
			.dev = list[i], .links = {-1, -1, -1}, .filters = {true, true}};

		bf_edge_port_detach(e, &p);
	}
	free(list);
}

static struct bf_edge_port *find_port(struct bf_edge *e, int ifindex)
{
	size_t i;

	for (i = 0; i < e->nr_ports; i++)
		if (e->ports[i].dev.ifindex == ifindex)
			return &e->ports[i];
	return NULL;
}

static struct bf_edge_port *have_port(struct bf_edge *e, int ifindex)
{
	struct bf_edge_port *p = find_port(e, ifindex), *ports;

	if (p)
		return p;
	ports = realloc(e->ports, (e->nr_ports + 1) * sizeof(*ports));
	if (!ports)
		return NULL;
	e->ports = ports;
	p = &ports[e->nr_ports++];
	*p = (struct bf_edge_port){.dev = {.ifindex = ifindex}, .links = {-1, -1, -1}};
	return p;
}

/* "in_7" */
static int open_link(struct bf_edge *e, const char *name)
{
	char path[256];
	unsigned int i;

	for (i = 0; i < NR_LINKS; i++) {
		size_t len = strlen(link_names[i]);
		struct bf_edge_port *p;

		if (strncmp(name, link_names[i], len) || name[len] != '_' || !atoi(name + len + 1))
			continue;
		p = have_port(e, atoi(name + len + 1));
		if (!p)
			return -ENOMEM;
		bf_edge_path(e, name, path, sizeof(path));
		p->links[i] = bpf_obj_get(path);
		if (p->links[i] < 0)
			return -errno;
		if (i == LINK_IN)
			p->how = BF_TC;
		else if (i == LINK_XDP && p->how == BF_AUTO)
			p->how = e->place == BF_XDP_GENERIC ? BF_XDP_GENERIC : BF_XDP;
	}
	return 0;
}

int bf_edge_ports_open(struct bf_edge *e)
{
	DIR *dir = opendir(e->dir);
	int err = dir ? 0 : -errno;
	struct dirent *d;

	while (dir && !err && (d = readdir(dir)))
		err = open_link(e, d->d_name);
	if (dir)
		closedir(dir);
	return err;
}

/* --- attaching -------------------------------------------------------------------------------- */

static bool is_attached(const struct bf_edge_port *p, int i)
{
	return p->links[i] >= 0 || (i != LINK_XDP && p->filters[i]);
}

static int attach_filter(struct bf_edge *e, struct bf_edge_port *p, int i, int root)
{
	bool made = false;
	int err = bf_tc_has_filter(p->dev.ifindex, i);

	if (err && err != -ENOENT)
		return err;
	/* A former helper's runs what is in the same switch. */
	if (!err && bf_edge_has_table(e)) {
		p->filters[i] = true;
		return 0;
	}
	bf_tc_unfilter(p->dev.ifindex, i);
	err = bf_tc_filter(p->dev.ifindex, i, root, &made);
	p->filters[i] = !err;
	/* If that cannot be noted, the qdisc stays when we go. */
	if (made && !err)
		pin_link(e, p, "qdisc", e->about);
	return err;
}

static int attach_tc(struct bf_edge *e, struct bf_edge_port *p, int i, struct bf_why *why)
{
	int root, err;

	if (is_attached(p, i))
		return 0;
	root = bf_edge_root(e, i == LINK_IN ? BF_ROOT_TC_INGRESS : BF_ROOT_TC_EGRESS, why);
	if (root < 0)
		return root;
	p->links[i] = bf_tc_link(p->dev.ifindex, i, root);
	if (p->links[i] >= 0) {
		err = pin_link(e, p, link_names[i], p->links[i]);
		if (err)
			detach_link(e, p, i);
	} else {
		err = p->links[i] == -EOPNOTSUPP ? attach_filter(e, p, i, root) : p->links[i];
		p->links[i] = -1;
	}
	return err ? bf_why(why, err, "cannot attach to tc of %s: %s", p->dev.name, strerror(-err))
		   : 0;
}

static int explain_xdp(const struct bf_edge_port *p, int err, struct bf_why *why)
{
	switch (err) {
	case -EBUSY:
	case -EEXIST:
		return bf_why(why, err,
			      "%s has another XDP program, which stays: tc is used there instead",
			      p->dev.name);
	case -EOPNOTSUPP:
		return bf_why(
			why, err,
			"the driver of %s has no native XDP (\"xdp,generic\" would do without): "
			"tc is used there instead",
			p->dev.name);
	}
	return bf_why(why, err, "%s does not take an XDP program (%s): tc is used there instead",
		      p->dev.name, strerror(-err));
}

static int attach_xdp(struct bf_edge *e, struct bf_edge_port *p, bool generic, struct bf_why *why)
{
	int root = bf_edge_root(e, BF_ROOT_XDP, why), err;

	if (root < 0)
		return root;
	p->links[LINK_XDP] = bf_xdp_link(p->dev.ifindex, root,
					 generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
	if (p->links[LINK_XDP] < 0) {
		err = p->links[LINK_XDP];
		p->links[LINK_XDP] = -1;
		return explain_xdp(p, err, why);
	}
	err = pin_link(e, p, link_names[LINK_XDP], p->links[LINK_XDP]);
	if (err)
		detach_link(e, p, LINK_XDP);
	return err ? bf_why(why, err, "cannot pin in %s: %s", e->dir, strerror(-err)) : 0;
}

/* From one to the other, both under guard: none is unfiltered, and what both see one judges. */
static int change_ingress(struct bf_edge *e, struct bf_edge_port *p, enum bf_placement how,
			  struct bf_why *why)
{
	bool guard = (is_attached(p, LINK_IN) || is_attached(p, LINK_XDP)) &&
		     bf_edge_has_table(e) && !bf_edge_guard(e, true);
	bool xdp = bf_placement_is_xdp(how);
	int err;

	if (guard)
		bf_edge_wait(e);
	err = xdp ? attach_xdp(e, p, how == BF_XDP_GENERIC, why) : attach_tc(e, p, LINK_IN, why);
	if (guard)
		bf_edge_wait(e);
	if (!err) {
		detach_link(e, p, xdp ? LINK_IN : LINK_XDP);
		p->how = how;
	}
	if (guard) {
		bf_edge_wait(e);
		bf_edge_guard(e, false);
	}
	return err;
}

/* Where what comes in by the interface is to be filtered. */
static enum bf_placement ask(struct bf_edge *e, const struct bf_netdev *dev)
{
	static const uint8_t none[sizeof(dev->mac)];

	/*
	 * What is sent to oneself is never in a driver. Frames that do not begin with an Ethernet header are not
	 * what a program for XDP reads, and in a bond or a bridge it would see the interfaces below.
	 */
	if (dev->loopback || dev->stacked || !memcmp(dev->mac, none, sizeof(none)) ||
	    e->place == BF_AUTO)
		return BF_TC;
	return bf_config_interface(bf_env_config(e->env), dev->name, e->place);
}

static int settle_ingress(struct bf_edge *e, struct bf_edge_port *p, struct bf_why *why)
{
	enum bf_placement how;
	int err;

	p->asked = ask(e, &p->dev);
	/* What is on the card is in front of that, and comes and goes by itself: offload.h. */
	how = p->asked == BF_OFFLOAD ? BF_XDP : p->asked;
	p->why.text[0] = '\0';
	if (p->dev.port) {
		detach_link(e, p, LINK_IN);
		detach_link(e, p, LINK_XDP);
		p->how = BF_AUTO;
		return 0;
	}
	if (p->dev.loopback && bf_placement_is_xdp(e->place))
		bf_why(&p->why, 0, "what is sent to oneself is in no driver");
	if (bf_placement_is_xdp(how) &&
	    (e->torn || (bf_edge_has_table(e) && !bf_edge_has_xdp_table(e)))) {
		bf_why(&p->why, 0, "the table in force has no program for XDP");
		how = BF_TC;
	}
	if (how == p->how && is_attached(p, how == BF_TC ? LINK_IN : LINK_XDP) &&
	    !is_attached(p, how == BF_TC ? LINK_XDP : LINK_IN))
		return 0;
	/* From native to generic, or back: by way of tc. */
	if (bf_placement_is_xdp(how) && is_attached(p, LINK_XDP) && p->how != how) {
		err = change_ingress(e, p, BF_TC, why);
		if (err)
			return err;
	}
	if (bf_placement_is_xdp(how) && is_attached(p, LINK_XDP)) {
		/* A former helper was on the way here. */
		detach_link(e, p, LINK_IN);
		return 0;
	}
	if (!bf_placement_is_xdp(how) || change_ingress(e, p, how, &p->why))
		return p->how == BF_TC && !is_attached(p, LINK_XDP) && is_attached(p, LINK_IN)
			       ? 0
			       : change_ingress(e, p, BF_TC, why);
	return 0;
}

/*
 * Another interface may have the index by now, or somebody has removed our program. What cannot be told stays: there
 * must be no moment without it. 0 or -errno.
 */
static int check_attached(struct bf_edge *e, struct bf_edge_port *p)
{
	unsigned int i;
	int at, err;

	for (i = 0; i < NR_LINKS; i++) {
		at = p->links[i] < 0 ? p->dev.ifindex : bf_link_ifindex(p->links[i]);
		if (at < 0)
			return at;
		if (at != p->dev.ifindex)
			detach_link(e, p, i);
		if (i == LINK_XDP || !p->filters[i])
			continue;
		err = bf_tc_has_filter(p->dev.ifindex, i);
		if (err && err != -ENOENT)
			return err;
		p->filters[i] = !err;
	}
	return 0;
}

static int settle_port(struct bf_edge *e, struct bf_edge_port *p, struct bf_why *why)
{
	int err = check_attached(e, p);

	if (err)
		return bf_why(why, err, "what is at %s cannot be told: %s", p->dev.name,
			      strerror(-err));
	err = settle_ingress(e, p, why);
	if (!err)
		err = attach_tc(e, p, LINK_OUT, why);
	if (err)
		p->how = BF_AUTO;
	return err;
}

/* --- all of them ------------------------------------------------------------------------------- */

static int note_dev(struct bf_edge *e, const struct bf_netdev *dev)
{
	/*
	 * A macvlan of another namespace may be there, unseen: frames for other addresses than the interface's
	 * are always left to the stack.
	 */
	struct bf_dev value = {.flags = BF_DEV_SHARED};
	uint32_t key = dev->ifindex;

	memcpy(value.name, dev->name, strlen(dev->name));
	memcpy(value.mac, dev->mac, sizeof(value.mac));
	if (dev->port)
		value.flags |= BF_DEV_PORT;
	if (dev->stacked)
		value.flags |= BF_DEV_STACKED;
	return bpf_map_update_elem(e->devs, &key, &value, BPF_ANY) ? -errno : 0;
}

/* Detach from those that are not in the list any more. */
static void drop_gone(struct bf_edge *e)
{
	size_t i = 0;

	while (i < e->nr_ports) {
		struct bf_edge_port *p = &e->ports[i];
		uint32_t key = p->dev.ifindex;

		if (p->seen) {
			i++;
			continue;
		}
		/* Filters and qdisc have gone with the interface, or are in another namespace. */
		p->filters[LINK_IN] = p->filters[LINK_OUT] = false;
		unpin_link(e, p, "qdisc");
		bf_edge_port_detach(e, p);
		bpf_map_delete_elem(e->devs, &key);
		*p = e->ports[--e->nr_ports];
	}
}

static void say(const struct bf_edge_port *p, const char *name, const char *before, int err,
		const struct bf_why *why)
{
	if (err)
		bf_log(BF_LOG_ERR, "%s: interface %s is not filtered: %s", name, p->dev.name,
		       why->text[0] ? why->text : strerror(-err));
	else if (p->why.text[0] && strcmp(before, p->why.text) && !p->dev.loopback)
		bf_log(BF_LOG_WARN, "%s: %s", name, p->why.text);
}

static int sync_one(struct bf_edge *e, const struct bf_netdev *dev, const char *name,
		    struct bf_why *why)
{
	struct bf_edge_port *p = have_port(e, dev->ifindex);
	struct bf_why before, reason = {};
	int err;

	if (!p)
		return -ENOMEM;
	before = p->why;
	p->seen = true;
	p->dev = *dev;
	err = note_dev(e, dev) ?: settle_port(e, p, &reason);
	/* It may have gone just now: there will be an event. */
	if (err && bf_netdev_gone(dev->ifindex))
		return 0;
	if (err)
		p->why = reason;
	say(p, name ?: "interfaces", before.text, err, &reason);
	return err ? bf_why(why, err, "%s", reason.text) : 0;
}

int bf_edge_sync(struct bf_edge *e, bool strict, const char *name, struct bf_why *why)
{
	struct bf_netdev *list;
	size_t n, i;
	int err = bf_netdev_list(&list, &n), first = 0;

	if (err)
		return bf_why(why, err, "the interfaces cannot be listed: %s", strerror(-err));
	for (i = 0; i < e->nr_ports; i++)
		e->ports[i].seen = false;
	for (i = 0; i < n && (!first || !strict); i++) {
		err = sync_one(e, &list[i], name, first ? NULL : why);
		first = first ?: err;
	}
	free(list);
	if (strict && first)
		return first;
	drop_gone(e);
	return 0;
}
