// SPDX-License-Identifier: GPL-2.0
/*
 * Questions at the module's hooks (uapi/bpfilter.h), without a helper: small programs that ask, packets that
 * they see, and what becomes of the kernel's matches. To be run by root where the module is loaded and no helper
 * has the device open.
 */
#include <arpa/inet.h>
#include <linux/netfilter/xt_length.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_recent.h>
#include <linux/netfilter/xt_statistic.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <linux/netfilter_ipv4/ipt_REJECT.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "programs.h"

#include "device/fixture.h"

/* --- questions --------------------------------------------------------------------------------- */

struct asks {
	struct bpfilter_questions head;
	char list[16384];
};

static struct bpfilter_question *ask(struct asks *a, const char *name, uint8_t revision,
				     uint16_t proto, const void *info, size_t size)
{
	struct bpfilter_question *q = (void *)(a->list + a->head.size);

	strcpy(q->name, name);
	q->revision = revision;
	q->proto = proto;
	q->hooks = 1 << NF_INET_LOCAL_OUT;
	q->size = XT_ALIGN(size);
	memcpy(q + 1, info, size);
	a->head.nr++;
	a->head.size += sizeof(*q) + q->size;
	return q;
}

/* Is the IP packet so many bytes long? */
static void ask_length(struct asks *a, unsigned int min, unsigned int max)
{
	const struct xt_length_info info = {.min = min, .max = max};

	ask(a, "length", 0, 0, &info, sizeof(info));
}

static void ask_recent(struct asks *a, const char *name, uint8_t check_set)
{
	struct xt_recent_mtinfo info = {.check_set = check_set, .side = XT_RECENT_DEST};

	strcpy(info.name, name);
	ask(a, "recent", 0, 0, &info, sizeof(info));
}

static void ask_udp(struct asks *a, uint16_t proto)
{
	const struct xt_udp info = {.spts = {0, 65535}, .dpts = {9, 9}};

	ask(a, "udp", 0, proto, &info, sizeof(info));
}

/* A descriptor or -errno. */
static int make(struct _test_data_device *self, struct asks *a)
{
	int fd;

	a->head.netns = self->netns;
	a->head.list = (unsigned long)a->list;
	a->head.failed = 12345;
	fd = ioctl(self->fd, BPFILTER_IOC_QUESTIONS, &a->head);
	return fd < 0 ? -errno : fd;
}

static int put(struct _test_data_device *self, const struct programs *p, int questions)
{
	struct bpfilter_ns ns = {
		.netns = self->netns,
		.flags = BPFILTER_NS_OWNED | BPFILTER_NS_HOOK,
		.prog = p->full,
		.asking = p->asking,
		.questions = questions,
	};

	return ioctl(self->fd, BPFILTER_IOC_NS_SET, &ns) ? -errno : 0;
}

/* Make both and put them in force, with descriptors only in @p: 0 or -errno. */
static int begin_asking(struct _test_data_device *self, struct asks *a, const struct recipe *r,
			struct programs *p)
{
	int fd = make(self, a), err;

	if (fd < 0)
		return fd;
	programs_make(p, r);
	err = put(self, p, fd);
	close(fd);
	return err;
}

/* --- packets ------------------------------------------------------------------------------------ */

/* Bring up the only interface, with somebody at port 9, so that nobody answers packets. */
static bool network_up(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(9)};
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int sk = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return !ioctl(sk, SIOCSIFFLAGS, &ifr) && !bind(sk, (struct sockaddr *)&at, sizeof(at));
}

/* An IP packet of this protocol and so many bytes behind its header: 0, or -EPERM if it is dropped. */
static int send_raw(int protocol, size_t len)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	static const char zeroes[1024];
	int sk = socket(AF_INET, SOCK_RAW, protocol);
	int err;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	err = sendto(sk, zeroes, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
	close(sk);
	return err;
}

/* One of UDP to port 9, as long as that from its IP header on. */
static int send_udp(size_t len)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	static const char zeroes[1024];
	int sk = socket(AF_INET, SOCK_DGRAM, 0);
	int err;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	err = sendto(sk, zeroes, len - 28, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
	close(sk);
	return err;
}

/* --- what a match knows -------------------------------------------------------------------------- */

static long recent_users(void)
{
	long n = -ENOENT;
	FILE *f = fopen("/sys/module/xt_recent/refcnt", "re");

	if (!f)
		return -errno;
	if (fscanf(f, "%ld", &n) != 1)
		n = -EIO;
	fclose(f);
	return n;
}

/* Addresses in a list; -errno if there is no such list. /proc is that of the process that mounted it. */
static int recent_entries(const char *name)
{
	char path[128], line[4096];
	int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/thread-self/net/xt_recent/%s", name);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		n++;
	fclose(f);
	return n;
}

/* --- the tests ------------------------------------------------------------------------------------ */

TEST_F(device, the_matches_answer)
{
	struct asks a = {};
	struct programs p;

	ASSERT_TRUE(network_up());
	ask_length(&a, 100, 200);
	ASSERT_EQ(0, begin_asking(self, &a, &(struct recipe){.nr = 1}, &p));
	EXPECT_EQ(-EPERM, send_udp(99));
	EXPECT_EQ(0, send_udp(100));
	EXPECT_EQ(0, send_udp(200));
	EXPECT_EQ(-EPERM, send_udp(201));
	EXPECT_EQ(2, programs_seen(&p, 0, YES));
	EXPECT_EQ(2, programs_seen(&p, 0, NO));
	EXPECT_EQ(0, programs_seen(&p, 0, UNKNOWN));
	programs_close(&p);
}

TEST_F(device, what_is_not_reached_is_not_asked)
{
	struct asks a = {};
	struct programs p;

	ASSERT_TRUE(network_up());
	ask_recent(&a, "asked", XT_RECENT_SET);
	ask_length(&a, 100, 200);
	ASSERT_EQ(0, begin_asking(self, &a, &(struct recipe){.nr = 2, .asks = {1, 0}}, &p));
	EXPECT_EQ(-EPERM, send_udp(99));
	EXPECT_EQ(0, recent_entries("asked"));
	EXPECT_EQ(1, programs_seen(&p, 1, NO));
	EXPECT_EQ(0, programs_seen(&p, 0, UNKNOWN));
	EXPECT_EQ(0, send_udp(100));
	EXPECT_EQ(1, recent_entries("asked"));
	EXPECT_EQ(1, programs_seen(&p, 0, YES));
	programs_close(&p);
}

TEST_F(device, as_many_as_there_can_be)
{
	const struct recipe r = {.nr = 4, .asks = {BPFILTER_QUESTIONS_MAX - 1, 31, 32, 0}};
	struct asks a = {};
	struct programs p;
	int i;

	ASSERT_TRUE(network_up());
	ask_length(&a, 0, 200);
	for (i = 1; i < BPFILTER_QUESTIONS_MAX; i++)
		ask_length(&a, 100, 1000);
	ASSERT_EQ(0, begin_asking(self, &a, &r, &p));
	EXPECT_EQ(0, send_udp(200));
	EXPECT_EQ(-EPERM, send_udp(201));
	EXPECT_EQ(-EPERM, send_udp(99));
	EXPECT_EQ(1, programs_seen(&p, 0, NO));
	EXPECT_EQ(1, programs_seen(&p, BPFILTER_QUESTIONS_MAX - 1, NO));
	for (i = 0; i < r.nr; i++) {
		EXPECT_EQ(i < 3 ? 2 : 1, programs_seen(&p, r.asks[i], YES));
		EXPECT_EQ(0, programs_seen(&p, r.asks[i], UNKNOWN));
	}
	programs_close(&p);
}

TEST_F(device, a_match_drops_at_once)
{
	struct asks a = {};
	struct programs p;

	ASSERT_TRUE(network_up());
	ask_udp(&a, IPPROTO_UDP);
	ASSERT_EQ(0, begin_asking(self, &a, &(struct recipe){.nr = 1}, &p));
	EXPECT_EQ(0, send_udp(100));
	EXPECT_EQ(-EPERM, send_raw(IPPROTO_UDP, 7)) TH_LOG("no whole header");
	EXPECT_EQ(1, programs_seen(&p, 0, YES));
	EXPECT_EQ(1, programs_seen(&p, 0, HOTDROP));
	programs_close(&p);
}

/* A rule that a packet comes to twice, as in a chain that two rules lead to. */
TEST_F(device, what_is_asked_twice_is_answered_twice)
{
	/* Of two that ask, the first one is told yes. */
	const struct xt_statistic_info info = {
		.mode = XT_STATISTIC_MODE_NTH, .flags = XT_STATISTIC_INVERT, .u.nth.every = 1};
	struct asks a = {};
	struct programs p;
	int i;

	ASSERT_TRUE(network_up());
	ask(&a, "statistic", 0, 0, &info, sizeof(info));
	ASSERT_EQ(0, begin_asking(self, &a, &(struct recipe){.nr = 2, .asks = {0, 0}}, &p));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EPERM, send_udp(100));
	EXPECT_EQ(3, programs_seen(&p, 0, YES));
	EXPECT_EQ(3, programs_seen(&p, 0, NO));
	programs_close(&p);
}

/* A program that never comes to an end. */
TEST_F(device, there_is_room_for_so_many_answers)
{
	struct asks a = {};
	const struct bf_kernel kernel = {};
	struct bf_asm endless;
	struct programs p;
	int fd;

	ASSERT_TRUE(network_up());
	ask_recent(&a, "endless", XT_RECENT_SET);
	fd = make(self, &a);
	ASSERT_LE(0, fd);
	programs_make(&p, &(struct recipe){.nr = 1});
	close(p.asking);
	bf_asm_init(&endless, &kernel);
	bf_movi(&endless, 0, BPFILTER_ASK);
	bf_exit(&endless);
	p.asking = load(&endless);
	ASSERT_EQ(0, put(self, &p, fd));
	EXPECT_EQ(-EPERM, send_udp(100));
	EXPECT_EQ(1, recent_entries("endless"));
	EXPECT_EQ(0, programs_seen(&p, 0, YES)) TH_LOG("nothing decides about it");
	close(fd);
	programs_close(&p);
}

TEST_F(device, what_does_not_exist_is_not_asked)
{
	struct asks a = {};
	struct programs p, other;
	int fd;

	ASSERT_TRUE(network_up());
	ask_length(&a, 100, 200);
	fd = make(self, &a);
	ASSERT_LE(0, fd);
	programs_make(&p, &(struct recipe){.nr = 1, .asks = {1}});
	ASSERT_EQ(0, put(self, &p, fd));
	EXPECT_EQ(-EPERM, send_udp(100)) TH_LOG("there is no question 1");
	/* One that asks whatever it is told. */
	programs_make(&other, &(struct recipe){.nr = 1, .asks = {BPFILTER_QUESTIONS_MAX}});
	close(other.asking);
	other.asking = other.full;
	ASSERT_EQ(0, put(self, &other, fd));
	EXPECT_EQ(-EPERM, send_udp(100)) TH_LOG("nothing is asked, nothing is known");
	EXPECT_EQ(2, programs_seen(&other, 0, UNKNOWN));
	close(fd);
	programs_close(&p);
	programs_close(&other);
}

TEST_F(device, a_match_sees_the_mark_and_a_packet_keeps_its_own)
{
	const struct xt_mark_mtinfo1 info = {.mark = 0x17, .mask = ~0U};
	struct asks a = {};
	struct programs p;

	ASSERT_TRUE(network_up());
	ask(&a, "mark", 1, 0, &info, sizeof(info));
	ASSERT_EQ(0, begin_asking(self, &a, &(struct recipe){.nr = 1, .mark = 0x17}, &p));
	EXPECT_EQ(0, send_udp(100));
	EXPECT_EQ(1, programs_seen(&p, 0, YES));
	programs_close(&p);
}

TEST_F(device, what_the_kernel_refuses)
{
	struct asks a = {};
	struct bpfilter_question *q;

	ask_length(&a, 1, 2);
	ask_udp(&a, IPPROTO_TCP);
	EXPECT_EQ(-EINVAL, make(self, &a)) TH_LOG("udp is for UDP");
	EXPECT_EQ(1, (int)a.head.failed);
	a = (struct asks){};
	ask_recent(&a, "kept", XT_RECENT_SET);
	ask_length(&a, 1, 2);
	q = ask(&a, "no_such_match", 0, 0, "1234567", 8);
	EXPECT_EQ(-ENOENT, make(self, &a));
	EXPECT_EQ(2, (int)a.head.failed);
	EXPECT_EQ(-ENOENT, recent_entries("kept"));
	EXPECT_EQ(0, recent_users());
	strcpy(q->name, "length");
	q->revision = 77;
	EXPECT_GT(0, make(self, &a));
	EXPECT_EQ(2, (int)a.head.failed);
	q->revision = 0;
	q->size = 16;
	a.head.size += 8;
	EXPECT_EQ(-EINVAL, make(self, &a)) TH_LOG("it has 8 bytes");
	EXPECT_EQ(2, (int)a.head.failed);
	a = (struct asks){};
	ask(&a, "rpfilter", 0, 0, "", 1);
	EXPECT_EQ(-EINVAL, make(self, &a)) TH_LOG("it is not for table filter");
}

TEST_F(device, what_the_module_refuses)
{
	struct asks a = {};
	struct bpfilter_question *q;
	int fd;

	EXPECT_EQ(-EINVAL, make(self, &a));
	ask_length(&a, 1, 2);
	q = (struct bpfilter_question *)a.list;
	a.head.nr = BPFILTER_QUESTIONS_MAX + 1;
	EXPECT_EQ(-EINVAL, make(self, &a));
	a.head.nr = 2;
	EXPECT_EQ(-EINVAL, make(self, &a)) TH_LOG("only one is there");
	EXPECT_EQ(2, (int)a.head.failed);
	a.head.nr = 1;
	a.head.size--;
	EXPECT_EQ(-EINVAL, make(self, &a));
	a.head.size += 2;
	EXPECT_EQ(-EINVAL, make(self, &a)) TH_LOG("more is there");
	a.head.size--;
	q->size++;
	EXPECT_EQ(-EINVAL, make(self, &a));
	q->size = -8;
	EXPECT_EQ(-EINVAL, make(self, &a));
	q->size = 8;
	memset(q->name, 'x', sizeof(q->name));
	EXPECT_EQ(-EINVAL, make(self, &a)) TH_LOG("a name without end");
	EXPECT_EQ(1, (int)a.head.failed);
	strcpy(q->name, "length");
	a.head.size = BPFILTER_QUESTIONS_SIZE + 1;
	EXPECT_EQ(-EINVAL, make(self, &a));
	a.head.size = sizeof(*q) + 8;
	a.head.netns = self->fd;
	a.head.list = (unsigned long)a.list;
	EXPECT_EQ(-1, ioctl(self->fd, BPFILTER_IOC_QUESTIONS, &a.head));
	EXPECT_EQ(EINVAL, errno) TH_LOG("no namespace");
	a.head.netns = self->netns;
	a.head.list = (unsigned long)nowhere;
	EXPECT_EQ(-1, ioctl(self->fd, BPFILTER_IOC_QUESTIONS, &a.head));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->fd, BPFILTER_IOC_QUESTIONS, nowhere));
	EXPECT_EQ(EFAULT, errno);
	fd = make(self, &a);
	EXPECT_LE(0, fd) TH_LOG("it was right otherwise");
	close(fd);
}

/* Targets that do not leave what is in the packet alone, or are none, are refused before they are looked for. */
TEST_F(device, targets)
{
	static const char *const names[] = {"",	    "ERROR",  "SYNPROXY", "TEE",
					    "DNAT", "TCPMSS", "REJECT"};
	const struct ipt_reject_info info = {.with = IPT_ICMP_PORT_UNREACHABLE};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		bool taken = !strcmp(names[i], "REJECT");
		struct asks a = {};
		int fd;

		ask(&a, names[i], 0, 6, &info, sizeof(info))->flags = BPFILTER_QUESTION_TARGET;
		fd = make(self, &a);
		EXPECT_EQ(taken ? 0 : -EINVAL, fd < 0 ? fd : 0) TH_LOG("%s", names[i]);
		if (fd >= 0)
			close(fd);
	}
}

TEST_F(device, none_without_a_program)
{
	struct asks a = {};
	struct programs p, half;
	int fd, other;

	ask_length(&a, 100, 200);
	fd = make(self, &a);
	ASSERT_LE(0, fd);
	programs_make(&p, &(struct recipe){.nr = 1});
	half = p;
	half.asking = -1;
	EXPECT_EQ(0, put(self, &half, fd)) TH_LOG("what is not asked may be run");
	EXPECT_EQ(-EINVAL, put(self, &p, -1));
	half = p;
	half.full = -1;
	EXPECT_EQ(-EINVAL, put(self, &half, fd));
	EXPECT_EQ(-EINVAL, put(self, &p, p.full)) TH_LOG("no questions");
	EXPECT_EQ(-EINVAL, put(self, &p, self->netns));
	EXPECT_EQ(-EBADF, put(self, &p, 999));
	half = p;
	half.asking = fd;
	EXPECT_EQ(-EINVAL, put(self, &half, fd)) TH_LOG("no program");
	/* Of another namespace. */
	other = self->netns;
	ASSERT_EQ(0, unshare(CLONE_NEWNET));
	self->netns = own_netns();
	EXPECT_EQ(-EINVAL, put(self, &p, fd));
	close(self->netns);
	self->netns = other;
	EXPECT_EQ(0, put(self, &p, fd));
	close(fd);
	programs_close(&p);
}

TEST_F(device, the_next_helper_finds_them)
{
	struct bpfilter_ns ns = {.netns = self->netns};
	struct asks a = {};
	struct programs p;
	int fd, now;

	ASSERT_TRUE(network_up());
	EXPECT_EQ(-1, ioctl(self->fd, BPFILTER_IOC_QUESTIONS_NOW, &self->netns));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-1, ioctl(self->fd, BPFILTER_IOC_QUESTIONS_NOW, &self->fd));
	EXPECT_EQ(EINVAL, errno);
	ask_recent(&a, "kept", XT_RECENT_SET);
	ask_length(&a, 100, 200);
	ASSERT_EQ(0, begin_asking(self, &a, &(struct recipe){.nr = 1}, &p));
	EXPECT_EQ(0, send_udp(100));
	close(self->fd);
	ASSERT_EQ(0, reopen(self));
	EXPECT_EQ(0, send_udp(100));
	ASSERT_EQ(0, ioctl(self->fd, BPFILTER_IOC_NS_GET, &ns));
	EXPECT_EQ(2, ns.questions);
	EXPECT_LT(0, ns.asking);
	EXPECT_NE(ns.prog, ns.asking);
	now = ioctl(self->fd, BPFILTER_IOC_QUESTIONS_NOW, &self->netns);
	ASSERT_LE(0, now);
	/* Out of force, and in force again, with what they remember. */
	ASSERT_EQ(0, set_flags(self->fd, self->netns, BPFILTER_NS_OWNED | BPFILTER_NS_HOOK));
	ASSERT_EQ(0, ioctl(self->fd, BPFILTER_IOC_NS_GET, &ns));
	EXPECT_EQ(0, ns.questions | ns.asking | ns.prog);
	EXPECT_EQ(1, recent_entries("kept"));
	EXPECT_EQ(0, put(self, &p, now));
	EXPECT_EQ(0, send_udp(100));
	close(now);
	/* Flags change, and nothing else does. */
	ASSERT_EQ(0, set_flags(self->fd, self->netns,
			       BPFILTER_NS_OWNED | BPFILTER_NS_HOOK | BPFILTER_NS_MOVING |
				       BPFILTER_NS_KEEP));
	EXPECT_EQ(0, send_udp(100));
	EXPECT_EQ(4, programs_seen(&p, 0, YES));
	/* What has a name outlasts a replace by those who know it, as with ip_tables. */
	fd = make(self, &a);
	ASSERT_EQ(0, put(self, &p, fd));
	close(fd);
	EXPECT_EQ(1, recent_entries("kept"));
	EXPECT_EQ(1, recent_users());
	ASSERT_EQ(0, set_flags(self->fd, self->netns, 0));
	EXPECT_EQ(-ENOENT, recent_entries("kept"));
	EXPECT_EQ(0, recent_users());
	programs_close(&p);
}

TEST_F(device, questions_end_with_their_namespace)
{
	int fds[2], ours = self->netns, questions, tries;
	struct asks a = {};
	struct programs p;
	char path[64], byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(fds));
	pid = fork();
	if (!pid) {
		close(self->fd);
		if (!unshare(CLONE_NEWNET))
			byte = write(fds[1], "y", 1);
		pause();
	}
	ASSERT_EQ(1, read(fds[0], &byte, 1));
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	self->netns = open(path, O_RDONLY | O_CLOEXEC);
	ask_recent(&a, "mortal", XT_RECENT_SET);
	questions = make(self, &a);
	ASSERT_LE(0, questions);
	programs_make(&p, &(struct recipe){.nr = 1});
	EXPECT_EQ(0, put(self, &p, questions));
	close(self->netns);
	self->netns = ours;
	EXPECT_LT(0, recent_users());
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (tries = 0; tries < 500 && recent_users() > 0; tries++)
		usleep(10000);
	EXPECT_EQ(0, recent_users());
	EXPECT_EQ(-EINVAL, put(self, &p, questions));
	close(questions);
	programs_close(&p);
}

TEST_HARNESS_MAIN
