#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# How many real rule sets run as eBPF: the filter tables of $BPFILTER_CORPUS/saves, all but those that docs/testing.md names
# with the reason, by where the programs are. And iptables-legacy-save says of each what it says with the kernel, which is
# what the dumps are.
#
# One namespace has one table after the other, and what has to be compared is compared in the end, since in a virtual
# machine each process takes a while.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

saves=${BPFILTER_CORPUS:+$BPFILTER_CORPUS/saves}
[ -d "${saves:-/nowhere}" ] || skip_all "BPFILTER_CORPUS names no folder with saves/"

# Of each dump: its filter table, to be restored, and what iptables-legacy-save has said of that, as bare() has it. Of all of
# them: the sets and accounting objects that have to be there.
split() {
	awk -v to="$T" '
		FNR == 1 {
			close(table); close(want)
			name = FILENAME; sub(/.*\//, "", name); sub(/\.save$/, "", name)
			table = to "/table/" name; want = to "/want/" name; here = 0
		}
		/^\*/ { here = $0 == "*filter" }
		here {
			print >table
			for (i = 1; i < NF; i++) {
				if ($i ~ /^--(match|add|del)-set$/ && !seen[$(i + 1)]++)
					print "create", $(i + 1), "hash:net" >(to "/sets")
				if ($i == "--nfacct-name" && !seen[$(i + 1)]++)
					print $(i + 1) >(to "/accounts")
			}
			sub(/\[[0-9]*:[0-9]*\]/, ""); sub(/ *$/, "")
			print >want
		}
		/^COMMIT/ { here = 0 }' "$saves"/*.save
}

# The columns of the table in docs/testing.md: below "bpfilter run"; through the module, which uses links as well where there
# are some; and through the module alone.
place() {
	if ! by_module; then
		echo 'at links'
	elif printf '6.4\n%s\n' "$(uname -r)" | sort -VC; then
		echo 'module and links'
	else
		echo 'module before 6.4'
	fi
}

# The tables that are ip_tables' there according to it, as "NAME: REASON".
documented() {
	awk -F ' *[|] *' -v where="$1" '
		/<!-- corpus -->/ { here = 1 }
		/<!-- end -->/ { here = 0 }
		here && $2 == "dump" { for (i = 4; i <= NF; i++) if ($i == where) column = i }
		here && column && $column == "x" { gsub(/`/, "", $2); print $2 ": " $3 }' "$here/../../docs/testing.md" | sort
}

# Those that are, as status has said of each.
left() {
	awk '
		FNR == 1 { name = FILENAME; sub(/.*\//, "", name) }
		/^ *because / { sub(/^ *because */, ""); sub(/ \(rule .*/, ""); print name ": " $0 }' "$T"/status/* | sort
}

lab_begin
mkdir "$T"/{table,want,got,status,err}
: >"$T/sets"
: >"$T/accounts"
split
netns host
# As on the machines that the rules about ports of bridges are from: until it is there such a table is left to ip_tables, which loads it.
! by_module || modprobe br_netfilter
[ ! -s "$T/sets" ] || inside host ipset restore <"$T/sets" || skip_all "the kernel has no sets"
while read -r account; do
	inside host nfacct add "$account" || skip_all "the kernel has no accounting objects"
done <"$T/accounts"

names=() refused=()
for table in "$T"/table/*; do
	name=${table##*/}
	names+=("$name")
	filtered host iptables-legacy-restore "$table" >"$T/err/$name" 2>&1 || refused+=("$name: $(head -n 1 "$T/err/$name")")
	filtered host iptables-legacy-save -t filter >"$T/got/$name"
	status_of host >"$T/status/$name"
done
where=$(place)
documented=$(documented "$where")
want=$((${#names[@]} - $(grep -c . <<<"$documented")))
ebpf=$(grep -l '^ *filter table *eBPF' "$T"/status/* | wc -l)
sed -i -e '/^#/d' -e 's/\[[0-9]*:[0-9]*\]//' -e 's/[ ]*$//' "$T"/got/*
same "all ${#names[@]} dumps load" "" "$(printf '%s\n' "${refused[@]}")"
expect "$where: iptables-legacy-save says the same of each" diff -r "$T/want" "$T/got"
same "$where: ip_tables has those that it is said to have" "$documented" "$(left)"
same "$where: $ebpf of ${#names[@]} filter tables are in eBPF" "$want" "$ebpf"
tap_end
