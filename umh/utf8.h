/* SPDX-License-Identifier: GPL-2.0 */
/* Text from others: what of it may be written as it is. */
#ifndef BPFILTER_UTF8_H
#define BPFILTER_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/**
 * bf_utf8_length - bytes of the UTF-8 character at @s
 *
 * 0 if it is none: RFC 3629, so neither surrogates nor forms longer than need be.
 */
size_t bf_utf8_length(const char *s);

/* C0 and C1 control characters, U+0080 to U+009F, are commands to some terminals. */
bool bf_utf8_is_control(const char *s, size_t len);

#endif /* BPFILTER_UTF8_H */
