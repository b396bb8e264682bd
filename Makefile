# SPDX-License-Identifier: GPL-2.0
# bpfilter: the iptables filter table as eBPF. "make help" lists the targets.

B	?= build
PREFIX	?= /usr/local
DESTDIR	?=
V	?= 0

CC	?= gcc
CFLAGS	?= -O2 -g
PKG_CONFIG ?= pkg-config
CLANG_FORMAT ?= clang-format
PKGS	:= libbpf libnl-3.0 libpcap

# Evaluated when a recipe first needs it: on a fresh machine pkg-config comes with the set-up step.
pkg	= $(eval pkg := $$(shell $(PKG_CONFIG) --cflags $(PKGS)))$(pkg)
libs	= $(eval libs := $$(shell $(PKG_CONFIG) --libs $(PKGS)))$(libs)

override CFLAGS += -std=gnu11 -D_GNU_SOURCE -pthread -Wall -Wextra -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wno-unused-parameter
ifneq ($(SAN),)
override CFLAGS += -fsanitize=$(SAN) -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
INCLUDES := -Iinclude -Icodegen -Iumh

ifeq ($(V),1)
q	:=
say	= @:
else
q	:= @
say	= @printf '  %-7s %s\n' $(1) $(2)
endif

obj	= $(patsubst %.c,$(B)/obj/%.o,$(1))
comma	:= ,

LIB_OBJ	:= $(call obj,$(wildcard codegen/*.c) $(filter-out umh/main.c,$(wildcard umh/*.c)))

# Every test_*.c is a program; what lies beside them is shared by all of them.
UNIT_SRC := $(wildcard selftests/unit/test_*.c)
UNIT_OBJ := $(call obj,$(filter-out $(UNIT_SRC),$(wildcard selftests/unit/*.c)))
UNIT	:= $(patsubst %.c,$(B)/%,$(UNIT_SRC))

# Every other folder with C in it is one program.
TOOLS	:= $(filter-out unit,$(sort $(patsubst selftests/%/,%,$(dir $(wildcard selftests/*/*.c)))))
TOOL_PROGS := $(addprefix $(B)/selftests/,$(TOOLS))
tool_obj = $(call obj,$(wildcard selftests/$(1)/*.c))

KSELFTEST := $(B)/kselftest/kselftest_harness.h $(B)/kselftest/kselftest.h
E2E	:= $(sort $(wildcard selftests/e2e/*.sh))

.PHONY: all
all: $(B)/bpfilter

$(B)/bpfilter: $(call obj,umh/main.c) $(LIB_OBJ)
	$(call say,LD,$@)
	$(q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(libs) $(LDLIBS)

$(B)/obj/%.o: %.c
	$(call say,CC,$*.o)
	@mkdir -p $(@D)
	$(q)$(CC) $(CFLAGS) $(INCLUDES) $(pkg) -MMD -MP -c -o $@ $<

# --- the module --------------------------------------------------------------------------------

KDIR	?= /lib/modules/$(shell uname -r)/build
MODULE_SRC := bpfilter_kern.c bpfilter_ask.c bpfilter_ask.h Kbuild include/uapi/bpfilter.h

# In a copy, since kbuild writes beside the source.
.PHONY: module
module:
	@test -e $(KDIR)/Makefile || { \
		echo "no $(KDIR): the headers of the running kernel are not installed; on Debian:" >&2; \
		echo "    apt-get install linux-headers-$$(uname -r)" >&2; \
		echo "or give those of another kernel: make module KDIR=DIR" >&2; exit 1; }
	@mkdir -p $(B)/module
	$(q)cp -u --parents $(MODULE_SRC) $(B)/module
	$(q)$(MAKE) -C $(KDIR) M=$(abspath $(B)/module) modules

# --- tests ---------------------------------------------------------------------------------

.PHONY: tests
tests: $(UNIT) $(TOOL_PROGS)

$(B)/obj/selftests/%.o: selftests/%.c | $(KSELFTEST)
	$(call say,CC,selftests/$*.o)
	@mkdir -p $(@D)
	$(q)$(CC) $(CFLAGS) -Wno-missing-prototypes -Wno-strict-prototypes -Wno-shadow $(INCLUDES) \
		-Iselftests -I$(<D) -isystem $(B)/kselftest $(pkg) -MMD -MP -c -o $@ $<

$(B)/selftests/unit/%: $(B)/obj/selftests/unit/%.o $(UNIT_OBJ) $(LIB_OBJ)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(libs) $(LDLIBS)

# The functions that five of them let fail: see selftests/unit/faults.h.
FAULTS	:= malloc calloc realloc reallocarray strdup bpf_map_create bpf_prog_load bpf_btf_load \
	bpf_prog_bind_map bpf_prog_test_run_opts bpf_map_update_elem bpf_map_delete_elem \
	bpf_map_lookup_elem bpf_obj_pin bpf_obj_get bpf_obj_get_info_by_fd bpf_prog_get_fd_by_id \
	bpf_map_get_fd_by_id btf__new_empty btf__add_func btf__add_func_proto \
	btf__load_vmlinux_btf mmap syscall mkdir fopen socket bind getsockname getsockopt \
	setsockopt sendmsg recv unlink rmdir
$(B)/selftests/unit/test_faults $(B)/selftests/unit/test_faults_edge $(B)/selftests/unit/test_crash $(B)/selftests/unit/test_tree \
	$(B)/selftests/unit/test_tree_update: \
	LDFLAGS += $(addprefix -Wl$(comma)--wrap=,$(FAULTS))
# And those behind which there is a network card where there is none: fake_card.h.
CARD	:= $(FAULTS) bpf_link_create bpf_link_detach bf_link_ifindex opendir
$(B)/selftests/unit/test_faults_card: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,$(CARD))
# And those by which the kernel is tried.
TRIED	:= $(FAULTS) unshare pthread_create sendto ioctl
$(B)/selftests/unit/test_trial: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,$(TRIED))
# And those behind which they find a module where there is none: fake_module.h.
FAKED	:= bf_env_kernel bf_device_ns_set bf_device_ns_get bf_device_ns_asks bf_device_questions \
	bf_device_ns_lost bf_device_questions_now bf_device_sync
$(B)/selftests/unit/test_faults $(B)/selftests/unit/test_faults_edge $(B)/selftests/unit/test_faults_card \
	$(B)/selftests/unit/test_crash $(B)/selftests/unit/test_filter: \
	LDFLAGS += $(addprefix -Wl$(comma)--wrap=,$(FAKED))
# And those that make up the device for another: fake_device.h.
DEVICE	:= access open close readv writev ioctl malloc calloc realloc
$(B)/selftests/unit/test_device: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,$(DEVICE))

define tool_rule
$(B)/selftests/$(1): $(call tool_obj,$(1)) $(LIB_OBJ)
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$(q)$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^ $$(libs) -lm $$(LDLIBS)
endef
$(foreach t,$(TOOLS),$(eval $(call tool_rule,$(t))))

# The two headers of the kernel's test harness are not part of this project: they come out of
# the Debian package. A test may take longer than the 30 seconds there: in an emulated machine, and with sanitizers.
KSRC	= $(firstword $(wildcard /usr/src/linux-source-6.1.tar.xz /usr/src/linux-source-*.tar.xz))
kself	= $(patsubst %.tar.xz,%,$(notdir $(KSRC)))/tools/testing/selftests

$(B)/kselftest/.unpacked:
	$(call say,UNPACK,kselftest_harness.h)
	@mkdir -p $(@D)
	@test -n "$(KSRC)" || { echo "no /usr/src/linux-source-*.tar.xz: run \"make setup\" as root" >&2; exit 1; }
	$(q)tar -xJf $(KSRC) -C $(@D) --strip-components=4 --occurrence=1 \
		$(kself)/kselftest.h $(kself)/kselftest_harness.h
	$(q)sed -i 's/^\(#define TEST_TIMEOUT_DEFAULT\) 30$$/\1 240/' $(@D)/kselftest_harness.h
	@touch $@
$(KSELFTEST): $(B)/kselftest/.unpacked ;

# So does what judges the style of the module.
CHECKPATCH := $(B)/checkpatch/checkpatch.pl
checkpatch_files = $(addprefix $(patsubst %.tar.xz,%,$(notdir $(KSRC)))/scripts/, \
	checkpatch.pl spelling.txt const_structs.checkpatch)

$(CHECKPATCH):
	$(call say,UNPACK,checkpatch.pl)
	@mkdir -p $(@D)
	$(q)tar -xJf $(KSRC) -C $(@D) --strip-components=2 --occurrence=1 $(checkpatch_files)
	@touch $@
.SECONDARY:

# --- what a person calls -------------------------------------------------------------------

# The demo does without the module where none can be built or loaded.
define demo_module
rm -f $(B)/module/bpfilter.ko; \
if [ -e /proc/modules ] && [ -e $(KDIR)/Makefile ]; then \
	$(MAKE) --no-print-directory module >$(B)/module.log 2>&1 || \
		echo "the module could not be built: see $(B)/module.log"; \
fi
endef

# Each runs the set-up step first, then make again, which then finds what was installed.
.PHONY: demo check bench bench-quick soak setup
demo: setup-demo
	@$(MAKE) --no-print-directory all
	@$(demo_module)
	@BPFILTER=$(abspath $(B)/bpfilter) BPFILTER_MODULE=$(abspath $(B)/module/bpfilter.ko) demo/demo.sh

check: setup-check
	@$(MAKE) --no-print-directory all tests
	@BPFILTER=$(abspath $(B)/bpfilter) BUILD=$(abspath $(B)) selftests/suite.sh check

bench bench-quick: setup-bench
	@$(MAKE) --no-print-directory all tests
	@BPFILTER=$(abspath $(B)/bpfilter) BUILD=$(abspath $(B)) selftests/suite.sh $@

# What the last "make bench" found, into docs/bench and the README.
.PHONY: bench-publish
bench-publish:
	@selftests/bench/publish.sh $(B)/bench/full

soak: setup-check
	@$(MAKE) --no-print-directory all tests
	@BPFILTER=$(abspath $(B)/bpfilter) BUILD=$(abspath $(B)) selftests/suite.sh soak

# The tests that concern the kernel, in virtual machines: KERNEL= and TESTS= choose, JOBS= are how many
# machines run at a time.
KERNEL	?= 6.1 6.12 7.2
TESTS	?=
JOBS	?= 2
.PHONY: check-vm check-module
check-vm: setup-check-vm
	@$(MAKE) --no-print-directory all tests
	@BUILD=$(abspath $(B)) TESTS="$(TESTS)" selftests/vm/vm.sh -j $(JOBS) $(KERNEL)

check-module: setup-check-vm
	@$(MAKE) -s --no-print-directory $(CHECKPATCH)
	@BPFILTER=$(abspath $(B)/bpfilter) BUILD=$(abspath $(B)) CHECKPATCH=$(abspath $(CHECKPATCH)) \
		selftests/run.sh selftests/vm/lint.sh

setup: setup-check

.PHONY: setup-demo setup-check setup-bench setup-check-vm setup-check-install
setup-demo setup-check setup-bench setup-check-vm setup-check-install: setup-%:
	@tools/setup.sh $* $(B)

# The tables in documents that come out of the code: the registry's, and the device's numbers.
generated = printf '%s\n' 'matches README.md' 'targets README.md' \
	'constants docs/device-protocol.md' 'structures docs/device-protocol.md'
.PHONY: readme
readme: $(B)/selftests/support
	$(q)$(generated) | while read -r t file; do \
		$< $$t >$(B)/support.md; \
		sed -i -e "/^<!-- $$t -->\$$/,/^<!-- end -->\$$/{/^|/d}" \
			-e "/^<!-- $$t -->\$$/r $(B)/support.md" $$file; \
	done

# The same binary and the same tests, with the address and undefined behaviour sanitizers.
.PHONY: asan
asan:
	@$(MAKE) --no-print-directory B=$(B)-asan SAN=address,undefined CFLAGS="-O1 -g" all tests

C_FILES	= $(wildcard include/*.h include/uapi/*.h codegen/*.[ch] umh/*.[ch] selftests/*/*.[ch])

.PHONY: format-check
format-check:
	$(q)$(CLANG_FORMAT) --dry-run -Werror $(C_FILES)

.PHONY: install uninstall check-install
# The module by DKMS, where there is one, else directly, for all kernels with headers: see
# packaging/install.sh for MODULE and KVER.
MODULE	?= auto
KVER	?=
install: all
install uninstall:
	@B='$(B)' PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' MODULE='$(MODULE)' KVER='$(KVER)' \
		packaging/install.sh $@

# In a Debian tree of its own, below $(B)/install.
check-install: setup-check-install
	@BUILD=$(abspath $(B)) selftests/run.sh -t 1800 selftests/install/install.sh selftests/install/deb.sh

# Debian packages, of the tool and of the module for DKMS.
DEB_VERSION ?=
.PHONY: deb
deb:
	@packaging/deb.sh $(B)/deb $(DEB_VERSION)

.PHONY: clean
clean:
	rm -rf $(B) $(B)-asan

.PHONY: help
help:
	@echo 'make               build $(B)/bpfilter'
	@echo 'make module        build $(B)/module/bpfilter.ko for the running kernel, or KDIR=DIR'
	@echo 'sudo make demo     see it work: sets up, builds, runs in namespaces of its own (1 min)'
	@echo 'sudo make check    the tests (3 to 5 min)'
	@echo 'sudo make check-vm the same in virtual machines with Debian'"'"'s Linux 6.1, 6.12 and 7.2, or'
	@echo '                   KERNEL=6.12 alone; TESTS=PROGRAM,... instead of all; JOBS=2 at a time'
	@echo 'sudo make check-module  checkpatch and sparse about the module'
	@echo 'sudo make bench    what packets, updates and memory cost, beside ip_tables and nftables (12 min);'
	@echo '                   bench-quick: fewer sizes (2 min)'
	@echo 'make bench-publish put the results of "make bench" into docs/bench and README.md'
	@echo 'sudo make soak     compare with the kernel, new random tables until stopped'
	@echo 'sudo make setup    only install the Debian packages that the above need'
	@echo 'make asan          build $(B)-asan/ with the address and undefined behaviour sanitizers'
	@echo 'make readme        bring the tables in README.md and docs that come out of the code up to date'
	@echo 'make format-check  does clang-format agree?'
	@echo 'make install       to PREFIX=$(PREFIX), under DESTDIR if that is set, with the module'
	@echo '                   (MODULE=none: without); also: uninstall, and check-install, its test'
	@echo 'make deb           Debian packages in $(B)/deb, of DEB_VERSION if that is set'
	@echo 'make clean         remove $(B)/ and $(B)-asan/'
	@echo
	@echo 'V=1 shows whole commands, B=DIR builds elsewhere.'

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
