/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Text that grows. Running out of memory ends the program: nothing in a test can go on then.
 */
#ifndef DIFFERENTIAL_TEXT_H
#define DIFFERENTIAL_TEXT_H

#include <stddef.h>

/**
 * struct text - a string and its memory
 * @s: NUL-terminated, or NULL as long as nothing was added
 * @len: without the NUL
 */
struct text {
	char *s;
	size_t len, max;
};

void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_add_bytes(struct text *t, const void *bytes, size_t len);

/* Empty again; the memory stays. */
void text_reset(struct text *t);
void text_free(struct text *t);

/* The whole file, or everything up to end of file of a descriptor. 0 or -errno. */
int text_read_file(struct text *t, const char *path);
int text_read_fd(struct text *t, int fd);

/* As the libc functions, but they end the program instead of failing. */
void *must_alloc(size_t size);
void *must_realloc(void *p, size_t size);
char *must_strdup(const char *s);

#endif /* DIFFERENTIAL_TEXT_H */
