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

#include "clock.h"
#include "config.h"
#include "edge_port.h"
#include "env.h"
#include "load.h"
#include "offload.h"
#include "tc.h"

/* Between two attempts at a card that refuses. */
#define FIRST_WAIT_MS 1000
#define MAX_WAIT_MS   (3600 * 1000)

/* How often a card is asked for a counter that it does not tell. */
#define MAX_READS 3

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
	int fd;

	pin_name(kind, ifindex, name);
	bf_edge_path(o->edge, name, path, sizeof(path));
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
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

void bf_offload_init(struct bf_offload *o, struct bf_edge *edge, const char *name)
{
	*o = (struct bf_offload){.edge = edge, .name = name};
}

void bf_offload_close(struct bf_offload *o)
{
	size_t i;

	for (i = 0; i < o->nr_ports; i++)
		close_port(&o->ports[i]);
	free(o->ports);
	o->ports = NULL;
	o->nr_ports = 0;
	o->starved_at = 0;
}

/* --- counters ---------------------------------------------------------------------------------- */

/*
 * What the card says now, to @seen, one after the other, since each of them only grows; what it does not tell stays what
 * it was. 0 or -errno; -ENODEV: the card is gone.
 */
static int read_counters(struct bf_offload_port *p)
{
	uint32_t key, n = p->together ? 1 : p->nr;
	int tries;

	for (key = 0; p->counters >= 0 && p->seen && key < n; key++)
		for (tries = 1; bpf_map_lookup_elem(p->counters, &key, &p->seen[key]); tries++)
			if (errno == ENODEV || tries == MAX_READS)
				return -errno;
	return 0;
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

/* Before it counts: when its counters are to be read is no time to fail for want of memory. */
static int alloc_seen(struct bf_offload_port *p, uint32_t nr)
{
	p->nr = nr;
	p->seen = calloc(nr ?: 1, sizeof(*p->seen));
	return p->seen ? 0 : -ENOMEM;
}

/* A pinned map that a former helper made for a table of @nr entries. */
static int meet_counters(struct bf_offload_port *p, uint32_t nr)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(p->counters, &info, &len))
		return errno == ENODEV ? 0 : -errno;
	/* They are read into as many. */
	if ((uint64_t)info.max_entries * info.value_size != nr * sizeof(struct xt_counters))
		return 0;
	p->together = info.max_entries == 1;
	return alloc_seen(p, nr);
}

/* --- taking out -------------------------------------------------------------------------------- */

/* Its counters are read when no packet can be in it any more, and unpinned when they are where they belong. */
static void take_out(struct bf_offload *o, struct bf_offload_port *p, struct bf_loaded *loaded)
{
	int err;

	if (p->link >= 0) {
		bpf_link_detach(p->link);
		close(p->link);
		p->link = -1;
	}
	unpin(o, link_kind, p->dev.ifindex);
	err = read_counters(p);
	if (err && err != -ENODEV)
		bf_log(BF_LOG_WARN,
		       "%s: the network card at interface %d does not tell its counters (%s): what "
		       "it has counted since they were last read is lost",
		       o->name, p->dev.ifindex, strerror(-err));
	if (p->seen && loaded && p->nr == loaded->table->num_entries)
		bf_loaded_add_counters(loaded, p->seen);
	unpin(o, counters_kind, p->dev.ifindex);
	close_port(p);
}

/* The next table may be what a card takes; one that takes no counters takes none of it either. */
void bf_offload_withdraw(struct bf_offload *o, struct bf_loaded *loaded)
{
	size_t i;

	for (i = 0; i < o->nr_ports; i++) {
		struct bf_offload_port *p = &o->ports[i];

		if (p->link >= 0)
			take_out(o, p, loaded);
		if (p->able)
			p->again_at = p->wait_ms = 0;
	}
}

/* The counters may be there without the link, but not the other way round. */
static int take_out_left(struct bf_offload *o, int ifindex, struct bf_loaded *loaded)
{
	struct bf_offload_port p = {.dev.ifindex = ifindex, .counters = -1};
	int err = 0;

	/* A pin that cannot be opened is there, and without a descriptor the program would stay for a while. */
	p.link = open_pin(o, link_kind, ifindex);
	if (p.link < 0 && p.link != -ENOENT)
		return p.link;
	p.counters = open_pin(o, counters_kind, ifindex);
	if (p.counters < 0)
		err = p.counters;
	else if (loaded)
		err = meet_counters(&p, loaded->table->num_entries);
	if (err)
		close_port(&p);
	else
		take_out(o, &p, loaded);
	return err;
}

int bf_offload_open(struct bf_offload *o, struct bf_loaded *loaded, struct bf_why *why)
{
	DIR *dir = opendir(o->edge->dir);
	int err = dir || errno == ENOENT ? 0 : -errno;
	struct dirent *d;

	while (dir && !err && (d = readdir(dir)))
		if (!strncmp(d->d_name, counters_kind, strlen(counters_kind)))
			err = take_out_left(o, atoi(d->d_name + strlen(counters_kind)), loaded);
	if (dir)
		closedir(dir);
	return err ? bf_why(why, err, "what is on network cards cannot be looked at: %s",
			    strerror(-err))
		   : 0;
}

/* --- putting in -------------------------------------------------------------------------------- */

static int create_counters(const struct bf_map_def *def, uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_ifindex = ifindex);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, def->name, sizeof(uint32_t), def->value_size,
				def->max_entries, &opts);

	return fd < 0 ? -errno : fd;
}

static int explain_counters(struct bf_offload_port *p, int err)
{
	return bf_why(&p->why, err,
		      "the network card of %s does not take the counters of a program (%s)",
		      p->dev.name, strerror(-err));
}

/* What has nothing to do with the table, and is known with little work. */
static int check_card(struct bf_offload_port *p)
{
	const struct bf_map_def one = {
		.name = "bf_offloaded", .value_size = sizeof(struct xt_counters), .max_entries = 1};
	int fd;

	if (p->dev.forwards) {
		p->again_at = BF_OFFLOAD_NEVER;
		return bf_why(&p->why, -EOPNOTSUPP,
			      "%s forwards packets, and the network card cannot tell which ones",
			      p->dev.name);
	}
	if (p->able)
		return 0;
	fd = create_counters(&one, p->dev.ifindex);
	if (fd < 0)
		return explain_counters(p, fd);
	close(fd);
	p->able = true;
	return 0;
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
	err = alloc_seen(p, table->num_entries);
	if (err)
		return err;
	for (p->together = false;; p->together = true) {
		err = bf_compile_offload(table, &kernel, &dev, p->together, program, &p->why);
		if (err && err != -ENOMEM)
			p->again_at = BF_OFFLOAD_NEVER;
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
			return explain_counters(p, err);
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

/* To be tried again after twice the time that it was waited before, unless it is known that it need not be. */
static void refuse(struct bf_offload_port *p, int err)
{
	if (!p->why.text[0])
		bf_why(&p->why, err, "the network card of %s cannot be given the filter (%s)",
		       p->dev.name, strerror(-err));
	p->tried_at = bf_now_ms();
	if (p->again_at == BF_OFFLOAD_NEVER)
		return;
	p->wait_ms = p->wait_ms ? 2 * p->wait_ms : FIRST_WAIT_MS;
	if (p->wait_ms > MAX_WAIT_MS)
		p->wait_ms = MAX_WAIT_MS;
	p->again_at = p->tried_at + p->wait_ms;
}

/* @table: that of @loaded, copied when it is first needed; to be freed by the caller */
static void put_in(struct bf_offload *o, struct bf_offload_port *p, struct bf_loaded *loaded,
		   struct bf_table **table)
{
	struct bf_program *program = NULL;
	int err;

	p->again_at = 0;
	p->why.text[0] = '\0';
	err = check_card(p);
	if (!err && !*table)
		err = bf_table_copy(loaded->table, table);
	if (!err)
		err = compile(o, p, *table, &program) ?: attach(o, p, program);
	bf_program_free(program);
	if (!err) {
		p->wait_ms = 0;
		return;
	}
	if (p->link >= 0) {
		take_out(o, p, loaded);
	} else {
		unpin(o, counters_kind, p->dev.ifindex);
		close_port(p);
	}
	refuse(p, err);
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

	if (!ports) {
		o->starved_at = bf_now_ms();
		return NULL;
	}
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

/* @told: rtnetlink has told of the interface. Our own attempts may be why. */
static bool is_due(struct bf_offload_port *p, bool told)
{
	uint64_t soon = p->tried_at + FIRST_WAIT_MS;

	if (p->link >= 0 || p->again_at == BF_OFFLOAD_NEVER)
		return false;
	if (told && p->again_at > soon)
		p->again_at = soon;
	return p->again_at <= bf_now_ms();
}

static void try(struct bf_offload *o, struct bf_offload_port *p, struct bf_loaded *loaded,
		struct bf_table **table)
{
	struct bf_why before = p->why;

	put_in(o, p, loaded, table);
	if (p->link < 0 && strcmp(before.text, p->why.text))
		bf_log(BF_LOG_WARN, "%s: %s: XDP is used there instead", o->name, p->why.text);
	else if (p->link >= 0 && before.text[0])
		bf_log(BF_LOG_INFO, "%s: the network card of %s has the filter now", o->name,
		       p->dev.name);
}

void bf_offload_sync(struct bf_offload *o, struct bf_loaded *loaded)
{
	struct bf_table *table = NULL;
	size_t i;

	o->starved_at = 0;
	drop_unwanted(o, loaded);
	for (i = 0; i < o->edge->nr_ports; i++) {
		struct bf_edge_port *e = &o->edge->ports[i];
		struct bf_offload_port *p = NULL;

		if (is_wanted(e))
			p = find(o, e->dev.ifindex) ?: add_port(o, &e->dev);
		if (p && is_due(p, e->told))
			try(o, p, loaded, &table);
		e->told = false;
	}
	bf_table_free(table);
}

uint64_t bf_offload_again_at(const struct bf_offload *o)
{
	uint64_t at = o->starved_at ? o->starved_at + FIRST_WAIT_MS : BF_OFFLOAD_NEVER;
	size_t i;

	for (i = 0; i < o->nr_ports; i++)
		if (o->ports[i].link < 0 && o->ports[i].again_at < at)
			at = o->ports[i].again_at;
	return at;
}
