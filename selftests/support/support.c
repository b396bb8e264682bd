// SPDX-License-Identifier: GPL-2.0
/*
 * support matches|targets|constants|structures - print a table that a document shows: the registry's matches
 * and targets (README.md), the device's constants and structures (device-protocol.md)
 */
#include <stdio.h>
#include <string.h>

#include "device.h"
#include "ext.h"

/* What a line of the table needs of an extension. */
struct extension {
	const char *name, *options;
	unsigned int revision;
};

static bool match_at(unsigned int i, struct extension *ext)
{
	const struct bf_match *m = bf_match_at(i);

	if (m)
		*ext = (struct extension){m->name, m->options, m->revision};
	return m;
}

static bool target_at(unsigned int i, struct extension *ext)
{
	const struct bf_target *t = bf_target_at(i);

	if (t)
		*ext = (struct extension){t->name, t->options, t->revision};
	return t;
}

/* Revisions of one extension follow each other, and share a line. */
static void print_table(const char *kind, bool (*at)(unsigned int i, struct extension *ext))
{
	const char *options = NULL;
	struct extension ext, next;
	unsigned int i;

	printf("| %s | revisions | options |\n|---|---|---|\n", kind);
	for (i = 0; at(i, &ext); i++) {
		if (!options) {
			printf("| `%s` | ", ext.name);
			options = "";
		}
		if (ext.options)
			options = ext.options;
		if (at(i + 1, &next) && !strcmp(next.name, ext.name)) {
			printf("%u, ", ext.revision);
			continue;
		}
		printf("%u | %s |\n", ext.revision, *options ? options : "(none)");
		options = NULL;
	}
}

int main(int argc, char **argv)
{
	const char *table = argc == 2 ? argv[1] : "";

	if (!strcmp(table, "matches"))
		print_table("match", match_at);
	else if (!strcmp(table, "targets"))
		print_table("target", target_at);
	else if (!strcmp(table, "constants"))
		device_constants();
	else if (!strcmp(table, "structures"))
		device_structures();
	else
		return 2;
	return 0;
}
