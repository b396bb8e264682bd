# SPDX-License-Identifier: GPL-2.0
#
# report.awk - tables for people and one JSON file
#
# Variables: mode, json (the file to write), kernel, cpu, when.

# Numbers that have been noted in any order.
function ascending(list,   i, j, x) {
	for (i = 2; i <= items[list]; i++) {
		x = item[list, i]
		for (j = i - 1; j && item[list, j] + 0 > x + 0; j--)
			item[list, j + 1] = item[list, j]
		item[list, j + 1] = x
	}
}

# What a table of @kind shows of a set: "ns", or "ms" of making its program.
function lookup_cell(at, s, n, kind,   key) {
	key = at SUBSEP s SUBSEP n
	if (!(key in refused))
		return ""
	if (refused[key] != "")
		return "refused"
	if (kind == "ms")
		return sprintf("%.1f", made[key])
	if (at == "link")
		return sprintf("%.0f", uniform[key])
	return sprintf("%.0f/%.0f", uniform[key], zipf[key])
}

function lookup_table(at, kind, title,   i, j) {
	if (!items["lookup-" at])
		return
	ascending("sizes-" at)
	printf "\n%s\n%-12s", title, "shape"
	for (j = 1; j <= items["sizes-" at]; j++)
		printf " %15s", item["sizes-" at, j]
	print ""
	for (i = 1; i <= items["lookup-" at]; i++) {
		printf "%-12s", item["lookup-" at, i]
		for (j = 1; j <= items["sizes-" at]; j++)
			printf " %15s", lookup_cell(at, item["lookup-" at, i], item["sizes-" at, j], kind)
		print ""
	}
}

function throughput_table(verdict,   i, j, s, sn, title) {
	if (!items[verdict])
		return
	title = verdict == "accept" ? "that all accept: forwarded" : "that the rules drop: taken in"
	printf "\nthroughput: thousands of packets a second of one CPU's time, packets %s\n%-19s", title, "shape"
	for (j = 1; j <= items[verdict]; j++)
		printf " %9s", item[verdict, j]
	print ""
	for (i = 1; i <= items["throughput"]; i++) {
		sn = item["throughput", i]
		split(sn, s, SUBSEP)
		printf "%-12s %6s", s[1], s[2]
		for (j = 1; j <= items[verdict]; j++)
			printf " %9s", rate(s[1], s[2], verdict, item[verdict, j])
		print ""
	}
}

function stream_table(   j) {
	if (!items["stream"])
		return
	printf "\nstream: Gbit of TCP a second of one CPU's time, acl, %s rules, GRO and TSO\n", stream_rules
	for (j = 1; j <= items["stream"]; j++)
		printf " %9s", item["stream", j]
	print ""
	for (j = 1; j <= items["stream"]; j++)
		printf " %9.1f", stream_bytes[item["stream", j]] * 8 / 1e9
	print ""
}

function update_table(   i, s) {
	if (!items["update"])
		return
	printf "\nupdate: milliseconds of iptables-legacy, kernel and bpfilter; \"bpfilter run\" itself takes %.1f\n", run_us / 1000
	printf "%-19s %21s %21s %21s\n", "shape", "restore", "-A", "-D"
	for (i = 1; i <= items["update"]; i++) {
		split(item["update", i], s, SUBSEP)
		printf "%-12s %6s", s[1], s[2]
		printf " %10s %10s", ms(s[1], s[2], "kernel", "restore"), ms(s[1], s[2], "bpf", "restore")
		printf " %10s %10s", ms(s[1], s[2], "kernel", "append"), ms(s[1], s[2], "bpf", "append")
		printf " %10s %10s\n", ms(s[1], s[2], "kernel", "delete"), ms(s[1], s[2], "bpf", "delete")
	}
}

function memory_table(   i, s) {
	if (!items["memory"])
		return
	printf "\nmemory: KiB\n%-19s %10s %10s %10s %10s %12s\n", "shape", "maps", "code", "helper", "at rest", "ip_tables"
	for (i = 1; i <= items["memory"]; i++) {
		split(item["memory", i], s, SUBSEP)
		printf "%-12s %6s %10s %10s %10s %10s %12s\n", s[1], s[2], kib(maps[s[1], s[2]]),
			kib(code[s[1], s[2]]), kib(helper[s[1], s[2]]), kib(rest[s[1], s[2]]),
			kib(theirs[s[1], s[2]])
	}
}

function write_json(   i) {
	printf "{\n\"version\": 1, \"mode\": \"%s\", \"time\": \"%s\", \"kernel\": \"%s\", \"cpu\": \"%s\",\n", mode, when, kernel, cpu >json
	print "\"results\": [" >json
	for (i = 1; i <= lines; i++)
		print all[i] (i < lines ? "," : "") >json
	print "],\n\"goals\": [" >json
	for (i = 1; i <= goals; i++)
		printf "{\"name\": \"%s\", \"bar\": %s, \"least\": %s, \"measured\": %s, \"text\": \"%s\", \"met\": %s}%s\n",
			goal_name[i], goal_bar[i], goal_least[i] ? "true" : "false",
			goal_value[i] == "" ? "null" : goal_value[i], goal_what[i],
			goal_met[i] == "" ? "null" : goal_met[i] ? "true" : "false", i < goals ? "," : "" >json
	print "]\n}" >json
}

END {
	printf "%s, Linux %s, %s\n", cpu, kernel, when
	lookup_table("module", "ns", "lookup: nanoseconds a packet over an empty table, uniform/Zipf, by number of rules")
	lookup_table("module", "ms", "lookup: milliseconds to compile and load a set")
	lookup_table("link", "ns", "lookup: nanoseconds over an empty table at a BPF link, the same packet again and again")
	throughput_table("accept")
	throughput_table("drop")
	stream_table()
	update_table()
	memory_table()
	goals_all()
	goals_table()
	write_json()
}
