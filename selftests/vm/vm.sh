#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# vm.sh [-j N] [-t SECONDS] [-v] KERNEL[:PART]... - run the tests in virtual machines with other kernels
#
# KERNEL is 6.1, 6.12 or 7.2. For each, the module and the kernel's netdevsim are built, and for each part of the suite (suite.sh -l KERNEL
# tells them) a machine is booted that runs it and may take SECONDS. N of them run at a time; the
# output of each is shown when it has ended, or at once if N is 1. $TESTS, if set, is what to run instead
# of the suite, all in one machine: programs below the clone with their arguments, separated by commas;
# with -v all that they print is shown.
#
# What is fetched is kept in $VM_CACHE, which is $BUILD/vm unless set. $BUILD/vm-run/KERNEL receives the
# module and, for each part, the console of the machine and the output of the tests. Ends with a line
# "N passed, N failed, N skipped", the total over all machines.

set -u

here=$(dirname "$(readlink -f "$0")")
: "${BUILD:?is the folder that it was built in}"
export BUILD
usage="usage: vm.sh [-j N] [-t SECONDS] [-v] KERNEL[:PART]..."
limit=2400 jobs=1 verbose=
# A test may take 420 seconds (suite.sh), and its name comes as it begins.
silence=460
while getopts j:t:v opt; do
	case $opt in
	j) jobs=$OPTARG ;;
	t) limit=$OPTARG ;;
	v) verbose=1 ;;
	*) echo "$usage" >&2; exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || { echo "$usage" >&2; exit 2; }

export VM_CACHE=${VM_CACHE:-$BUILD/vm}
run=$BUILD/vm-run
mkdir -p "$VM_CACHE" "$run" || exit 1
# Two at a time would write into the same files.
exec 8>"$run/lock"
flock -n 8 || { echo "vm.sh: another one is at work in $run" >&2; exit 2; }

# Each machine in a process group of its own, so that an interrupt ends all of it.
set -m
interrupted() {
	local group

	trap - INT TERM HUP
	for group in $(jobs -p); do
		kill -- "-$group"
	done 2>/dev/null
	exit 130
}
trap interrupted INT TERM HUP

# What a machine is told is in PART, TESTS and VERBOSE: see init. QEMU translates instead of using KVM,
# under which Debian's kernels hang on some hosts; a boot takes five seconds. Its cmpxchg16b at times
# leaves nonsense in the flags (seen with 7.2, as a double fault in kmalloc()), so the processor has
# none. Its code for one processor may also be what it was before another one changed it (stale_code() below), so
# there are two only where the tests are about that: the module's. The second serial port is its standard output.
boot() {
	local kernel=$1 initramfs=$2 console=$3 part=$4 monitor=$5 processors=1

	[[ $part != module* && $part != tests ]] || processors=2
	timeout --foreground -k 10 "$limit" qemu-system-x86_64 -accel tcg,thread=multi -cpu qemu64,-cx16 -smp $processors -m 1G \
		-nodefaults -no-user-config -no-reboot -display none -monitor "pipe:$monitor" -nic none \
		-kernel "$kernel" -initrd "$initramfs" \
		-append "console=ttyS0 loglevel=5 panic=-1 oops=panic unknown_nmi_panic=1 panic_print=0x40 PART=$part ${verbose:+VERBOSE=1} \
${TESTS:+TESTS=\"$TESTS\"}" \
		-serial "file:$console" -serial stdio </dev/null
}

# until_silent FILES: switch the machine off when nothing has come from its tests for too long, and leave
# FILES.silent. What its processors do is on its console then: they panic at an NMI.
until_silent() {
	local last

	until last=$(stat -c %Y "$1.output") && [ $(($(date +%s) - last)) -ge $silence ]; do
		sleep 5
	done
	touch "$1.silent"
	echo nmi >"$1.monitor.in"
	sleep 20
	echo quit >"$1.monitor.in"
}

# The name of the test that was at work last.
last_test() {
	tail -n 1 "$1.output" | sed -e 's/^=== //' -e 's/ *$//'
}

# The kernel's watchdogs tell of a task that waits for 120 seconds, of a processor that does nothing else for 20, and of
# readers of RCU that never end; then where that is. Is it in our module?
stuck_in_module() {
	sed -nE '/blocked for more than|soft lockup|[Hh]ard LOCKUP|detected.* stall/,$p' "$1.console" | grep -q '\[bpfilter\]'
}

# What went wrong with the machine itself? $1: status of boot; $2: its files. Nothing if it ended as it
# should.
trouble() {
	grep -qE '^status [0-9]+$' "$2.output" && return
	if [ -e "$2.silent" ]; then
		echo "nothing came from $(last_test "$2") for $silence seconds, and the machine was switched off"
	elif grep -q 'Kernel panic' "$2.console"; then
		echo "the kernel panicked: $(grep -m 1 -oE 'Kernel panic.*' "$2.console")"
	elif [ "$1" -eq 124 ] || [ "$1" -eq 137 ]; then
		echo "the machine was still at $(last_test "$2") after $limit seconds and was switched off"
	elif ! [ -s "$2.output" ]; then
		echo "the machine never came as far as the tests (QEMU's status: $1)"
	else
		echo "the machine stopped in the middle of the tests (QEMU's status: $1)"
	fi
}

# The kernel patches a static key by way of an int3, which it takes away when all processors have been told.
# QEMU's translation of one of them has it at times even then (seen with 7.2, in ip_rcv() as the first
# netfilter hook was registered). No other int3 is in a kernel that nobody probes.
stale_code() {
	grep -q 'Oops: int3:' "$1.console"
}

# The kernel tries the timer for a few ticks as it boots, and gives up if none arrives: so it is if the host
# has too much else to do at that moment.
no_timer() {
	grep -q "Kernel panic.*IO-APIC + timer doesn't work" "$1.console"
}

# once_more FILES: why should a machine be booted again? Fails if there is no reason.
once_more() {
	if stale_code "$1"; then
		echo "the emulator ran code as it had been before the kernel patched it"
	elif no_timer "$1"; then
		echo "the host had no time for the timer while it booted"
	elif [ -e "$1.silent" ] && ! stuck_in_module "$1"; then
		echo "nothing came from $(last_test "$1") for $silence seconds, and the kernel's watchdogs do not" \
			"know of anything in the module"
	else
		return 1
	fi
}

# attempt KERNEL PART FILES: boot one, and return QEMU's status.
attempt() {
	local rc watcher

	: >"$3.console"
	: >"$3.output"
	rm -f "$3.silent" "$3".monitor.{in,out}
	mkfifo "$3".monitor.{in,out}
	until_silent "$3" >/dev/null 2>&1 8>&- &
	watcher=$!
	boot "$VM_CACHE/$1/vmlinuz" "$run/$1/initramfs" "$3.console" "$2" "$3.monitor" 2>&1 |
		tee "$3.output" | grep --line-buffered -v '^status [0-9]*$'
	rc=${PIPESTATUS[0]}
	kill "$watcher"
	wait "$watcher"
	rm -f "$3".monitor.{in,out}
	return "$rc"
}

# prepare KERNEL: all that its machines need, into $run/KERNEL.
prepare() {
	local version=$1 dir=$run/$1 card=("$run/$1/module/netdevsim.ko")

	mkdir -p "$dir"
	rm -f "$dir"/*.{output,console,report,result} "$dir/initramfs"
	# Without it one test is skipped: its source is large, and not there for each kernel at each time. 6.12 has it only
	# if asked for: suite.sh does not.
	if [ -z "${TESTS:-}" ] && [[ $version == 6.12 ]]; then
		card=()
	elif ! "$here/netdevsim.sh" "$version" "$dir/module"; then
		echo "vm.sh: $version: there is no simulated network card to test with: see above" >&2
		card=()
	fi
	if [ ${#card[@]} -eq 0 ] && [ -d "$VM_CACHE/$version/netdevsim" ] && [[ $version != 6.12 ]]; then
		why="netdevsim does not build: see above"
	elif ! "$here/module.sh" "$version" "$dir/module"; then
		why="there is no kernel to test with, or no module for it: see above"
	elif ! "$here/image.sh" "$VM_CACHE/$version" "$VM_CACHE/host" "$dir/initramfs" \
			"$dir/module/bpfilter.ko" "${card[@]}"; then
		why="the initramfs could not be made: see above"
	else
		return 0
	fi
	echo "vm.sh: $version: $why" >&2
	return 1
}

# machine KERNEL PART: boot one, show what it prints, and leave the total, the seconds and what is wrong
# besides, if anything, in PART.result.
machine() {
	local version=$1 part=$2 files=$run/$1/$2 start=$SECONDS rc total why

	printf '##### Linux %s (%s): %s\n' "$version" "$(<"$VM_CACHE/$version/release")" "$part"
	attempt "$@" "$files"
	rc=$?
	if why=$(once_more "$files"); then
		printf '\nOnce more, since %s\n' "$why"
		mv "$files.console" "$files.console.first"
		attempt "$@" "$files"
		rc=$?
	fi
	total=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$files.output" | tail -n 1)
	total=${total:-0 passed, 0 failed, 0 skipped}
	why=$(trouble "$rc" "$files")
	if [ -n "$why" ]; then
		printf '\nThe last lines of its console (all of it: %s):\n' "$files.console"
		tail -n 40 "$files.console" | tr -d '\r' | sed 's/^/  | /'
	elif [[ $total == *" 0 failed,"* ]]; then
		rc=$(sed -n 's/^status //p' "$files.output" | tail -n 1)
		[ "$rc" -eq 0 ] || why="the tests ended with status $rc"
	fi
	echo
	printf '%s\n' "$total" $((SECONDS - start)) "$why" >"$files.result"
}

# The same, with the output in one piece.
machine_in_one_piece() {
	machine "$@" >"$run/$1/$2.report" 2>&1
	flock 8
	cat "$run/$1/$2.report"
} 8>"$run/printing"

# summarize KERNEL PART: add it to the totals.
summarize() {
	local total seconds why p f s

	[ -s "$run/$1/$2.result" ] ||
		printf '%s\n' "0 passed, 0 failed, 0 skipped" 0 "it was not run" >"$run/$1/$2.result"
	{
		read -r total
		read -r seconds
		read -r why
	} <"$run/$1/$2.result"
	read -r p _ f _ s _ <<<"$total"
	[ -z "$why" ] || f=$((f + 1))
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	printf '  %-6s %-20s %5d passed, %d failed, %d skipped (%d s)%s\n' "$1" "$2" "$p" "$f" "$s" \
		"$seconds" "${why:+: $why}"
	kernel_seconds[$1]=$((${kernel_seconds[$1]:-0} + seconds))
}

# Parts are named with the longest first: the longest of all kernels, then the second of all, and so on, so that
# the processors have something to do until the end.
longest_first() {
	local m
	local -A nth=()

	for m in "$@"; do
		nth[${m% *}]=$((${nth[${m% *}]:-0} + 1))
		echo "${nth[${m% *}]} $m"
	done | sort -s -n -k1,1 | cut -d' ' -f2-
}

passed=0 failed=0 skipped=0
machines=() unusable=()
declare -A prepared=() kernel_seconds=()
for arg in "$@"; do
	version=${arg%%:*}
	if [ -z "${prepared[$version]:-}" ]; then
		prepared[$version]=yes
		prepare "$version" || prepared[$version]=no
	fi
	if [ "${prepared[$version]}" = no ]; then
		failed=$((failed + 1))
		unusable+=("$version: $why")
	elif [ -n "${TESTS:-}" ]; then
		machines+=("$version tests")
	elif [ "$arg" != "$version" ]; then
		machines+=("$version ${arg#*:}")
	else
		mapfile -t -O ${#machines[@]} machines < <("$here/suite.sh" -l "$version" |
			sed "s/^/$version /")
	fi
done

mapfile -t schedule < <(longest_first "${machines[@]}")
for m in "${schedule[@]}"; do
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
		wait -n
	done
	if [ "$jobs" -gt 1 ]; then
		# shellcheck disable=SC2086
		machine_in_one_piece $m &
	else
		# shellcheck disable=SC2086
		machine $m &
	fi
done
wait

echo "Other kernels:"
for m in "${machines[@]}"; do
	# shellcheck disable=SC2086
	summarize $m
done
for m in "${unusable[@]}"; do
	echo "  $m"
done
for version in "${!kernel_seconds[@]}"; do
	rm -f "$run/$version/initramfs"
	echo "  $version: ${kernel_seconds[$version]} seconds of machine time"
done | sort -V
printf '  all of it: %d seconds\n\n' "$SECONDS"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
