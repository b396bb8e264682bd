#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# suite.sh check|slow|sanitized|bench|bench-quick|soak - the tests that each make target runs
#
# $BPFILTER is the binary, $BUILD the folder it was built in. $BPFILTER_CORPUS, if set, is a
# folder with saves/ (iptables-save dumps) and pcaps/ to test with besides our own. $TEST_JOBS are how many
# programs run at a time: one more than there are processors unless set, since most wait for the kernel most
# of the time.

set -u

here=$(dirname "$(readlink -f "$0")")
: "${BPFILTER:?}" "${BUILD:?}"
export BPFILTER BUILD

T=$BUILD/selftests
lab=$here/in_lab.sh
# The longest first, so that nobody waits for one of them in the end. The longest of all is for "slow".
unit=("$T/unit/test_faults" "$T/unit/test_faults_card" "$T/unit/test_hold")
mapfile -t -O ${#unit[@]} unit < <(find "$T/unit" -name 'test_*' -perm -u+x ! -name 'test_faults*' \
	! -name test_hold | sort)
e2e=("$here"/e2e/*.sh)
run=("$here/run.sh" -j "${TEST_JOBS:-$(($(nproc) + 1))}")

case ${1:-} in
check)
	exec "${run[@]}" "${unit[@]}" "$T/mutate" "${e2e[@]}" "$lab $T/differential --sets=60" \
		"$lab $T/differential --replay --sets=5 --packets=500 --shapes=0 --corpus= --rules-dir=" \
		"$lab $T/differential --attach=tc --sets=20 --seed=1" \
		"$lab $T/differential --attach=xdp,generic --sets=20 --seed=1" \
		"$lab $T/differential --attach=xdp --sets=10 --seed=1" \
		"$lab $T/differential --attach=auto --sets=20 --seed=3 --shapes=0 --corpus= --rules-dir=" "$lab $T/flood --replaces=200"
	;;
sanitized)
	# What these are about is the program that packets meet, which has no sanitizer; auto.sh has all that the helper does.
	mapfile -t e2e < <(printf '%s\n' "${e2e[@]}" | grep -v '/auto_[a-z]*\.sh$')
	exec "${run[@]}" -t 1200 "${unit[@]}" "$T/mutate --random" "${e2e[@]}" \
		"$lab $T/differential --sets=30" "$lab $T/flood --replaces=50"
	;;
slow)
	exec "${run[@]}" -t 2400 "$T/unit/test_faults_edge" "env TEST_PAIRS=5000000 $T/unit/test_classify" \
		"$lab $T/differential --attach=tc --sets=200 --seed=2" \
		"$lab $T/differential --attach=xdp,generic --sets=200 --seed=2" \
		"$lab $T/differential --attach=xdp --sets=100 --seed=3" \
		"$lab $T/differential --attach=auto --sets=60 --seed=5" \
		"$lab $T/differential --replay --sets=10 --packets=300 --shape-rules=300" \
		"$lab $T/differential --replay --sets=20 --packets=500 --mutants" \
		"$lab $T/differential --sets=220" "$T/mutate --random --count=200000 --seed=2" \
		"$lab $T/differential --sets=0 --shapes=3 --shape-rules=20000 --packets=3000 --corpus= --rules-dir=" \
		"$here/corpus/corpus.sh" "$here/e2e/save.sh" "$here/e2e/persist.sh 100" "$here/e2e/mutate.sh 5000 2" \
		"$lab $T/differential --sets=40 --mutants" "$lab $T/flood --replaces=1000" \
		"$here/bench/smoke.sh" "$here/docker/docker.sh" \
		"$here/iptables/iptables_tests.sh"
	;;
bench)
	exec "$here/bench.sh"
	;;
bench-quick)
	exec "$here/bench.sh" -q
	;;
soak)
	exec "$lab" "$T/differential" --soak
	;;
*)
	echo "usage: suite.sh check|slow|sanitized|bench|bench-quick|soak" >&2
	exit 2
	;;
esac
