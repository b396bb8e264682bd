// SPDX-License-Identifier: GPL-2.0
/* See early_drop.h. */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "addresses.h"
#include "array.h"
#include "config.h"
#include "ct_pernet.h"
#include "early_drop.h"
#include "edge.h"
#include "env.h"
#include "load.h"
#include "rcu.h"
#include "reader.h"
#include "tc.h"

static const char switch_name[] = "early_switch", asked_name[] = "early_asked",
		  link_kind[] = "early_";

static void path_of(const struct bf_early_drop *d, const char *name, char path[256])
{
	snprintf(path, 256, "%s/%s", d->dir, name);
}

static void link_path(const struct bf_early_drop *d, int ifindex, char path[256])
{
	snprintf(path, 256, "%s/%s%d", d->dir, link_kind, ifindex);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void bf_early_drop_init(struct bf_early_drop *d, struct bf_env *env, ino_t inode)
{
	*d = (struct bf_early_drop){
		.env = env, .switch_fd = -1, .root = -1, .counts = -1, .watch = -1};
	snprintf(d->dir, sizeof(d->dir), "%s/%lu", bf_pin_dir(), (unsigned long)inode);
}

void bf_early_drop_close(struct bf_early_drop *d)
{
	size_t i;

	for (i = 0; i < d->nr_ports; i++)
		close_fd(&d->ports[i].link);
	free(d->ports);
	d->ports = NULL;
	d->nr_ports = 0;
	close_fd(&d->switch_fd);
	close_fd(&d->root);
	close_fd(&d->counts);
	close_fd(&d->watch);
}

/* --- interfaces -------------------------------------------------------------------------------- */

static struct bf_early_port *find(struct bf_early_drop *d, int ifindex)
{
	size_t i;

	for (i = 0; i < d->nr_ports; i++)
		if (d->ports[i].dev.ifindex == ifindex)
			return &d->ports[i];
	return NULL;
}

static struct bf_early_port *add_port(struct bf_early_drop *d, const struct bf_netdev *dev)
{
	struct bf_early_port *ports = realloc(d->ports, (d->nr_ports + 1) * sizeof(*ports));

	if (!ports)
		return NULL;
	d->ports = ports;
	ports += d->nr_ports++;
	*ports = (struct bf_early_port){.dev = *dev, .link = -1};
	return ports;
}

static void detach(struct bf_early_drop *d, struct bf_early_port *p)
{
	char path[256];

	if (p->link >= 0)
		bpf_link_detach(p->link);
	close_fd(&p->link);
	link_path(d, p->dev.ifindex, path);
	unlink(path);
}

static int explain(struct bf_early_port *p, int err)
{
	switch (err) {
	case -EBUSY:
	case -EEXIST:
		return bf_why(&p->why, err, "it has another XDP program");
	case -EOPNOTSUPP:
		return bf_why(&p->why, err, "its driver has no XDP");
	}
	return bf_why(&p->why, err, "it does not take an XDP program (%s)", strerror(-err));
}

static int attach(struct bf_early_drop *d, struct bf_early_port *p)
{
	struct bf_kernel kernel;
	char path[256];
	int err;

	if (d->root < 0) {
		bf_env_kernel(d->env, &kernel);
		err = bf_load_root(&kernel, BF_ROOT_EARLY, d->switch_fd, -1, &p->why);
		if (err < 0)
			return err;
		d->root = err;
	}
	p->link = bf_xdp_link(p->dev.ifindex, d->root, XDP_FLAGS_DRV_MODE);
	if (p->link < 0) {
		err = p->link;
		p->link = -1;
		return explain(p, err);
	}
	/* One of the same name is of an interface that is gone. */
	link_path(d, p->dev.ifindex, path);
	unlink(path);
	if (!bpf_obj_pin(p->link, path))
		return 0;
	err = -errno;
	detach(d, p);
	return bf_why(&p->why, err, "cannot pin in %s: %s", d->dir, strerror(-err));
}

/*
 * What the stage would let up whatever it is has no use for it. With XDP at a veth, its peer has to cut what it would hand
 * over whole (TSO); a card, or a virtual machine's host, no longer makes one packet of several. INPUT counts otherwise
 * then, which nobody shall meet who has not asked for it: those must be named.
 */
static bool is_wanted(const struct bf_early_drop *d, const struct bf_netdev *dev)
{
	static const char *const merging[] = {"rx-lro", "rx-gro-hw", NULL};
	static const uint8_t none[sizeof(dev->mac)];

	return !dev->loopback && !dev->stacked && !dev->port &&
	       memcmp(dev->mac, none, sizeof(none)) &&
	       bf_config_early(bf_env_config(d->env), dev->name, d->place,
			       dev->veth || bf_netdev_has_feature(dev->name, merging));
}

static void settle(struct bf_early_drop *d, const struct bf_netdev *dev, const char *name)
{
	struct bf_early_port *p = find(d, dev->ifindex);
	struct bf_why before;

	if (!is_wanted(d, dev))
		return;
	p = p ?: add_port(d, dev);
	if (!p)
		return;
	p->seen = true;
	p->dev = *dev;
	before = p->why;
	/* Somebody may have removed it, or another interface has the index. */
	if (p->link >= 0 && bf_link_ifindex(p->link) != dev->ifindex)
		detach(d, p);
	if (p->link >= 0)
		return;
	p->why.text[0] = '\0';
	if (attach(d, p) && strcmp(before.text, p->why.text))
		bf_log(BF_LOG_INFO, "%s: nothing is dropped early at %s: %s", name, dev->name,
		       p->why.text);
}

/* 0 or -errno: then what is there stays. */
static int settle_all(struct bf_early_drop *d, const char *name)
{
	struct bf_netdev *list;
	size_t n, i;
	int err = bf_netdev_list(&list, &n);

	if (err)
		return err;
	for (i = 0; i < d->nr_ports; i++)
		d->ports[i].seen = false;
	for (i = 0; i < n; i++)
		settle(d, &list[i], name);
	free(list);
	for (i = 0; i < d->nr_ports;) {
		if (d->ports[i].seen) {
			i++;
			continue;
		}
		detach(d, &d->ports[i]);
		d->ports[i] = d->ports[--d->nr_ports];
	}
	return 0;
}

/* --- the stage --------------------------------------------------------------------------------- */

/* The map of a program's counters: a new descriptor or -errno. */
static int open_counters(int prog)
{
	uint32_t ids[BF_NR_ALL_MAPS + 1] = {}, i;
	struct bpf_prog_info info = {.nr_map_ids = ARRAY_SIZE(ids), .map_ids = (uintptr_t)ids};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(prog, &info, &len))
		return -errno;
	for (i = 0; i < info.nr_map_ids && i < ARRAY_SIZE(ids); i++) {
		int fd = bpf_map_get_fd_by_id(ids[i]);
		struct bpf_map_info map = {};

		len = sizeof(map);
		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &map, &len) &&
		    !strcmp(map.name, "bf_counters"))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -ENOENT;
}

/*
 * In front of a loaded table, whose counters it shares. A descriptor of the program, or -errno. @counts: receives its
 * BF_MAP_EARLY.
 */
static int load_program(const struct bf_loaded *l, const struct bf_program *program, int *counts,
			struct bf_why *why)
{
	int fds[BF_NR_ALL_MAPS], prog = 0, i;

	memset(fds, -1, sizeof(fds));
	fds[BF_MAP_COUNTERS] = open_counters(l->prog);
	if (fds[BF_MAP_COUNTERS] < 0)
		prog = fds[BF_MAP_COUNTERS];
	for (i = 0; i < BF_NR_MAPS && prog >= 0; i++) {
		if (!program->maps[i].max_entries || i == BF_MAP_COUNTERS)
			continue;
		fds[i] = bf_array_create(program->maps[i].name, program->maps[i].value_size,
					 program->maps[i].max_entries);
		prog = fds[i] < 0 ? fds[i] : bf_array_fill(fds[i], &program->maps[i], true);
	}
	if (prog >= 0)
		prog = bf_load_program("bpfilter_early", program, fds, why);
	if (prog >= 0) {
		*counts = fds[BF_MAP_EARLY];
		fds[BF_MAP_EARLY] = -1;
	}
	for (i = 0; i < BF_NR_MAPS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return prog;
}

/* What only the kernel's memory tells. Without it less is dropped early, or with more effort. */
static void look_into(struct bf_kernel *kernel)
{
	struct bf_reader reader;

	kernel->has_ct_pernet = kernel->addresses_known = false;
	if (!kernel->has_dev)
		return;
	if (!bf_reader_open(&reader, kernel)) {
		bf_ct_pernet_find(kernel, &reader);
		bf_addresses_check(kernel, &reader);
	}
	bf_reader_close(&reader);
}

/* 0 or -errno with the reason. */
static int load(struct bf_early_drop *d, const struct bf_loaded *loaded, uint32_t root_id,
		struct bf_why *why)
{
	struct bf_early early = {.root_id = root_id, .stride = loaded->stride};
	struct bf_program *program = NULL;
	struct bf_table *table = NULL;
	struct bf_kernel kernel;
	uint32_t slot = BF_SLOT_TABLE;
	int prog = -1, err;

	bf_env_kernel(d->env, &kernel);
	bf_symbols_look(&d->symbols, &kernel);
	if (!kernel.fn_link)
		return bf_why(why, -EOPNOTSUPP,
			      "/proc/kallsyms does not tell what is at netfilter's hooks");
	if (!kernel.net_addresses && !kernel.all_addresses)
		return bf_why(why, -EOPNOTSUPP,
			      "/proc/kallsyms does not tell where the machine's addresses are");
	look_into(&kernel);
	err = bf_netns_cookie(&early.cookie);
	if (!err && !early.cookie)
		err = -EOPNOTSUPP;
	err = err ?: bf_table_copy(loaded->table, &table);
	if (!err) {
		bf_env_try(d->env, table, &kernel);
		err = bf_compile_early(table, &kernel, &early, &program, why);
	}
	if (!err) {
		prog = load_program(loaded, program, &d->counts, why);
		err = prog < 0 ? prog : 0;
	}
	if (!err && bpf_map_update_elem(d->switch_fd, &slot, &prog, BPF_ANY))
		err = -errno;
	if (prog >= 0)
		close(prog);
	if (err)
		close_fd(&d->counts);
	bf_program_free(program);
	bf_table_free(table);
	return err;
}

static int make_switch(struct bf_early_drop *d)
{
	char path[256];
	int fd;

	if (d->switch_fd >= 0)
		return 0;
	if (mkdir(d->dir, 0700) && errno != EEXIST)
		return -errno;
	fd = bf_create_switch();
	if (fd < 0)
		return fd;
	path_of(d, switch_name, path);
	if (bpf_obj_pin(fd, path)) {
		int err = -errno;

		close(fd);
		return err;
	}
	d->switch_fd = fd;
	return 0;
}

/* That the placement was asked for, and not by the configuration alone, is for a successor to know. */
static int note_asked(struct bf_early_drop *d)
{
	char path[256];

	path_of(d, asked_name, path);
	if (d->place == BF_EARLY)
		return bpf_obj_pin(d->switch_fd, path) && errno != EEXIST ? -errno : 0;
	unlink(path);
	return 0;
}

static int make(struct bf_early_drop *d)
{
	int err = make_switch(d) ?: note_asked(d);

	if (!err && d->watch < 0) {
		d->watch = bf_netdev_watch();
		if (d->watch < 0) {
			err = d->watch;
			d->watch = -1;
		}
	}
	return err;
}

static void detach_all(struct bf_early_drop *d)
{
	size_t i;

	for (i = 0; i < d->nr_ports; i++)
		detach(d, &d->ports[i]);
	d->nr_ports = 0;
}

/* The stage of the table in force is in the switch, if there can be one. 0 or -errno with the reason. */
static int fill(struct bf_early_drop *d, const struct bf_loaded *loaded, uint32_t root_id,
		struct bf_why *why)
{
	int err;

	if (bf_symbols_changed(&d->symbols))
		bf_early_drop_withdraw(d);
	if (d->refused)
		*why = d->why;
	if (d->refused || d->counts >= 0)
		return d->refused ? -EOPNOTSUPP : 0;
	err = load(d, loaded, root_id, why);
	d->refused = err == -EOPNOTSUPP;
	return err;
}

void bf_early_drop_sync(struct bf_early_drop *d, enum bf_placement place,
			const struct bf_loaded *loaded, uint32_t root_id, const char *name)
{
	struct bf_why before = d->why, why = {};
	int err;

	d->place = place;
	if (!bf_config_wants_early(bf_env_config(d->env), place) || !loaded || !root_id) {
		bf_early_drop_remove(d);
		d->why.text[0] = '\0';
		if (loaded && !root_id && place == BF_EARLY)
			bf_why(&d->why, 0, "the table is not at links of netfilter's hooks");
		return;
	}
	err = make(d) ?: fill(d, loaded, root_id, &why);
	if (!err)
		err = settle_all(d, name);
	else if (d->refused)
		detach_all(d);
	if (err && !why.text[0])
		bf_why(&why, err, "%s", strerror(-err));
	d->why = why;
	if (why.text[0] && strcmp(before.text, why.text))
		bf_log(BF_LOG_INFO, "%s: nothing is dropped early: %s", name, why.text);
}

void bf_early_drop_withdraw(struct bf_early_drop *d)
{
	uint32_t slot = BF_SLOT_TABLE;

	close_fd(&d->counts);
	d->refused = false;
	if (d->switch_fd < 0)
		return;
	bpf_map_delete_elem(d->switch_fd, &slot);
	bf_rcu_wait(bf_env_rcu(d->env), bf_env_device(d->env));
}

bool bf_early_drop_changed(struct bf_early_drop *d)
{
	return d->watch >= 0 && bf_netdev_changed(d->watch, NULL, NULL);
}

void bf_early_drop_counts(const struct bf_early_drop *d, uint64_t packets[BF_NR_EARLY])
{
	struct bf_early_counts one;
	uint32_t cpu;
	int i;

	memset(packets, 0, BF_NR_EARLY * sizeof(*packets));
	for (cpu = 0; d->counts >= 0 && !bpf_map_lookup_elem(d->counts, &cpu, &one); cpu++)
		for (i = 0; i < BF_NR_EARLY; i++)
			packets[i] += one.packets[i];
}

/* --- what is pinned ---------------------------------------------------------------------------- */

bool bf_early_drop_open(struct bf_early_drop *d)
{
	char path[256];
	struct dirent *entry;
	DIR *dir;

	path_of(d, switch_name, path);
	d->switch_fd = bpf_obj_get(path);
	if (d->switch_fd < 0) {
		d->switch_fd = -1;
		return false;
	}
	bf_early_drop_withdraw(d);
	dir = opendir(d->dir);
	while (dir && (entry = readdir(dir))) {
		struct bf_netdev dev = {};
		struct bf_early_port *p;

		if (strncmp(entry->d_name, link_kind, strlen(link_kind)))
			continue;
		dev.ifindex = atoi(entry->d_name + strlen(link_kind));
		p = dev.ifindex ? add_port(d, &dev) : NULL;
		if (!p)
			continue;
		link_path(d, dev.ifindex, path);
		p->link = bpf_obj_get(path);
		if (p->link < 0)
			p->link = -1;
	}
	if (dir)
		closedir(dir);
	path_of(d, asked_name, path);
	return !access(path, F_OK);
}

void bf_early_drop_remove(struct bf_early_drop *d)
{
	char path[256];

	if (d->switch_fd < 0)
		return;
	bf_early_drop_withdraw(d);
	detach_all(d);
	path_of(d, switch_name, path);
	unlink(path);
	path_of(d, asked_name, path);
	unlink(path);
	bf_early_drop_close(d);
	rmdir(d->dir);
}

void bf_early_drop_sweep(ino_t inode)
{
	struct bf_early_drop d;
	struct dirent *entry;
	char path[512];
	DIR *dir;

	bf_early_drop_init(&d, NULL, inode);
	dir = opendir(d.dir);
	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, link_kind, strlen(link_kind)))
			continue;
		snprintf(path, sizeof(path), "%s/%s", d.dir, entry->d_name);
		unlink(path);
	}
	if (dir)
		closedir(dir);
	rmdir(d.dir);
}
