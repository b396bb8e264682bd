// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

static const char *const placement_names[] = {
	[BF_AUTO] = "default", [BF_NETFILTER] = "netfilter",	 [BF_TC] = "tc",
	[BF_XDP] = "xdp",      [BF_XDP_GENERIC] = "xdp,generic", [BF_OFFLOAD] = "offload",
	[BF_EARLY] = "auto",
};

const char *bf_config_path(void)
{
	const char *path = getenv("BPFILTER_CONFIG");

	return path && *path ? path : BF_DEFAULT_CONFIG;
}

int bf_placement_parse(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(placement_names); i++)
		if (i != BF_AUTO && !strcmp(name, placement_names[i]))
			return i;
	return -EINVAL;
}

const char *bf_placement_name(enum bf_placement placement)
{
	return placement < ARRAY_SIZE(placement_names) ? placement_names[placement] : "unknown";
}

/* "attach PLACEMENT" */
static int take_attach(struct bf_config *c, char *rest, struct bf_why *why)
{
	char *value = strtok_r(NULL, " \t", &rest);
	int placement = value ? bf_placement_parse(value) : -EINVAL;

	if (placement < 0 || strtok_r(NULL, " \t", &rest))
		return bf_why(
			why, -EINVAL,
			"\"attach\" takes one of auto, netfilter, tc, xdp, xdp,generic, offload");
	c->attach = placement;
	return 0;
}

/* "interface NAME PLACEMENT" */
static int take_interface(struct bf_config *c, char *rest, struct bf_why *why)
{
	char *name = strtok_r(NULL, " \t", &rest), *value = strtok_r(NULL, " \t", &rest);
	int placement = value ? bf_placement_parse(value) : -EINVAL;
	struct bf_config_rule *rules;

	if (placement < BF_NETFILTER || strtok_r(NULL, " \t", &rest))
		return bf_why(why, -EINVAL,
			      "\"interface\" takes a name, and one of auto, netfilter, tc, xdp, "
			      "xdp,generic, offload");
	if (strlen(name) >= sizeof(rules->name))
		return bf_why(why, -EINVAL, "no interface has a name as long as \"%s\"", name);
	rules = realloc(c->rules, (c->nr_rules + 1) * sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	c->rules = rules;
	rules[c->nr_rules] = (struct bf_config_rule){.placement = placement};
	strcpy(rules[c->nr_rules++].name, name);
	return 0;
}

static int take_line(struct bf_config *c, char *line, struct bf_why *why)
{
	char *rest = NULL, *word;

	line[strcspn(line, "#\n")] = '\0';
	word = strtok_r(line, " \t", &rest);
	if (!word)
		return 0;
	if (!strcmp(word, "attach"))
		return take_attach(c, rest, why);
	if (!strcmp(word, "interface"))
		return take_interface(c, rest, why);
	return bf_why(why, -EINVAL, "\"%s\" is unknown: there are \"attach\" and \"interface\"",
		      word);
}

static int take_file(struct bf_config *c, FILE *file, const char *path, struct bf_why *why)
{
	struct bf_why reason = {};
	unsigned int n = 0;
	char *line = NULL;
	size_t size = 0;
	int err = 0;

	while (!err && getline(&line, &size, file) >= 0) {
		n++;
		err = take_line(c, line, &reason);
	}
	if (err)
		bf_why(why, err, "%s:%u: %s", path, n,
		       reason.text[0] ? reason.text : strerror(-err));
	else if (ferror(file))
		err = bf_why(why, -EIO, "%s: cannot be read", path);
	free(line);
	return err;
}

int bf_config_read(struct bf_config *c, const char *path, struct bf_why *why)
{
	FILE *file = fopen(path, "re");
	int err;

	*c = (struct bf_config){};
	if (!file)
		return errno == ENOENT ? 0 : bf_why(why, -errno, "%s: %s", path, strerror(errno));
	err = take_file(c, file, path, why);
	fclose(file);
	if (err)
		bf_config_free(c);
	return err;
}

void bf_config_free(struct bf_config *c)
{
	free(c->rules);
	*c = (struct bf_config){};
}

/* Is it about tables that are at interfaces? Else it is about those that are not. */
static bool is_at_interface(enum bf_placement placement)
{
	return placement != BF_EARLY && placement != BF_NETFILTER;
}

static bool is_meant(const struct bf_config_rule *rule, const char *name)
{
	size_t len = strlen(rule->name);

	if (len && rule->name[len - 1] == '+')
		return !strncmp(rule->name, name, len - 1);
	return !strcmp(rule->name, name);
}

enum bf_placement bf_config_interface(const struct bf_config *c, const char *name,
				      enum bf_placement placement)
{
	size_t i;

	for (i = 0; i < c->nr_rules; i++)
		if (is_meant(&c->rules[i], name) && is_at_interface(c->rules[i].placement))
			return c->rules[i].placement;
	return bf_placement_is_xdp(placement) ? placement : BF_TC;
}

bool bf_config_wants_xdp(const struct bf_config *c, enum bf_placement placement)
{
	size_t i;

	for (i = 0; i < c->nr_rules; i++)
		if (bf_placement_is_xdp(c->rules[i].placement))
			return true;
	return bf_placement_is_xdp(placement);
}

bool bf_config_early(const struct bf_config *c, const char *name, enum bf_placement placement,
		     bool named)
{
	size_t i;

	if (placement == BF_NETFILTER)
		return false;
	for (i = 0; i < c->nr_rules; i++)
		if (is_meant(&c->rules[i], name) && !is_at_interface(c->rules[i].placement))
			return c->rules[i].placement == BF_EARLY;
	return placement == BF_EARLY && !named;
}

bool bf_config_wants_early(const struct bf_config *c, enum bf_placement placement)
{
	size_t i;

	for (i = 0; placement != BF_NETFILTER && i < c->nr_rules; i++)
		if (c->rules[i].placement == BF_EARLY)
			return true;
	return placement == BF_EARLY;
}
