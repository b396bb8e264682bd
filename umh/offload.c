// SPDX-License-Identifier: GPL-2.0
/* See offload.h. */
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
#include "load.h"
#include "offload.h"
#include "tc.h"

static const char link_kind[] = "hw_", counters_kind[] = "hwc_";

static void pin_name(const char *kind, int ifindex, char name[32])
{
	snprintf(name, 32, "%s%d", kind, ifindex);
}

static int pin(struct bf_offload *o, const char *kind, int ifindex, int fd)
{
	char name[32];

	pin_name(kind, ifindex, name);
	return bf_edge_pin(o->edge, name, fd);
}

static void unpin(struct bf_offload *o, const char *kind, int ifindex)
{
	char name[32], path[256];

	pin_name(kind, ifindex, name);
	bf_edge_path(o->edge, name, path, sizeof(path));
	unlink(path);
}

static int open_pin(struct bf_offload *o, const char *kind, int ifindex)
{
	char name[32], path[256];

	pin_name(kind, ifindex, name);
	bf_edge_path(o->edge, name, path, sizeof(path));
	return bpf_obj_get(path);
}

static void close_port(struct bf_offload_port *p)
{
	if (p->link >= 0)
		close(p->link);
	if (p->counters >= 0)
		close(p->counters);
	p->link = p->counters = -1;
	free(p->seen);
	p->seen = NULL;
}

void bf_offload_init(struct bf_offload *o, struct bf_edge *edge)
{
	*o = (struct bf_offload){.edge = edge};
}

void bf_offload_close(struct bf_offload *o)
{
	size_t i;

	for (i = 0; i < o->nr_ports; i++)
		close_port(&o->ports[i]);
	free(o->ports);
	o->ports = NULL;
	o->nr_ports = 0;
}

/* --- counters ---------------------------------------------------------------------------------- */

/* What the card says now, to @seen; if it does not answer, that stays what it was. */
static void read_counters(struct bf_offload_port *p)
{
	struct xt_counters *now = p->counters < 0 ? NULL : calloc(p->nr, sizeof(*now));
	uint32_t key, n = p->together ? 1 : p->nr;

	if (!now)
		return;
	for (key = 0; key < n && !bpf_map_lookup_elem(p->counters, &key, &now[key]); key++)
		;
	if (key < n) {
		free(now);
		return;
	}
	free(p->seen);
	p->seen = now;
}

void bf_offload_add_counters(struct bf_offload *o, struct xt_counters *counters, uint32_t n)
{
	uint32_t k;
	size_t i;

	for (i = 0; i < o->nr_ports; i++) {
		struct bf_offload_port *p = &o->ports[i];

		read_counters(p);
		for (k = 0; p->seen && k < n && k < p->nr; k++) {
			counters[k].pcnt += p->seen[k].pcnt;
			counters[k].bcnt += p->seen[k].bcnt;
		}
	}
}

/* A pinned map that a former helper made for a table of @nr entries. */
static void meet_counters(struct bf_offload_port *p, uint32_t nr)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);

	p->nr = nr;
	if (p->counters < 0 || bpf_obj_get_info_by_fd(p->counters, &info, &len))
		return;
	p->together = info.max_entries == 1;
	if ((uint64_t)info.max_entries * info.value_size == nr * sizeof(struct xt_counters))
		read_counters(p);
}

/* --- taking out -------------------------------------------------------------------------------- */

/* Its counters are read when no packet can be in it any more, and unpinned when they are where they belong. */
static void take_out(struct bf_offload *o, struct bf_offload_port *p, struct bf_loaded *loaded)
{
	if (p->link >= 0) {
		bpf_link_detach(p->link);
		close(p->link);
		p->link = -1;
	}
	unpin(o, link_kind, p->dev.ifindex);
	read_counters(p);
	if (p->seen && loaded && p->nr == loaded->table->num_entries)
		bf_loaded_add_counters(loaded, p->seen);
	unpin(o, counters_kind, p->dev.ifindex);
	close_port(p);
}

void bf_offload_withdraw(struct bf_offload *o, struct bf_loaded *loaded)
{
	size_t i;

	for (i = 0; i < o->nr_ports; i++)
		take_out(o, &o->ports[i], loaded);
	bf_offload_close(o);
}

void bf_offload_open(struct bf_offload *o, struct bf_loaded *loaded)
{
	DIR *dir = opendir(o->edge->dir);
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		struct bf_offload_port p = {};

		/* The counters may be there without the link, but not the other way round. */
		if (strncmp(d->d_name, counters_kind, strlen(counters_kind)))
			continue;
		p.dev.ifindex = atoi(d->d_name + strlen(counters_kind));
		p.link = open_pin(o, link_kind, p.dev.ifindex);
		p.counters = open_pin(o, counters_kind, p.dev.ifindex);
		if (loaded)
			meet_counters(&p, loaded->table->num_entries);
		take_out(o, &p, loaded);
	}
	if (dir)
		closedir(dir);
}

/* --- putting in -------------------------------------------------------------------------------- */

static int create_counters(const struct bf_map_def *def, uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_ifindex = ifindex);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, def->name, sizeof(uint32_t), def->value_size,
				def->max_entries, &opts);

	return fd < 0 ? -errno : fd;
}

/* Compile, and make the counters: one element each if the card has so many, else one for all. */
static int compile(struct bf_offload *o, struct bf_offload_port *p, const struct bf_table *table,
		   struct bf_program **program)
{
	struct bf_dev dev = {};
	struct bf_kernel kernel;
	int err;

	memcpy(dev.name, p->dev.name, strlen(p->dev.name));
	memcpy(dev.mac, p->dev.mac, sizeof(dev.mac));
	bf_env_kernel(o->edge->env, &kernel);
	p->nr = table->num_entries;
	for (p->together = false;; p->together = true) {
		err = bf_compile_offload(table, &kernel, &dev, p->together, program, &p->why);
		if (err)
			return err;
		p->counters = create_counters(&(*program)->maps[BF_MAP_COUNTERS], p->dev.ifindex);
		if (p->counters >= 0)
			return 0;
		err = p->counters;
		p->counters = -1;
		bf_program_free(*program);
		*program = NULL;
		if (p->together)
			return bf_why(&p->why, err,
				      "the network card of %s does not take the counters of a "
				      "program (%s)",
				      p->dev.name, strerror(-err));
	}
}

static int explain_link(struct bf_offload_port *p, int err)
{
	if (err == -EBUSY || err == -EEXIST)
		return bf_why(&p->why, err, "the network card of %s has another program",
			      p->dev.name);
	return bf_why(&p->why, err, "the network card of %s does not run programs (%s)",
		      p->dev.name, strerror(-err));
}

static int attach(struct bf_offload *o, struct bf_offload_port *p, struct bf_program *program)
{
	int fds[BF_NR_ALL_MAPS], prog, err;
	struct bf_why why = {};

	memset(fds, -1, sizeof(fds));
	fds[BF_MAP_COUNTERS] = p->counters;
	program->ifindex = p->dev.ifindex;
	prog = bf_load_program("bpfilter_hw", program, fds, &why);
	if (prog < 0)
		return bf_why(&p->why, prog, "the network card of %s refused the program: %.160s",
			      p->dev.name, why.text[0] ? why.text : strerror(-prog));
	/* The link last: what it counts must be found again. */
	unpin(o, counters_kind, p->dev.ifindex);
	err = pin(o, counters_kind, p->dev.ifindex, p->counters);
	if (!err) {
		p->link = bf_xdp_link(p->dev.ifindex, prog, XDP_FLAGS_HW_MODE);
		if (p->link < 0) {
			err = explain_link(p, p->link);
			p->link = -1;
		} else {
			unpin(o, link_kind, p->dev.ifindex);
			err = pin(o, link_kind, p->dev.ifindex, p->link);
		}
	}
	close(prog);
	return err;
}

static void put_in(struct bf_offload *o, struct bf_offload_port *p, const struct bf_table *table)
{
	struct bf_program *program = NULL;
	int err;

	if (p->dev.forwards) {
		bf_why(&p->why, -EOPNOTSUPP,
		       "%s forwards packets, and the network card cannot tell which ones",
		       p->dev.name);
		return;
	}
	err = compile(o, p, table, &program) ?: attach(o, p, program);
	bf_program_free(program);
	if (!err)
		return;
	if (!p->why.text[0])
		bf_why(&p->why, err, "%s", strerror(-err));
	take_out(o, p, NULL);
}

/* --- all of them ------------------------------------------------------------------------------- */

static struct bf_offload_port *find(const struct bf_offload *o, int ifindex)
{
	size_t i;

	for (i = 0; i < o->nr_ports; i++)
		if (o->ports[i].dev.ifindex == ifindex)
			return &o->ports[i];
	return NULL;
}

const struct bf_offload_port *bf_offload_find(const struct bf_offload *o, int ifindex)
{
	return find(o, ifindex);
}

static struct bf_offload_port *add_port(struct bf_offload *o, const struct bf_netdev *dev)
{
	struct bf_offload_port *ports = realloc(o->ports, (o->nr_ports + 1) * sizeof(*o->ports));

	if (!ports)
		return NULL;
	o->ports = ports;
	ports += o->nr_ports++;
	*ports = (struct bf_offload_port){.dev = *dev, .link = -1, .counters = -1, .wanted = true};
	return ports;
}

/* What is in the driver is what decides on what the card lets up: without that there is nothing to put it in front of. */
static bool is_wanted(const struct bf_edge_port *p)
{
	return p->asked == BF_OFFLOAD && !p->dev.port && bf_placement_is_xdp(p->how);
}

static bool is_same(const struct bf_netdev *a, const struct bf_netdev *b)
{
	return !strcmp(a->name, b->name) && !memcmp(a->mac, b->mac, sizeof(a->mac)) &&
	       a->forwards == b->forwards;
}

/* Somebody may have removed it, or it went with a card that another one has the index of. */
static bool is_there(const struct bf_offload_port *p)
{
	return p->link < 0 || bf_link_ifindex(p->link) == p->dev.ifindex;
}

static void drop_unwanted(struct bf_offload *o, struct bf_loaded *loaded)
{
	size_t i;

	for (i = 0; i < o->nr_ports; i++)
		o->ports[i].wanted = false;
	for (i = 0; i < o->edge->nr_ports; i++) {
		const struct bf_edge_port *e = &o->edge->ports[i];
		struct bf_offload_port *p = find(o, e->dev.ifindex);

		if (p)
			p->wanted = is_wanted(e) && is_same(&e->dev, &p->dev) && is_there(p);
	}
	i = 0;
	while (i < o->nr_ports) {
		if (o->ports[i].wanted) {
			i++;
			continue;
		}
		take_out(o, &o->ports[i], loaded);
		o->ports[i] = o->ports[--o->nr_ports];
	}
}

void bf_offload_sync(struct bf_offload *o, struct bf_loaded *loaded, const char *name)
{
	struct bf_table *table = NULL;
	size_t i;

	drop_unwanted(o, loaded);
	for (i = 0; i < o->edge->nr_ports; i++) {
		const struct bf_edge_port *e = &o->edge->ports[i];
		struct bf_offload_port *p;

		if (!is_wanted(e) || find(o, e->dev.ifindex))
			continue;
		/* Of the table in force only the copy is kept that it was saved in. */
		if (!table && bf_table_load(loaded->table->saved, loaded->table->saved_len, &table))
			return;
		p = add_port(o, &e->dev);
		if (!p)
			break;
		put_in(o, p, table);
		if (p->link < 0)
			bf_log(BF_LOG_WARN, "%s: %s: XDP is used there instead", name, p->why.text);
	}
	bf_table_free(table);
}
