#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# suite.sh - what is run inside the test machine: $TESTS, or what makes sense on its kernel
#
# $TESTS are programs with their arguments, separated by commas.
# The emulated machine is some ten times slower than a real one: fewer rounds than elsewhere.

set -u

here=$(readlink -f "$(dirname "$0")/..")
: "${BPFILTER:?}" "${BUILD:?}"
T=$BUILD/selftests
lab=$here/in_lab.sh

# Those of the unit tests that need a kernel; the others say the same everywhere.
live=()
for t in conntrack crash faults filter forms hold kernel_table match_live netns_find; do
	[ ! -x "$T/unit/test_$t" ] || live+=("$T/unit/test_$t")
done

run() {
	exec "$here/run.sh" -t 900 "$@" "$here/vm/kernel_log.sh"
}

if [ -n "${TESTS:-}" ]; then
	IFS=, read -ra tests <<<"$TESTS"
	# Most tests expect a machine where iptables has been called: it is what loads ip_tables.
	[[ $TESTS == *selftests/vm/* ]] || iptables-legacy -S >/dev/null
	run "${tests[@]}"
fi

case $(uname -r) in
[45].*|6.[0-3].*)
	# No BPF netfilter links. What does not concern eBPF works on these kernels too.
	run "$here/vm/old_kernel.sh" "$T/unit/test_conntrack" "$T/unit/test_kernel_table" \
		"$T/unit/test_netns_find" "$T/mutate --random --count=3000"
	;;
*)
	run "$here/vm/modules.sh" "${live[@]}" "$here/e2e/demo.sh" "$here/e2e/docker_calls.sh" \
		"$here/e2e/errors.sh" "$here/e2e/fallback.sh" "$here/e2e/mutate.sh 300" \
		"$here/e2e/persist.sh 10" "$here/e2e/save.sh" "$here/e2e/transport.sh" \
		"$T/mutate --random --count=3000" \
		"$lab $T/differential --sets=24 --packets=500 --seed=1"
	;;
esac
