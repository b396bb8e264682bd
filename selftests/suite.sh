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

# Those of our programs and scripts that exist, in order.
unit() {
	printf '%s\n' "$BUILD"/selftests/unit/test_* | grep -v '\.[a-z]*$'
}

e2e() {
	printf '%s\n' "$here"/e2e/*.sh
}

mapfile -t UNIT < <(unit)
mapfile -t E2E < <(e2e)
T=$BUILD/selftests

case ${1:-} in
check)
	exec "$here/run.sh" "${UNIT[@]}" "${E2E[@]}" \
		"$T/mutate" "$T/differential --sets 40" "$T/flood --replaces 100"
	;;
sanitized)
	exec "$here/run.sh" -t 1200 "${UNIT[@]}" "${E2E[@]}"
	;;
slow)
	exec "$here/run.sh" -t 2400 "$T/mutate" "$here/e2e/save.sh" "$here/e2e/persist.sh 200" \
		"$T/differential --sets 320" "$T/flood --replaces 1000"
	;;
bench)
	exec "$here/bench.sh"
	;;
soak)
	exec "$T/differential" --soak
	;;
*)
	echo "usage: suite.sh check|slow|sanitized|bench|soak" >&2
	exit 2
	;;
esac
