# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # set by bench.sh, which sources this
#
# What a search costs, by test run in the kernel: no packet is sent.

# lookup ATTACH SHAPES SIZES
lookup() {
	local shape

	for shape in ${2//,/ }; do
		say "lookup: $shape ($1)"
		"$bench" lookup --json --attach="$1" --shape="$shape" --rules="$3" --rounds="$rounds" \
			--ms=$((ms / 4)) | record lookup
		[ "${PIPESTATUS[0]}" -eq 0 ] || return
	done
}

bench_lookup() {
	if [ "$mode" = quick ]; then
		lookup module "$main,docker,docker-flat,nested" 10,100,1000,10000
		return
	fi
	lookup module "$main,grid" "$sizes" && lookup module grid 5000 &&
		lookup module "$deep,$nasty" "$sizes" && lookup link "$main,grid,$deep,$nasty" 100,10000
}
