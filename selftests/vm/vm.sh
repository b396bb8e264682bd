#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# vm.sh [-t SECONDS] KERNEL... - run the tests in virtual machines with other kernels
#
# KERNEL is 6.1, 6.12 or 7.2. For each, one machine is booted that runs selftests/vm/suite.sh and may take
# SECONDS. $TESTS, if set, is what to run instead of the whole suite: programs below the clone with
# their arguments, separated by commas. What is fetched is kept in $BUILD/vm, with the console of
# the last run. Ends with a line "N passed, N failed, N skipped", the total over all machines.

set -u

here=$(dirname "$(readlink -f "$0")")
: "${BUILD:?is the folder that it was built in}"
export BUILD
limit=2400
while getopts t: opt; do
	case $opt in
	t) limit=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || { echo "usage: vm.sh [-t SECONDS] KERNEL..." >&2; exit 2; }

cache=$BUILD/vm
passed=0 failed=0 skipped=0
summary=''

# QEMU translates instead of using KVM, under which Debian's kernels hang on some hosts; a boot takes
# five seconds. Its cmpxchg16b at times leaves nonsense in the flags (seen with 7.2, as a double fault
# in kmalloc()), so the processor has none. The second serial port is its standard output.
boot() {
	local dir=$1

	timeout -k 10 "$limit" qemu-system-x86_64 -accel tcg,thread=multi -cpu qemu64,-cx16 -smp 2 -m 1G \
		-nodefaults -no-user-config -no-reboot -display none -monitor none -nic none \
		-kernel "$dir/vmlinuz" -initrd "$dir/initramfs" \
		-append "console=ttyS0 loglevel=5 panic=-1 oops=panic${TESTS:+ TESTS=\"$TESTS\"}" \
		-serial "file:$dir/console" -serial stdio </dev/null
}

# What went wrong with the machine itself? $1: status of boot. Nothing if it ended as it should.
trouble() {
	local dir=$2

	grep -qE '^status [0-9]+$' "$dir/output" && return
	if grep -q 'Kernel panic' "$dir/console"; then
		echo "the kernel panicked: $(grep -m 1 -oE 'Kernel panic.*' "$dir/console")"
	elif [ "$1" -eq 124 ] || [ "$1" -eq 137 ]; then
		echo "the machine was still at it after $limit seconds and was switched off"
	elif ! [ -s "$dir/output" ]; then
		echo "the machine never came as far as the tests (QEMU's status: $1)"
	else
		echo "the machine stopped in the middle of the tests (QEMU's status: $1)"
	fi
}

# Counts a machine that could not be used as one failure.
failure() {
	echo "vm.sh: $1: $2" >&2
	failed=$((failed + 1))
	summary+=$(printf '\n  %-6s %s' "$1" "$2")
}

run_one() {
	local version=$1 dir=$cache/$1 rc why total p f s start=$SECONDS

	"$here/kernel.sh" "$version" "$dir" || {
		failure "$version" "there is no kernel to test with, see above"
		return
	}
	"$here/image.sh" "$dir" "$cache/host" "$dir/initramfs" || {
		failure "$version" "the initramfs could not be made, see above"
		return
	}
	printf '##### Linux %s (%s)\n' "$version" "$(<"$dir/release")"
	: >"$dir/console"
	boot "$dir" 2>&1 | tee "$dir/output" | grep --line-buffered -v '^status [0-9]*$'
	rc=${PIPESTATUS[0]}
	rm -f "$dir/initramfs"
	total=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$dir/output" | tail -n 1)
	read -r p _ f _ s _ <<<"${total:-0 passed, 0 failed, 0 skipped}"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	why=$(trouble "$rc" "$dir")
	if [ -n "$why" ]; then
		printf '\nThe last lines of its console (all of it: %s):\n' "$dir/console"
		tail -n 40 "$dir/console" | tr -d '\r' | sed 's/^/  | /'
		failure "$version" "$why"
		return
	fi
	rc=$(sed -n 's/^status //p' "$dir/output" | tail -n 1)
	if [ "$f" -eq 0 ] && [ "$rc" -ne 0 ]; then
		failure "$version" "the tests ended with status $rc"
		return
	fi
	summary+=$(printf '\n  %-6s %s (%d s)' "$version" "$total" $((SECONDS - start)))
}

for kernel in "$@"; do
	run_one "$kernel"
done
printf '\nOther kernels:%s\n\n' "$summary"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
