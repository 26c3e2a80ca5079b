/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMAND_STANDARD_FILES_H
#define COMMAND_STANDARD_FILES_H

/*
 * Take the descriptors 0, 1 and 2 where the caller of the program has closed them. Otherwise the next file
 * that is opened, a trace, a region or a socket, gets one of these numbers, and messages are written into it.
 * Reading from such a descriptor finds the end of the file, and writing to it fails. Programs that are
 * executed do not get it. To be called first in main(), before other descriptors and threads. 0, or a
 * negative errno.
 */
int standard_files_reserve(void);

/* Was all written that the program has printed? To be called at its end. 0, or a negative errno. */
int standard_output_finish(void);

#endif
