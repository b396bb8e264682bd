/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writing JSON, one value after the other: commas, indentation and escapes.
 */
#ifndef BPFILTER_JSON_H
#define BPFILTER_JSON_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

/**
 * struct bf_json - where it goes
 * @depth: objects and arrays that are open
 * @fresh: nothing is in the innermost one yet
 * @flat: from this depth on everything is on one line; 0: never
 */
struct bf_json {
	FILE *f;
	unsigned int depth, flat;
	bool fresh;
};

/* Each takes the name under which it stands in an object; NULL in an array, or at the outside. */
void bf_json_open(struct bf_json *j, const char *name, char bracket);	   /* '{' or '[' */
void bf_json_close(struct bf_json *j, char bracket);			   /* '}' or ']' */
void bf_json_text(struct bf_json *j, const char *name, const char *value); /* NULL: null */
void bf_json_number(struct bf_json *j, const char *name, int64_t value);
void bf_json_real(struct bf_json *j, const char *name, double value);
void bf_json_bool(struct bf_json *j, const char *name, bool value);

/* The next object or array, and all in it, is on one line. */
void bf_json_line(struct bf_json *j, const char *name, char bracket);

#endif /* BPFILTER_JSON_H */
