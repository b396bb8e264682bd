#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# plot.sh DIR - SVG plots of the records of a run in DIR

set -eu
dir=${1:?usage: plot.sh DIR}

command -v gnuplot >/dev/null || { echo "plot.sh: no gnuplot" >&2 && exit 1; }
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT

# series FILE X Y PATTERN...: "X Y" of all records that have each pattern, by X; with no line where none has.
series() {
	local file=$data/$1 x=$2 y=$3 p

	shift 3
	cp "$dir/records" "$file.all"
	for p; do
		grep -- "$p" "$file.all" >"$file.some" || true
		mv "$file.some" "$file.all"
	done
	sed -nE "s/.*\"$x\": ([0-9.]+).*\"$y\": ([-0-9.]+).*/\1 \2/p" "$file.all" | sort -n >"$file"
	rm "$file.all"
}

# plot NAME TITLE Y-LABEL SETTINGS FILE=LABEL...: those of the files that have something.
plot() {
	local name=$1 title=$2 label=$3 settings=$4 curves='' f

	shift 4
	for f; do
		[ -s "$data/${f%%=*}" ] || continue
		curves+="${curves:+, }\"$data/${f%%=*}\" with linespoints linewidth 2 pointtype 7 pointsize 0.5"
		curves+=" title \"${f#*=}\""
	done
	[ -n "$curves" ] || return 0
	gnuplot <<END
set terminal svg size 720,420 font "sans-serif,13" background rgb "white"
set output "$dir/$name.svg"
set title "$title"
set xlabel "rules"
set ylabel "$label"
set logscale x
set format x "10^%T"
set xrange [8:*]
set grid xtics ytics linecolor rgb "#d0d0d0" linetype 1
set key outside right top
set border 3
set tics nomirror
$settings
plot $curves
END
}

module='"attach": "module"' lookups=()
for s in acl fw ipc k8s block; do
	series "$s" rules uniform_ns '"part": "lookup"' "$module" "\"shape\": \"$s\""
	lookups+=("$s=$s")
done
series zipf rules zipf_ns '"part": "lookup"' "$module" '"shape": "acl"'
plot lookup "A search, over an empty table" "ns a packet" "set logscale y" "${lookups[@]}" "zipf=acl, Zipf"

deep=()
for s in docker kube calico; do
	series "$s" rules uniform_ns '"part": "lookup"' "$module" "\"shape\": \"$s\""
	series "$s-flat" rules uniform_ns '"part": "lookup"' "$module" "\"shape\": \"$s-flat\""
	deep+=("$s=$s" "$s-flat=$s, flat")
done
plot chains "A search through many chains, and in one" "ns a packet" "set logscale y" "${deep[@]}"

for s in empty nf kernel nft; do
	series "accept-$s" rules out_pps '"part": "throughput"' '"shape": "acl"' '"verdict": "accept"' \
		"\"subject\": \"$s\""
done
for s in xdp-drop nf-drop nf kernel nft; do
	series "drop-$s" rules in_pps '"part": "throughput"' '"shape": "acl"' '"verdict": "drop"' \
		"\"subject\": \"$s\""
done
settings='set logscale y; set format y "10^%T"'
plot accept "Forwarded packets, one CPU (acl)" "packets a second" "$settings" "accept-empty=ip\\\\_tables, no rules" \
	accept-nf=bpfilter "accept-kernel=ip\\\\_tables" accept-nft=nftables
plot drop "Dropped packets, one CPU (acl)" "packets a second" "$settings" drop-xdp-drop="XDP, all" \
	"drop-nf-drop=bpfilter, policy" drop-nf=bpfilter "drop-kernel=ip\\\\_tables" drop-nft=nftables

for s in kernel bpf; do
	for op in restore append; do
		series "$op-$s" rules us '"part": "update"' '"shape": "acl"' "\"who\": \"$s\"" "\"op\": \"$op\""
		awk '{ print $1, $2 / 1000 }' "$data/$op-$s" >"$data/ms" && mv "$data/ms" "$data/$op-$s"
	done
done
plot update "iptables-legacy, by the clock (acl)" "milliseconds" "set logscale y" "restore-bpf=restore, bpfilter" \
	"restore-kernel=restore, ip\\\\_tables" "append-bpf=-A, bpfilter" "append-kernel=-A, ip\\\\_tables"
