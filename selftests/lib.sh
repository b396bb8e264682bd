# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the end-to-end scripts and the demo share: TAP lines, namespaces of their own, and a
# clean-up that leaves nothing behind. To be sourced. Needs $BPFILTER, the binary's path.
#
# lab_begin makes a scratch folder $T, a bpffs under it and private BPFILTER_* folders; all that
# the other functions make is removed by lab_end, which runs by itself on exit and on signals.
#
# With BPFILTER_THROUGH=module in the environment, iptables' calls reach bpfilter through the kernel
# module, and those of all processes of the machine do: lab_begin loads it, lab_end unloads it.

: "${BPFILTER:?is the path of the binary}"

# --- TAP -----------------------------------------------------------------------------------

tap_n=0
tap_failed=0

# tap 0|1 TEXT: the next test line; anything but 0 is "not ok".
tap() {
	tap_n=$((tap_n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tap_n - $2"
	else
		echo "not ok $tap_n - $2"
		tap_failed=$((tap_failed + 1))
	fi
}

tap_skip() {
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $1 # SKIP $2"
}

# Lines that explain, in TAP's way.
note() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

# expect TEXT COMMAND...: the command succeeds. Its output is shown when it does not.
expect() {
	local text=$1 out rc

	shift
	out=$("$@" 2>&1)
	rc=$?
	[ $rc -eq 0 ] || note "$* -> status $rc" "$out"
	tap $rc "$text"
}

expect_not() {
	local text=$1 out

	shift
	if out=$("$@" 2>&1); then
		note "$* -> succeeded" "$out"
		tap 1 "$text"
	else
		tap 0 "$text"
	fi
}

# same TEXT WANTED GOT: two strings are equal; the difference is shown when they are not.
same() {
	if [ "$2" = "$3" ]; then
		tap 0 "$1"
	else
		note "wanted (<) and got (>):"
		diff <(printf '%s\n' "$2") <(printf '%s\n' "$3") | head -n 40 | sed 's/^/# /'
		tap 1 "$1"
	fi
}

# tap_from NAME COMMAND...: the test lines of another program, as lines of this one; that it has failed is one
# more if its lines do not say so. What it prints besides is shown when it fails.
tap_from() {
	local name=$1 out rc line text n=0 failed=$tap_failed

	shift
	out=$("$@" 2>&1)
	rc=$?
	while IFS= read -r line; do
		text=$name:\ $(sed -E 's/^(not )?ok [0-9]+ (- )?//' <<<"$line")
		case $line in
		"ok "*"# SKIP "*) n=$((n + 1)) && tap_skip "${text% # SKIP *}" "${text#* # SKIP }" ;;
		"ok "*) n=$((n + 1)) && tap 0 "$text" ;;
		"not ok "*) n=$((n + 1)) && tap 1 "$text" ;;
		1..0*) n=$((n + 1)) && tap_skip "$name" "${line#1..0 # SKIP }" ;;
		"#"*) echo "$line" ;;
		esac
	done <<<"$out"
	if { [ $rc -ne 0 ] && [ $rc -ne 4 ] && [ $failed -eq "$tap_failed" ]; } || [ $n -eq 0 ]; then
		tap 1 "$name: ended with status $rc after $n tests"
		note "$(tail -n 30 <<<"$out")"
	fi
}

# The plan, at the end; the exit status says whether all went well.
tap_end() {
	echo "1..$tap_n"
	[ "$tap_failed" -eq 0 ]
	exit
}

skip_all() {
	echo "1..0 # SKIP $*"
	exit 4
}

# --- the laboratory ------------------------------------------------------------------------

T=
lab=
lab_jobs=()

lab_begin() {
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	# An interrupt between making it and knowing its name would leave it behind.
	T=$(mktemp -d -u "${TMPDIR:-/tmp}/bpfilter.XXXXXX") || exit 1
	# Unique among concurrent runs, and short enough for interface names.
	lab=bf${T##*.}
	export BPFILTER_RUN_DIR=$T/run BPFILTER_PIN_DIR=$T/bpf/bpfilter
	trap 'lab_end; exit 130' INT
	trap 'lab_end; exit 143' TERM HUP
	trap lab_end EXIT
	mkdir -m 700 "$T" || { T= && exit 1; }
	mkdir "$T/bpf" "$T/run" || exit 1
	mount -t bpf bpf "$T/bpf" || skip_all "cannot mount bpffs"
	# What a sanitizer says in any process, the helper among them, is shown in the end.
	export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$T/sanitizer
	export UBSAN_OPTIONS=print_stacktrace=1:log_path=$T/sanitizer
	if by_module; then
		module_helper
		module_load "helper=$T/helper" || skip_all "the module cannot be loaded"
	fi
}

lab_end() {
	local ns j

	trap - EXIT INT TERM HUP
	[ -n "$T" ] || return 0
	for j in "${lab_jobs[@]}"; do
		kill "$j"
	done 2>/dev/null
	if by_module && module_is_loaded; then
		module_unload || note "the module cannot be unloaded"
	fi
	helper_kill TERM
	for ns in $(ip netns list | awk -v p="$lab-" 'index($1, p) == 1 { print $1 }'); do
		# shellcheck disable=SC2046
		kill -9 $(ip netns pids "$ns") 2>/dev/null
		ip netns del "$ns"
	done
	! mountpoint -q "$T/bpf" || umount "$T/bpf" || umount -l "$T/bpf"
	cat "$T"/sanitizer.* 2>/dev/null
	rm -rf "$T"
	wait 2>/dev/null
	T=
}

# in_background COMMAND...: ended by lab_end. Its pid is in $!.
in_background() {
	"$@" </dev/null >/dev/null 2>&1 &
	lab_jobs+=($!)
	disown
}

# --- the module ----------------------------------------------------------------------------

module_parameters=/sys/module/bpfilter/parameters

by_module() {
	[ "${BPFILTER_THROUGH:-}" = module ]
}

module_is_loaded() {
	[ -d /sys/module/bpfilter ]
}

# What the module is to start: it has none of our environment.
module_helper() {
	cat >"$T/helper" <<END
#!/bin/sh
export BPFILTER_RUN_DIR='$BPFILTER_RUN_DIR' BPFILTER_PIN_DIR='$BPFILTER_PIN_DIR'
${BPFILTER_CONFIG:+export BPFILTER_CONFIG='$BPFILTER_CONFIG'}
exec '$BPFILTER' "\$@"
END
	chmod 755 "$T/helper"
}

module_load() {
	modprobe bpfilter "$@"
}

# module_set PARAMETER VALUE, module_get PARAMETER
module_set() {
	printf '%s' "$2" >"$module_parameters/$1"
}

module_get() {
	cat "$module_parameters/$1"
}

# Give all tables back, and let it go. A moment may pass until the last one who uses it has ended.
module_unload() {
	local i

	"$BPFILTER" stop --force >/dev/null || return
	for i in {1..50}; do
		! rmmod bpfilter 2>/dev/null || return 0
		sleep 0.1
	done
	rmmod bpfilter
}

# The helpers of this laboratory: those that were started with its folder.
helper_pids() {
	local p

	for p in $(pgrep -x bpfilter); do
		tr '\0' ' ' 2>/dev/null <"/proc/$p/cmdline" | grep -q ' umh ' || continue
		tr '\0' '\n' 2>/dev/null <"/proc/$p/environ" |
			grep -qxF "BPFILTER_RUN_DIR=$BPFILTER_RUN_DIR" && echo "$p"
	done
}

# helper_kill SIGNAL: and wait until they are gone; harder after five seconds.
helper_kill() {
	local -a pids
	local i

	mapfile -t pids < <(helper_pids)
	[ ${#pids[@]} -gt 0 ] || return 0
	kill "-$1" "${pids[@]}" 2>/dev/null
	for i in {1..100}; do
		[ "$i" -lt 100 ] || kill -9 "${pids[@]}" 2>/dev/null
		[ -n "$(helper_pids)" ] || return 0
		sleep 0.05
	done
}

# netns NAME...: create namespaces, with lo up.
netns() {
	local n

	for n in "$@"; do
		ip netns add "$lab-$n" && ip -n "$lab-$n" link set lo up || exit 1
	done
}

# link A ADDRESS-A B ADDRESS-B: a veth pair between two namespaces. In A the interface is named
# after B, and the other way round; addresses with prefix length.
link() {
	ip link add "to-$3" netns "$lab-$1" type veth peer name "to-$1" netns "$lab-$3" &&
		ip -n "$lab-$1" addr add "$2" dev "to-$3" &&
		ip -n "$lab-$3" addr add "$4" dev "to-$1" &&
		ip -n "$lab-$1" link set "to-$3" up &&
		ip -n "$lab-$3" link set "to-$1" up || exit 1
}

# client -- host -- server, routed through host, which has no rules yet.
lab_client_host_server() {
	netns client host server
	link client 192.0.2.2/24 host 192.0.2.1/24
	link server 198.51.100.2/24 host 198.51.100.1/24
	ip -n "$lab-client" route add default via 192.0.2.1
	ip -n "$lab-server" route add default via 198.51.100.1
	inside host sysctl -qw net.ipv4.ip_forward=1
}

# inside NAME COMMAND...: in a namespace, with an xtables lock of its own.
inside() {
	local ns=$1

	shift
	XTABLES_LOCKFILE=$T/lock-$ns nsenter --net="/run/netns/$lab-$ns" "$@"
}

# filtered NAME COMMAND...: in a namespace, with its iptables calls answered by bpfilter.
filtered() {
	local ns=$1

	if by_module; then
		inside "$@"
		return
	fi
	shift
	inside "$ns" "$BPFILTER" run -- "$@"
}

# at PLACEMENT COMMAND...: in namespace host; "kernel": with its own ip_tables.
at() {
	local place=$1

	shift
	if [ "$place" = kernel ]; then
		inside host "$@"
	else
		inside host "$BPFILTER" run --attach="$place" -- "$@"
	fi
}

# plain NAME COMMAND...: in a namespace, with its iptables calls answered by the kernel's own
# ip_tables, whoever has its filter table. One at a time.
plain() {
	local rc

	by_module || {
		inside "$@"
		return
	}
	module_set exclude "$(inode "$1")"
	inside "$@"
	rc=$?
	module_set exclude 0
	return $rc
}

# --- packets -------------------------------------------------------------------------------

# serve_tcp NAME PORT: accept connections, for as long as the laboratory stands.
serve_tcp() {
	in_background nsenter --net="/run/netns/$lab-$1" nc -l -k "$2"
	wait_for "inside $1 ss -Htln sport = :$2"
}

# serve_udp NAME PORT: collect what arrives in $T/udp-NAME-PORT.
serve_udp() {
	# shellcheck disable=SC2024
	nsenter --net="/run/netns/$lab-$1" nc -u -l -k "$2" </dev/null >"$T/udp-$1-$2" 2>/dev/null &
	lab_jobs+=($!)
	wait_for "inside $1 ss -Huln sport = :$2"
}

# wait_for COMMAND: until it prints something, ten seconds at most.
wait_for() {
	local i

	for i in {1..200}; do
		[ -z "$($1 2>/dev/null)" ] || return 0
		sleep 0.05
	done
	return 1
}

# within SECONDS COMMAND...: it succeeds by then; tried ten times a second.
within() {
	local i

	for ((i = 0; i < $1 * 10; i++)); do
		"${@:2}" && return
		sleep 0.1
	done
	return 1
}

# Does it get through? NAME is where it is sent from.
can_ping() {
	inside "$1" ping -q -n -c 1 -W 1 "$2" >/dev/null 2>&1
}

# can_tcp FROM ADDRESS PORT [SECONDS]: within one second, which a connection may exceed on a busy host.
can_tcp() {
	inside "$1" timeout "${4:-1}" bash -c ": </dev/tcp/$2/$3" 2>/dev/null
}

# can_udp FROM ADDRESS PORT TO: TO is the namespace whose serve_udp receives it.
can_udp() {
	local token=$RANDOM$RANDOM$RANDOM i

	inside "$1" bash -c "echo $token >/dev/udp/$2/$3" 2>/dev/null
	for i in {1..10}; do
		grep -qx "$token" "$T/udp-$4-$3" && return 0
		sleep 0.05
	done
	return 1
}

cannot() {
	! "$@"
}

# --- what iptables says --------------------------------------------------------------------

# Without comments and counters, as two saves are compared.
bare() {
	sed -e '/^#/d' -e 's/\[[0-9]*:[0-9]*\]//' -e 's/[ ]*$//'
}

# The kernel's own filter table, not through bpfilter.
kernel_rules() {
	plain "$1" iptables-legacy -S
}

kernel_is_empty() {
	[ "$(kernel_rules "$1")" = "-P INPUT ACCEPT
-P FORWARD ACCEPT
-P OUTPUT ACCEPT" ]
}

# in_ebpf NAME: does "bpfilter status" say that this namespace's table is in eBPF? kernel_why: the reason that
# it gives for the kernel having it, or nothing.
in_ebpf() {
	status_of "$1" | grep -q '^ *filter table *eBPF'
}

# Does its table sit at the module's hooks? There it needs no pins.
at_module_hooks() {
	status_of "$1" | grep -q '^ *filter table *eBPF.*(module hook)'
}

kernel_why() {
	status_of "$1" | sed -n 's/^ *because *//p'
}

# The part of "bpfilter status" about one namespace.
status_of() {
	inside "$1" "$BPFILTER" status | awk -v head="net:[$(inode "$1")]" '
		/^[^ ]/ { here = $NF == head }
		here'
}

# The inode of a namespace, as in net:[INODE].
inode() {
	stat -L -c %i "/run/netns/$lab-$1"
}
