// SPDX-License-Identifier: GPL-2.0
/* What is in place for all interfaces. What is at each is in edge_port.c. See edge.h. */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "array.h"
#include "config.h"
#include "edge.h"
#include "edge_port.h"
#include "env.h"
#include "load.h"
#include "rcu.h"

/* SO_NETNS_COOKIE, Linux 5.14 */
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

enum { SWITCH_TC, SWITCH_XDP };

static const char *const switch_names[] = {"tc_switch", "xdp_switch"};

/* Inodes of namespaces are used again; cookies are not. */
struct about {
	uint64_t cookie;
	uint32_t place;
	uint32_t zero;
};

void bf_edge_path(const struct bf_edge *e, const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", e->dir, name);
}

int bf_edge_pin(const struct bf_edge *e, const char *name, int fd)
{
	char path[256];

	bf_edge_path(e, name, path, sizeof(path));
	return bpf_obj_pin(fd, path) && errno != EEXIST ? -errno : 0;
}

static void unpin(const struct bf_edge *e, const char *name)
{
	char path[256];

	bf_edge_path(e, name, path, sizeof(path));
	unlink(path);
}

static int open_pin(const struct bf_edge *e, const char *name)
{
	char path[256];
	int fd;

	bf_edge_path(e, name, path, sizeof(path));
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void bf_edge_init(struct bf_edge *e, struct bf_env *env, ino_t inode)
{
	unsigned int i;

	*e = (struct bf_edge){.env = env,
			      .about = -1,
			      .devs = -1,
			      .replies = -1,
			      .switches = {-1, -1},
			      .watch = -1};
	snprintf(e->dir, sizeof(e->dir), "%s/%lu", bf_pin_dir(), (unsigned long)inode);
	for (i = 0; i < ARRAY_SIZE(e->roots); i++)
		e->roots[i] = -1;
}

void bf_edge_close(struct bf_edge *e)
{
	unsigned int i;

	close_fd(&e->about);
	close_fd(&e->devs);
	close_fd(&e->replies);
	close_fd(&e->watch);
	for (i = 0; i < ARRAY_SIZE(e->switches); i++)
		close_fd(&e->switches[i]);
	for (i = 0; i < ARRAY_SIZE(e->roots); i++)
		close_fd(&e->roots[i]);
	for (i = 0; i < e->nr_ports; i++)
		bf_edge_port_close(&e->ports[i]);
	free(e->ports);
	e->ports = NULL;
	e->nr_ports = 0;
}

int bf_netns_cookie(uint64_t *cookie)
{
	int sk = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;
	socklen_t len = sizeof(*cookie);

	*cookie = 0;
	if (sk < 0)
		return -errno;
	err = getsockopt(sk, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &len) ? -errno : 0;
	close(sk);
	return err == -ENOPROTOOPT ? 0 : err;
}

static int read_about(struct bf_edge *e)
{
	struct about about = {};
	uint32_t zero = 0;
	uint64_t cookie;
	int err = bf_netns_cookie(&cookie);

	if (err)
		return err;
	if (bpf_map_lookup_elem(e->about, &zero, &about))
		return -errno;
	e->place = about.place;
	return about.cookie == cookie ? 0 : -ESTALE;
}

static int write_about(struct bf_edge *e)
{
	struct about about = {.place = e->place};
	uint32_t zero = 0;
	int err = bf_netns_cookie(&about.cookie);

	if (!err && bpf_map_update_elem(e->about, &zero, &about, BPF_ANY))
		err = -errno;
	return err;
}

static int program_id(int fd, enum bf_slot slot, uint32_t *id)
{
	uint32_t key = slot;

	*id = 0;
	if (fd < 0 || !bpf_map_lookup_elem(fd, &key, id) || errno == ENOENT)
		return 0;
	return -errno;
}

static int open_pins(struct bf_edge *e)
{
	unsigned int i;
	int err;

	e->about = open_pin(e, "about");
	if (e->about < 0)
		return e->about;
	err = read_about(e);
	if (err)
		return err;
	e->devs = open_pin(e, "devs");
	if (e->devs < 0)
		return e->devs;
	/* Versions before had none. */
	e->replies = open_pin(e, "replies");
	if (e->replies < 0 && e->replies != -ENOENT)
		return e->replies;
	for (i = 0; i < ARRAY_SIZE(e->switches); i++) {
		e->switches[i] = open_pin(e, switch_names[i]);
		if (e->switches[i] < 0)
			return e->switches[i];
	}
	return 0;
}

/* 1, 0 or -errno. */
static int is_counters(uint32_t id)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);
	int fd = bpf_map_get_fd_by_id(id), ret;

	if (fd < 0)
		return -errno;
	ret = bpf_obj_get_info_by_fd(fd, &info, &len) ? -errno : !strcmp(info.name, "bf_counters");
	close(fd);
	return ret;
}

/* The map of a program's counters, by which tables are told from each other, to @id; 0: there is none. 0 or -errno. */
static int counters_of(uint32_t prog_id, uint32_t *id)
{
	uint32_t ids[BF_NR_MAPS + 1] = {};
	struct bpf_prog_info info = {.nr_map_ids = ARRAY_SIZE(ids), .map_ids = (uintptr_t)ids};
	uint32_t len = sizeof(info), i;
	int fd = bpf_prog_get_fd_by_id(prog_id), ret;

	*id = 0;
	if (fd < 0)
		return -errno;
	ret = bpf_obj_get_info_by_fd(fd, &info, &len) ? -errno : 0;
	for (i = 0; ret >= 0 && i < info.nr_map_ids && i < ARRAY_SIZE(ids); i++) {
		ret = is_counters(ids[i]);
		if (ret > 0)
			*id = ids[i];
	}
	close(fd);
	return ret < 0 ? ret : 0;
}

/* Are the program at XDP and that at tc, @tc, of one table? */
static int compare_programs(struct bf_edge *e, uint32_t tc)
{
	uint32_t xdp, of_xdp = 0, of_tc = 0;
	int err = program_id(e->switches[SWITCH_XDP], BF_SLOT_TABLE, &xdp);

	e->torn = false;
	if (!err && xdp && tc)
		err = counters_of(xdp, &of_xdp) ?: counters_of(tc, &of_tc);
	if (!err && xdp)
		e->torn = !tc || of_xdp != of_tc;
	return err;
}

int bf_edge_open(struct bf_edge *e, uint32_t *prog_id)
{
	int err;

	*prog_id = 0;
	bf_edge_close(e);
	if (access(e->dir, F_OK))
		return 0;
	err = open_pins(e);
	if (err == -ENOENT || err == -ESTALE) {
		/* None; or one that was not finished, or is another's: nothing is in force. */
		if (err == -ENOENT && e->about >= 0)
			bf_edge_unfilter_all(e);
		bf_edge_remove(e);
		return 0;
	}
	err = err ?: bf_edge_ports_open(e);
	err = err ?: program_id(e->switches[SWITCH_TC], BF_SLOT_TABLE, prog_id);
	err = err ?: compare_programs(e, *prog_id);
	if (!err)
		bf_edge_guard(e, false);
	return err;
}

int bf_edge_devs(struct bf_edge *e)
{
	if (e->devs < 0)
		e->devs = bpf_map_create(BPF_MAP_TYPE_HASH, "bf_devs", sizeof(uint32_t),
					 sizeof(struct bf_dev), BF_MAX_DEVS, NULL);
	if (e->devs < 0) {
		e->devs = -1;
		return -errno;
	}
	return e->devs;
}

int bf_edge_replies(struct bf_edge *e)
{
	if (e->replies < 0)
		e->replies = bf_array_create("bf_replies", sizeof(struct bf_replies), 1);
	if (e->replies < 0) {
		int err = e->replies;

		e->replies = -1;
		return err;
	}
	return e->replies;
}

uint64_t bf_edge_lost(const struct bf_edge *e)
{
	struct bf_replies replies;
	uint32_t zero = 0;

	if (e->replies < 0 || bpf_map_lookup_elem(e->replies, &zero, &replies))
		return 0;
	return replies.lost;
}

static int make_maps(struct bf_edge *e)
{
	unsigned int i;
	int err;

	if (mkdir(e->dir, 0700) && errno != EEXIST)
		return -errno;
	if (e->about < 0)
		e->about = bpf_map_create(BPF_MAP_TYPE_ARRAY, "bf_about", sizeof(uint32_t),
					  sizeof(struct about), 1, NULL);
	if (e->about < 0) {
		e->about = -1;
		return -errno;
	}
	err = bf_edge_devs(e);
	err = err < 0 ? err : bf_edge_pin(e, "devs", e->devs);
	err = err ?: bf_edge_replies(e);
	err = err < 0 ? err : bf_edge_pin(e, "replies", e->replies);
	for (i = 0; i < ARRAY_SIZE(e->switches) && !err; i++) {
		int fd = e->switches[i] < 0 ? bf_create_switch() : e->switches[i];

		err = fd < 0 ? fd : bf_edge_pin(e, switch_names[i], fd);
		e->switches[i] = fd < 0 ? -1 : fd;
	}
	err = err ?: write_about(e);
	return err ?: bf_edge_pin(e, "about", e->about);
}

int bf_edge_root(struct bf_edge *e, enum bf_root root, struct bf_why *why)
{
	bool xdp = root == BF_ROOT_XDP || root == BF_GUARD_XDP;
	struct bf_kernel kernel;

	if (e->roots[root] >= 0)
		return e->roots[root];
	bf_env_kernel(e->env, &kernel);
	e->roots[root] = bf_load_root(&kernel, root, e->switches[xdp ? SWITCH_XDP : SWITCH_TC],
				      e->devs, why);
	if (e->roots[root] < 0) {
		int err = e->roots[root];

		e->roots[root] = -1;
		return err;
	}
	return e->roots[root];
}

static int set_slot(int fd, enum bf_slot slot, int prog)
{
	uint32_t key = slot;

	if (prog >= 0)
		return bpf_map_update_elem(fd, &key, &prog, BPF_ANY) ? -errno : 0;
	if (fd >= 0 && bpf_map_delete_elem(fd, &key) && errno != ENOENT)
		return -errno;
	return 0;
}

int bf_edge_make(struct bf_edge *e, enum bf_placement place, struct bf_why *why)
{
	enum bf_placement before = e->place;
	bool fresh = e->watch < 0;
	int err;

	e->place = place;
	err = make_maps(e);
	if (err) {
		bf_why(why, err, "cannot pin in %s: %s", e->dir, strerror(-err));
	} else if (fresh) {
		err = bf_netdev_watch();
		e->watch = err < 0 ? -1 : err;
		err = err < 0 ? bf_why(why, err, "the interfaces cannot be watched: %s",
				       strerror(-err))
			      : 0;
	}
	err = err ?: bf_edge_sync(e, true, NULL, why);
	if (!err && e->torn) {
		/* Nothing runs it any more. */
		set_slot(e->switches[SWITCH_XDP], BF_SLOT_TABLE, -1);
		e->torn = false;
	}
	if (!err)
		return 0;
	e->place = before;
	/* Where a table is in force, what is attached stays. */
	if (fresh && !bf_edge_has_table(e))
		bf_edge_remove(e);
	return err;
}

bool bf_edge_has_table(const struct bf_edge *e)
{
	uint32_t id;

	return program_id(e->switches[SWITCH_TC], BF_SLOT_TABLE, &id) || id;
}

bool bf_edge_has_xdp_table(const struct bf_edge *e)
{
	uint32_t id;

	return !program_id(e->switches[SWITCH_XDP], BF_SLOT_TABLE, &id) && id;
}

int bf_edge_put(struct bf_edge *e, const struct bf_loaded *loaded)
{
	int err = loaded->xdp >= 0 ? set_slot(e->switches[SWITCH_XDP], BF_SLOT_TABLE, loaded->xdp)
				   : 0;

	err = err ?: set_slot(e->switches[SWITCH_TC], BF_SLOT_TABLE, loaded->prog);
	if (!err && loaded->xdp < 0)
		set_slot(e->switches[SWITCH_XDP], BF_SLOT_TABLE, -1);
	return err;
}

int bf_edge_take(struct bf_edge *e)
{
	int err = set_slot(e->switches[SWITCH_TC], BF_SLOT_TABLE, -1);

	return err ?: set_slot(e->switches[SWITCH_XDP], BF_SLOT_TABLE, -1);
}

int bf_edge_guard(struct bf_edge *e, bool on)
{
	int tc = on ? bf_edge_root(e, BF_GUARD_TC, NULL) : -1;
	int xdp = on ? bf_edge_root(e, BF_GUARD_XDP, NULL) : -1;
	int err = on && tc < 0 ? tc : on && xdp < 0 ? xdp : 0;

	if (!err && on) {
		err = set_slot(e->switches[SWITCH_TC], BF_SLOT_GUARD, tc);
		err = err ?: set_slot(e->switches[SWITCH_XDP], BF_SLOT_GUARD, xdp);
	}
	if (err || !on) {
		set_slot(e->switches[SWITCH_XDP], BF_SLOT_GUARD, -1);
		set_slot(e->switches[SWITCH_TC], BF_SLOT_GUARD, -1);
	}
	return err;
}

/*
 * Until every packet that has passed XDP is at tc, or every one that has passed tc is behind IP's hooks. Between the
 * first two it may wait in a driver's list, or in a CPU's backlog: nothing tells when those were empty.
 */
void bf_edge_wait(struct bf_edge *e)
{
	const struct timespec lists = {.tv_nsec = 20000000};

	bf_rcu_wait(bf_env_rcu(e->env), bf_env_device(e->env));
	nanosleep(&lists, NULL);
}

int bf_edge_fd(const struct bf_edge *e)
{
	return e->watch;
}

static void note_told(void *arg, int ifindex)
{
	struct bf_edge *e = arg;
	size_t i;

	for (i = 0; i < e->nr_ports; i++)
		if (!ifindex || e->ports[i].dev.ifindex == ifindex)
			e->ports[i].told = true;
}

void bf_edge_event(struct bf_edge *e, const char *name)
{
	struct bf_why why = {};
	int err;

	if (!bf_netdev_changed(e->watch, note_told, e))
		return;
	err = bf_edge_sync(e, false, name, &why);
	if (err)
		bf_log(BF_LOG_ERR, "%s: the interfaces cannot be looked at: %s", name,
		       why.text[0] ? why.text : strerror(-err));
}

static void sweep_dir(const char *dir)
{
	static const char *const ours[] = {"in_",  "out_",    "xdp_",	   "qdisc_", "about",
					   "devs", "replies", "tc_switch", "hw_",    "hwc_"};
	DIR *d = opendir(dir);
	struct dirent *entry;
	char path[512];
	unsigned int i;

	while (d && (entry = readdir(d))) {
		for (i = 0; i < ARRAY_SIZE(ours); i++) {
			if (strncmp(entry->d_name, ours[i], strlen(ours[i])))
				continue;
			snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
			unlink(path);
		}
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

void bf_edge_sweep(ino_t inode)
{
	char dir[200];

	snprintf(dir, sizeof(dir), "%s/%lu", bf_pin_dir(), (unsigned long)inode);
	sweep_dir(dir);
}

void bf_edge_remove(struct bf_edge *e)
{
	size_t i;

	for (i = 0; i < e->nr_ports; i++)
		bf_edge_port_detach(e, &e->ports[i]);
	unpin(e, "about");
	bf_edge_close(e);
	sweep_dir(e->dir);
}

void bf_edge_clear(struct bf_env *env, ino_t inode)
{
	struct bf_edge e;

	bf_edge_init(&e, env, inode);
	e.about = open_pin(&e, "about");
	/* Of another namespace: what it has noted about interfaces is not about those that are here. */
	if (e.about < 0 || read_about(&e) != -ESTALE)
		bf_edge_unfilter_all(&e);
	bf_edge_remove(&e);
}
