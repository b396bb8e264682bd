// SPDX-License-Identifier: GPL-2.0
/*
 * support - print the registry of matches as the table that README.md shows
 */
#include <stdio.h>
#include <string.h>

#include "ext.h"

int main(void)
{
	const struct bf_match *m, *next;
	const char *options = NULL;

	printf("| match | revisions | options |\n|---|---|---|\n");
	for (unsigned int i = 0; (m = bf_match_at(i)); i++) {
		next = bf_match_at(i + 1);
		if (!options) {
			printf("| `%s` | ", m->name);
			options = "";
		}
		if (m->options)
			options = m->options;
		if (next && !strcmp(next->name, m->name)) {
			printf("%u, ", m->revision);
			continue;
		}
		printf("%u | %s |\n", m->revision, *options ? options : "(none)");
		options = NULL;
	}
	return 0;
}
