// SPDX-License-Identifier: GPL-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "array.h"
#include "asm.h"
#include "btf.h"
#include "btf_path.h"
#include "clock.h"
#include "config.h"
#include "device.h"
#include "env.h"
#include "load.h"
#include "rcu.h"
#include "table.h"
#include "trial.h"

/* What the clock program writes. */
struct clock_sample {
	uint64_t jiffies;
};

struct bf_env {
	pthread_mutex_t lock;
	struct bf_kernel kernel;
	int clock_prog;
	struct clock_sample *clock; /* shared with the clock program */
	struct bf_rcu rcu;
	struct bf_device *device;
	bool leaving;
	bool has_tc; /* looked for where there are no links */
	struct bf_config config;
	enum bf_fragments tried[BF_NR_TRIALS];
	int trial_errs[BF_NR_TRIALS]; /* why it is not known, as logged */
};

const char *bf_run_dir(void)
{
	const char *dir = getenv("BPFILTER_RUN_DIR");

	return dir && *dir ? dir : BF_DEFAULT_RUN_DIR;
}

const char *bf_pin_dir(void)
{
	const char *dir = getenv("BPFILTER_PIN_DIR");

	return dir && *dir ? dir : BF_DEFAULT_PIN_DIR;
}

/* A program that notes the kernel's two clocks at the same moment. */
static int load_clock(int map)
{
	struct bf_kernel none = {};
	struct bf_asm a;
	int fd, err, end;

	bf_asm_init(&a, &none);
	end = bf_asm_label(&a);
	bf_sti(&a, BPF_W, BPF_REG_10, -4, 0);
	bf_map(&a, BPF_REG_1, map);
	bf_mov(&a, BPF_REG_2, BPF_REG_10);
	bf_alui(&a, BPF_ADD, BPF_REG_2, -4);
	bf_helper(&a, BPF_FUNC_map_lookup_elem);
	bf_jifi(&a, BPF_JEQ, BPF_REG_0, 0, end);
	bf_mov(&a, BPF_REG_6, BPF_REG_0);
	bf_helper(&a, BPF_FUNC_jiffies64);
	bf_stx(&a, BPF_DW, BPF_REG_6, 0, BPF_REG_0);
	bf_asm_here(&a, end);
	bf_movi(&a, BPF_REG_0, 0);
	bf_exit(&a);
	err = bf_asm_finish(&a);
	fd = err
		     ?: bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "bf_clock", "GPL", a.insns,
				      a.nr_insns, NULL);
	if (!err && fd < 0)
		fd = -errno;
	bf_asm_free(&a);
	return fd;
}

/* Does the verifier know may_goto? */
static bool probe_may_goto(void)
{
	static const struct bf_kernel none;
	struct bf_asm a;
	int fd = -1, again, end;

	bf_asm_init(&a, &none);
	again = bf_asm_label(&a);
	end = bf_asm_label(&a);
	bf_asm_here(&a, again);
	bf_may_goto(&a, end);
	bf_jmp(&a, again);
	bf_asm_here(&a, end);
	bf_movi(&a, BPF_REG_0, 0);
	bf_exit(&a);
	if (!bf_asm_finish(&a))
		fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "bf_probe", "GPL", a.insns, a.nr_insns,
				   NULL);
	bf_asm_free(&a);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/*
 * Older kernels, such as 6.1, refuse elements of arrays that are larger than what kmalloc() can give, which is 4 MB
 * with pages of 4 KB.
 */
static uint32_t probe_max_value(void)
{
	const uint32_t kmalloc_max = 4U << 20;
	int fd = bf_array_create("bf_probe", kmalloc_max + 8, 1);

	if (fd >= 0)
		close(fd);
	return fd == -E2BIG ? kmalloc_max : 0;
}

static int sample_clock(struct bf_env *env, struct clock_sample *sample)
{
	static const char frame[64];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame));

	if (bpf_prog_test_run_opts(env->clock_prog, &opts))
		return -errno;
	*sample = *env->clock;
	return 0;
}

/*
 * CONFIG_HZ, exactly: the coarse clock moves by a tick at a time and says so. Measuring ticks
 * goes wrong whenever this task is not run for a moment, and then every -m limit is off. The rest that is
 * known of it at once are defaults.
 */
static int find_hz(struct bf_kernel *kernel)
{
	struct timespec tick;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick))
		return -errno;
	if (tick.tv_sec || tick.tv_nsec <= 0)
		return -ERANGE;
	kernel->hz = (1000000000 + tick.tv_nsec / 2) / tick.tv_nsec;
	kernel->replying = (struct bf_replying)BF_REPLYING_DEFAULT;
	return 0;
}

static int open_clock(struct bf_env *env, struct bf_why *why)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "bf_clock", 4, sizeof(*env->clock), 1, &opts);
	int err;

	if (map < 0)
		return bf_why(why, -errno,
			      "cannot create a BPF map (%s): run as root, with CAP_BPF, "
			      "CAP_NET_ADMIN and CAP_PERFMON",
			      strerror(errno));
	env->clock = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	if (env->clock == MAP_FAILED) {
		env->clock = NULL;
		close(map);
		return bf_why(why, -ENOMEM, "no memory");
	}
	env->clock_prog = load_clock(map);
	close(map);
	if (env->clock_prog < 0)
		return bf_why(why, env->clock_prog,
			      "cannot load a BPF program (%s): run as root, with "
			      "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON",
			      strerror(-env->clock_prog));
	err = find_hz(&env->kernel);
	return err ? bf_why(why, err, "cannot tell how long a tick is (%s)", strerror(-err)) : 0;
}

/* Can a program of ours be loaded for netfilter links at all? -EOPNOTSUPP */
static int probe_links(struct bf_env *env, struct bf_why *why)
{
	int prog, map = bf_create_switch();

	if (map < 0)
		return bf_why(why, map, "cannot create a BPF map (%s)", strerror(-map));
	prog = bf_load_root(&env->kernel, BF_ROOT_LINK, map, -1, NULL);
	close(map);
	if (prog < 0)
		return bf_why(why, prog == -EINVAL ? -EOPNOTSUPP : prog,
			      "the kernel does not take BPF programs for netfilter hooks (%s): "
			      "Linux 6.4 or later with CONFIG_NETFILTER_BPF_LINK is needed",
			      strerror(-prog));
	close(prog);
	return 0;
}

static bool on_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == BPF_FS_MAGIC;
}

/* 0, -ENOTEMPTY, or another -errno. */
static int check_empty(const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	int err = 0;

	if (!dir)
		return -errno;
	while (!err && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			err = -ENOTEMPTY;
	closedir(dir);
	return err;
}

/* Nothing is to be hidden by it. Somebody else may mount one meanwhile. */
static int mount_bpffs(const char *path, struct bf_why *why)
{
	int err = check_empty(path);

	if (!err && mount("bpf", path, "bpf", 0, "mode=0700"))
		err = -errno;
	if (!err || on_bpffs(path))
		return 0;
	if (err == -ENOTEMPTY)
		return bf_why(why, err,
			      "%s is not a bpffs, and none is mounted there: it is in use", path);
	return bf_why(why, err,
		      "%s is not a bpffs and none can be mounted there (%s): mount -t bpf bpf %s",
		      path, strerror(-err), path);
}

/* The pin directory, on a bpffs that is mounted at its parent if there is none yet. */
static int open_pin_dir(struct bf_why *why)
{
	const char *dir = bf_pin_dir();
	char *parent = strdup(dir), *slash = parent ? strrchr(parent, '/') : NULL;
	int err = 0;

	if (!slash || slash == parent) {
		free(parent);
		return bf_why(why, -EINVAL, "%s is no place for pins: it must lie on a bpffs", dir);
	}
	*slash = '\0';
	if (!on_bpffs(parent) && !on_bpffs(dir))
		err = mount_bpffs(parent, why);
	if (!err && mkdir(dir, 0700) && errno != EEXIST)
		err = bf_why(why, -errno, "cannot create %s: %s", dir, strerror(errno));
	else if (!err && !on_bpffs(dir))
		err = bf_why(why, -EINVAL, "%s is not on a bpffs: mount -t bpf bpf %s", dir,
			     parent);
	free(parent);
	return err;
}

/* Can programs be at the interfaces? */
static bool probe_tc(struct bf_env *env)
{
	int prog, map = bf_create_switch();

	if (map < 0)
		return false;
	prog = bf_load_root(&env->kernel, BF_ROOT_TC_INGRESS, map, -1, NULL);
	close(map);
	if (prog >= 0)
		close(prog);
	return prog >= 0;
}

/* Links, or at least the module, or tc. */
static int find_links(struct bf_env *env, int *exit_code, struct bf_why *why)
{
	struct bf_why reason = {};
	int err = bf_btf_read(&env->kernel, &reason);

	*exit_code = err == -ENOENT ? BF_EXIT_NO_BTF : BF_EXIT_OLD_KERNEL;
	err = err ?: probe_links(env, &reason);
	env->kernel.has_links = !err;
	if (err != -ENOENT && err != -EOPNOTSUPP)
		return err ? bf_why(why, err, "%s", reason.text) : 0;
	env->has_tc = err == -EOPNOTSUPP && probe_tc(env);
	if (bf_device_exists() || env->has_tc)
		return 0;
	return bf_why(why, err, "%s, or bpfilter's kernel module (modprobe bpfilter)", reason.text);
}

static int open_kernel(struct bf_env *env, int *exit_code, struct bf_why *why)
{
	int err;

	*exit_code = BF_EXIT_NOT_ROOT;
	err = open_clock(env, why);
	if (err)
		return err;
	err = find_links(env, exit_code, why);
	if (err)
		return err;
	*exit_code = BF_EXIT_NO_BPFFS;
	return open_pin_dir(why);
}

/*
 * One more than the highest number a CPU can have; the counters are indexed by that number, which
 * need not be below the count of CPUs. The file reads "0-3" or "0,2-5".
 */
static int count_cpus(void)
{
	FILE *file = fopen("/sys/devices/system/cpu/possible", "re");
	int first, last, cpus = -EINVAL;

	if (!file)
		return -errno;
	while (fscanf(file, "%d", &first) == 1) {
		last = first;
		if (fscanf(file, "-%d", &last) < 0 && !feof(file))
			break;
		cpus = last + 1;
		if (fgetc(file) != ',')
			break;
	}
	fclose(file);
	return cpus;
}

static int print_nothing(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return 0; /* what went wrong is said once, by us */
}

int bf_env_open(struct bf_env **result, int *exit_code, struct bf_why *why)
{
	struct bf_env *env = calloc(1, sizeof(*env));
	int cpus, err;

	*result = NULL;
	*exit_code = BF_EXIT_FAILED;
	if (!env)
		return bf_why(why, -ENOMEM, "no memory");
	pthread_mutex_init(&env->lock, NULL);
	bf_rcu_init(&env->rcu);
	env->clock_prog = -1;
	libbpf_set_print(print_nothing);
	cpus = count_cpus();
	env->kernel.cpus = cpus;
	env->kernel.has_may_goto = probe_may_goto();
	env->kernel.max_value = probe_max_value();
	if (cpus < 0)
		err = bf_why(why, cpus, "cannot read /sys/devices/system/cpu/possible: mount /sys");
	else
		err = bf_config_read(&env->config, bf_config_path(), why)
			      ?: open_kernel(env, exit_code, why);
	if (err) {
		bf_env_close(env);
		return err;
	}
	*result = env;
	return 0;
}

/* What the verifier knows, where it cannot be asked. */
static bool is_release(unsigned int major, unsigned int minor)
{
	unsigned int a = 0, b = 0;
	struct utsname name;

	if (uname(&name) || sscanf(name.release, "%u.%u", &a, &b) != 2)
		return false;
	return a > major || (a == major && b >= minor);
}

int bf_env_look(struct bf_kernel *kernel, struct bf_why *why)
{
	int cpus = count_cpus(), err;

	memset(kernel, 0, sizeof(*kernel));
	libbpf_set_print(print_nothing);
	if (cpus < 0)
		return bf_why(why, cpus,
			      "cannot read /sys/devices/system/cpu/possible: mount /sys");
	kernel->cpus = cpus;
	err = find_hz(kernel);
	if (err)
		return bf_why(why, err, "cannot tell how long a tick is (%s)", strerror(-err));
	kernel->has_may_goto = geteuid() ? is_release(6, 9) : probe_may_goto();
	kernel->max_value = geteuid() ? 0 : probe_max_value();
	kernel->has_links = !bf_btf_read(kernel, why);
	return 0;
}

void bf_env_close(struct bf_env *env)
{
	if (!env)
		return;
	if (env->clock_prog >= 0)
		close(env->clock_prog);
	if (env->clock)
		munmap(env->clock, sysconf(_SC_PAGESIZE));
	bf_config_free(&env->config);
	bf_rcu_exit(&env->rcu);
	pthread_mutex_destroy(&env->lock);
	free(env);
}

void bf_env_kernel(struct bf_env *env, struct bf_kernel *kernel)
{
	pthread_mutex_lock(&env->lock);
	bf_btf_read_conntrack(&env->kernel);
	bf_btf_read_path_again(&env->kernel);
	bf_btf_look_bridge(&env->kernel);
	*kernel = env->kernel;
	pthread_mutex_unlock(&env->lock);
}

static enum bf_fragments try_once(struct bf_env *env, enum bf_trial trial)
{
	enum bf_fragments is = __atomic_load_n(&env->tried[trial], __ATOMIC_ACQUIRE);
	int err;

	/* Two threads may both try: they find the same, and others need not wait. */
	if (is != BF_FRAGMENTS_UNKNOWN)
		return is;
	err = bf_trial_run(trial, &is);
	if (!err)
		__atomic_store_n(&env->tried[trial], is, __ATOMIC_RELEASE);
	if (__atomic_exchange_n(&env->trial_errs[trial], err, __ATOMIC_ACQ_REL) != err && err)
		bf_log(BF_LOG_WARN,
		       "what this kernel's match %s makes of later fragments cannot be tried (%s): "
		       "tables with it are left to ip_tables",
		       bf_trial_match(trial), strerror(-err));
	return is;
}

void bf_env_try(struct bf_env *env, const struct bf_table *table, struct bf_kernel *kernel)
{
	unsigned int i;

	for (i = 0; i < BF_NR_TRIALS; i++)
		if (table->tries & 1U << i)
			kernel->tried[i] = try_once(env, i);
}

bool bf_env_without_module(const struct bf_env *env)
{
	return env->kernel.has_links || env->has_tc;
}

uint64_t bf_env_jiffies(struct bf_env *env)
{
	struct clock_sample sample = {};

	pthread_mutex_lock(&env->lock);
	/* Not 0: what a limit is credited with for all the time since then does not fit into its 32 bits. */
	if (sample_clock(env, &sample))
		sample.jiffies = bf_jiffies_about(env->kernel.hz);
	pthread_mutex_unlock(&env->lock);
	return sample.jiffies;
}

const struct bf_config *bf_env_config(const struct bf_env *env)
{
	return &env->config;
}

struct bf_rcu *bf_env_rcu(struct bf_env *env)
{
	return &env->rcu;
}

struct bf_device *bf_env_device(struct bf_env *env)
{
	return __atomic_load_n(&env->device, __ATOMIC_ACQUIRE);
}

void bf_env_set_device(struct bf_env *env, struct bf_device *device)
{
	__atomic_store_n(&env->device, device, __ATOMIC_RELEASE);
}

bool bf_env_leaving(struct bf_env *env)
{
	return __atomic_load_n(&env->leaving, __ATOMIC_SEQ_CST);
}

void bf_env_set_leaving(struct bf_env *env, bool leaving)
{
	__atomic_store_n(&env->leaving, leaving, __ATOMIC_SEQ_CST);
}
