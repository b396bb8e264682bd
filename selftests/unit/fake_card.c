// SPDX-License-Identifier: GPL-2.0
#include "fake_card.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faults.h"
#include "traffic.h"

static struct {
	int nic, shadow;
	uint32_t max;
	bool gone;
	int errors[NR_CARD_CALLS];
	unsigned int asked[NR_CARD_CALLS];
	int hurry, hurried;
} card;

void card_begin(int nic, int shadow, uint32_t max)
{
	memset(&card, 0, sizeof(card));
	card.nic = nic;
	card.shadow = shadow;
	card.max = max;
}

void card_end(void)
{
	memset(&card, 0, sizeof(card));
}

void card_refuse(enum card_call call, int err)
{
	card.errors[call] = err;
}

unsigned int card_asked(enum card_call call)
{
	return card.asked[call];
}

void card_vanish(void)
{
	card.gone = true;
}

void card_hurry(int n)
{
	card.hurry = n;
}

int card_hurried(void)
{
	int n = card.hurried;

	card.hurried = 0;
	return n;
}

/* Is the call refused? Other interfaces have no card. */
static bool is_refused(enum card_call call, int ifindex)
{
	errno = EOPNOTSUPP;
	if (ifindex != card.nic)
		return true;
	card.asked[call]++;
	errno = card.gone ? ENODEV : card.errors[call];
	return errno;
}

/* --- between faults.c and libbpf --------------------------------------------------------------- */

int __real_bpf_map_create(enum bpf_map_type type, const char *name, __u32 key, __u32 value,
			  __u32 max, const struct bpf_map_create_opts *opts) __attribute__((weak));
int card_map_create(enum bpf_map_type type, const char *name, __u32 key, __u32 value, __u32 max,
		    const struct bpf_map_create_opts *opts)
{
	if (!opts || !opts->map_ifindex)
		return __real_bpf_map_create(type, name, key, value, max, opts);
	if (is_refused(CARD_MAP, opts->map_ifindex))
		return -1;
	if (max > card.max) {
		errno = ENOMEM;
		return -1;
	}
	return __real_bpf_map_create(type, name, key, value, max, NULL);
}

int __real_bpf_prog_load(enum bpf_prog_type type, const char *name, const char *license,
			 const struct bpf_insn *insns, size_t n,
			 const struct bpf_prog_load_opts *opts) __attribute__((weak));
int card_prog_load(enum bpf_prog_type type, const char *name, const char *license,
		   const struct bpf_insn *insns, size_t n, const struct bpf_prog_load_opts *opts)
{
	struct bpf_prog_load_opts own;

	if (!opts || !opts->prog_ifindex)
		return __real_bpf_prog_load(type, name, license, insns, n, opts);
	if (is_refused(CARD_PROG, opts->prog_ifindex))
		return -1;
	own = *opts;
	own.prog_ifindex = 0;
	return __real_bpf_prog_load(type, name, license, insns, n, &own);
}

int __real_bpf_link_create(int prog, int target, enum bpf_attach_type type,
			   const struct bpf_link_create_opts *opts) __attribute__((weak));
int card_link_create(int prog, int target, enum bpf_attach_type type,
		     const struct bpf_link_create_opts *opts)
{
	LIBBPF_OPTS(bpf_link_create_opts, own, .flags = XDP_FLAGS_SKB_MODE);
	int fd;

	if (!opts || !(opts->flags & XDP_FLAGS_HW_MODE))
		return __real_bpf_link_create(prog, target, type, opts);
	if (is_refused(CARD_LINK, target))
		return -1;
	fd = __real_bpf_link_create(prog, card.shadow, type, &own);
	if (fd >= 0 && card.hurry) {
		faults_pause(true);
		card_frames(card.hurry);
		card.hurried += card.hurry;
		faults_pause(false);
	}
	return fd;
}

int __real_bpf_obj_get_info_by_fd(int fd, void *info, __u32 *len) __attribute__((weak));

static bool is_its_map(int fd)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	return !__real_bpf_obj_get_info_by_fd(fd, &info, &len) &&
	       !strcmp(info.name, "bf_offloaded");
}

int card_obj_get_info_by_fd(int fd, void *info, __u32 *len)
{
	if (card.gone && is_its_map(fd)) {
		errno = ENODEV;
		return -1;
	}
	return __real_bpf_obj_get_info_by_fd(fd, info, len);
}

int __real_bpf_map_lookup_elem(int fd, const void *key, void *value) __attribute__((weak));
int card_map_lookup_elem(int fd, const void *key, void *value)
{
	if (card.gone && is_its_map(fd)) {
		errno = ENODEV;
		return -1;
	}
	return __real_bpf_map_lookup_elem(fd, key, value);
}

/* Of umh/tc.c. */
int __real_bf_link_ifindex(int link) __attribute__((weak));
int __wrap_bf_link_ifindex(int link)
{
	int ifindex = __real_bf_link_ifindex(link);

	return ifindex && ifindex == card.shadow ? card.nic : ifindex;
}

/* --- frames ------------------------------------------------------------------------------------ */

#define FRAME (ETH_HLEN + TRAFFIC_BYTES)

static uint32_t program_of(int ifindex, bool driver)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, ids);

	if (bpf_xdp_query(ifindex, 0, &ids))
		abort();
	return driver ? ids.drv_prog_id : ids.skb_prog_id;
}

bool card_has_program(void)
{
	return !card.gone && program_of(card.shadow, false);
}

static void make_frame(uint8_t *f)
{
	static const uint8_t ip[] = {0x45, 0, 0,  TRAFFIC_BYTES, 0, 0, 0, 0, 64, 17, 0, 0, 192,
				     0,	   2, 66, 192,		 0, 2, 1};
	int sk = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq ifr = {};
	uint32_t sum = 0, i;

	if (sk < 0 || !if_indextoname(card.nic, ifr.ifr_name) || ioctl(sk, SIOCGIFHWADDR, &ifr))
		abort();
	close(sk);
	memset(f, 0, FRAME);
	memcpy(f, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
	f[6] = 2;
	f[12] = ETH_P_IP >> 8;
	memcpy(f + ETH_HLEN, ip, sizeof(ip));
	for (i = 0; i < sizeof(ip); i += 2)
		sum += ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	f[24] = sum >> 8;
	f[25] = sum;
	f[37] = 9;
	f[39] = TRAFFIC_BYTES - sizeof(ip);
}

static int run(uint32_t id, const uint8_t *frame, int n)
{
	struct xdp_md xdp = {.data_end = FRAME, .ingress_ifindex = card.nic};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = FRAME,
		    .ctx_in = &xdp, .ctx_size_in = sizeof(xdp), .repeat = n);
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0 || bpf_prog_test_run_opts(fd, &opts))
		abort();
	close(fd);
	return opts.retval;
}

enum card_end card_frames(int n)
{
	uint8_t frame[FRAME];
	uint32_t id = card.gone ? 0 : program_of(card.shadow, false);

	make_frame(frame);
	if (id && run(id, frame, n) == XDP_DROP)
		return CARD_DROPPED;
	return run(program_of(card.nic, true), frame, n) == XDP_DROP ? DRIVER_DROPPED : UP;
}
