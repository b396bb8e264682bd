# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # set by bench.sh, which sources this
#
# How long iptables takes, as the user waits for it: by the clock, from its start to its end, with bpfilter and
# with the kernel in turns.

# timed WHO COMMAND...: microseconds. Through bpfilter the command runs below a "bpfilter run" that is there already,
# as for all that a shell or a daemon below it starts.
timed() {
	local who=$1
	# shellcheck disable=SC2016
	local -a clock=(bash -c 'start=${EPOCHREALTIME/./}; "$@" >/dev/null || exit
		echo $((${EPOCHREALTIME/./} - start))' clock)

	shift
	if [ "$who" = u-kernel ]; then
		plain "$who" "${clock[@]}" "$@"
	else
		filtered "$who" "${clock[@]}" "$@"
	fi
}

# update_round WHO
update_round() {
	local rule=(FORWARD -s 192.0.2.1 -p tcp --dport 1 -j DROP)

	timed "$1" iptables-legacy-restore <"$T/rules" >>"$T/$1.restore" &&
		timed "$1" iptables-legacy -A "${rule[@]}" >>"$T/$1.append" &&
		timed "$1" iptables-legacy -D "${rule[@]}" >>"$T/$1.delete"
}

update() {
	local who op i turns=$rounds

	say "update: $1, $2 rules"
	rules "$1" "$2"
	[ "$2" -gt 10000 ] || turns=$((rounds * 2 + 1))
	rm -f "$T"/u-*
	# The first one puts a table in the place of another; the second, of one alike.
	for who in u-kernel u-bpf; do
		timed $who iptables-legacy-restore <"$T/rules" >/dev/null || return
	done
	for ((i = 0; i < turns; i++)); do
		for who in u-kernel u-bpf; do
			update_round $who || return
		done
	done
	for who in u-kernel u-bpf; do
		for op in restore append delete; do
			printf '{"shape": "%s", "rules": %d, "who": "%s", "op": "%s", "us": %d}\n' \
				"$1" "$2" "${who#u-}" $op "$(median <"$T/$who.$op")"
		done
	done | record update
}

# What "bpfilter run" itself takes, beside which a command runs.
update_run() {
	local i start

	say "update: bpfilter run"
	for ((i = 0; i < rounds; i++)); do
		start=${EPOCHREALTIME/./}
		filtered u-bpf true
		echo $((${EPOCHREALTIME/./} - start))
	done | median | xargs -I{} echo '{"who": "bpf", "op": "run", "us": {}}' | record update
}

bench_update() {
	local n

	netns u-kernel u-bpf
	filtered u-bpf iptables-legacy -S >/dev/null || return
	update_run
	for n in ${sizes//,/ }; do
		update acl "$n" || return
	done
	update k8s 10000
}
