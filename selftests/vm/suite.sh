#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# suite.sh - what is run inside the test machine: $TESTS, or that part of the suite which $PART names
# suite.sh -l VERSION - name the parts for a kernel, one a line; each is for a machine of its own
#
# $TESTS are programs with their arguments, separated by commas; with $VERBOSE all they print is shown.
# The emulated machine is some ten times slower than a real one: fewer rounds than elsewhere.
#
# What concerns the module is in module_*.sh. They share a machine, in the order of their names,
# unless there is a line "# boot: own" in one.

set -u

here=$(readlink -f "$(dirname "$0")/..")

own_boot() {
	grep -q '^# boot: own$' "$1"
}

# Before 6.4 there are no BPF netfilter links, and nothing is to be seen of bpfilter without its module.
has_links() {
	[[ ! $1 =~ ^([45]|6\.[0-3])(\.|$) ]]
}

parts() {
	local s shared=

	if has_links "$1"; then
		echo run
	else
		echo without
	fi
	echo through
	for s in "$here"/vm/module_*.sh; do
		[ -e "$s" ] || continue
		if own_boot "$s"; then
			basename "$s" .sh
		elif [ -z "$shared" ]; then
			shared=1
			echo module
		fi
	done
}

if [ "${1:-}" = -l ]; then
	parts "${2:?usage: suite.sh -l VERSION}"
	exit
fi

: "${BPFILTER:?}" "${BUILD:?}" "${PART:?}"
T=$BUILD/selftests
lab=$here/in_lab.sh

# Before 6.5, packets that arrive while ksoftirqd is busy wait for it, behind whoever sends the next ones.
# The differential test compares in which order they come out: let it be the first to run.
for pid in $(pgrep -x 'ksoftirqd/[0-9]*'); do
	chrt -f -p 50 "$pid"
done

run() {
	exec "$here/run.sh" -t 900 "$@" "$here/vm/kernel_log.sh"
}

verbose() {
	local t log=/run/verbose
	local -a command

	for t in "$@" "$here/vm/kernel_log.sh"; do
		read -ra command <<<"$t"
		echo "=== $t"
		"${command[@]}" 2>&1 | tee -a "$log"
	done
	echo "$(grep -c '^ok' "$log") passed, $(grep -c '^not ok' "$log") failed, 0 skipped"
	! grep -q '^not ok' "$log"
	exit
}

# Not before modules.sh, which wants a machine where nothing is loaded.
[[ ${TESTS:-$PART} == *modules.sh* || ${TESTS:-$PART} == run ]] || "$here/vm/keep_hooks.sh" >/dev/null

if [ -n "${TESTS:-}" ]; then
	IFS=, read -ra tests <<<"$TESTS"
	# Most tests expect a machine where iptables has been called: it is what loads ip_tables.
	[[ $TESTS == *selftests/vm/* ]] || iptables-legacy -S >/dev/null
	[ -z "${VERBOSE:-}" ] || verbose "${tests[@]}"
	run "${tests[@]}"
fi

case $PART in
run)
	# Without the module. Of the unit tests those that need a kernel; the others say the same
	# everywhere. What is about user space is left to the machines with the module.
	live=()
	for t in conntrack crash filter forms kernel_table match_live netns_find; do
		[ ! -x "$T/unit/test_$t" ] || live+=("$T/unit/test_$t")
	done
	run "$here/vm/modules.sh" "$here/vm/keep_hooks.sh" "${live[@]}" "$here/e2e/demo.sh" "$here/e2e/docker_calls.sh" \
		"$here/e2e/errors.sh" "$here/e2e/persist.sh 5" "$here/e2e/transport.sh" \
		"$lab $T/differential --sets=24 --packets=500 --seed=1"
	;;
through)
	# The same tests, with the module in between, which each loads and unloads.
	export BPFILTER_THROUGH=module
	run "$here/e2e/demo.sh" "$here/e2e/docker_calls.sh" "$here/e2e/fallback.sh" \
		"$here/e2e/mutate.sh 300" "$here/e2e/persist.sh 10" "$here/e2e/save.sh" \
		"$here/e2e/transport.sh" "$lab $T/mutate --random --count=3000" \
		"$lab $T/differential --sets=50 --packets=400 --seed=1"
	;;
without)
	# What does not concern eBPF works as anywhere.
	run "$here/vm/old_kernel.sh" "$T/unit/test_conntrack" "$T/unit/test_kernel_table" \
		"$T/unit/test_netns_find" "$T/mutate --random --count=3000"
	;;
module)
	shared=()
	for s in "$here"/vm/module_*.sh; do
		own_boot "$s" || shared+=("$s")
	done
	run "${shared[@]}"
	;;
module_*)
	run "$here/vm/$PART.sh"
	;;
*)
	echo "suite.sh: there is no part $PART" >&2
	exit 2
	;;
esac
