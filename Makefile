# SPDX-License-Identifier: GPL-2.0
CC ?= gcc
PKGS := libbpf libelf libnl-3.0
CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wno-unused-parameter -D_GNU_SOURCE -pthread \
	-Iinclude -Icodegen -Iumh $(shell pkg-config --cflags $(PKGS))
override LDLIBS += $(shell pkg-config --libs $(PKGS)) -pthread
B := build
LIB := $(patsubst %.c,$(B)/%.o,$(wildcard codegen/*.c) $(filter-out umh/main.c,$(wildcard umh/*.c)))
all: $(B)/bpfilter
$(B)/bpfilter: $(B)/umh/main.o $(LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<
clean:
	rm -rf $(B)
.PHONY: all clean
-include $(shell find $(B) -name '*.d' 2>/dev/null)
