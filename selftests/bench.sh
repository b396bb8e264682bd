#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench.sh [RULES...] - what rules cost, with the kernel's ip_tables and with bpfilter
#
# Rules of addresses and ports that never match; a packet that walks them all and is dropped by the
# policy of OUTPUT. Times of the iptables commands are those a user waits for, "bpfilter run"
# included.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=lib.sh
. "$here/lib.sh"

blast=${BUILD:-$(dirname "$BPFILTER")}/selftests/blast

rules() {
	echo '*filter'
	echo ':OUTPUT DROP [0:0]'
	awk -v n="$1" 'BEGIN {
		for (i = 0; i < n; i++)
			printf "-A OUTPUT -d 10.%d.%d.%d/32 -p udp -m udp --dport %d -j ACCEPT\n",
				i / 65536 % 256, i / 256 % 256, i % 256, 1 + i * 7919 % 65535
	}'
	echo COMMIT
}

# Milliseconds that a command takes: the best of three.
ms() {
	local best=999999999 start took

	for _ in 1 2 3; do
		start=${EPOCHREALTIME/./}
		"$@" >/dev/null || return 1
		took=$((${EPOCHREALTIME/./} - start))
		[ $took -ge $best ] || best=$took
	done
	printf '%d.%d' $((best / 1000)) $((best / 100 % 10))
}

# Nanoseconds a packet: the best of five.
ns() {
	for _ in 1 2 3 4 5; do
		inside "$1" "$blast" 192.0.2.9 9 300
	done | sort -n | head -n 1
}

load() {
	"$1" "$2" iptables-legacy-restore <"$T/rules"
}

append() {
	"$1" "$2" iptables-legacy -A OUTPUT -p tcp --dport 1 -j ACCEPT
	"$1" "$2" iptables-legacy -D OUTPUT -p tcp --dport 1 -j ACCEPT
}

lab_begin
netns kernel bpf peer1 peer2
link kernel 192.0.2.1/24 peer1 192.0.2.2/24
link bpf 192.0.2.1/24 peer2 192.0.2.2/24
filtered bpf iptables-legacy -S >/dev/null || exit 1
printf '%8s  %19s  %19s  %19s\n' '' 'load, ms' 'append + delete, ms' 'a packet, ns'
printf '%8s  %9s %9s  %9s %9s  %9s %9s\n' rules kernel bpfilter kernel bpfilter kernel bpfilter
[ $# -gt 0 ] || set -- 0 10 100 1000 10000
for n; do
	rules "$n" >"$T/rules"
	printf '%8d  %9s %9s  %9s %9s  %9s %9s\n' "$n" \
		"$(ms load inside kernel)" "$(ms load filtered bpf)" \
		"$(ms append inside kernel)" "$(ms append filtered bpf)" \
		"$(ns kernel)" "$(ns bpf)"
done
