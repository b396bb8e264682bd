#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# negate.sh - do the unit tests notice when a comparison of the compiler is wrong?
#
#   negate.sh list                        the comparisons, numbered
#   negate.sh DIR [-d] [NUMBER... | -n N] change each of these, one at a time, or N of them taken evenly;
#                                         all if none are named
#
# The tree is copied to DIR, which must not exist; only the copy is changed. Each line of the report
# names the change and the first test that failed of it. The exit status is 1 if a change went unnoticed.
# With -d the differential test gets what the unit tests did not notice.
#
# For use by hand, after a change of the compiler or its tests: one comparison takes from ten seconds to
# two minutes. Needs root, as the tests do.

set -u

root=$(readlink -f "$(dirname "$(readlink -f "$0")")/..")

# Quick ones first: most changes are noticed by these. The rest has nothing to do with the compiler.
TESTS="asm ir table match_ip match_tcp match_multiport match_conntrack match_limit shapes paged filter
	forms classify faults"
DIFFERENTIAL="--sets 40"
TIMEOUT=300

# What each operator becomes. Loops are left alone: an index too many is no comparison of the compiler's.
operators='
s/ == / != /
s/ != / == /
s/ <= / < /
s/ < / <= /
s/ >= / > /
s/ > / >= /
s/BPF_JEQ/BPF_JNE/
s/BPF_JNE/BPF_JEQ/
s/BPF_JLE/BPF_JLT/
s/BPF_JLT/BPF_JLE/
s/BPF_JGT/BPF_JGE/
s/BPF_JGE/BPF_JGT/
s/BPF_JSLT/BPF_JSLE/
s/BPF_JSLE/BPF_JSLT/
'

# Changes that nobody could observe: the line contains
same() {
	case $1 in
	# either form does the same, and a table of exactly that size may have either
	*"max_cost <= STRAIGHT_MAX_COST"*) return 0 ;;
	# len - len is stored where a 0 is already; 0 jiffies are 0 seconds
	*"BPF_JLE, BPF_REG_2, BPF_REG_1, empty"* | *"BPF_JSLE, BPF_REG_1, 0, over"*) return 0 ;;
	# the slow way to what could be had quickly
	*"BPF_JSLT, BPF_REG_3, lengths[i], slow"*) return 0 ;;
	# bf_range() makes no range of one value, and labels lead forward
	*"op->a > op->b"* | *"else if (op->to >= 0)"* | *"else if (ops[i].to >= 0)"*) return 0 ;;
	# no rule has room for so many matches
	*"skip > UINT16_MAX"*) return 0 ;;
	# the smaller or the larger of two that are equal
	*"kernels < ours ? kernels : ours"* | *"next->depth > depth"* | *".cost > rules->max_cost"*) return 0 ;;
	*".depth > rules->max_depth"* | *"x > BF_COST_MAX - y"*) return 0 ;;
	# memory for one more than is needed; a cost that no packet pays to the last step
	*"max_ops - rules->nr_ops < r->nr_ops"* | *"max_cost > MAX_C"*) return 0 ;;
	esac
	return 1
}

# FILE:LINE:EXPRESSION, one a line
list() {
	local op from

	cd "$root" || exit
	while read -r op; do
		[ -n "$op" ] || continue
		from=${op#s/}
		from=${from%%/*}
		grep -nF -- "$from" codegen/*.c | sed -E "s|^([^:]*:[0-9]+):(.*)|\1:$op:\2|" |
			grep -Ev ':[[:space:]]*(\*|/\*|#)|for \(|_Static_assert|while \(lo'
	done <<<"$operators" | sort -t: -k1,1 -k2,2n
}

# The lines of list that were asked for, numbered.
chosen() {
	local all=$1 count=$2

	shift 2
	if [ $# -gt 0 ]; then
		nl -ba -w1 -s: "$all" | grep -E "^($(IFS='|'; echo "$*")):"
	elif [ "$count" -gt 0 ]; then
		nl -ba -w1 -s: "$all" | awk -v n="$count" -v all="$(wc -l <"$all")" \
			'int(NR * n / all) != int((NR - 1) * n / all)'
	else
		nl -ba -w1 -s: "$all"
	fi
}

copy_tree() {
	mkdir "$1" || exit 2
	cp -a "$root"/{Makefile,include,codegen,umh,selftests} "$1" || exit 2
}

# Builds the tests in the copy. Output goes to its build.log.
build() {
	local t targets=

	for t in $TESTS; do
		[ -f "$dir/selftests/unit/test_$t.c" ] && targets="$targets build/selftests/unit/test_$t"
	done
	[ "$differential" ] && targets="$targets build/selftests/differential"
	# shellcheck disable=SC2086
	make -C "$dir" -j2 $targets >"$dir/build.log" 2>&1
}

# Prints the first test that fails; fails if none does.
notice() {
	local t

	for t in $TESTS; do
		[ -x "$dir/build/selftests/unit/test_$t" ] || continue
		timeout $TIMEOUT "$dir/build/selftests/unit/test_$t" >"$dir/test.log" 2>&1 </dev/null ||
			{ echo "test_$t: $(grep -m1 '^not ok' "$dir/test.log" | cut -d' ' -f4-)"; return 0; }
	done
	[ "$differential" ] || return 1
	# shellcheck disable=SC2086
	timeout $TIMEOUT "$dir/build/selftests/differential" $DIFFERENTIAL >"$dir/test.log" 2>&1 && return 1
	echo "differential"
}

try() {
	local number=$1 file=$2 line=$3 op=$4 text=$5 by

	cp "$dir/$file" "$dir/original"
	sed -i -e "$line$op" "$dir/$file"
	if ! build; then
		by="does not build"
	elif by=$(notice); then
		:
	elif same "$text"; then
		by="makes no difference"
	else
		by="NOBODY"
		unnoticed=$((unnoticed + 1))
	fi
	cp "$dir/original" "$dir/$file"
	printf '%4d  %-30s %-20s %s\n      %s\n' "$number" "$file:$line" "$op" "$by" "${text#"${text%%[![:space:]]*}"}"
}

case ${1:-} in
list)
	list | nl -w4 -s': '
	exit
	;;
"" | -*)
	sed -n '3,/^$/s/^# \{0,1\}//p' "$0"
	exit 2
	;;
esac

dir=$1
shift
differential=
count=0
unnoticed=0
while [[ ${1:-} == -* ]]; do
	case $1 in
	-d) differential=1 ;;
	-n)
		count=$2
		shift
		;;
	esac
	shift
done

copy_tree "$dir"
dir=$(readlink -f "$dir")
list >"$dir/list"
if ! build || notice >/dev/null; then
	echo "the tests do not pass as it is: see build.log and test.log in $dir" >&2
	exit 2
fi
while IFS=: read -r number file line op text; do
	try "$number" "$file" "$line" "$op" "$text"
done < <(chosen "$dir/list" "$count" "$@")
echo "$unnoticed went unnoticed"
[ "$unnoticed" -eq 0 ]
