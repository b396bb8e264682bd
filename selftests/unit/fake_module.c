// SPDX-License-Identifier: GPL-2.0
#include "fake_module.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device.h"
#include "env.h"
#include "faults.h"
#include "rcu.h"

/* What the kernel would keep. */
struct kept {
	uint32_t flags, prog_id, asking_id, want;
	bool questions;
};

static struct {
	struct bf_device *device; /* of the real one */
	struct kept *kept;	  /* of the fake */
	int progs;		  /* holds the fake's programs, whoever dies */
	bool hide_links;
} module = {.progs = -1};

/* The linker makes __real_NAME where the program is linked with --wrap=NAME. */
void __real_bf_env_kernel(struct bf_env *env, struct bf_kernel *kernel) __attribute__((weak));
int __real_bf_device_ns_set(struct bf_device *d, uint32_t flags, const struct bf_at_hooks *run)
	__attribute__((weak));
int __real_bf_device_ns_get(struct bf_device *d, uint32_t *flags, uint32_t *prog_id)
	__attribute__((weak));
int __real_bf_device_ns_asks(struct bf_device *d, uint32_t *asking_id, uint32_t *want)
	__attribute__((weak));
int __real_bf_device_questions(struct bf_device *d, const void *list, size_t size, uint32_t nr,
			       uint32_t *failed) __attribute__((weak));
uint64_t __real_bf_device_ns_lost(struct bf_device *d) __attribute__((weak));
int __real_bf_device_questions_now(struct bf_device *d) __attribute__((weak));
int __real_bf_device_sync(struct bf_device *d) __attribute__((weak));

bool module_is_fake(void)
{
	return !bf_device_exists();
}

int module_begin(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);

	module.hide_links = false;
	if (!module_is_fake())
		return 0;
	module.progs = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "fake", 4, 4, 2, &opts);
	module.kept = mmap(NULL, sizeof(*module.kept), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (module.progs < 0 || module.kept == MAP_FAILED)
		return -ENOMEM;
	return 0;
}

void module_end(void)
{
	if (module.kept)
		munmap(module.kept, sizeof(*module.kept));
	module.kept = NULL;
	if (module.progs >= 0)
		close(module.progs);
	module.progs = -1;
	bf_device_close(module.device);
	module.device = NULL;
}

int module_open(struct bf_env *env)
{
	int err = 0;

	if (module.kept)
		bf_env_set_device(env, (struct bf_device *)module.kept);
	else
		err = bf_device_open(&module.device, NULL);
	if (!err && !module.kept)
		bf_env_set_device(env, module.device);
	return err;
}

void module_close(struct bf_env *env)
{
	bf_env_set_device(env, NULL);
	if (module.device)
		bf_device_hang_up(module.device);
}

void module_hide_links(bool hide)
{
	module.hide_links = hide;
}

bool module_has(uint32_t flags, uint32_t prog_id)
{
	uint32_t has_flags = 0, has_id = 0;

	if (module.kept) {
		has_flags = module.kept->flags;
		has_id = module.kept->prog_id;
	} else if (__real_bf_device_ns_get(module.device, &has_flags, &has_id)) {
		return false;
	}
	return has_flags == flags && has_id == prog_id;
}

bool module_fakes_program(void)
{
	return module.kept && module.kept->prog_id;
}

bool module_fakes_owned(void)
{
	return module.kept && module.kept->flags & BPFILTER_NS_OWNED;
}

/* The new program or none in the place of the old one: the kernel's checks, and its errors. */
static int keep_program(uint32_t key, int prog, uint32_t *id)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	if (prog < 0) {
		bpf_map_delete_elem(module.progs, &key);
		*id = 0;
		return 0;
	}
	if (bpf_obj_get_info_by_fd(prog, &info, &len) || info.type != BPF_PROG_TYPE_SCHED_CLS)
		return -EINVAL;
	if (bpf_map_update_elem(module.progs, &key, &prog, BPF_ANY))
		return -errno;
	*id = info.id;
	return 0;
}

static int keep_run(const struct bf_at_hooks *run)
{
	static const struct bf_at_hooks nothing = {.prog = -1, .asking = -1, .questions = -1};
	int err;

	run = run ?: &nothing;
	if ((run->asking >= 0 && run->questions < 0) || (run->questions >= 0 && run->prog < 0))
		return -EINVAL;
	module.kept->questions = run->questions >= 0;
	err = keep_program(0, run->prog, &module.kept->prog_id);
	module.kept->want = run->want;
	return err ?: keep_program(1, run->asking, &module.kept->asking_id);
}

static int fake_ns_set(uint32_t flags, const struct bf_at_hooks *run)
{
	uint32_t state = BPFILTER_NS_OWNED | BPFILTER_NS_MOVING | BPFILTER_NS_HOOK;
	bool keep = flags & BPFILTER_NS_KEEP;
	int err = 0;

	flags &= ~BPFILTER_NS_KEEP;
	if (flags & ~state || ((keep ? module.kept->prog_id != 0 : run && run->prog >= 0) &&
			       !(flags & BPFILTER_NS_HOOK)))
		return -EINVAL;
	if (!keep)
		err = keep_run(run);
	if (!err)
		module.kept->flags = flags;
	return err;
}

int __wrap_bf_device_ns_set(struct bf_device *d, uint32_t flags, const struct bf_at_hooks *run)
{
	int err;

	if (faults_hit(FAULT_CALL | FAULT_CHANGE, "bf_device_ns_set"))
		return -ENOMEM;
	if (d == module.device)
		return __real_bf_device_ns_set(d, flags, run);
	faults_pause(true);
	err = fake_ns_set(flags, run);
	faults_pause(false);
	return err;
}

int __wrap_bf_device_ns_get(struct bf_device *d, uint32_t *flags, uint32_t *prog_id)
{
	if (faults_hit(FAULT_CALL, "bf_device_ns_get"))
		return -ENOMEM;
	if (d == module.device)
		return __real_bf_device_ns_get(d, flags, prog_id);
	*flags = module.kept->flags;
	*prog_id = module.kept->prog_id;
	return 0;
}

int __wrap_bf_device_ns_asks(struct bf_device *d, uint32_t *asking_id, uint32_t *want)
{
	if (faults_hit(FAULT_CALL, "bf_device_ns_asks"))
		return -ENOMEM;
	if (d == module.device)
		return __real_bf_device_ns_asks(d, asking_id, want);
	*asking_id = module.kept->asking_id;
	*want = module.kept->want;
	return 0;
}

uint64_t __wrap_bf_device_ns_lost(struct bf_device *d)
{
	return d == module.device ? __real_bf_device_ns_lost(d) : 0;
}

/* They are never asked: any descriptor will do. */
static int fake_questions(void)
{
	int fd;

	faults_pause(true);
	fd = memfd_create("questions", MFD_CLOEXEC);
	faults_pause(false);
	return fd < 0 ? -errno : fd;
}

int __wrap_bf_device_questions(struct bf_device *d, const void *list, size_t size, uint32_t nr,
			       uint32_t *failed)
{
	*failed = nr;
	if (faults_hit(FAULT_CALL, "bf_device_questions"))
		return -ENOMEM;
	if (d == module.device)
		return __real_bf_device_questions(d, list, size, nr, failed);
	return fake_questions();
}

int __wrap_bf_device_questions_now(struct bf_device *d)
{
	if (faults_hit(FAULT_CALL, "bf_device_questions_now"))
		return -ENOMEM;
	if (d == module.device)
		return __real_bf_device_questions_now(d);
	return module.kept->questions ? fake_questions() : -ENOENT;
}

int __wrap_bf_device_sync(struct bf_device *d)
{
	int err;

	if (faults_hit(FAULT_CALL, "bf_device_sync"))
		return -ENOMEM;
	if (d == module.device)
		return __real_bf_device_sync(d);
	faults_pause(true);
	err = bf_rcu_wait(NULL, NULL);
	faults_pause(false);
	return err;
}

void __wrap_bf_env_kernel(struct bf_env *env, struct bf_kernel *kernel)
{
	__real_bf_env_kernel(env, kernel);
	if (module.hide_links)
		kernel->has_links = false;
}
