// SPDX-License-Identifier: GPL-2.0
/* The features of an interface have names, which are the same for ever; their numbers are not. See netdev.h. */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netdev.h"

/* Features that a kernel may have; 6.18 has 64. */
#define MAX_FEATURES 256

struct features {
	struct {
		struct ethtool_gstrings head;
		char text[MAX_FEATURES][ETH_GSTRING_LEN];
	} names;
	struct {
		struct ethtool_gfeatures head;
		struct ethtool_get_features_block blocks[MAX_FEATURES / 32];
	} values;
};

static int call(int sk, const char *name, void *request)
{
	struct ifreq ifr = {.ifr_data = request};

	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	return ioctl(sk, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
}

/* How many there are, or -errno. */
static int read_features(int sk, const char *name, struct features *f)
{
	struct {
		struct ethtool_sset_info head;
		uint32_t n;
	} set = {.head = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES}};
	int err = call(sk, name, &set);

	if (!err && (!set.n || set.n > MAX_FEATURES))
		err = -EOPNOTSUPP;
	if (err)
		return err;
	f->names.head = (struct ethtool_gstrings){
		.cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES, .len = set.n};
	f->values.head =
		(struct ethtool_gfeatures){.cmd = ETHTOOL_GFEATURES, .size = (set.n + 31) / 32};
	err = call(sk, name, &f->names) ?: call(sk, name, &f->values);
	return err ?: (int)set.n;
}

static bool is_one_of(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (!strncmp(text, *list, ETH_GSTRING_LEN))
			return true;
	return false;
}

bool bf_netdev_has_feature(const char *name, const char *const *features)
{
	int sk = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), n, i;
	struct features *f = calloc(1, sizeof(*f));
	bool has;

	n = sk >= 0 && f ? read_features(sk, name, f) : -ENOMEM;
	has = n < 0;
	for (i = 0; i < n && !has; i++)
		has = is_one_of(f->names.text[i], features) &&
		      (f->values.blocks[i / 32].active & 1U << i % 32);
	free(f);
	if (sk >= 0)
		close(sk);
	return has;
}
