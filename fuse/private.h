/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_PRIVATE_H
#define FUSE_PRIVATE_H

#define FUSE_USE_VERSION 312
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "fusefs.h"
#include "request_gate.h"

struct tree;

/*
 * One inode the kernel knows; its address is the nodeid. Of a regular file
 * there is one a generation: what the kernel cached for an older one, and
 * mappings that are still there, never meet the bytes of the new one.
 */
struct node {
	struct tree *tree; /* NULL: the root of a mount of several regions, and it has no pool */
	struct pool *pool; /* `lookups` references; a tree's root has one */
	uint64_t lookups;  /* by nodes.lock */
	bool regular;
	bool dead;		  /* of an older generation; written while no request is served */
	struct node *chain;	  /* in nodes.buckets, unless dead */
	struct node *prev, *next; /* in nodes.all */
};

struct nodes {
	pthread_mutex_t lock;
	struct node **buckets; /* by pool */
	size_t bucket_count;   /* a power of two */
	size_t count;	       /* of nodes in buckets */
	struct node *all;
};

/* A region's pools. */
struct tree {
	struct pools *pools;
	char *name;	   /* of its directory, where there are several */
	uint64_t ino_base; /* of its files' numbers */
	struct node root;
	struct nodes nodes;
	/* Its media are lost, and the kernel's caches of them are emptied: EIO for good. */
	atomic_bool gone;
};

/* What fi->fh points to. */
struct open_file {
	struct pool_handle *handle;
	bool direct; /* the kernel caches nothing that is read and written through it */
	struct open_file *prev, *next; /* in fusefs.files */
};

/* A request that is parked: its bytes. */
struct parked {
	struct parked *next;
	size_t size;
	unsigned char bytes[];
};

/* The kernel's pages of an inode are not what the pool holds. */
struct stale {
	struct stale *next;
	fuse_ino_t ino;
	off_t offset;
	off_t length; /* 0: all */
};

/* What the kernel was given of attached pools (shadow.c). */
#define SHADOW_BUCKETS 4096u
struct shadows {
	pthread_mutex_t lock; /* guards all below; pools' locks are taken inside it */
	struct shadow *buckets[SHADOW_BUCKETS];
	size_t count;
	uint64_t epoch;
	bool asked; /* the kernel, to drop its pages */
};

struct worker {
	struct fusefs *fs;
	pthread_t thread;
	unsigned char *buffer;
};

struct fusefs {
	struct tree *trees;
	unsigned tree_count;
	struct fusefs_options options;
	char *mountpoint; /* absolute */
	struct fuse_session *session;
	struct node *root; /* the one tree's, or `top` */
	struct node top;
	struct timespec mounted;
	struct shadows shadows;

	pthread_mutex_t files_lock;
	struct open_file *files; /* by files_lock */

	struct request_gate gate;
	/* Held from fusefs_park() to fusefs_resume(), or while the mount is taken away. */
	pthread_mutex_t outage_lock;

	pthread_mutex_t queue_lock;
	struct parked *parked, **parked_end; /* by queue_lock */
	struct stale *stale;		     /* by queue_lock */

	/* The answer to INIT that has yet to be added to; nothing else is served before it is out. */
	uint64_t init_request;
	uint32_t init_flags2;

	struct worker *workers;
	unsigned worker_count;
	atomic_uint workers_running;
	sem_t wake; /* of fusefs_serve(): look at stop, stale and workers_running */
	atomic_bool stop;
	dev_t device;	      /* of the mount; 0 if unknown */
	atomic_bool detached; /* the mount has been taken away; nothing is to be unmounted any more */
};

/* Nobody but us changes what the kernel caches, so it may keep it. Seconds. */
#define CACHE_TIMEOUT 86400.0
/* The most a request carries: what the kernel's default limit of 256 pages allows. */
#define TRANSFER_MAX (1u << 20)

/* nodes.c */
int nodes_init(struct nodes *nodes);
void nodes_fini(struct nodes *nodes);
/*
 * The node of a pool, with one more lookup, which the caller's reference to the pool becomes. NULL: no
 * memory.
 */
struct node *node_take(struct tree *tree, struct pool *pool, bool regular);
/* Of a tree whose media are lost nothing is forgotten: its nodes stay as they are until the mount goes. */
void node_forget(struct fusefs *fs, fuse_ino_t ino, uint64_t lookups);
/* The nodeid the kernel may know a pool by now; 0 if none. */
fuse_ino_t node_find(struct fusefs *fs, struct pool *pool);
/* Every regular file's node is of an older generation from now on. No request is served meanwhile. */
void nodes_bury(struct nodes *nodes);

static inline struct node *node_of(struct fusefs *fs, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? fs->root : (struct node *)(uintptr_t)ino;
}

static inline fuse_ino_t node_ino(struct fusefs *fs, struct node *node)
{
	return node == fs->root ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)node;
}

static inline bool tree_is_lost(const struct tree *tree)
{
	return tree->gone || pools_media_lost(tree->pools);
}

static inline struct fusefs *fs_of(fuse_req_t request)
{
	return fuse_req_userdata(request);
}

/* attributes.c */
void attributes_to_stat(const struct tree *tree, const struct pool_attributes *attributes, struct stat *st);
/* Fills a reply and counts the lookup; the reference to the pool is used up, on an error too. */
int entry_fill(struct fusefs *fs, struct tree *tree, struct pool *pool, struct fuse_entry_param *entry);
void reply_entry(fuse_req_t request, struct tree *tree, struct pool *pool);
/* What statfs(2) says of so much. */
void statfs_add(struct statvfs *st, struct pools *pools);
void op_getattr(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(fuse_req_t request, fuse_ino_t ino, struct stat *st, int which, struct fuse_file_info *fi);
void op_statfs(fuse_req_t request, fuse_ino_t ino);

/* top.c: the root of a mount of several regions. It holds their directories, and nobody changes that. */
static inline bool is_top(const struct fusefs *fs, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID && !fs->root->tree;
}
/* Would a request of this kind change it? */
bool top_refuses(uint32_t opcode);
void top_attributes(const struct fusefs *fs, struct stat *st);
void top_lookup(fuse_req_t request, const char *name);
void top_statfs(const struct fusefs *fs, struct statvfs *st);

/* names.c */
/* There is no such name, and the kernel may remember that. */
void reply_absent(fuse_req_t request);
void op_lookup(fuse_req_t request, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t request, fuse_ino_t ino, uint64_t lookups);
void op_forget_multi(fuse_req_t request, size_t count, struct fuse_forget_data *forgets);
void op_readlink(fuse_req_t request, fuse_ino_t ino);
void op_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, dev_t device);
void op_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t request, const char *target, fuse_ino_t parent, const char *name);
void op_link(fuse_req_t request, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void op_unlink(fuse_req_t request, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t request, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t request, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned flags);
void op_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);

/* directory.c */
void op_opendir(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void op_releasedir(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t request, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

/* data.c */
struct pool_handle *handle_of(const struct fuse_file_info *fi);
/* Opens for fi, which says how; with O_TRUNC the pool is empty afterwards. */
int file_open(fuse_req_t request, struct pool *pool, struct fuse_file_info *fi);
void file_close(struct fusefs *fs, struct open_file *file);
void op_open(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi);
void op_release(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void op_write(fuse_req_t request, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
	      struct fuse_file_info *fi);
void op_fsync(fuse_req_t request, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void op_fallocate(fuse_req_t request, fuse_ino_t ino, int mode, off_t offset, off_t length,
		  struct fuse_file_info *fi);
void op_lseek(fuse_req_t request, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi);

/* loop.c */
int workers_start(struct fusefs *fs);
/* Ends those that still wait for the kernel, and waits for all. */
void workers_join(struct fusefs *fs);
/* Let what was parked go on; the power is back. */
void parked_resume(struct fusefs *fs);
void parked_drop(struct fusefs *fs);

/* park.c */
/* From its return on only write-back is served. Waits for earlier requests. */
void park_requests(struct fusefs *fs);

/* invalidate.c */
/*
 * Have fusefs_serve()'s thread invalidate pages: a worker must not, for the kernel may need it to write them
 * back.
 */
void stale_later(struct fusefs *fs, fuse_ino_t ino, off_t offset, off_t length);
void stale_now(struct fusefs *fs);
void stale_drop(struct fusefs *fs);
/*
 * Throw away what the kernel caches of every inode of a tree, or of all, after writing dirty pages back.
 * Nobody may come or go meanwhile.
 */
void invalidate_tree(struct fusefs *fs, struct tree *tree);
void invalidate_all(struct fusefs *fs);

/* negotiate.c: look at each request before libfuse does; and, once mounted, at what it answers. */
struct fuse_in_header;
void negotiate_hear(struct fusefs *fs, const struct fuse_in_header *in);
int negotiate_begin(struct fusefs *fs);

/* shadow.c */
void shadows_init(struct shadows *shadows);
void shadows_fini(struct shadows *shadows);
/*
 * The kernel is given these bytes, whole pages but for the file's last, and may
 * keep them. No pool is locked.
 */
void shadow_note(struct fusefs *fs, struct node *node, uint64_t offset, const void *bytes, size_t length);
void shadow_overlay(struct fusefs *fs, const struct node *node, uint64_t offset, const void *bytes,
		    size_t length);
/* pool_write() of pages that come back: only what was stored in them. */
ssize_t shadow_write_back(struct fusefs *fs, struct node *node, struct pool_handle *handle, const void *bytes,
			  size_t size, uint64_t offset);
/* Around having the kernel drop its pages of a node. */
uint64_t shadow_begin_drop(struct fusefs *fs);
void shadow_end_drop(struct fusefs *fs, const struct node *node, uint64_t epoch);
/* NULL: of all. */
void shadow_forget_node(struct fusefs *fs, const struct node *node);

/* mount.c */
int mount_attach(struct fusefs *fs, struct message *message);
void mount_tune(struct fusefs *fs);
/* Through the kernel, workers still serving: dirty pages are written back. */
void mount_detach(struct fusefs *fs);
/* Leave nothing for libfuse to unmount. */
void mount_sever(struct fusefs *fs);

#endif
