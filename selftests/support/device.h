/* SPDX-License-Identifier: GPL-2.0 */
/* What docs/device-protocol.md says in numbers, from the header. */
#ifndef SUPPORT_DEVICE_H
#define SUPPORT_DEVICE_H

/* Print a table: names and values; structures' members, where they are, and their sizes. */
void device_constants(void);
void device_structures(void);

#endif /* SUPPORT_DEVICE_H */
