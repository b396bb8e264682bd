#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# suite.sh - what is run inside the test machine: $TESTS, or that part of the suite which $PART names
# suite.sh -l VERSION - name the parts for a kernel, one a line and the longest first; each is for a machine of
#	its own
#
# $TESTS are programs with their arguments, separated by commas; with $VERBOSE all they print is shown.
# The emulated machine is some ten times slower than a real one. What is repeated with other dice has fewer rounds
# than elsewhere; what a kernel may do in another way is all here.
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

# The kernel between the oldest and the newest: what the two agree about, from user space or in the module's own hands, is
# not tried again.
is_between() {
	[[ $1 == 6.12* ]]
}

parts() {
	local s shared='' own=()

	for s in "$here"/vm/module_*.sh; do
		[ -e "$s" ] || continue
		if own_boot "$s"; then
			own+=("$(basename "$s" .sh)")
		else
			shared=module
		fi
	done
	[ -z "$shared" ] || echo $shared
	if has_links "$1"; then
		echo run
	fi
	is_between "$1" || echo through
	has_links "$1" || echo without
	[ ${#own[@]} -eq 0 ] || printf '%s\n' "${own[@]}"
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
	exec "$here/run.sh" -t 420 "$@" "$here/vm/kernel_log.sh"
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
	# everywhere, as does what is about user space.
	live=()
	for t in conntrack filter forms kernel_table match_sender packet trial; do
		is_between "$(uname -r)" || [ ! -x "$T/unit/test_$t" ] || live+=("$T/unit/test_$t")
	done
	sets=12
	if ! is_between "$(uname -r)"; then
		sets=16
		live+=("$here/vm/offload.sh" "$here/e2e/effects.sh")
	fi
	export TEST_TABLES=10
	run "$here/vm/modules.sh" "$here/vm/keep_hooks.sh" "${live[@]}" "$here/e2e/placement.sh 1" \
		"$lab $T/differential --sets=$sets --packets=500 --seed=1" \
		"$lab $T/differential --attach=auto --sets=8 --packets=400 --seed=1"
	;;
through)
	# The same tests, with the module in between, which each loads and unloads: the programs are at its hooks or, in
	# kernels that have them, at links, which concerns tables that move.
	export BPFILTER_THROUGH=module
	user=()
	has_links "$(uname -r)" || user=("$here/e2e/demo.sh" "$here/e2e/docker_calls.sh" "$here/e2e/effects.sh"
		"$here/e2e/mutate.sh 300" "$here/e2e/persist.sh 5" "$here/e2e/replay.sh" "$here/e2e/translate.sh"
		"$here/e2e/transport.sh 5"
		"$lab $T/mutate --random --count=1000")
	# The real rule sets if they are here, else ours.
	if [ -d "$here/../corpus" ]; then
		user+=("env BPFILTER_CORPUS=$here/../corpus $here/corpus/corpus.sh")
	elif ! has_links "$(uname -r)"; then
		user+=("$here/e2e/save.sh")
	fi
	run "${user[@]}" "$here/e2e/fallback.sh" \
		"$lab $T/differential --sets=20 --packets=400 --seed=1"
	;;
without)
	# What does not concern eBPF works as anywhere, and so does what is at the interfaces.
	export TEST_TABLES=20
	run "$here/vm/old_kernel.sh" "$here/vm/offload.sh" "$T/unit/test_conntrack" "$T/unit/test_kernel_table" \
		"$T/unit/test_offload" "$T/unit/test_netns_find" "$T/mutate --random --count=1000" "$T/unit/test_packet" "$T/unit/test_trial" \
		"$here/e2e/placement.sh 1" "$lab $T/differential --attach=tc --sets=8 --packets=400 --seed=1"
	;;
module)
	shared=()
	for s in "$here"/vm/module_*.sh; do
		# What is not about the kernel is said by the oldest one.
		[[ $s != */module_@(fail|installed|time).sh ]] || ! has_links "$(uname -r)" || continue
		[[ $s != */module_@(auto|caps|fuzz|kill|mute|programs|stop).sh ]] || ! is_between "$(uname -r)" || continue
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
