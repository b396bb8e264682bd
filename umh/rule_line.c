// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "rule_line.h"

/*
 * Behind the quoted string that begins at @s, NULL if none does: names of chains and interfaces are printed as they
 * are, and may have a quote, too. A string is a whole word, in which a backslash takes the next one's meaning.
 */
static char *skip_string(char *s)
{
	for (s++; *s && *s != '"'; s++)
		if (*s == '\\' && s[1])
			s++;
	if (!*s || (s[1] && s[1] != ' ' && s[1] != '\n'))
		return NULL;
	return s + 1;
}

static void replace_newlines(char *s, const char *end)
{
	for (; s < end; s++)
		if (*s == '\n')
			*s = ' ';
}

char *bf_rule_line(char **text)
{
	char *line = *text, *s = line;

	if (!*line)
		return NULL;
	while (*s && *s != '\n') {
		char *end = *s == '"' && s > line && s[-1] == ' ' ? skip_string(s) : NULL;

		if (end)
			replace_newlines(s, end);
		s = end ?: s + 1;
	}
	if (*s)
		*s++ = '\0';
	*text = s;
	return line;
}
