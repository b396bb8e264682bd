#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kube_proxy.sh [SERVICES [SYNCS]] - what kube-proxy asks of iptables on a node, in a namespace with the kernel's ip_tables and in
# one with bpfilter: jumps into its chains, a canary, then one iptables-restore --noflush --counters for each sync, while
# endpoints come and go. The same exit statuses, tables and connections on both sides; filter in eBPF, nat with the kernel;
# and how long a sync takes, as a ratio.
#
# Each world is client -- node -- pods. A service has a port of 10.96.0.1, and a pod has one of 10.244.0.2 for each endpoint.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"
services=${1:-120} syncs=${2:-6}

# Number of endpoints of service $1 in sync $2: 0 to 3, each third service changes with each sync.
endpoints() {
	echo $((($1 % 3 ? $1 : $1 + $2) % 4))
}

# chain KIND NUMBER [ENDPOINT]: the names are hashes in a cluster, and of the same length.
chain() {
	printf 'KUBE-%s-%010d%06d' "$1" "$2" "${3:-0}"
}

# The chains of services and endpoints that sync $1 no longer has.
gone_chains() {
	local i j n before

	for ((i = 1; i <= services; i++)); do
		n=$(endpoints $i "$1") before=$(endpoints $i $(($1 - 1)))
		[ "$n" -gt 0 ] || [ "$before" -eq 0 ] || { chain SVC $i; echo; }
		for ((j = n + 1; j <= before; j++)); do chain SEP $i $j; echo; done
	done
}

# The payload of sync $1.
sync_rules() {
	local i j n svc sep

	cat <<END
*filter
:KUBE-NODEPORTS - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
END
	for ((i = 1; i <= services; i++)); do
		[ "$(endpoints $i "$1")" -gt 0 ] || echo "-A KUBE-SERVICES -m comment --comment" \
			"\"default/service-$i:http has no endpoints\" -m tcp -p tcp -d 10.96.0.1" \
			"--dport $((8000 + i)) -j REJECT"
	done
	cat <<END
-A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
-A KUBE-FORWARD -m conntrack --ctstate INVALID -m nfacct --nfacct-name ct_state_invalid_dropped_pkts -j DROP
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
*nat
:KUBE-NODEPORTS - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
END
	for ((i = 1; i <= services; i++)); do
		n=$(endpoints $i "$1")
		svc=$(chain SVC $i)
		[ "$n" -eq 0 ] || echo ":$svc - [0:0]"
		for ((j = 1; j <= n; j++)); do echo ":$(chain SEP $i $j) - [0:0]"; done
	done
	# To name a chain empties it, so that nothing refers to those that go.
	[ "$1" -eq 0 ] || gone_chains "$1" | sed -e 's/^/:/' -e 's/$/ - [0:0]/'
	for ((i = 1; i <= services; i++)); do
		n=$(endpoints $i "$1")
		svc=$(chain SVC $i)
		[ "$n" -gt 0 ] || continue
		echo "-A KUBE-SERVICES -m comment --comment \"default/service-$i:http cluster IP\" -m tcp -p tcp" \
			"-d 10.96.0.1 --dport $((8000 + i)) -j $svc"
		echo "-A $svc -m comment --comment \"default/service-$i:http cluster IP\" -m tcp -p tcp" \
			"-d 10.96.0.1 --dport $((8000 + i)) ! -s 10.244.0.0/16 -j KUBE-MARK-MASQ"
		for ((j = 1; j <= n; j++)); do
			sep=$(chain SEP $i $j)
			[ $j -eq "$n" ] || echo "-A $svc -m statistic --mode random --probability" \
				"0.$((100000 / (n - j + 1))) -j $sep"
			[ $j -lt "$n" ] || echo "-A $svc -j $sep"
			echo "-A $sep -m comment --comment default/service-$i:http -s 10.244.0.2 -j KUBE-MARK-MASQ"
			echo "-A $sep -m comment --comment default/service-$i:http -m tcp -p tcp -j DNAT" \
				"--to-destination 10.244.0.2:$((80 + (i + j) % 2))"
		done
	done
	echo "-A KUBE-SERVICES -m comment --comment \"kubernetes service nodeports\" -m addrtype" \
		"--dst-type LOCAL -j KUBE-NODEPORTS"
	[ "$1" -eq 0 ] || gone_chains "$1" | sed 's/^/-X /'
	echo COMMIT
}

# The calls of sync $1, each with its exit status, and how many milliseconds the whole took.
cat_calls() {
	cat <<'END'
sync=$1 rules=$2
ipt() {
	local rc

	iptables-legacy -w 5 -W 100000 "$@" >/dev/null 2>&1
	rc=$?
	echo "$rc $*"
	return $rc
}
# table chain target matches...: kube-proxy's own chain is jumped to first.
jump() {
	local table=$1 chain=$2 target=$3

	shift 3
	ipt -N "$target" -t "$table"
	ipt -C "$chain" -t "$table" "$@" -j "$target" ||
		ipt -I "$chain" -t "$table" "$@" -j "$target"
}
start=$(date +%s%N)
for table in mangle nat filter; do
	[ "$sync" -gt 0 ] || ipt -N KUBE-PROXY-CANARY -t $table
	ipt -S KUBE-PROXY-CANARY -t $table
	ipt -S KUBE-NOT-THERE -t $table
done
if [ "$sync" -eq 0 ]; then
	for chain in INPUT FORWARD OUTPUT; do
		jump filter $chain KUBE-SERVICES -m conntrack --ctstate NEW -m comment \
			--comment "kubernetes service portals"
		jump filter $chain KUBE-PROXY-FIREWALL -m conntrack --ctstate NEW -m comment \
			--comment "kubernetes load balancer firewall"
	done
	jump filter INPUT KUBE-EXTERNAL-SERVICES -m conntrack --ctstate NEW
	jump filter INPUT KUBE-NODEPORTS -m comment --comment "kubernetes health check service ports"
	jump filter INPUT KUBE-FIREWALL
	jump filter OUTPUT KUBE-FIREWALL
	jump filter FORWARD KUBE-FORWARD -m comment --comment "kubernetes forwarding rules"
	jump nat OUTPUT KUBE-SERVICES -m comment --comment "kubernetes service portals"
	jump nat PREROUTING KUBE-SERVICES -m comment --comment "kubernetes service portals"
	jump nat POSTROUTING KUBE-POSTROUTING -m comment --comment "kubernetes postrouting rules"
fi
for table in filter nat; do
	iptables-legacy-save -t $table | grep -c '^:KUBE'
done
iptables-legacy-restore -w 5 -W 100000 --noflush --counters <"$rules"
echo "$? restore $sync"
echo "took $((($(date +%s%N) - start) / 1000000))" >&3
END
}

# world NAME: client-NAME -- node-NAME -- pods-NAME; k has the kernel's ip_tables, b bpfilter
world() {
	netns "client-$1" "node-$1" "pods-$1"
	inside "node-$1" nfacct add ct_state_invalid_dropped_pkts
	link "client-$1" 192.0.2.2/24 "node-$1" 192.0.2.1/24
	link "pods-$1" 10.244.0.2/24 "node-$1" 10.244.0.1/24
	ip -n "$lab-client-$1" route add default via 192.0.2.1
	ip -n "$lab-pods-$1" route add default via 10.244.0.1
	inside "node-$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0
	# A cluster address is nowhere, but has a route.
	ip -n "$lab-node-$1" route add 10.96.0.0/16 via 10.244.0.2
	serve_tcp "pods-$1" 80
	serve_tcp "pods-$1" 81
}

# Each service from NAMESPACE, twenty at once: open, refused, or no answer. (Here an error that comes back before connect() has
# returned counts only when the SYN is sent again, after a second.)
connections() {
	inside "$1" bash -c '
		one() {
			local why

			why=$(LC_ALL=C timeout 15 bash -c ": </dev/tcp/10.96.0.1/$((8000 + $1))" 2>&1)
			case $? in
			0) echo "$1 open" ;;
			124) echo "$1 no answer" ;;
			*) echo "$1 ${why##*: }" ;;
			esac
		}
		for ((i = 1; i <= $1; i++)); do
			one $i &
			((i % 20)) || wait
		done
		wait' - "$services" | sort -n
}

# calls plain|filtered WORLD: the calls of sync $sync by "plain" or "filtered".
calls() {
	"$1" "node-$2" bash "$T/calls" "$sync" "$T/rules" >"$T/out-$2" 2>&1 3>>"$T/took-$2"
}

# A table raw in WORLD that counts the SYNs to each service without endpoints.
count_refused() {
	local i

	{
		printf '*raw\n:COUNT - [0:0]\n-A PREROUTING -j COUNT\n-A OUTPUT -j COUNT\n'
		for ((i = 1; i <= services; i++)); do
			[ "$(endpoints "$i" $((syncs - 1)))" -gt 0 ] ||
				echo "-A COUNT -p tcp -d 10.96.0.1 --dport $((8000 + i))"
		done
		echo COMMIT
	} | plain "node-$1" iptables-legacy-restore
}

# The lines of the rules in what "iptables -L -v -n -x" prints as "packets bytes port", by port.
refused() {
	sed -nE 's/^ *([0-9]+) +([0-9]+) .* dpt:([0-9]+).*/\1 \2 \3/p' | sort -k3n
}

# KUBE-SERVICES of NAMESPACE, as "calls" has it.
counted() {
	local how=filtered

	[ "$1" != node-k ] || how=plain
	$how "$1" iptables-legacy -L KUBE-SERVICES -v -n -x
}

# seen_all COUNTERS: there are some, and each is of packets from all three: client, pods and node.
seen_all() {
	[ -n "$1" ] && ! awk '$1 < 3 { print; bad = 1 } END { exit !bad }' <<<"$1"
}

lab_begin
cat_calls >"$T/calls"
world k
world b
for ((sync = 0; sync < syncs; sync++)); do
	sync_rules $sync >"$T/rules"
	calls plain k
	calls filtered b
	same "sync $sync: $(wc -l <"$T/out-k") calls end as with the kernel" "$(cat "$T/out-k")" \
		"$(cat "$T/out-b")"
	expect "sync $sync: is accepted" grep -qx "0 restore $sync" "$T/out-k"
done
same "the same tables in the end" "$(plain node-k iptables-legacy-save | bare)" \
	"$(filtered node-b iptables-legacy-save | bare)"
expect "the filter table is in eBPF" kernel_is_empty node-b
expect "and status says so" in_ebpf node-b
same "nat is with the kernel" "$(plain node-k iptables-legacy -t nat -S)" \
	"$(plain node-b iptables-legacy -t nat -S)"

for side in k b; do
	expect "SYNs of services without endpoints are counted in $side" count_refused $side
done
for from in client pods node; do
	connections $from-b >"$T/connections" &
	want=$(connections $from-k)
	wait $!
	same "$services services from the $from" "$want" "$(cat "$T/connections")"
	note "$(cut -d' ' -f2- <<<"$want" | sort | uniq -c | paste -sd' ')"
	expect "some are open from the $from" grep -q ' open' <<<"$want"
	expect "some are refused" grep -q ' Connection refused' <<<"$want"
done
# How often a SYN is sent again is chance (see above): each side's REJECT rules must have counted what its raw table did.
for side in k b; do
	want=$(plain "node-$side" iptables-legacy -t raw -L COUNT -v -n -x | refused)
	same "the counters of $side are those of the kernel's raw table" "$want" \
		"$(counted "node-$side" | refused)"
	expect "which has seen each service without endpoints" seen_all "$want"
done

median() {
	cut -d' ' -f2 "$T/took-$1" | tail -n +2 | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
note "a sync with $services services: $(median b) ms, the kernel $(median k) ms," \
	"$(awk -v a="$(median b)" -v b="$(median k)" 'BEGIN { printf "%.2f", a / b }') times as much"
tap_end
