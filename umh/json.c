// SPDX-License-Identifier: GPL-2.0
#include "json.h"

#include "utf8.h"

/* Bytes that cannot stand in a string as they are: everything that is not UTF-8 as well. */
static void put_string(FILE *f, const char *s)
{
	size_t len;

	fputc('"', f);
	for (; *s; s += len ?: 1) {
		unsigned char c = *s;

		len = bf_utf8_length(s);
		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < 0x20 || !len)
			fprintf(f, "\\u%04x", c);
		else
			fwrite(s, 1, len, f);
	}
	fputc('"', f);
}

static void begin(struct bf_json *j, const char *name)
{
	if (j->depth) {
		if (!j->fresh)
			fputc(',', j->f);
		if (!j->flat)
			fprintf(j->f, "\n%*s", (int)j->depth * 2, "");
		else if (!j->fresh)
			fputc(' ', j->f);
	}
	j->fresh = false;
	if (name) {
		put_string(j->f, name);
		fputs(": ", j->f);
	}
}

void bf_json_open(struct bf_json *j, const char *name, char bracket)
{
	begin(j, name);
	fputc(bracket, j->f);
	j->depth++;
	j->fresh = true;
}

void bf_json_line(struct bf_json *j, const char *name, char bracket)
{
	bf_json_open(j, name, bracket);
	if (!j->flat)
		j->flat = j->depth;
}

void bf_json_close(struct bf_json *j, char bracket)
{
	bool flat = j->flat;

	if (j->flat == j->depth)
		j->flat = 0;
	j->depth--;
	if (!flat && !j->fresh)
		fprintf(j->f, "\n%*s", (int)j->depth * 2, "");
	fputc(bracket, j->f);
	j->fresh = false;
	if (!j->depth)
		fputc('\n', j->f);
}

void bf_json_text(struct bf_json *j, const char *name, const char *value)
{
	begin(j, name);
	if (value)
		put_string(j->f, value);
	else
		fputs("null", j->f);
}

void bf_json_number(struct bf_json *j, const char *name, int64_t value)
{
	begin(j, name);
	fprintf(j->f, "%" PRId64, value);
}

void bf_json_real(struct bf_json *j, const char *name, double value)
{
	begin(j, name);
	fprintf(j->f, "%.6f", value);
}

void bf_json_bool(struct bf_json *j, const char *name, bool value)
{
	begin(j, name);
	fputs(value ? "true" : "false", j->f);
}
