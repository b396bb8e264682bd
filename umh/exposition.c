// SPDX-License-Identifier: GPL-2.0
#include "exposition.h"

#include <inttypes.h>

#include "utf8.h"

/*
 * What is not UTF-8 would have the whole file refused, and control characters are for no terminal. A
 * quotation mark is escaped in values, but not in what follows HELP.
 */
static void put_escaped(FILE *f, const char *s, bool quoted)
{
	size_t len;

	for (; *s; s += len ?: 1) {
		len = bf_utf8_length(s);
		if (!len)
			fputs("\xef\xbf\xbd", f);
		else if (*s == '\n')
			fputs("\\n", f);
		else if (*s == '\\' || (quoted && *s == '"'))
			fprintf(f, "\\%c", *s);
		else if (bf_utf8_is_control(s, len))
			fputc('?', f);
		else
			fwrite(s, 1, len, f);
	}
}

void bf_series_family(struct bf_series *s, const char *name, const char *type, const char *help)
{
	s->family = name;
	fprintf(s->f, "# HELP %s ", name);
	put_escaped(s->f, help, false);
	fprintf(s->f, "\n# TYPE %s %s\n", name, type);
}

void bf_series_label(struct bf_series *s, const char *name, const char *value)
{
	if (s->nr == BF_LABELS_MAX)
		return;
	s->labels[s->nr].name = name;
	s->labels[s->nr++].value = value;
}

static void put_name(const struct bf_series *s)
{
	unsigned int i;

	fputs(s->family, s->f);
	for (i = 0; i < s->nr; i++) {
		fprintf(s->f, "%c%s=\"", i ? ',' : '{', s->labels[i].name);
		put_escaped(s->f, s->labels[i].value, true);
		fputc('"', s->f);
	}
	fputs(s->nr ? "} " : " ", s->f);
}

void bf_series_number(const struct bf_series *s, uint64_t value)
{
	put_name(s);
	fprintf(s->f, "%" PRIu64 "\n", value);
}

void bf_series_seconds(const struct bf_series *s, uint64_t us)
{
	put_name(s);
	fprintf(s->f, "%" PRIu64 ".%06" PRIu64 "\n", us / 1000000, us % 1000000);
}
