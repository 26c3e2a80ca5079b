/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_ATTACH_PRIVATE_H
#define SRC_ATTACH_PRIVATE_H

#include <pthread.h>

#include "attach/attach_server.h"
#include "domain/wpq.h"
#include "server/listener.h"

/* The memory of a view, as /proc names it. */
struct view_memory {
	dev_t dev;
	ino_t ino;
	unsigned region;
	uint32_t id; /* what WPQ records call it */
};

/* What a client has of one region. */
struct attached_region {
	bool has_pools;
	struct wpq **wpqs;
	size_t wpq_count, wpq_room;
	struct wpq_rights *rights; /* NULL before the first pool or WPQ; for the WPQs' life */
};

/* A descriptor number of this process that is a pool's for good (attach_paths.c). */
struct path {
	int fd;		   /* the view's memory; what cannot be opened while there is none */
	struct pool *pool; /* a reference; NULL once it was destroyed */
	ino_t ino;	   /* of the view's memory; 0: there is none */
	uint64_t ended;	   /* the how manieth that was destroyed, if it was */
};

struct attached {
	struct attach_server *server;
	int fd;
	int pidfd;
	struct peer peer;
	bool greeted; /* by its own thread */
	/* Guarded by server->lock. */
	bool expelled; /* killed, and the log has it */
	struct attached_region *regions; /* as many as are served */
	struct attached *next;
};

struct attach_server {
	struct attach_options options;
	char *path;
	struct listener listener;
	struct attach_served served;
	int stop_fd; /* an eventfd: readable once the server is to stop */
	bool started;
	bool refusing; /* the last who came; the accepting thread's */
	pthread_t acceptor, drainer;

	/* Shared while a request is answered, exclusive while the power is off. Taken before `lock`. */
	pthread_rwlock_t power;

	pthread_mutex_t lock;
	pthread_cond_t left;	   /* a client left */
	pthread_cond_t drain_soon; /* `kicked`, `drained`, `stopping` or the first WPQ */
	/* Guarded by lock: a drain is asked for; there was one, and what is cached is old; the end. */
	bool kicked, drained, stopping;
	struct attached *clients;  /* guarded by lock */
	size_t client_count, wpq_count; /* guarded by lock */
	/* Those given to clients since the power came back; guarded by lock. */
	struct view_memory *views;
	size_t view_count, view_room;

	dev_t memory_device; /* of views' memory, as fstat(2) has it; 0: there is a mount */
	int dark_fd;	     /* what /proc cannot open */
	pthread_mutex_t paths_lock; /* taken before `lock` and what pools lock */
	/* Guarded by paths_lock. */
	struct path *paths;
	size_t path_count, path_room;
	uint64_t paths_ended;
};


/*
 * attach.c: drain the regions in which the client has WPQs, or with NULL all that
 * have something to drain; expel who is found to have spoiled its WPQ, and have
 * the draining thread tell who caches pools: a client does not wait for that.
 */
int attach_drain(struct attach_server *server, struct attached *client);

/* What it fences to a region whose media are lost would be lost: killed. Called with the lock held. */
void attach_expel(struct attached *client, unsigned region);

/* attach_request.c: answer one message. False: the connection is of no more use. */
bool attach_answer(struct attached *client);
/* Who maps this view must end when the power fails. Before anybody has the descriptor. */
int attach_note_view(struct attach_server *server, const struct pool *pool,
		     const struct pool_attachment *attachment);
/* Send an error in place of an answer, and nothing else after it. */
void attach_refuse(int fd, int error, const char *why);

/* attach_paths.c */
int paths_open(struct attach_server *server);
void paths_close(struct attach_server *server);
/* The pool, with a reference, whose view's memory this is now. -EIO: none, or of before a power failure. */
int paths_find(struct attach_server *server, ino_t ino, struct pool **pool);
/* The power is exclusively ours in all of them. NULL: of all regions. */
void paths_go_dark(struct attach_server *server, const struct pools *pools);
void paths_come_back(struct attach_server *server);

/* attach_kill.c: SIGKILL to all that map one of the views, again until none does. False: some may. */
bool kill_mappers(struct attach_server *server, const struct view_memory *views, size_t count);
/* Call back for each mapping that the process has of one of the views, until told false. */
void mapped_views(pid_t pid, const struct view_memory *views, size_t count,
		  bool (*found)(void *context, const struct view_memory *view), void *context);
/* Wait until the process is gone; false: it is there after so many milliseconds. */
bool process_gone(int pidfd, int milliseconds);
int process_kill(int pidfd);

#endif
