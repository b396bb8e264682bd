# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # set by bench.sh, which sources this
#
# Memory that a running table takes: the maps and programs of it, and what the helper has for itself. What ip_tables
# takes for the same rules is in the records of lookup, where the table is.

# Bytes of the helper that are not shared with other processes.
helper_private() {
	awk '/^Private/ { kb += $2 } END { print kb * 1024 }' "/proc/$1/smaps_rollup"
}

# A number in "bpfilter status --json"; of the only namespace that is served.
status_number() {
	inside m-bpf "$BPFILTER" status --json | sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" | head -n 1
}

memory() {
	local helper

	say "memory: $1, $2 rules"
	rules "$1" "$2"
	filtered m-bpf iptables-legacy-restore <"$T/rules" || return
	helper=$(helper_pids)
	printf '{"shape": "%s", "rules": %d, "map_bytes": %d, "jited_bytes": %d, "helper_bytes": %d}\n' \
		"$1" "$2" "$(status_number map_bytes)" "$(status_number jited_bytes)" \
		"$(helper_private "$helper")" | record memory
}

bench_memory() {
	local n

	# A helper of its own, that has had nothing to do before.
	helper_kill TERM
	for n in $(ip netns list | awk -v p="$lab-" 'index($1, p) == 1 { print $1 }'); do
		ip netns del "$n"
	done
	netns m-bpf
	filtered m-bpf iptables-legacy -P FORWARD ACCEPT || return
	say "memory: without rules"
	printf '{"shape": "none", "rules": 0, "map_bytes": %d, "jited_bytes": %d, "helper_bytes": %d}\n' \
		"$(status_number map_bytes)" "$(status_number jited_bytes)" \
		"$(helper_private "$(helper_pids)")" | record memory
	for n in ${sizes//,/ }; do
		memory acl "$n" || return
	done
	[ "$mode" = quick ] || memory k8s 10000
}
