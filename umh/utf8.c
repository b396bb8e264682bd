// SPDX-License-Identifier: GPL-2.0
#include "utf8.h"

#include <stdint.h>

size_t bf_utf8_length(const char *s)
{
	const uint8_t *p = (const uint8_t *)s;
	uint8_t lo = 0x80, hi = 0xbf;
	size_t len, i;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		len = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		len = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	/* A terminating NUL is no continuation byte: nothing behind it is read. */
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

bool bf_utf8_is_control(const char *s, size_t len)
{
	uint8_t c = s[0], d = s[1];

	return len == 1 ? c < 0x20 || c == 0x7f : len == 2 && c == 0xc2 && d < 0xa0;
}
