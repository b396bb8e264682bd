#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [-t SECONDS] TEST... - run test programs, one after the other, and count their TAP lines
#
# A TEST is a program, with arguments if it holds spaces. Every line "ok" or "not ok" counts as
# one test, and "ok ... # SKIP why" as skipped. Beyond that, a program has failed once more if it
# ends with a status that its lines do not explain, reports fewer tests than its plan says, takes
# longer than SECONDS, or if a sanitizer speaks. Exit status 4 without a test line is a skip.
#
# The last line is "N passed, N failed, N skipped". Exit status 0 if something ran and nothing
# failed.

set -u
# Every test in a process group of its own, so that an interrupt here ends all of it, in order.
set -m

limit=600
if [ "${1:-}" = -t ]; then
	limit=$2
	shift 2
fi

log=$(mktemp)
failures=$(mktemp)
skips=$(mktemp)
trap 'rm -f "$log" "$failures" "$skips"' EXIT
test_pid=
trap '[ -z "$test_pid" ] || { kill "$test_pid" && wait "$test_pid"; } 2>/dev/null; exit 130' INT TERM

passed=0 failed=0 skipped=0

# Reads $log. Sets ok, bad, skip and planned; appends the reasons of skips to $skips.
count() {
	local line

	ok=0 bad=0 skip=0 planned=
	while IFS= read -r line; do
		case $line in
		ok\ *'# SKIP'*|ok\ *'# skip'*)
			skip=$((skip + 1))
			echo "$1: ${line#ok }" >>"$skips"
			;;
		ok|ok\ *) ok=$((ok + 1)) ;;
		not\ ok|not\ ok\ *) bad=$((bad + 1)) ;;
		1..[0-9]*)
			planned=${line#1..}
			planned=${planned%%[!0-9]*}
			if [ "$planned" = 0 ]; then
				skip=$((skip + 1))
				echo "$1: ${line#1..0}" >>"$skips"
			fi
			;;
		esac
	done <"$log"
}

# What is wrong beyond the test lines? Prints it, or nothing.
trouble() {
	local rc=$1

	if grep -qE 'ERROR: (Address|Leak|Thread)Sanitizer|: runtime error: ' "$log"; then
		echo "a sanitizer reports an error"
	elif [ "$rc" -eq 124 ] || [ "$rc" -eq 137 ]; then
		echo "took longer than $limit seconds"
	elif [ -n "$planned" ] && [ "$planned" != 0 ] && [ $((ok + bad + skip)) -ne "$planned" ]; then
		echo "planned $planned tests and reported $((ok + bad + skip))"
	elif [ "$rc" -ne 0 ] && [ "$bad" -eq 0 ] && [ "$rc" -ne 4 ]; then
		echo "ended with status $rc"
	elif [ "$rc" -eq 0 ] && [ $((ok + bad + skip)) -eq 0 ]; then
		echo "reported no test"
	fi
}

run_one() {
	local name=$1 rc start=$SECONDS what
	local -a command

	read -ra command <<<"$1"
	name=${name##*selftests/}
	printf '%-44s ' "$name"
	timeout -k 10 "$limit" "${command[@]}" >"$log" 2>&1 </dev/null &
	test_pid=$!
	wait "$test_pid"
	rc=$?
	test_pid=
	count "$name"
	what=$(trouble "$rc")
	[ -z "$what" ] || bad=$((bad + 1))
	if [ "$rc" -eq 4 ] && [ $((ok + bad + skip)) -eq 0 ]; then
		skip=1
		echo "$name: $(tail -n 1 "$log")" >>"$skips"
	fi
	printf '%5d passed' "$ok"
	[ "$bad" -eq 0 ] || printf ', %d FAILED' "$bad"
	[ "$skip" -eq 0 ] || printf ', %d skipped' "$skip"
	printf ' (%d s)%s\n' $((SECONDS - start)) "${what:+: $what}"
	if [ "$bad" -gt 0 ]; then
		{
			echo "=== $name${what:+: $what}"
			# All of it if it is short; else the failures with what led to them.
			if [ "$(wc -l <"$log")" -le 400 ]; then
				cat "$log"
			else
				grep -n -B 12 -A 6 '^not ok' "$log" | head -n 300
				echo "... the last lines:"
				tail -n 60 "$log"
			fi
		} >>"$failures"
	fi
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
}

for t in "$@"; do
	run_one "$t"
done

if [ -s "$skips" ]; then
	echo
	echo "Skipped:"
	sed 's/^/  /' "$skips"
fi
if [ -s "$failures" ]; then
	echo
	echo "Failed:"
	cat "$failures"
fi
echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
