// SPDX-License-Identifier: GPL-2.0
#include "status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *bf_status_hook(enum bf_attach attach)
{
	static const char *const names[] = {
		[BF_ATTACH_LINK] = "netfilter link",
		[BF_ATTACH_MODULE] = "module hook",
		[BF_ATTACH_TC] = "interface",
	};

	return attach < ARRAY_SIZE(names) ? names[attach] : "unknown";
}

uint64_t bf_status_age(const struct bf_status *s, const struct bf_filter_status *filter)
{
	return s->now > filter->replaced_at ? s->now - filter->replaced_at : 0;
}

struct bf_extension bf_status_extension(const struct bf_why *why)
{
	static const char *const kinds[] = {"match", "target"};
	struct bf_extension e = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t skip = strlen(kinds[i]), len;

		if (strncmp(why->text, kinds[i], skip) || why->text[skip] != ' ')
			continue;
		len = strcspn(why->text + skip + 1, " :,()");
		if (!len || len >= sizeof(e.name))
			break;
		e.kind = kinds[i];
		memcpy(e.name, why->text + skip + 1, len);
	}
	return e;
}

int bf_status_render(const struct bf_status *s, enum bf_status_form form, char **text)
{
	static void (*const forms[BF_STATUS_FORMS])(FILE * f, const struct bf_status *s) = {
		[BF_STATUS_TEXT] = bf_status_text,
		[BF_STATUS_JSON] = bf_status_json,
		[BF_STATUS_PROMETHEUS] = bf_status_prometheus,
	};
	size_t size = 0;
	FILE *f;

	*text = NULL;
	if (form >= BF_STATUS_FORMS)
		return -EINVAL;
	f = open_memstream(text, &size);
	if (!f)
		return -ENOMEM;
	forms[form](f, s);
	/* The stream grows when it is flushed: that is when memory can run out. */
	if (fclose(f)) {
		free(*text);
		*text = NULL;
		return -ENOMEM;
	}
	return 0;
}
