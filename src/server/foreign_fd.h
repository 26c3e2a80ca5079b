/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SERVER_FOREIGN_FD_H
#define SERVER_FOREIGN_FD_H

/*
 * Close a descriptor that a client has sent. The last close of a file waits for its file system, which may be
 * the client's own and never answer, so another thread does it.
 */
void server_close_foreign(int fd);

#endif
