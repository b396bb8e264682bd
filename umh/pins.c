// SPDX-License-Identifier: GPL-2.0
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env.h"
#include "load.h"
#include "pins.h"

#define NR_LINKS 3

static const char *const link_names[NR_LINKS] = {"link_input", "link_forward", "link_output"};
static const unsigned int link_hooks[NR_LINKS] = {NF_INET_LOCAL_IN, NF_INET_FORWARD,
						  NF_INET_LOCAL_OUT};

static const char *path_of(const struct bf_pins *pins, const char *name, char *buf, size_t size)
{
	snprintf(buf, size, "%s/%s", pins->dir, name);
	return buf;
}

static int open_pin(const struct bf_pins *pins, const char *name)
{
	char path[256];
	int fd = bpf_obj_get(path_of(pins, name, path, sizeof(path)));

	return fd < 0 ? -errno : fd;
}

static int pin(const struct bf_pins *pins, const char *name, int fd)
{
	char path[256];

	return bpf_obj_pin(fd, path_of(pins, name, path, sizeof(path))) ? -errno : 0;
}

static void unpin(const struct bf_pins *pins, const char *name)
{
	char path[256];

	unlink(path_of(pins, name, path, sizeof(path)));
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void bf_pins_init(struct bf_pins *pins, ino_t inode)
{
	int i;

	snprintf(pins->dir, sizeof(pins->dir), "%s/%lu", bf_pin_dir(), (unsigned long)inode);
	pins->switch_fd = -1;
	for (i = 0; i < NR_LINKS; i++)
		pins->links[i] = -1;
}

int bf_pins_open(struct bf_pins *pins)
{
	int i;

	pins->switch_fd = open_pin(pins, "switch");
	if (pins->switch_fd < 0) {
		int err = pins->switch_fd;

		pins->switch_fd = -1;
		return err;
	}
	for (i = 0; i < NR_LINKS; i++) {
		pins->links[i] = open_pin(pins, link_names[i]);
		if (pins->links[i] < 0)
			pins->links[i] = -1;
	}
	return 0;
}

static int make_switch(struct bf_pins *pins)
{
	int err;

	if (pins->switch_fd >= 0)
		return 0;
	if (mkdir(pins->dir, 0700) && errno != EEXIST)
		return -errno;
	pins->switch_fd = bf_create_switch();
	if (pins->switch_fd < 0) {
		err = pins->switch_fd;
		pins->switch_fd = -1;
		return err;
	}
	err = pin(pins, "switch", pins->switch_fd);
	if (err)
		close_fd(&pins->switch_fd);
	return err;
}

static int make_link(struct bf_pins *pins, int i, int *root, const struct bf_kernel *kernel,
		     struct bf_why *why)
{
	int err;

	if (pins->links[i] >= 0)
		return 0;
	if (*root < 0)
		*root = bf_load_root(kernel, BF_ROOT_LINK, pins->switch_fd, -1, why);
	if (*root < 0)
		return *root;
	pins->links[i] = bf_attach(*root, link_hooks[i]);
	if (pins->links[i] < 0) {
		err = pins->links[i];
		pins->links[i] = -1;
		return bf_why(why, err, "cannot attach to the netfilter hooks (%s)%s",
			      strerror(-err),
			      err == -EBUSY ? ": other hooks have all priorities from 1 to 9" : "");
	}
	err = pin(pins, link_names[i], pins->links[i]);
	if (err)
		close_fd(&pins->links[i]);
	return err;
}

int bf_pins_make(struct bf_pins *pins, const struct bf_kernel *kernel, struct bf_why *why)
{
	bool fresh = pins->switch_fd < 0;
	int root = -1, i, err;

	err = make_switch(pins);
	if (err)
		return bf_why(why, err, "cannot pin in %s: %s", pins->dir, strerror(-err));
	for (i = 0; i < NR_LINKS && !err; i++)
		err = make_link(pins, i, &root, kernel, why);
	if (root >= 0)
		close(root);
	if (err && fresh)
		bf_pins_remove(pins);
	return err;
}

void bf_pins_remove(struct bf_pins *pins)
{
	int i;

	/*
	 * Detached by name: a link that only loses its last reference is detached some time later, and has its
	 * priority until then. A table that moved often and fast could find all of them taken.
	 */
	for (i = 0; i < NR_LINKS; i++) {
		if (pins->links[i] >= 0)
			bpf_link_detach(pins->links[i]);
		unpin(pins, link_names[i]);
	}
	unpin(pins, "switch");
	unpin(pins, "moving");
	bf_pins_close(pins);
	rmdir(pins->dir);
}

void bf_pins_close(struct bf_pins *pins)
{
	int i;

	close_fd(&pins->switch_fd);
	for (i = 0; i < NR_LINKS; i++)
		close_fd(&pins->links[i]);
}

int bf_pins_current(const struct bf_pins *pins, uint32_t *prog_id)
{
	uint32_t zero = 0;

	*prog_id = 0;
	if (pins->switch_fd < 0 || !bpf_map_lookup_elem(pins->switch_fd, &zero, prog_id))
		return 0;
	return errno == ENOENT ? 0 : -errno;
}

int bf_pins_switch(const struct bf_pins *pins, int prog)
{
	uint32_t zero = 0;

	if (prog >= 0)
		return bpf_map_update_elem(pins->switch_fd, &zero, &prog, BPF_ANY) ? -errno : 0;
	if (bpf_map_delete_elem(pins->switch_fd, &zero) && errno != ENOENT)
		return -errno;
	return 0;
}

int bf_pins_guard(const struct bf_pins *pins, const struct bf_kernel *kernel, bool on)
{
	uint32_t slot = BF_SLOT_GUARD;
	int guard, err;

	if (!on)
		return bpf_map_delete_elem(pins->switch_fd, &slot) && errno != ENOENT ? -errno : 0;
	guard = bf_load_root(kernel, BF_GUARD_LINK, pins->switch_fd, -1, NULL);
	if (guard < 0)
		return guard;
	err = bpf_map_update_elem(pins->switch_fd, &slot, &guard, BPF_ANY) ? -errno : 0;
	close(guard);
	return err;
}

int bf_pins_set_moving(const struct bf_pins *pins, int what, bool moving)
{
	int err;

	if (!moving) {
		unpin(pins, "moving");
		return 0;
	}
	err = pin(pins, "moving", what < 0 ? pins->switch_fd : what);
	return err == -EEXIST ? 0 : err;
}

bool bf_pins_is_moving(const struct bf_pins *pins)
{
	char path[256];

	return !access(path_of(pins, "moving", path, sizeof(path)), F_OK);
}

uint32_t bf_pins_root_id(const struct bf_pins *pins)
{
	struct bpf_link_info info = {};
	uint32_t len = sizeof(info);

	if (pins->links[0] < 0 || bpf_obj_get_info_by_fd(pins->links[0], &info, &len))
		return 0;
	return info.prog_id;
}
