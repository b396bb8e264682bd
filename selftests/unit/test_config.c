// SPDX-License-Identifier: GPL-2.0
/* The configuration file, and the roots that programs at interfaces hang on. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "load.h"

#include "kselftest_harness.h"

FIXTURE(config)
{
	char path[64];
	struct bf_config c;
	struct bf_why why;
};

FIXTURE_SETUP(config)
{
	int fd;

	strcpy(self->path, "/tmp/bpfilter-config.XXXXXX");
	fd = mkstemp(self->path);
	ASSERT_LE(0, fd);
	close(fd);
}

FIXTURE_TEARDOWN(config)
{
	bf_config_free(&self->c);
	unlink(self->path);
}

static int read_text(FIXTURE_DATA(config) * self, const char *text)
{
	FILE *f = fopen(self->path, "w");

	fputs(text, f);
	fclose(f);
	return bf_config_read(&self->c, self->path, &self->why);
}

TEST_F(config, no_file)
{
	unlink(self->path);
	EXPECT_EQ(0, bf_config_read(&self->c, self->path, &self->why));
	EXPECT_EQ(BF_AUTO, self->c.attach);
	EXPECT_FALSE(bf_config_wants_xdp(&self->c, BF_TC));
	EXPECT_TRUE(bf_config_wants_xdp(&self->c, BF_XDP_GENERIC));
}

TEST_F(config, the_first_line_that_fits)
{
	ASSERT_EQ(0, read_text(self, "# all of it\n\nattach xdp # where\n"
				     "interface eth1 tc\n\tinterface eth+ xdp,generic\n"
				     "interface eth1 xdp"));
	EXPECT_EQ(BF_XDP, self->c.attach);
	EXPECT_EQ(3, self->c.nr_rules);
	EXPECT_EQ(BF_TC, bf_config_interface(&self->c, "eth1", BF_XDP));
	EXPECT_EQ(BF_XDP_GENERIC, bf_config_interface(&self->c, "eth10", BF_TC));
	EXPECT_EQ(BF_XDP_GENERIC, bf_config_interface(&self->c, "eth", BF_TC));
	EXPECT_EQ(BF_TC, bf_config_interface(&self->c, "wan", BF_TC));
	EXPECT_EQ(BF_XDP, bf_config_interface(&self->c, "wan", BF_XDP));
	EXPECT_TRUE(bf_config_wants_xdp(&self->c, BF_TC));
}

TEST_F(config, early_drop)
{
	ASSERT_EQ(0, read_text(self, "attach auto\ninterface wan xdp\ninterface eth0 netfilter\n"
				     "interface eth+ auto"));
	EXPECT_EQ(BF_EARLY, self->c.attach);
	EXPECT_TRUE(bf_config_wants_early(&self->c, BF_AUTO));
	/* Where the table is at netfilter's hooks: unless a line says otherwise, as asked; veths only if a line says so. */
	EXPECT_FALSE(bf_config_early(&self->c, "eth0", BF_EARLY, false));
	EXPECT_TRUE(bf_config_early(&self->c, "eth1", BF_EARLY, false));
	EXPECT_TRUE(bf_config_early(&self->c, "eth1", BF_AUTO, true));
	EXPECT_TRUE(bf_config_early(&self->c, "wan", BF_EARLY, false));
	EXPECT_FALSE(bf_config_early(&self->c, "wan", BF_EARLY, true));
	EXPECT_FALSE(bf_config_early(&self->c, "wan", BF_AUTO, false));
	EXPECT_FALSE(bf_config_early(&self->c, "eth1", BF_NETFILTER, false));
	EXPECT_FALSE(bf_config_wants_early(&self->c, BF_NETFILTER));
	/* Such lines say nothing of tables at interfaces. */
	EXPECT_EQ(BF_XDP, bf_config_interface(&self->c, "eth1", BF_XDP));
	EXPECT_EQ(BF_TC, bf_config_interface(&self->c, "eth0", BF_TC));
	EXPECT_FALSE(bf_placement_is_xdp(BF_EARLY));
}

TEST_F(config, wrong_lines)
{
	static const char *const lines[] = {
		"attach",
		"attach nowhere",
		"attach tc xdp",
		"interface eth0",
		"interface eth0 default",
		"attach default",
		"interface eth0 tc xdp",
		"interface a-name-that-is-too-long tc",
		"listen 80",
	};
	char text[128], at[128];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		snprintf(text, sizeof(text), "attach tc\ninterface eth9 xdp\n%s\n", lines[i]);
		EXPECT_EQ(-EINVAL, read_text(self, text));
		snprintf(at, sizeof(at), "%s:3: ", self->path);
		EXPECT_EQ(0, strncmp(at, self->why.text, strlen(at)));
		EXPECT_EQ(0, self->c.nr_rules);
	}
}

TEST(names_of_placements)
{
	int p;

	for (p = BF_NETFILTER; p <= BF_EARLY; p++)
		EXPECT_EQ(p, bf_placement_parse(bf_placement_name(p)));
	/* What is not asked for has a name, but is not to be asked for. */
	EXPECT_EQ(-EINVAL, bf_placement_parse(bf_placement_name(BF_AUTO)));
	EXPECT_EQ(-EINVAL, bf_placement_parse("offloaded"));
	EXPECT_EQ(-EINVAL, bf_placement_parse(""));
}

/* An empty switch lets pass; XDP_PASS and TC_ACT_UNSPEC are what the kernel's test run returns then. */
TEST(roots_pass_without_a_table)
{
	static const struct {
		enum bf_root root;
		uint32_t pass;
	} roots[] = {
		{BF_ROOT_TC_INGRESS, -1}, {BF_ROOT_TC_EGRESS, -1}, {BF_ROOT_XDP, 2},
		{BF_GUARD_TC, -1},	  {BF_GUARD_XDP, 2},	   {BF_ROOT_EARLY, 2},
	};
	static const struct bf_kernel kernel;
	char frame[64] = {[12] = 8, [14] = 0x45};
	unsigned int i;
	int map, devs, prog;

	if (geteuid())
		SKIP(return, "needs root");
	devs = bpf_map_create(BPF_MAP_TYPE_HASH, "devs", 4, sizeof(struct bf_dev), 4, NULL);
	ASSERT_LE(0, devs);
	for (i = 0; i < ARRAY_SIZE(roots); i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
			    .data_size_in = sizeof(frame));

		map = bf_create_switch();
		ASSERT_LE(0, map);
		prog = bf_load_root(&kernel, roots[i].root, map, devs, NULL);
		ASSERT_LE(0, prog);
		EXPECT_EQ(0, bpf_prog_test_run_opts(prog, &opts));
		EXPECT_EQ(roots[i].pass, opts.retval);
		close(prog);
		close(map);
	}
	close(devs);
	EXPECT_EQ(-EOPNOTSUPP, bf_load_root(&kernel, BF_GUARD_LINK, -1, -1, NULL));
}

TEST_HARNESS_MAIN
