# SPDX-License-Identifier: GPL-2.0
#
# records.awk - reads the records of a run, one JSON object a line; for the scripts that follow on awk's command line

# A member of the object in this line; "" if it has none, and then 0 as a number.
function get(name,   s) {
	if (!match($0, "\"" name "\": (\"[^\"]*\"|[-0-9.]+)"))
		return ""
	s = substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 4)
	gsub(/"/, "", s)
	return s
}

function note(list, x) {
	if (!((list, x) in known)) {
		known[list, x] = 1
		item[list, ++items[list]] = x
	}
}

{ all[++lines] = $0; shape = get("shape"); rules = get("rules") }

/"part": "lookup"/ {
	at = get("attach") == "module" ? "module" : "link"
	note("lookup-" at, shape)
	note("sizes-" at, rules)
	key = at SUBSEP shape SUBSEP rules
	refused[key] = get("refused")
	if (refused[key] != "")
		next
	uniform[key] = get("uniform_ns") + 0
	zipf[key] = get("zipf_ns") + 0
	made[key] = get("compile_ms") + get("load_ms")
	ours[shape, rules] = get("map_bytes") + get("jited")
	theirs[shape, rules] = get("table_bytes") + 16 * get("cpus") * get("entries")
}

/"part": "throughput"/ {
	note("throughput", shape SUBSEP rules)
	verdict = get("verdict")
	note(verdict, get("subject"))
	in_pps[shape, rules, verdict, get("subject")] = get("in_pps") + 0
	out_pps[shape, rules, verdict, get("subject")] = get("out_pps") + 0
	rounds[shape, rules, verdict, get("subject")] = get(verdict == "accept" ? "out_rounds" : "in_rounds")
}

/"part": "stream"/ {
	note("stream", get("subject"))
	stream_rules = rules
	stream_bytes[get("subject")] = get("bytes") + 0
	rounds["stream", rules, "", get("subject")] = get("rounds")
}

/"part": "update"/ {
	if (shape == "") {
		run_us = get("us") + 0
		next
	}
	note("update", shape SUBSEP rules)
	us[shape, rules, get("who"), get("op")] = get("us") + 0
}

/"part": "memory"/ {
	note("memory", shape SUBSEP rules)
	maps[shape, rules] = get("map_bytes") + 0
	code[shape, rules] = get("jited_bytes") + 0
	helper[shape, rules] = get("helper_bytes") + 0
	rest[shape, rules] = get("rest_bytes")
}

# Thousands of packets a second, for people.
function rate(s, n, verdict, subject) {
	if (!((s, n, verdict, subject) in in_pps))
		return ""
	return sprintf("%.1f", pps(s, n, verdict, subject) / 1000)
}

function pps(s, n, verdict, subject) {
	return verdict == "accept" ? out_pps[s, n, verdict, subject] : in_pps[s, n, verdict, subject]
}

# Milliseconds.
function ms(s, n, who, op) {
	return sprintf("%.1f", us[s, n, who, op] / 1000)
}

function kib(x) {
	return x == "" ? "" : sprintf("%.0f", x / 1024)
}

function ratio_of(a, b) {
	return a == "" || b + 0 == 0 ? "" : a / b
}

# The highest of the main shapes, by name in @worst; "" unless all have been measured.
function worst_main(ns, n,   i, s, key, most) {
	worst = ""
	for (i = split("acl fw ipc k8s block", s, " "); i; i--) {
		key = "module" SUBSEP s[i] SUBSEP n
		if (!(key in ns))
			return ""
		if (worst == "" || ns[key] > most) {
			most = ns[key]
			worst = s[i]
		}
	}
	return most
}

# The median of what two subjects had in the same round, one of the other.
function in_turns(s, n, verdict, a, b,   x, y, i, j, r, k) {
	k = split(rounds[s, n, verdict, a], x, " ")
	if (!k || split(rounds[s, n, verdict, b], y, " ") != k)
		return ""
	for (i = 1; i <= k; i++) {
		r = y[i] + 0 ? x[i] / y[i] : 0
		for (j = i; j > 1 && x[j - 1] > r; j--)
			x[j] = x[j - 1]
		x[j] = r
	}
	return k % 2 ? x[(k + 1) / 2] : (x[k / 2] + x[k / 2 + 1]) / 2
}
