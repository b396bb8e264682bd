#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What is missing is said in one line, with an exit status of its own, and nothing stays behind.
#
# What this kernel has cannot be taken away from it, so an old one is played by "deny", which makes
# system calls fail as they do there.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

deny=${BUILD:-$(dirname "$BPFILTER")}/selftests/deny
! by_module || skip_all "it is about \"bpfilter run\", which the module leaves nothing to do"
lab_begin
netns host

# left_behind: what is there now that was not there before anything was tried.
left_behind() {
	helper_pids
	find "$BPFILTER_PIN_DIR" -mindepth 1 2>/dev/null
	find "$BPFILTER_RUN_DIR" -type s 2>/dev/null
}

# fails STATUS PATTERN TEXT COMMAND...: ends with STATUS and one line that PATTERN describes.
fails() {
	local want=$1 pattern=$2 text=$3 rc

	shift 3
	inside host timeout 20 "$@" >"$T/out" 2>"$T/err" </dev/null
	rc=$?
	[ "$rc" -eq "$want" ] || note "status $rc, wanted $want" "$(head -n 5 "$T/err")"
	tap $((rc != want)) "$text: status $want"
	if [ "$(wc -l <"$T/err")" -eq 1 ] && grep -qiE "$pattern" "$T/err"; then
		note "$(cat "$T/err")"
		tap 0 "$text: one line that says it"
	else
		note "wanted one line like \"$pattern\", got:" "$(cat "$T/err")"
		tap 1 "$text: one line that says it"
	fi
	same "$text: nothing left behind" "" "$(left_behind)"
}

run=("$BPFILTER" run --)

# --- the command line ----------------------------------------------------------------------

fails 2 'usage|option|help' "an unknown option" "$BPFILTER" run --no-such-option -- true
fails 2 'usage|command|help' "an unknown command" "$BPFILTER" no-such-command
fails 2 'usage|command|help' "run without a COMMAND" "$BPFILTER" run
fails 2 'attach|placement' "a placement that does not exist" \
	"$BPFILTER" run --attach=nowhere -- true
fails 127 'no-such-command' "a COMMAND that does not exist" "${run[@]}" no-such-command
touch "$T/plain-file"
fails 126 'plain-file' "a COMMAND that is not executable" "${run[@]}" "$T/plain-file"
mkdir "$T/empty"
fails 118 'iptables' "no iptables-legacy on the machine" \
	env PATH="$T/empty" "${run[@]}" iptables-legacy -S

expect "--help" "$BPFILTER" --help
expect "--version" "$BPFILTER" --version

status_is_had() {
	[ -S "$BPFILTER_RUN_DIR/umh.sock" ]
}

# --- privileges and the kernel -------------------------------------------------------------

cp "$BPFILTER" "$T/bpfilter" && chmod 755 "$T" "$T/bpfilter"
fails 120 'root' "not root" \
	setpriv --reuid=65534 --regid=65534 --clear-groups "$T/bpfilter" run -- true

: >"$T/not-a-folder"
fails 121 'bpf|pin' "the pin folder cannot be made" \
	env BPFILTER_PIN_DIR="$T/not-a-folder/pins" "${run[@]}" iptables-legacy -S
mkdir "$T/unmounted"
fails 121 'bpffs|mount' "bpffs cannot be mounted" \
	env BPFILTER_PIN_DIR="$T/unmounted/pins" "$deny" mount=ENODEV -- "${run[@]}" \
	iptables-legacy -S
mkdir "$T/in-use" && touch "$T/in-use/file"
fails 121 'in use' "no bpffs is mounted on what is in use" \
	env BPFILTER_PIN_DIR="$T/in-use/pins" "${run[@]}" iptables-legacy -S
expect "which is still there" test -e "$T/in-use/file"
fails 122 'BTF' "no BTF" unshare -m --propagation private \
	sh -c 'mount -t tmpfs none /sys/kernel/btf && exec "$@"' - "${run[@]}" iptables-legacy -S
"$deny" prog_type:32=EINVAL -- "$BPFILTER" umh --foreground 2>"$T/no-links" &
lab_jobs+=($!)
expect "a kernel without netfilter links has tc: the helper starts" within 5 status_is_had
status_is_had && filtered host iptables-legacy -P FORWARD DROP
expect "and puts the table there" grep -q 'at the interfaces (tc)' <(status_of host)
inside host "$BPFILTER" stop >/dev/null
fails 123 'kernel|seccomp' "a kernel without seccomp notification" \
	"$deny" seccomp:1=EINVAL seccomp:3=EINVAL -- "${run[@]}" iptables-legacy -S

: >"$T/no-run-dir"
fails 124 'helper|no-run-dir' "the helper's folder cannot be made" \
	env BPFILTER_RUN_DIR="$T/no-run-dir/x" "${run[@]}" iptables-legacy -S

# --- run itself ----------------------------------------------------------------------------

filtered host sh -c 'exit 7'
same "the status of COMMAND is the status of run" 7 $?
filtered host sh -c 'kill -TERM $$'
same "a COMMAND that a signal ends" 143 $?

out=$("${run[@]}" "${run[@]}" true 2>&1)
same "a run inside a run: status 119" 119 $?
same "a run inside a run: one line" 1 "$(wc -l <<<"$out")"
note "$out"

# --- a table that cannot be attached -------------------------------------------------------

helper_kill TERM
expect "where no program can be attached, a table is still taken" \
	inside host "$deny" bpf:28=EINVAL -- "${run[@]}" iptables-legacy -P FORWARD DROP
same "by the kernel" "-P FORWARD DROP" "$(kernel_rules host | grep FORWARD)"
note "$(kernel_why host)"
expect "for a reason" test -n "$(kernel_why host)"
same "and nothing is attached" "" "$(find "$BPFILTER_PIN_DIR" -mindepth 2)"

# --- a match in which kernels differ -------------------------------------------------------

helper_kill TERM
mss=(-p tcp -m tcpmss --mss 1)
if inside host iptables-legacy -A OUTPUT "${mss[@]}" && inside host iptables-legacy -F OUTPUT; then
	expect "where match tcpmss cannot be tried, a table with it is still taken" \
		inside host "$deny" unshare=EPERM -- "${run[@]}" iptables-legacy -A FORWARD "${mss[@]}"
	same "by the kernel" "-A FORWARD -p tcp -m tcpmss --mss 1" "$(kernel_rules host | grep -e -A)"
	expect "for that reason" grep -q 'tcpmss.*could not be tried' <(kernel_why host)
	expect "others are not asked about it" filtered host iptables-legacy -F FORWARD
	expect "and are in eBPF" in_ebpf host
	helper_kill TERM
	expect "where it can" filtered host iptables-legacy -A FORWARD "${mss[@]}"
	expect "so is the one with it" in_ebpf host
else
	tap_skip "a match in which kernels differ" "no match tcpmss"
fi

tap_end
