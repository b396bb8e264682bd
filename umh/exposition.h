/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The text exposition format of Prometheus, version 0.0.4: families of series, escaped labels.
 */
#ifndef BPFILTER_EXPOSITION_H
#define BPFILTER_EXPOSITION_H

#include <stdint.h>
#include <stdio.h>

/* Labels that one series may have. */
#define BF_LABELS_MAX 8

/**
 * struct bf_series - what is written next
 * @family: its name; it and the labels stay the caller's
 * @labels: @nr of them; values are any bytes
 */
struct bf_series {
	FILE *f;
	const char *family;
	struct {
		const char *name, *value;
	} labels[BF_LABELS_MAX];
	unsigned int nr;
};

/* Begin a family: HELP and TYPE. All of its series follow, before the next one. */
void bf_series_family(struct bf_series *s, const char *name, const char *type, const char *help);

/* One label more. Beyond BF_LABELS_MAX it is not taken. */
void bf_series_label(struct bf_series *s, const char *name, const char *value);

/* Write a sample with the labels there are. */
void bf_series_number(const struct bf_series *s, uint64_t value);
void bf_series_seconds(const struct bf_series *s, uint64_t us);

#endif /* BPFILTER_EXPOSITION_H */
