#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The tests of iptables itself, once with the kernel's ip_tables and once below "bpfilter run": the same cases pass and
# fail. Those are its lists of what each extension takes and how it is saved (extensions/libxt_*.t, libipt_*.t), and its
# shell tests, each in a namespace of its own; of the source package, with the legacy binaries that are installed.
#
# $IPTABLES_SOURCE is a tree with them. Without it the source package is fetched into $BUILD by apt.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

[ "$(id -u)" = 0 ] || skip_all "needs root"
by_module && skip_all "the namespaces that these tests make cannot be excluded one by one"
for command in python3 xtables-legacy-multi unshare; do
	command -v $command >/dev/null || skip_all "needs $command"
done
if [ -z "${IPTABLES_SOURCE:-}" ]; then
	: "${BUILD:?is the folder that it was built in, or IPTABLES_SOURCE a tree of iptables}"
	reason=$("$here/fetch.sh" "$BUILD/iptables" 2>&1) || skip_all "$(tail -n 1 <<<"$reason")"
	IPTABLES_SOURCE=$(tail -n 1 <<<"$reason")
fi
tree=$(readlink -f "$IPTABLES_SOURCE")
if [ ! -f "$tree/iptables-test.py" ] || [ ! -f "$tree/iptables/tests/shell/run-tests.sh" ]; then
	skip_all "$IPTABLES_SOURCE has no tests of iptables"
fi

# extensions one|all HOW WORLD: which lists are passed, which lines of the others are not, and how many.
extensions() {
	cd "$tree" || return
	PYTHONDONTWRITEBYTECODE=1 "$2" "$3" python3 "$here/runner.py" "$1" "$T/log-$3" \
		extensions/libxt_*.t extensions/libipt_*.t 2>&1
}

# By itself, so that one that bpfilter leaves to ip_tables does not take the others with it; and all together.
one_rule() {
	extensions one "$@"
}

all_rules() {
	extensions all "$@"
}

shell_tests() {
	cd "$tree/iptables/tests/shell" || return
	# Where the program is called by a path, it looks for its tests below that.
	"$1" "$2" bash ./run-tests.sh --host --legacy 2>&1 | grep -E '\[(OK|FAILED)\] '
}

# both SUITE: its results with the kernel and below bpfilter, in $T/SUITE-kernel and $T/SUITE-bpf.
both() {
	"$1" filtered bpf >"$T/$1-bpf" &
	"$1" plain kernel >"$T/$1-kernel"
	wait $!
}

lab_begin
netns kernel bpf

for suite in one_rule all_rules; do
	both $suite
	summary=$(tail -n 1 "$T/$suite-kernel")
	expect "extensions, $suite: there are some that pass" \
		grep -qE 'legacy: .* [1-9][0-9]* passed' <<<"$summary"
	same "extensions, $suite: $summary" "$(<"$T/$suite-kernel")" "$(<"$T/$suite-bpf")"
done
# The last list has left its table empty, and bpfilter has that.
expect "extensions: bpfilter has the table" in_ebpf bpf

both shell_tests
summary=$(grep combined "$T/shell_tests-kernel")
expect "shell tests: there are some that pass" grep -qE '\[OK\] [1-9]' <<<"$summary"
same "shell tests: ${summary#I: }" "$(<"$T/shell_tests-kernel")" "$(<"$T/shell_tests-bpf")"
tap_end
