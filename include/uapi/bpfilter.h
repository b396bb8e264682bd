/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The protocol between whatever intercepts the iptables socket options and the
 * helper that answers them.
 *
 * One request is one setsockopt or getsockopt call of one task. It is written as
 * a header followed by header.len bytes of payload; the answer likewise. Requests
 * on one connection may be answered in any order, matched by id. All integers are
 * in host byte order: both ends are on one machine.
 */
#ifndef _UAPI_LINUX_BPFILTER_H
#define _UAPI_LINUX_BPFILTER_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define BPFILTER_VERSION 5

/*
 * Operations beyond the six socket options, which use their own optname
 * (IPT_SO_SET_REPLACE and so on, 64 to 67) plus BPFILTER_GET for getsockopt.
 */
#define BPFILTER_GET 0x100 /* or-ed to the optname of a getsockopt */
#define BPFILTER_CMD 0x200 /* first of the helper's own commands */

/**
 * struct bpfilter_request - one intercepted call
 * @version: BPFILTER_VERSION
 * @op: optname, or-ed with BPFILTER_GET for getsockopt
 * @id: chosen by the sender, unique among its unanswered requests
 * @pid: the calling task, in the receiver's pid namespace; for messages only
 * @len: bytes of payload that follow
 * @optlen: the length that the caller gave (set: optlen, get: *optlen)
 * @attach: 0, or one more than the placement that is asked for (enum bf_placement of the helper)
 *
 * Payload: for a set, the whole option value, copied from the caller once; for a
 * get, as much of it as the caller gave, at most the fixed head that the option
 * reads. The network namespace of the caller's socket travels beside the header
 * (as SCM_RIGHTS on a socket, as BPFILTER_IOC_NETNS on the device).
 */
struct bpfilter_request {
	__u32 version;
	__u32 op;
	__u64 id;
	__u32 pid;
	__u32 len;
	__s32 optlen;
	__u32 attach;
};

/**
 * struct bpfilter_reply - its answer
 * @id: of the request
 * @error: 0, or -errno for the caller
 * @len: bytes of payload that follow; 0 if @error is not 0
 *
 * Payload: for a get, what is to be written to optval, and @len to *optlen. For
 * IPT_SO_SET_REPLACE the old counters (struct xt_counters), to be written to the
 * address in the caller's struct ipt_replace; a fault there is not an error.
 */
struct bpfilter_reply {
	__u64 id;
	__s32 error;
	__u32 len;
};

/*
 * /dev/bpfilter, by which the module and the helper talk. One process has it open.
 *
 * read() takes the next request, header and payload, which must fit: -EMSGSIZE if not, and it is
 * still the next (FIONREAD tells how long it is). write() takes one reply, whole. -ENOENT
 * if nobody waits for it (any more), -EINVAL if it is not one, or too long for its request; the
 * request waits on then. Before BPFILTER_IOC_READY there are no requests: -EAGAIN. The process
 * that has opened it sees the kernel's own ip_tables in its own socket options.
 *
 * On close, a set that had been read fails with -EAGAIN, and all other requests wait for the next
 * who opens it.
 */
#define BPFILTER_DEVICE "/dev/bpfilter"

#define BPFILTER_NS_OWNED  0x1 /* the filter table of the namespace is the helper's */
#define BPFILTER_NS_MOVING 0x2 /* a note for the next helper */
#define BPFILTER_NS_HOOK   0x4 /* the module's hooks are registered */
#define BPFILTER_NS_KEEP   0x8 /* NS_SET: whatever program there is stays */

/* What a program wants to find in struct bpfilter_packet beyond what is always there. */
#define BPFILTER_WANT_CT	     0x1 /* ct_* */
#define BPFILTER_WANT_FRAGMENTS	     0x2 /* sport to tcp_flags of later fragments */
#define BPFILTER_WANT_HEADER	     0x4 /* header to spi, and cpu */
#define BPFILTER_WANT_OWNER	     0x8 /* owner, uid, gid */
#define BPFILTER_WANT_TYPE(dir, dev) (0x10 << (3 * (dir) + (dev))) /* addr_type[dir][dev] */

/**
 * struct bpfilter_ns - what the module keeps about a network namespace
 * @netns: descriptor of the namespace
 * @flags: BPFILTER_NS_*
 * @prog: set: descriptor of a program of type BPF_PROG_TYPE_SCHED_CLS for the hooks, or -1.
 *	get: the program's id, or 0
 * @want: BPFILTER_WANT_*
 * @asking: of the program that asks the questions of @prog, likewise
 * @questions: set: descriptor of those (BPFILTER_IOC_QUESTIONS), or -1, which goes without @asking.
 *	get: how many
 * @lost: get: what @prog has noted beyond what a note has room for, since the namespace has been
 *	there
 *
 * The hooks are at NF_INET_LOCAL_IN, NF_INET_FORWARD and NF_INET_LOCAL_OUT, at ip_tables' filter
 * priority; without a program they accept. The program gets the packet as its context, from its IP
 * header on, and returns NF_ACCEPT or NF_DROP (anything else drops). In cb[0] and cb[1] it finds,
 * the lower half first, the address of a struct bpfilter_packet, for bpf_probe_read_kernel(). It
 * may write the mark.
 *
 * With questions, @asking is run first, in the same way. If it returns BPFILTER_ASK and, or-ed to
 * it, the number of a question, this is answered in @known and @yes of struct bpfilter_packet, the
 * first one in bit 0, and @asking run again. Of a question that does not exist, and of more than
 * BPFILTER_QUESTIONS_MAX answers, the packet is dropped. If it returns anything else, @prog is run.
 * Each run finds the mark that the packet came with; a match that is asked finds the one that
 * @asking left.
 *
 * @prog may note what of @questions is to be run on the packet before its verdict is given, targets
 * or matches, in this order, whatever they answer. A note is the number and 1 more: cb[2] and
 * cb[3], one u64 and 0 to begin with, are shifted left by 8 and have the last one in their low
 * byte. cb[4] counts them: of more than 8 the first are lost.
 */
struct bpfilter_ns {
	__s32 netns;
	__u32 flags;
	__s32 prog;
	__u32 want;
	__s32 asking;
	__s32 questions;
	__u64 lost;
};

/* What a program for the hooks returns that asks a question, in its low bits. */
#define BPFILTER_ASK 0x10000

#define BPFILTER_QUESTIONS_MAX	256
#define BPFILTER_QUESTIONS_SIZE 0x200000 /* bytes of all of them at most */

/**
 * struct bpfilter_question - one of the kernel's matches or targets, as a rule has it
 * @name: of the match, terminated
 * @revision: of its data
 * @invflags, @proto: of the rule: struct ipt_ip
 * @hooks: from which the rule is reached, a bit for each
 * @size: bytes of its data, which follow; a multiple of 8
 * @flags: BPFILTER_QUESTION_TARGET: it is a target, REJECT, LOG, NFLOG, MARK or CONNMARK, which can
 *	be run but not asked
 */
struct bpfilter_question {
	char name[32];
	__u8 revision;
	__u8 invflags;
	__u16 proto;
	__u32 hooks;
	__u32 size;
	__u32 flags;
};

#define BPFILTER_QUESTION_TARGET 0x1

/**
 * struct bpfilter_questions - those of a table
 * @netns: descriptor of the namespace
 * @nr: how many; one at least
 * @list: address of the first struct bpfilter_question
 * @size: bytes of all of them
 * @failed: receives, on error, the number of the one that the kernel refuses; @nr: it is none of
 *	them
 */
struct bpfilter_questions {
	__s32 netns;
	__u32 nr;
	__u64 list;
	__u32 size;
	__u32 failed;
};

/**
 * struct bpfilter_packet - what a program at the module's hooks is told about a packet
 *
 * All numbers are in host byte order. @fragoff is in units of 8 bytes; @l4len counts the bytes
 * behind the IP header; @sport to @tcp_flags are 0 in a later fragment, and where the packet is
 * shorter than 4, 8 and 20 bytes from there (of a later fragment they are its data, if that is
 * wanted). Names are padded with zeroes, all zero where there is
 * no such interface. @ct_state has the bits of XT_CONNTRACK_STATE_*, the other ct_* are 0 for a
 * packet without an entry. @header is the time to live << 24, the type of service << 16, and
 * skb->pkt_type. @mac is the source in an Ethernet header, of which the second word is shifted by
 * 16 and has bit 0 set; 0 if there is no such header. @spi is what is 4 bytes behind the IP header.
 * @owner: bit 0: the packet is sent by a socket of this namespace, bit 1: which has a file, whose
 * @uid and @gid, as numbers of the first user namespace, follow. @addr_type is what
 * inet_dev_addr_type() says of the source and the destination, on any interface, on @in, and on
 * @out. Bit n % 32 of word n / 32 of @known and @yes, which only tables with questions have, is
 * the answer to the one that was asked as number n, from 0 on: @known without @yes: no; both: yes;
 * @yes without @known: the packet is to be dropped at once; neither: so many have not been asked.
 */
struct bpfilter_packet {
	__u32 saddr, daddr;
	__u32 protocol;
	__u32 fragoff;
	__u32 l4len;
	__u32 len;
	__u32 mark;
	__u32 hook; /* NF_INET_LOCAL_IN, ... */
	__u32 sport, dport;
	__u32 icmp; /* type << 8 | code */
	__u32 tcp_flags;
	char in[16];
	char out[16];
	__u32 ct_state;
	__u32 ct_status;
	__u32 ct_dir;
	__u32 ct_protocol;
	__u32 ct_orig_saddr, ct_orig_daddr;
	__u32 ct_repl_saddr, ct_repl_daddr;
	__u32 ct_orig_sport, ct_orig_dport;
	__u32 ct_repl_sport, ct_repl_dport;
	__u32 ct_expires; /* seconds */
	__u32 ct_mark;
	__u32 header;
	__u32 tot_len;
	__u32 mac[2];
	__u32 spi;
	__u32 owner;
	__u32 uid, gid;
	__u32 cpu;
	__u32 thoff; /* bytes of the IP header */
	__u8 addr_type[2][3];
	__u8 pad[2];
	__u32 known[BPFILTER_QUESTIONS_MAX / 32];
	__u32 yes[BPFILTER_QUESTIONS_MAX / 32];
};

/* The helper speaks this BPFILTER_VERSION and wants requests from now on. -EPROTO: another. */
#define BPFILTER_IOC_READY	   _IOW('B', 0x60, __u32)
/* A descriptor of the network namespace of the request with this id. */
#define BPFILTER_IOC_NETNS	   _IOW('B', 0x61, __u64)
/*
 * Set or get the state of a namespace. A program takes the place of another in one store, for all
 * hooks, and on return no packet is in the old one. Without BPFILTER_NS_HOOK they are unregistered.
 * A state other than 0 keeps the module loaded; it ends with the namespace.
 */
#define BPFILTER_IOC_NS_SET	   _IOW('B', 0x62, struct bpfilter_ns)
#define BPFILTER_IOC_NS_GET	   _IOWR('B', 0x63, struct bpfilter_ns)
/* On return, every packet that was in a netfilter hook has left it. */
#define BPFILTER_IOC_SYNC	   _IO('B', 0x64)
/*
 * Intercept nothing until the device is opened again. -EBUSY while a namespace is owned. While a
 * helper is still on its way that the module had begun to start before, an open fails: -ECANCELED.
 */
#define BPFILTER_IOC_STOP	   _IO('B', 0x65)
/*
 * Have the kernel's matches check these questions, as if the rules were entered into ip_tables'
 * table "filter": a descriptor, close-on-exec, or what xt_request_find_match() and
 * xt_check_match() say. What the questions remember and what they refer to is theirs until nothing
 * has them any more, neither a descriptor nor what runs at the hooks, or until the namespace ends.
 * They can be put in force in that namespace alone.
 */
#define BPFILTER_IOC_QUESTIONS	   _IOWR('B', 0x66, struct bpfilter_questions)
/*
 * A descriptor of the questions in force in this namespace (__s32, a descriptor, too). -ENOENT:
 * there are none.
 */
#define BPFILTER_IOC_QUESTIONS_NOW _IOW('B', 0x67, __s32)

#endif /* _UAPI_LINUX_BPFILTER_H */
