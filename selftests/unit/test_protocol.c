// SPDX-License-Identifier: GPL-2.0
/*
 * The protocol on top of a filter of our own making. Where the kernel has ip_tables, the same
 * calls are made to it, and must end alike: the filter here is then the kernel's.
 *
 * The file under test is included, so that the filter's functions can be replaced.
 */
#define bf_filter_info	       mock_info
#define bf_filter_entries      mock_entries
#define bf_filter_replace      mock_replace
#define bf_filter_add_counters mock_add_counters
#define bf_protocol_handle     handle_under_test
#include "../../umh/protocol.c"
#undef bf_protocol_handle

#include <limits.h>
#include <sched.h>
#include <sys/mman.h>

#include "kselftest_harness.h"

/**
 * struct bf_filter - a stand-in
 * @sk: to the kernel's table, or -1: then the rest is the table
 * @calls: how often it was reached
 * @error: what all of it returns
 */
struct bf_filter {
	int sk;
	unsigned int calls;
	int error;
	uint32_t size, num_entries;
};

int mock_info(struct bf_filter *f, struct ipt_getinfo *info)
{
	socklen_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	strcpy(info->name, "filter");
	if (f->sk >= 0)
		return bf_kernel_get(f->sk, IPT_SO_GET_INFO, info, &len);
	info->size = f->size;
	info->num_entries = f->num_entries;
	return f->error;
}

int mock_entries(struct bf_filter *f, uint32_t size, void *entries)
{
	struct bf_kernel_table *t;
	int err;

	f->calls++;
	if (f->sk < 0) {
		memset(entries, 0x5a, size);
		return f->error;
	}
	err = bf_kernel_read(f->sk, &t);
	if (err)
		return err;
	if (t->info.size == size)
		memcpy(entries, t->entries, size);
	else
		err = -EAGAIN;
	bf_kernel_table_free(t);
	return err;
}

int mock_replace(struct bf_filter *f, const void *replace, size_t len, struct xt_counters **old,
		 struct bf_why *why)
{
	struct ipt_replace *copy;
	int err = f->error;

	f->calls++;
	copy = malloc(len);
	memcpy(copy, replace, len);
	*old = calloc(copy->num_counters, sizeof(**old));
	copy->counters = *old;
	if (f->sk >= 0)
		err = bf_kernel_set(f->sk, IPT_SO_SET_REPLACE, copy, len);
	free(copy);
	if (err) {
		free(*old);
		*old = NULL;
	}
	return err;
}

int mock_add_counters(struct bf_filter *f, const void *value, size_t len)
{
	f->calls++;
	return f->sk < 0 ? f->error : bf_kernel_set(f->sk, IPT_SO_SET_ADD_COUNTERS, value, len);
}

FIXTURE(protocol)
{
	struct bf_filter f;
	struct bf_why why;
	void *data;
	size_t len;
};

FIXTURE_SETUP(protocol)
{
	self->f = (struct bf_filter){.sk = -1, .size = 1000, .num_entries = 7};
}

FIXTURE_TEARDOWN(protocol)
{
	free(self->data);
}

/* One request whose memory is @len bytes, of which the transport brings what it needs. */
static int ask(FIXTURE_DATA(protocol) * self, uint32_t op, int optlen, const void *memory,
	       size_t len)
{
	struct bpfilter_request req = {
		.version = BPFILTER_VERSION, .op = op, .len = len, .optlen = optlen};
	void *exact = malloc(len ? len : 1);
	int err;

	memcpy(exact, memory, len);
	free(self->data);
	err = handle_under_test(&self->f, &req, exact, &self->data, &self->len, &self->why);
	free(exact);
	return err;
}

TEST_F(protocol, info)
{
	struct ipt_getinfo in = {.name = "filter\0and more"}, *out;

	ASSERT_EQ(0, ask(self, BPFILTER_GET | IPT_SO_GET_INFO, sizeof(in), &in, 32));
	ASSERT_EQ(sizeof(*out), self->len);
	out = self->data;
	EXPECT_EQ(0, memcmp("filter\0\0\0\0\0\0", out->name, 12));
	EXPECT_EQ(1000U, out->size);
	EXPECT_EQ(-EINVAL, ask(self, BPFILTER_GET | IPT_SO_GET_INFO, sizeof(in) - 1, &in, 32));
	EXPECT_EQ(-EINVAL, ask(self, BPFILTER_GET | IPT_SO_GET_INFO, sizeof(in) + 1, &in, 32));
	EXPECT_EQ(-EINVAL, ask(self, BPFILTER_GET | IPT_SO_GET_INFO, -1, &in, 32));
	EXPECT_EQ(-EINVAL, ask(self, BPFILTER_GET | IPT_SO_GET_INFO, 0, &in, 0));
	EXPECT_EQ(-EFAULT, ask(self, BPFILTER_GET | IPT_SO_GET_INFO, sizeof(in), &in, 31));
	EXPECT_EQ(NULL, self->data);
	EXPECT_EQ(0U, self->len);
	strcpy(in.name, "filtes");
	EXPECT_EQ(-ENOENT, ask(self, BPFILTER_GET | IPT_SO_GET_INFO, sizeof(in), &in, 32));
	self->f.error = -ENOMEM;
	strcpy(in.name, "filter");
	EXPECT_EQ(-ENOMEM, ask(self, BPFILTER_GET | IPT_SO_GET_INFO, sizeof(in), &in, 32));
	EXPECT_EQ(NULL, self->data);
}

TEST_F(protocol, entries)
{
	struct ipt_get_entries in = {.name = "filter\0x", .size = 1000};
	const uint32_t op = BPFILTER_GET | IPT_SO_GET_ENTRIES;
	const int right = sizeof(in) + 1000;

	ASSERT_EQ(0, ask(self, op, right, &in, sizeof(in)));
	ASSERT_EQ((size_t)right, self->len);
	EXPECT_EQ(0, memcmp(self->data, &in, sizeof(in))); /* the head as it came */
	EXPECT_EQ(0x5a, ((uint8_t *)self->data)[right - 1]);

	EXPECT_EQ(-EINVAL, ask(self, op, sizeof(in) - 1, &in, sizeof(in)));
	EXPECT_EQ(-EINVAL, ask(self, op, 0, &in, 0));
	EXPECT_EQ(-EINVAL, ask(self, op, right + 1, &in, sizeof(in)));
	EXPECT_EQ(-EINVAL, ask(self, op, right - 1, &in, sizeof(in)));
	EXPECT_EQ(-EINVAL, ask(self, op, INT_MIN, &in, sizeof(in)));
	EXPECT_EQ(-EFAULT, ask(self, op, right + 1, &in, sizeof(in) - 1));

	in.size = 1001;
	EXPECT_EQ(-EAGAIN, ask(self, op, right + 1, &in, sizeof(in)));
	in.size = UINT32_MAX - sizeof(in) + 1;
	EXPECT_EQ(-EINVAL, ask(self, op, 0, &in, sizeof(in)));
	in.size = INT_MAX - sizeof(in); /* no memory is spent on it */
	EXPECT_EQ(-EAGAIN, ask(self, op, INT_MAX, &in, sizeof(in)));
	in.size = 1001;
	strcpy(in.name, "mangle");
	EXPECT_EQ(-ENOENT, ask(self, op, right + 1, &in, sizeof(in)));
	EXPECT_EQ(1U, self->f.calls);
}

TEST_F(protocol, counters)
{
	struct {
		struct xt_counters_info info;
		struct xt_counters counters[3];
	} in = {.info = {.name = "filter", .num_counters = 3}};

	EXPECT_EQ(0, ask(self, IPT_SO_SET_ADD_COUNTERS, sizeof(in), &in, sizeof(in)));
	EXPECT_EQ(NULL, self->data);
	EXPECT_EQ(1U, self->f.calls);
	EXPECT_EQ(-EINVAL, ask(self, IPT_SO_SET_ADD_COUNTERS, sizeof(in) + 1, &in, sizeof(in)));
	EXPECT_EQ(-EINVAL, ask(self, IPT_SO_SET_ADD_COUNTERS, sizeof(in.info), &in, sizeof(in)));
	EXPECT_EQ(-EINVAL, ask(self, IPT_SO_SET_ADD_COUNTERS, -1, &in, sizeof(in)));
	EXPECT_EQ(-EFAULT,
		  ask(self, IPT_SO_SET_ADD_COUNTERS, sizeof(in) + 1, &in, sizeof(in.info) - 1));
	EXPECT_EQ(-EFAULT, ask(self, IPT_SO_SET_ADD_COUNTERS, sizeof(in), &in, sizeof(in) - 1));
	in.info.num_counters = 0;
	EXPECT_EQ(-EINVAL, ask(self, IPT_SO_SET_ADD_COUNTERS, sizeof(in.info), &in, sizeof(in)));
	in.info.num_counters = UINT32_MAX / 16 + 4; /* 3 if it were multiplied in 32 bits */
	EXPECT_EQ(-EINVAL, ask(self, IPT_SO_SET_ADD_COUNTERS, sizeof(in), &in, sizeof(in)));
	in.info.num_counters = 3;
	strcpy(in.info.name, "nat");
	EXPECT_EQ(-ENOENT, ask(self, IPT_SO_SET_ADD_COUNTERS, sizeof(in), &in, sizeof(in)));
	EXPECT_EQ(1U, self->f.calls);
}

TEST_F(protocol, replace)
{
	struct {
		struct ipt_replace head;
		uint8_t entries[64];
	} in = {.head = {.name = "filter", .size = 64, .num_counters = 5}};
	const uint32_t op = IPT_SO_SET_REPLACE;

	ASSERT_EQ(0, ask(self, op, sizeof(in), &in, sizeof(in)));
	EXPECT_EQ(5 * sizeof(struct xt_counters), self->len);
	ASSERT_EQ(0, ask(self, op, sizeof(in) + 100, &in, sizeof(in)));
	EXPECT_EQ(-EINVAL, ask(self, op, sizeof(in.head) - 1, &in, sizeof(in)));
	EXPECT_EQ(-EINVAL, ask(self, op, 0, &in, 0));
	EXPECT_EQ(-EINVAL, ask(self, op, sizeof(in) - 1, &in, sizeof(in)));
	EXPECT_EQ(-EFAULT, ask(self, op, sizeof(in.head), &in, sizeof(in.head) - 1));
	EXPECT_EQ(-EFAULT, ask(self, op, sizeof(in), &in, sizeof(in) - 1));
	EXPECT_EQ(2U, self->f.calls);
	in.head.num_counters = 0;
	EXPECT_EQ(-EINVAL, ask(self, op, sizeof(in), &in, sizeof(in) - 1));
	in.head.num_counters = INT_MAX / 16;
	EXPECT_EQ(-ENOMEM, ask(self, op, sizeof(in), &in, sizeof(in) - 1));
	in.head.num_counters = 5;
	self->f.error = -ELOOP;
	EXPECT_EQ(-ELOOP, ask(self, op, sizeof(in), &in, sizeof(in)));
	EXPECT_EQ(NULL, self->data);
}

TEST_F(protocol, unknown_options)
{
	static const uint32_t ops[] = {
		0, 63, 66, 67, 68, BPFILTER_GET | 63, BPFILTER_GET | 68, BPFILTER_CMD, UINT32_MAX};
	struct ipt_replace in = {.name = "filter"};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		EXPECT_EQ(-ENOPROTOOPT, ask(self, ops[i], sizeof(in), &in, sizeof(in)));
}

TEST(revisions_without_ip_tables)
{
	struct xt_get_revision rev = {.name = "tcp"};

	EXPECT_EQ(0, revision_of_ours(&rev, false));
	rev.revision = 1;
	EXPECT_EQ(-EPROTONOSUPPORT, revision_of_ours(&rev, false));
	strcpy(rev.name, "conntrack");
	EXPECT_EQ(0, revision_of_ours(&rev, false));
	rev.revision = 9;
	EXPECT_EQ(-EPROTONOSUPPORT, revision_of_ours(&rev, false));
	strcpy(rev.name, "unheard-of");
	EXPECT_EQ(-ENOENT, revision_of_ours(&rev, false));
	EXPECT_EQ(-ENOENT, revision_of_ours(&rev, true));
	strcpy(rev.name, "ERROR");
	EXPECT_EQ(-EPROTONOSUPPORT, revision_of_ours(&rev, true));
	rev.revision = 0;
	EXPECT_EQ(0, revision_of_ours(&rev, true));
	strcpy(rev.name, "");
	EXPECT_EQ(0, revision_of_ours(&rev, true));
}

/* --- beside the kernel ------------------------------------------------------------------- */

FIXTURE(kernel)
{
	struct bf_filter f;
	uint8_t *end; /* of memory, before a page that cannot be touched */
};

FIXTURE_SETUP(kernel)
{
	self->f.sk = -1;
	if (unshare(CLONE_NEWNET))
		SKIP(return, "cannot make a network namespace");
	self->f.sk = bf_kernel_socket();
	ASSERT_LE(0, self->f.sk);
	if (bf_kernel_touch_filter(self->f.sk))
		SKIP(return, "the kernel has no ip_tables");
	self->end =
		mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->end);
	self->end += 7 * 4096;
	ASSERT_EQ(0, mprotect(self->end, 4096, PROT_NONE));
}

FIXTURE_TEARDOWN(kernel)
{
	if (self->f.sk >= 0)
		close(self->f.sk);
}

/*
 * The same call to both, with @len bytes of readable memory. Returns the common result, or 1 if
 * they differ, in error, length or content.
 */
static int both(FIXTURE_DATA(kernel) * self, uint32_t op, int optlen, const void *memory,
		size_t len)
{
	struct bpfilter_request req = {
		.version = BPFILTER_VERSION, .op = op, .len = len, .optlen = optlen};
	uint8_t *val = self->end - len;
	socklen_t vallen = optlen;
	size_t data_len;
	void *data;
	int theirs, ours;

	ours = handle_under_test(&self->f, &req, memory, &data, &data_len, NULL);
	memcpy(val, memory, len);
	if (op & BPFILTER_GET)
		theirs = bf_kernel_get(self->f.sk, op & ~BPFILTER_GET, val, &vallen);
	else
		theirs = setsockopt(self->f.sk, IPPROTO_IP, op, val, optlen) ? -errno : 0;
	if (ours != theirs ||
	    (!ours && op & BPFILTER_GET && (data_len != vallen || memcmp(data, val, data_len)))) {
		printf("# op 0x%x optlen %d memory %zu: kernel %d, length %d; ours %d, length %zu\n",
		       op, optlen, len, theirs, vallen, ours, data_len);
		ours = 1;
	}
	free(data);
	return ours;
}

/* Every option, every length around the right one, every amount of memory that matters. */
TEST_F(kernel, lengths)
{
	static const char names[][9] = {"filter", "filter\0x"};
	uint8_t memory[4096];
	struct ipt_getinfo info;
	unsigned int i, n;
	int optlen;

	ASSERT_EQ(0, mock_info(&self->f, &info));
	for (n = 0; n < ARRAY_SIZE(names); n++) {
		memset(memory, 0, sizeof(memory));
		memcpy(memory, names[n], 8);
		for (optlen = -2; optlen < 1000; optlen++) {
			size_t have = optlen < 0 ? 0 : optlen;

			((struct ipt_get_entries *)memory)->size = info.size;
			EXPECT_NE(1,
				  both(self, BPFILTER_GET | IPT_SO_GET_INFO, optlen, memory, have));
			EXPECT_NE(1, both(self, BPFILTER_GET | IPT_SO_GET_ENTRIES, optlen, memory,
					  have));
			((struct ipt_get_entries *)memory)->size = optlen - 40;
			EXPECT_NE(1, both(self, BPFILTER_GET | IPT_SO_GET_ENTRIES, optlen, memory,
					  have));
			((struct xt_counters_info *)memory)->num_counters = 4;
			EXPECT_NE(1, both(self, IPT_SO_SET_ADD_COUNTERS, optlen, memory, have));
			EXPECT_NE(1, both(self, IPT_SO_SET_REPLACE, optlen, memory, have));
		}
		for (i = 0; i < 200; i++) {
			((struct xt_counters_info *)memory)->num_counters = 4;
			EXPECT_NE(1, both(self, BPFILTER_GET | IPT_SO_GET_INFO, 30, memory, i));
			EXPECT_NE(1, both(self, IPT_SO_SET_ADD_COUNTERS, 104, memory, i));
			EXPECT_NE(1, both(self, IPT_SO_SET_ADD_COUNTERS, 105, memory, i));
		}
		for (i = 0; i < 32; i++)
			EXPECT_EQ(-EFAULT,
				  both(self, BPFILTER_GET | IPT_SO_GET_INFO, 84, memory, i));
	}
}

TEST_F(kernel, revisions)
{
	static const char *const names[] = {"tcp",	 "udp",	     "icmp",	   "multiport",
					    "conntrack", "limit",    "comment",	   "mark",
					    "state",	 "addrtype", "LOG",	   "REJECT",
					    "",		 "ERROR",    "unheard-of", "filter"};
	struct xt_get_revision rev;
	unsigned int i, r;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		for (r = 0; r < 8; r++) {
			memset(&rev, 0, sizeof(rev));
			strcpy(rev.name, names[i]);
			rev.revision = r;
			EXPECT_NE(1, both(self, BPFILTER_GET | IPT_SO_GET_REVISION_MATCH,
					  sizeof(rev), &rev, sizeof(rev)));
			EXPECT_NE(1, both(self, BPFILTER_GET | IPT_SO_GET_REVISION_TARGET,
					  sizeof(rev), &rev, sizeof(rev)));
		}
	}
	memset(&rev, 'x', sizeof(rev));
	for (i = 0; i < 40; i++) {
		EXPECT_NE(1, both(self, BPFILTER_GET | IPT_SO_GET_REVISION_MATCH, i, &rev,
				  i < sizeof(rev) ? i : sizeof(rev)));
		if (i < sizeof(rev))
			EXPECT_EQ(-EFAULT, both(self, BPFILTER_GET | IPT_SO_GET_REVISION_MATCH,
						sizeof(rev), &rev, i));
	}
}

/* A replace through the protocol, with every amount of memory readable. */
TEST_F(kernel, replace)
{
	struct bf_table *t = bf_table_empty(NF_DROP);
	size_t len = bf_table_replace_size(t), i;
	uint8_t value[2048];
	struct xt_counters counters[4];
	struct ipt_replace *head = (void *)value;

	ASSERT_GT(sizeof(value), len);
	bf_table_to_replace(t, value);
	bf_table_free(t);
	head->counters = counters;
	for (i = 0; i < len; i++)
		EXPECT_EQ(-EFAULT, both(self, IPT_SO_SET_REPLACE, len, value, i));
	EXPECT_EQ(0, both(self, IPT_SO_SET_REPLACE, len, value, len));
	head->num_counters = 5;
	EXPECT_EQ(-EAGAIN, both(self, IPT_SO_SET_REPLACE, len, value, len));
	head->num_counters = 4;
	EXPECT_EQ(0, both(self, IPT_SO_SET_REPLACE, len + 500, value, len));
}

TEST_HARNESS_MAIN
