# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # set by bench.sh, which sources this
#
# Memory that a running table takes: the maps and programs of it, and what the helper has for itself, as soon as the
# table is in force and when the helper is at rest. What ip_tables takes for the same rules is in the records of lookup,
# where the table is.

# From the last call on, until the helper has given back what it does not need.
rest_s=4

# Bytes of the helper that are its own: not what it has of files, which depends on who else has them. Maps that it
# looks at are those of the table.
helper_private() {
	awk '/^[0-9a-f]+-/ { map = /bpf-map/ } /^Private_Dirty/ && !map { kb += $2 } END { print kb * 1024 }' \
		"/proc/$1/smaps"
}

# A number in "bpfilter status --json"; of the only namespace that is served.
status_number() {
	inside m-bpf "$BPFILTER" status --json | sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" | head -n 1
}

# memory_record SHAPE RULES: of the table that is there.
memory_record() {
	local helper at_once maps code

	helper=$(helper_pids)
	at_once=$(helper_private "$helper")
	maps=$(status_number map_bytes)
	code=$(status_number jited_bytes)
	sleep $rest_s
	printf '{"shape": "%s", "rules": %d, "map_bytes": %d, "jited_bytes": %d, "helper_bytes": %d, "rest_bytes": %d}\n' \
		"$1" "$2" "$maps" "$code" "$at_once" "$(helper_private "$helper")" | record memory
}

memory() {
	say "memory: $1, $2 rules"
	rules "$1" "$2"
	filtered m-bpf iptables-legacy-restore <"$T/rules" && memory_record "$1" "$2"
}

bench_memory() {
	local n

	# The helper has had nothing to do before.
	for n in $(ip netns list | awk -v p="$lab-" 'index($1, p) == 1 { print $1 }'); do
		ip netns del "$n"
	done
	netns m-bpf
	filtered m-bpf iptables-legacy -P FORWARD ACCEPT || return
	say "memory: without rules"
	memory_record none 0
	for n in ${sizes//,/ }; do
		memory acl "$n" || return
	done
	[ "$mode" = quick ] || memory k8s 10000
}
