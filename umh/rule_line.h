/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The lines that "iptables -S" prints, one a rule.
 */
#ifndef BPFILTER_RULE_LINE_H
#define BPFILTER_RULE_LINE_H

/**
 * bf_rule_line - the next line of a text
 * @text: where it begins; moved to the next one. What it points to is changed
 *
 * The line without its end, or NULL at the end of the text. iptables prints what a user may choose freely, such
 * as a comment, in quotes, and a newline in there as it is. That is not the line's end, and in the line is a space:
 * whoever shows it can rely on one line.
 */
char *bf_rule_line(char **text);

#endif /* BPFILTER_RULE_LINE_H */
