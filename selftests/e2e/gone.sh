#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Network namespaces that nobody uses any more go away while the helper is being watched: no question about them
# keeps them, whoever has their table.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

# An interface goes when the namespace does that the other end of the pair is in.
no_link() {
	! ip -n "$lab-client" link show "to-$1" >/dev/null 2>&1
}

lists() {
	"$BPFILTER" status --json | grep -qE "\"inode\": *$1\b"
}

questions() {
	wc -l <"$T/asked"
}

lab_begin
netns client ours theirs stays
link client 192.0.2.2/24 ours 192.0.2.1/24
link client 198.51.100.2/24 theirs 198.51.100.1/24
in_background "$BPFILTER" umh --foreground --idle=1
within 10 test -S "$BPFILTER_RUN_DIR/umh.sock"
filtered ours iptables-legacy -A INPUT -p tcp --dport 9 -j DROP
filtered stays iptables-legacy -A INPUT -p tcp --dport 9 -j DROP
filtered theirs iptables-legacy -A FORWARD -p tcp -j CLASSIFY --set-class 1:2
ours=$(inode ours)
theirs=$(inode theirs)
expect "a table is in eBPF" in_ebpf ours
expect_not "another is with ip_tables" in_ebpf theirs

# Each command is sent to every namespace: one asks for statuses, the other for tables, too.
: >"$T/asked"
# shellcheck disable=SC2016
in_background env asked="$T/asked" bash -c 'while :; do
	"$BPFILTER" status --json && "$BPFILTER" status --prometheus --rules=5 && echo >>"$asked"
	sleep 0.3
done'
enough() { [ "$(questions)" -ge 10 ]; }
expect "they are watched" within 60 enough
expect "status lists the one" lists "$ours"
expect "and the other" lists "$theirs"
expect "and none of them has gone, as they are in use" ip -n "$lab-client" link show to-ours
expect "nor the other" ip -n "$lab-client" link show to-theirs

for ns in ours theirs; do
	before=$(questions)
	ip netns del "$lab-$ns"
	expect "$ns: deleted, its interfaces go" within 10 no_link $ns
	note "questions meanwhile: $(($(questions) - before))"
	expect "$ns: status lists it no longer" within 10 cannot lists "${!ns}"
done
after=$(questions)
more() { [ "$(questions)" -gt "$after" ]; }
expect "they are still watched" within 60 more
gone() { [ ! -e "$BPFILTER_PIN_DIR/$ours" ]; }
expect "nothing of it is left in the folder of pins" gone
expect "the namespace that is in use keeps its table" in_ebpf stays
same "with its rule" "-A INPUT -p tcp -m tcp --dport 9 -j DROP" \
	"$(filtered stays iptables-legacy -S | grep -e ^-A)"

tap_end
