#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench.sh [-q] [PART...] - what bpfilter costs beside the kernel's ip_tables and nftables
#
# Parts: lookup, throughput, stream, update, memory; all of them if none is given. -q takes fewer sizes and
# rounds. Tables go to stdout, progress to stderr; below $BUILD/bench are then result.json and the plots,
# in a folder for each of the two ways. docs/benchmark.md says how each number is made.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=lib.sh
. "$here/lib.sh"
# shellcheck source=bench/subject.sh
. "$here/bench/subject.sh"
# shellcheck source=bench/lookup.sh
. "$here/bench/lookup.sh"
# shellcheck source=bench/throughput.sh
. "$here/bench/throughput.sh"
# shellcheck source=bench/stream.sh
. "$here/bench/stream.sh"
# shellcheck source=bench/update.sh
. "$here/bench/update.sh"
# shellcheck source=bench/memory.sh
. "$here/bench/memory.sh"

build=${BUILD:-$(dirname "$BPFILTER")}
bench=$build/selftests/bench

# The five that the goals are about, and the others.
main=acl,fw,ipc,k8s,block
deep=docker,docker-flat,kube,kube-flat,calico,calico-flat
nasty=nested,crossing,nonterminal,stateful

mode=full
[ "${1:-}" != -q ] || { mode=quick && shift; }
case $mode in
full) sizes=10,100,1000,10000,100000 rounds=7 ms=100 ;;
quick) sizes=10,1000,10000 rounds=3 ms=40 ;;
esac
[ $# -gt 0 ] || set -- lookup throughput stream update memory

say() {
	printf '%4d s  %s\n' $SECONDS "$*" >&2
}

# record PART: lines of JSON, each an object, are results of that part.
record() {
	sed "s/^{/{\"part\": \"$1\", /" >>"$out/records"
}

# The value in the middle of those on stdin.
median() {
	sort -n | awk '{ x[NR] = $1 } END { if (NR) print x[int((NR + 1) / 2)] }'
}

rules() {
	"$bench" rules --shape="$1" --rules="$2" >"$T/rules" || exit 1
}

lab_begin
# A veth's driver drops nothing early unless it is named. A helper that knows of such a name makes a stage for each table, so
# that one without the configuration is for what is measured of updates and memory.
printf 'interface %s auto\n' bench-in to-s-auto-a to-s-auto-b to-s-auto-in-a >"$T/bpfilter.conf"
: >"$T/empty.conf"
out=$build/bench/$mode
mkdir -p "$out"
rm -f "$out"/*
: >"$out/records"
for part; do
	case $part in
	throughput | stream) export BPFILTER_CONFIG=$T/bpfilter.conf ;;
	*) helper_kill TERM && export BPFILTER_CONFIG=$T/empty.conf ;;
	esac
	case $part in
	lookup | throughput | stream | update | memory) "bench_$part" || exit 1 ;;
	*) echo "bench.sh: no part \"$part\"" >&2 && exit 2 ;;
	esac
done
say "done: $out/result.json"
lab_end

awk -v mode=$mode -v json="$out/result.json" -v kernel="$(uname -r | sed 's/-.*//')" \
	-v cpu="$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)" \
	-v when="$(date -u +%FT%TZ)" -f "$here/bench/records.awk" -f "$here/bench/goals.awk" \
	-f "$here/bench/report.awk" "$out/records" || exit 1
"$here/bench/plot.sh" "$out"
