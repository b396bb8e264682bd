// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

void *must_realloc(void *p, size_t size)
{
	p = realloc(p, size ? size : 1);
	if (!p) {
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	return p;
}

void *must_alloc(size_t size)
{
	return memset(must_realloc(NULL, size), 0, size);
}

char *must_strdup(const char *s)
{
	return strcpy(must_realloc(NULL, strlen(s) + 1), s);
}

static void text_room(struct text *t, size_t more)
{
	if (t->len + more + 1 <= t->max)
		return;
	t->max = (t->len + more + 1) * 2;
	t->s = must_realloc(t->s, t->max);
}

void text_add_bytes(struct text *t, const void *bytes, size_t len)
{
	text_room(t, len);
	memcpy(t->s + t->len, bytes, len);
	t->len += len;
	t->s[t->len] = '\0';
}

void text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	text_room(t, 128);
	va_start(ap, fmt);
	n = vsnprintf(t->s + t->len, t->max - t->len, fmt, ap);
	va_end(ap);
	if ((size_t)n >= t->max - t->len) {
		text_room(t, n);
		va_start(ap, fmt);
		vsnprintf(t->s + t->len, t->max - t->len, fmt, ap);
		va_end(ap);
	}
	t->len += n;
}

void text_reset(struct text *t)
{
	t->len = 0;
	if (t->s)
		t->s[0] = '\0';
}

void text_free(struct text *t)
{
	free(t->s);
	*t = (struct text){0};
}

int text_read_fd(struct text *t, int fd)
{
	ssize_t n;

	do {
		text_room(t, 65536);
		n = read(fd, t->s + t->len, 65536);
		if (n > 0)
			t->len += n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	t->s[t->len] = '\0';
	return n < 0 ? -errno : 0;
}

int text_read_file(struct text *t, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = text_read_fd(t, fd);
	close(fd);
	return err;
}
