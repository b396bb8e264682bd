#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# suite.sh check|slow|sanitized|bench|soak - the tests that each make target runs
#
# $BPFILTER is the binary, $BUILD the folder it was built in. $BPFILTER_CORPUS, if set, is a
# folder with saves/ (iptables-save dumps) and pcaps/ to test with besides our own.

set -u

here=$(dirname "$(readlink -f "$0")")
: "${BPFILTER:?}" "${BUILD:?}"
export BPFILTER BUILD

T=$BUILD/selftests
lab=$here/in_lab.sh
mapfile -t unit < <(find "$T/unit" -name 'test_*' -perm -u+x | sort)
e2e=("$here"/e2e/*.sh)

case ${1:-} in
check)
	exec "$here/run.sh" "${unit[@]}" "${e2e[@]}" "$T/mutate" \
		"$lab $T/differential --sets=60" "$lab $T/flood --replaces=200"
	;;
sanitized)
	exec "$here/run.sh" -t 1200 "${unit[@]}" "${e2e[@]}" "$T/mutate --random" \
		"$lab $T/differential --sets=30" "$lab $T/flood --replaces=50"
	;;
slow)
	exec "$here/run.sh" -t 2400 "$here/e2e/save.sh" "$here/e2e/persist.sh 200" \
		"$here/e2e/mutate.sh 5000 2" "$T/mutate --random --count=200000 --seed=2" \
		"$lab $T/differential --sets=320" "$lab $T/differential --sets=40 --mutants" \
		"$lab $T/flood --replaces=1000" "$here/install/install.sh"
	;;
bench)
	exec "$here/bench.sh"
	;;
soak)
	exec "$lab" "$T/differential" --soak
	;;
*)
	echo "usage: suite.sh check|slow|sanitized|bench|soak" >&2
	exit 2
	;;
esac
