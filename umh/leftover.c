// SPDX-License-Identifier: GPL-2.0
/* What a former helper has left pinned. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env.h"
#include "leftover.h"
#include "netns_find.h"
#include "pins.h"
#include "worker.h"

/**
 * struct leftover - the search
 * @taken: namespaces that have a worker now
 */
struct leftover {
	struct bf_workers *ws;
	ino_t *taken;
	size_t nr;
};

static bool is_taken(const struct leftover *l, ino_t inode)
{
	size_t i;

	for (i = 0; i < l->nr; i++)
		if (l->taken[i] == inode)
			return true;
	return false;
}

static int take_up(void *arg, ino_t inode, int fd, const char *name)
{
	struct leftover *l = arg;
	struct bf_pins pins;
	ino_t *taken;
	int err;

	bf_pins_init(&pins, inode);
	if (access(pins.dir, F_OK))
		return 0;
	taken = realloc(l->taken, (l->nr + 1) * sizeof(*taken));
	if (!taken)
		return -ENOMEM;
	l->taken = taken;
	l->taken[l->nr++] = inode;
	err = bf_workers_open(l->ws, fd, name);
	if (err)
		bf_log(BF_LOG_ERR, "%s: %s", name, strerror(-err));
	return 0;
}

/* A link keeps its namespace: with the pins it goes. */
static void remove_orphan(const struct leftover *l, const char *name)
{
	struct bf_pins pins;
	ino_t inode;
	char *end;

	inode = strtoul(name, &end, 10);
	if (*end || !inode || is_taken(l, inode) || bf_netns_in_use(inode))
		return;
	bf_pins_init(&pins, inode);
	/* What is missing or cannot be opened is removed by name all the same. */
	bf_pins_open(&pins);
	bf_pins_remove(&pins);
	bf_pins_close(&pins);
	bf_log(BF_LOG_INFO, "net:[%lu]: removed, nobody uses the namespace any more",
	       (unsigned long)inode);
}

static void remove_orphans(const struct leftover *l)
{
	DIR *dir = opendir(bf_pin_dir());
	struct dirent *d;

	while (dir && (d = readdir(dir)))
		remove_orphan(l, d->d_name);
	if (dir)
		closedir(dir);
}

int bf_leftover_take_up(struct bf_workers *ws)
{
	struct leftover l = {.ws = ws};
	int err = bf_netns_find(take_up, &l);

	if (!err)
		remove_orphans(&l);
	free(l.taken);
	return err;
}
