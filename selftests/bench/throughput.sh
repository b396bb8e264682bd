# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # set by bench.sh, which sources this
#
# Packets a second through namespaces, each of which filters them in another way:
#
#	xdp-drop	XDP drops them at the first interface
#	tc-drop		tc does
#	empty		the kernel's ip_tables, without rules
#	k-drop		the same, FORWARD's policy DROP
#	kernel		the kernel's ip_tables with the rules
#	nft		nftables with the rules, as iptables-translate translates them
#	nft-set		nftables with the same in sets, where that can be said so
#	nf, tc, xdp	bpfilter with the rules, in that placement; nf-0 without rules, nf-drop with policy DROP alone
#	auto		the same, with INPUT's rules those of FORWARD: what is forwarded has been asked about in the driver
#	kernel-in, auto-in	with the rules in INPUT, and packets to the host: what the driver drops is theirs

# Placements of bpfilter: what "bpfilter run --attach" takes, and the name here. The module has one.
declare -A placements=([nf]=netfilter [tc]=tc [xdp]=xdp [auto]=auto)
ours=(nf)
by_module || ours+=(tc xdp)

# The name of the placement in that of a namespace: P, P-something, s-P.
placement_in() {
	local p=${1#s-}

	echo "${p%%-*}"
}

# in_placement NS COMMAND...: its iptables calls answered by bpfilter, in the placement of that name.
in_placement() {
	local ns=$1

	shift
	if by_module; then
		inside "$ns" "$@"
	else
		inside "$ns" "$BPFILTER" run "--attach=${placements[$(placement_in "$ns")]}" -- "$@"
	fi
}

# One chain with what the rules on stdin say, for the shapes of which a set or a map can say it.
nft_set() {
	awk -v shape="$1" '
	function option(name, i) {
		for (i = 3; i < NF; i++)
			if ($i == name)
				return $(i + 1)
		return ""
	}
	function element(set, key, verdict) {
		if (!((set, key) in seen))
			list[set] = list[set] (count[set]++ ? ",\n" : "") key verdict
		seen[set, key] = 1
	}
	/^:FORWARD/ { policy = tolower($2) }
	/^-A FORWARD/ && shape == "block" { element("from", option("-s"), "") }
	/^-A FORWARD -[sd]/ && shape == "k8s" {
		key = sprintf("%s . %s . %s", option("-d"), option("-p"), option("--dport"))
		gsub("/32", "", key)
		from = option("-s")
		sub("/32", "", from)
		element(from == "" ? "to" : "both", (from == "" ? "" : from " . ") key,
			" : " tolower(option("-j")))
	}
	END {
		print "table ip bench {"
		if (shape == "block") {
			printf "set from { type ipv4_addr; flags interval; auto-merge; elements = {\n%s } }\n", list["from"]
			rule = "ip saddr @from counter drop"
		} else {
			printf "map to { type ipv4_addr . inet_proto . inet_service : verdict; elements = {\n%s } }\n", list["to"]
			printf "map both { type ipv4_addr . ipv4_addr . inet_proto . inet_service : verdict; elements = {\n%s } }\n", list["both"]
			rule = "ct state established,related counter accept\n" \
				"ip saddr . ip daddr . ip protocol . th dport vmap @both\n" \
				"ip daddr . ip protocol . th dport vmap @to"
		}
		printf "chain FORWARD { type filter hook forward priority filter; policy %s;\n%s\n}\n}\n", policy, rule
	}' "$T/rules"
}

# Is its table where it should be? If not, why.
is_placed() {
	local status p

	p=$(placement_in "$1")
	status=$(status_of "$1")
	case $p in
	nf) in_ebpf "$1" && return ;;
	auto) grep -q "early drop .*dropped by drivers" <<<"$status" && return ;;
	*) grep -q "at the interfaces ($p)" <<<"$status" && return ;;
	esac
	say "$1: the table is elsewhere:" "$(grep -o -m 1 'because .*' <<<"$status")"
	return 1
}

load_nft() {
	inside "$1" nft flush ruleset && inside "$1" nft -f "$T/$1.nft" && return
	say "nftables does not take the rules of $1"
	return 1
}

# load SHAPE RULES: each with its own tool. Fills $subjects.
load() {
	local p

	rules "$1" "$2"
	iptables-restore-translate -f "$T/rules" >"$T/nft.nft" || return
	subjects=(kernel nft)
	if [ "$1" = k8s ] || [ "$1" = block ]; then
		nft_set "$1" >"$T/nft-set.nft"
		load_nft nft-set || return
		subjects+=(nft-set)
	fi
	plain kernel iptables-legacy-restore <"$T/rules" && load_nft nft || return
	for p in "${ours[@]}"; do
		in_placement "$p" iptables-legacy-restore <"$T/rules" || return
		# There its own program makes the interface take frames.
		! is_placed "$p" || subjects+=("${p/%xdp/xdp=own}")
	done
	early=()
	! by_module || return 0
	sed '/^-A FORWARD/{p;s/FORWARD/INPUT/};/^:INPUT/d;/^:FORWARD/{p;s/FORWARD/INPUT/}' "$T/rules" |
		in_placement auto iptables-legacy-restore || return
	! is_placed auto || early=(auto=own)
}

# blast SHAPE RULES VERDICT SUBJECT...: what it is about is said in each record.
blast() {
	local what

	what="\"shape\": \"$1\", \"rules\": $2, \"verdict\": \"$3\", "
	"$bench" packets --shape="$1" --rules="$2" --verdict="$3" >"$T/frames" || return 0
	"$bench" blast --rounds="$rounds" --ms="$ms" "$lab" "$T/frames" "${@:4}" >"$T/rates" || return
	right "$3" "${@:4}" <"$T/rates" || return
	sed "s/^{/{$what/" "$T/rates" | record throughput
}

# What has rules accepts all packets that it should accept, and drops those that it should drop. Nothing that does
# not is measured.
right() {
	awk -v verdict="$1" '
	function get(name) {
		match($0, "\"" name "\": \"?[^\",}]*")
		return substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 4)
	}
	{
		subject = substr(get("subject"), 2)
		in_pps = get("in_pps") + 0
		out_pps = get("out_pps") + 0
		passes = verdict == "accept" || subject ~ /^empty$|-0$/
		if (passes ? out_pps > in_pps * 0.98 : out_pps < in_pps * 0.001)
			next
		printf "bench: %s lets %d of %d packets a second through\n", subject, out_pps, in_pps >"/dev/stderr"
		bad = 1
	}
	END { exit bad }'
}

# throughput SHAPE SIZES
throughput() {
	local n

	for n in ${2//,/ }; do
		say "throughput: $1, $n rules"
		load "$1" "$n" || return
		blast "$1" "$n" accept empty nf-0 "${subjects[@]}" "${early[@]}" || return
		blast "$1" "$n" drop xdp-drop=drop tc-drop=tc-drop k-drop nf-drop "${subjects[@]}" "${early[@]}" || return
	done
}

# input SHAPE RULES: packets to the host that INPUT drops.
input() {
	by_module && return
	say "throughput: $1, $2 rules of INPUT"
	rules "$1" "$2"
	sed -i 's/FORWARD/INPUT/; 0,/^:INPUT/{/^:INPUT ACCEPT/d}' "$T/rules"
	plain kernel-in iptables-legacy-restore <"$T/rules" || return
	in_placement auto-in iptables-legacy-restore <"$T/rules" && is_placed auto-in || return
	"$bench" packets --shape="$1" --rules="$2" --verdict=drop --input >"$T/frames" || return 0
	"$bench" blast --rounds="$rounds" --ms="$ms" "$lab" "$T/frames" xdp-drop=drop kernel-in auto-in=own \
		>"$T/rates" || return
	right drop xdp-drop kernel-in auto-in <"$T/rates" || return
	sed "s/^{/{\"shape\": \"$1\", \"rules\": $2, \"verdict\": \"drop\", /" "$T/rates" | record throughput
}

bench_throughput() {
	local s

	say "throughput: namespaces"
	netns gen sink
	by_module || for s in auto kernel-in auto-in; do subject "$s"; done
	for s in xdp-drop tc-drop empty k-drop kernel nft nft-set nf-0 nf-drop "${ours[@]}"; do
		subject "$s"
	done
	plain empty iptables-legacy -S >/dev/null && plain k-drop iptables-legacy -P FORWARD DROP &&
		in_placement nf-0 iptables-legacy -P FORWARD ACCEPT &&
		in_placement nf-drop iptables-legacy -P FORWARD DROP || return
	input block 10000 && input acl 10000 && throughput acl "$sizes" && throughput block 10000 && throughput k8s 10000 || return
	[ "$mode" = full ] || return 0
	for s in fw ipc ${nasty//,/ }; do
		throughput "$s" 10000 || return
	done
}
