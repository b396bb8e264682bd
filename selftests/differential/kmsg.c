// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "kmsg.h"

#define SETTING	 "/proc/sys/net/netfilter/nf_log_all_netns"
#define LOCKFILE "/run/differential.log.lock"

static int read_setting(char *value)
{
	int fd = open(SETTING, O_RDONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (read(fd, value, 1) != 1)
		err = -EIO;
	close(fd);
	return err;
}

static int write_setting(char value)
{
	int fd = open(SETTING, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, &value, 1) != 1)
		err = -EIO;
	close(fd);
	return err;
}

static bool has_log(const struct ruleset *rules)
{
	unsigned int i;

	for (i = 0; i < rules->nr; i++)
		if (strstr(rules->lines[i], KMSG_TAG))
			return true;
	return false;
}

int kmsg_begin(struct kmsg *k, const struct ruleset *rules)
{
	int err = 0;

	*k = (struct kmsg){.log = -1, .lock = -1};
	if (!has_log(rules))
		return 0;
	k->lock = open(LOCKFILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	k->log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (k->lock < 0 || k->log < 0 || flock(k->lock, LOCK_EX))
		err = -errno;
	if (!err)
		err = read_setting(&k->before);
	if (!err)
		err = write_setting('1');
	if (!err)
		return 0;
	fprintf(stderr, "the kernel's log cannot be had: %s\n", strerror(-err));
	kmsg_end(k);
	return err;
}

void kmsg_end(struct kmsg *k)
{
	if (k->before)
		write_setting(k->before);
	if (k->log >= 0)
		close(k->log);
	if (k->lock >= 0)
		close(k->lock);
	*k = (struct kmsg){.log = -1, .lock = -1};
}

void kmsg_skip(struct kmsg *k)
{
	if (k->log >= 0)
		lseek(k->log, 0, SEEK_END);
}

/* "4,1234,567890,-;text\n": the level, a blank, and the text with each "ID=1234" as "ID=". */
static void add_line(struct events *seen, char *record)
{
	struct event ev = {.where = EVENT_LOG};
	char line[2048], *p = strchr(record, ';');
	size_t n = 0;

	if (!p || !strstr(p, KMSG_TAG))
		return;
	line[n++] = record[0];
	line[n++] = ' ';
	for (p++; *p && *p != '\n' && n < sizeof(line) - 1; p++) {
		line[n++] = *p;
		if (n >= 4 && !memcmp(line + n - 4, " ID=", 4))
			while (isdigit((unsigned char)p[1]))
				p++;
	}
	line[n++] = '\0';
	ev.len = n;
	events_add(seen, ev, line);
}

int kmsg_read(struct kmsg *k, struct events *seen)
{
	char record[8192];
	ssize_t n;

	if (k->log < 0)
		return 0;
	while ((n = read(k->log, record, sizeof(record) - 1)) >= 0 || errno == EINTR) {
		if (n < 0)
			continue;
		record[n] = '\0';
		add_line(seen, record);
	}
	return errno == EAGAIN ? 0 : -errno;
}
