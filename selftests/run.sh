#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [-j N] [-t SECONDS] TEST... - run test programs, N at a time, and count their TAP lines
#
# A TEST is a program, with arguments if it holds spaces. Every line "ok" or "not ok" counts as
# one test, and "ok ... # SKIP why" as skipped. Beyond that, a program has failed once more if it
# ends with a status that its lines do not explain, reports fewer tests than its plan says, takes
# longer than SECONDS, or if a sanitizer speaks. Exit status 4 without a test line is a skip.
# They are begun in the order in which they are given, and told of in the order in which they end.
#
# The last line is "N passed, N failed, N skipped". Exit status 0 if something ran and nothing
# failed.

set -u
# Every test in a process group of its own, so that an interrupt here ends all of it, in order.
set -m

limit=600 jobs=1
while getopts j:t: opt; do
	case $opt in
	j) jobs=$OPTARG ;;
	t) limit=$OPTARG ;;
	*) echo "usage: run.sh [-j N] [-t SECONDS] TEST..." >&2; exit 2 ;;
	esac
done
shift $((OPTIND - 1))

logs=$(mktemp -d)
failures=$logs/failures
skips=$logs/skips
touch "$failures" "$skips"
trap 'rm -rf "$logs"' EXIT
# Those that are running, by pid: name, when it began, log.
declare -A running=() began=() log_of=()
trap '[ ${#running[@]} -eq 0 ] || { kill "${!running[@]}" && wait "${!running[@]}"; } 2>/dev/null; exit 130' \
	INT TERM
begun=0

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

begin() {
	local name=${1##*selftests/} log
	local -a command

	read -ra command <<<"$1"
	[ "$jobs" -gt 1 ] || printf '%-44s ' "$name"
	begun=$((begun + 1))
	log=$logs/$begun
	timeout -k 10 "$limit" "${command[@]}" >"$log" 2>&1 </dev/null &
	running[$!]=$name
	began[$!]=$SECONDS
	log_of[$!]=$log
}

# end PID STATUS: of one that has ended, what is to be said of it.
end() {
	local rc=$2 name=${running[$1]} took=$((SECONDS - began[$1])) log=${log_of[$1]} what

	unset "running[$1]" "began[$1]" "log_of[$1]"
	count "$name"
	what=$(trouble "$rc")
	[ -z "$what" ] || bad=$((bad + 1))
	if [ "$rc" -eq 4 ] && [ $((ok + bad + skip)) -eq 0 ]; then
		skip=1
		echo "$name: $(tail -n 1 "$log")" >>"$skips"
	fi
	[ "$jobs" -eq 1 ] || printf '%-44s ' "$name"
	printf '%5d passed' "$ok"
	[ "$bad" -eq 0 ] || printf ', %d FAILED' "$bad"
	[ "$skip" -eq 0 ] || printf ', %d skipped' "$skip"
	printf ' (%d s)%s\n' "$took" "${what:+: $what}"
	[ "$bad" -eq 0 ] || failure "$name${what:+: $what}"
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
	rm "$log"
}

# failure TITLE: show $log in the end.
failure() {
	{
		echo "=== $1"
		# All of it if it is short; else the failures with what led to them.
		if [ "$(wc -l <"$log")" -le 400 ]; then
			cat "$log"
		else
			grep -n -B 12 -A 6 '^not ok' "$log" | head -n 300
			echo "... the last lines:"
			tail -n 60 "$log"
		fi
	} >>"$failures"
}

end_one() {
	local pid

	wait -n -p pid
	end "$pid" $?
}

for t in "$@"; do
	[ ${#running[@]} -lt "$jobs" ] || end_one
	begin "$t"
done
while [ ${#running[@]} -gt 0 ]; do
	end_one
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
