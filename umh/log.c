// SPDX-License-Identifier: GPL-2.0
/* Reasons and log lines. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bpfilter.h"

#define LINE_MAX_BYTES 512

/* Written by main before there are threads. */
static enum bf_log_level log_level = BF_LOG_INFO;
/* Written when stderr changes. */
static bool is_service;

int bf_why(struct bf_why *why, int err, const char *fmt, ...)
{
	va_list ap;

	if (!why)
		return err;
	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	return err;
}

void bf_log_set_level(enum bf_log_level level)
{
	log_level = level;
}

void bf_log_service(void)
{
	__atomic_store_n(&is_service, true, __ATOMIC_RELAXED);
}

void bf_log(enum bf_log_level level, const char *fmt, ...)
{
	/* LOG_ERR, LOG_WARNING, LOG_INFO and LOG_DEBUG of syslog(3) */
	static const char *const prefixes[] = {"<3>", "<4>", "<6>", "<7>"};
	char line[LINE_MAX_BYTES];
	bool levels;
	size_t n;
	va_list ap;

	if (level > log_level)
		return;
	levels = __atomic_load_n(&is_service, __ATOMIC_RELAXED) && !isatty(STDERR_FILENO);
	snprintf(line, sizeof(line), "%s", levels ? prefixes[level] : "bpfilter: ");
	n = strlen(line);
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	n = strlen(line);
	line[n++] = '\n';
	/* Nobody to tell if this fails. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}
