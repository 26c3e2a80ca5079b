/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzz target: the requests that a kernel sends to the mount, without a kernel. What the kernel guarantees
 * holds for them (nodeids and handles are those that it was given, lengths agree, names have no slash);
 * everything that a process decides is the input's.
 *
 * An input is a list of requests, each 5 bytes and up to 255 more:
 *	kind (in `kinds`), node, handle, names (4 bits each), length, that many bytes of the structure
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "dispatch.h"
#include "fuzz.h"
#include "late_work.h"
#include "negotiate.h"
#include "region/region.h"

#define STEPS_MAX 200
#define NODES_MAX 64
#define HANDLES_MAX 16
#define PENDING_MAX (STEPS_MAX + 1)
#define DATA_MAX 9000
#define BODY_MAX (128 + 2 * 1024 + DATA_MAX)

enum trait {
	HANDLE_OF_FILE = 1,
	HANDLE_OF_DIRECTORY = 2,
	OPENS_FILE = 4,
	OPENS_DIRECTORY = 8,
	CLOSES = 16,
	ENTRY = 32,    /* answered by a struct fuse_entry_out */
	SILENT = 64,   /* not answered */
	SECOND = 128,  /* begins with the nodeid of a second node */
	LIST = 256,    /* answered by at most as many bytes as were asked for */
	AGAIN = 512,   /* an INTERRUPT: not answered, or with EAGAIN if its request is not known yet */
	PARK = 1024,   /* no request: an outage begins, or ends */
};

static const struct kind {
	uint32_t opcode;
	uint16_t size; /* of the structure after the header */
	uint8_t names; /* after the structure */
	uint16_t traits;
} kinds[] = {
	{ FUSE_LOOKUP, 0, 1, ENTRY },
	{ FUSE_CREATE, sizeof(struct fuse_create_in), 1, ENTRY | OPENS_FILE },
	{ FUSE_WRITE, sizeof(struct fuse_write_in), 0, HANDLE_OF_FILE },
	{ FUSE_READ, sizeof(struct fuse_read_in), 0, HANDLE_OF_FILE | LIST },
	{ FUSE_FSYNC, sizeof(struct fuse_fsync_in), 0, HANDLE_OF_FILE },
	{ FUSE_SETATTR, sizeof(struct fuse_setattr_in), 0, 0 },
	{ FUSE_GETATTR, sizeof(struct fuse_getattr_in), 0, 0 },
	{ FUSE_ACCESS, sizeof(struct fuse_access_in), 0, 0 },
	{ FUSE_MKDIR, sizeof(struct fuse_mkdir_in), 1, ENTRY },
	{ FUSE_MKNOD, sizeof(struct fuse_mknod_in), 1, ENTRY },
	{ FUSE_SYMLINK, 0, 2, ENTRY },
	{ FUSE_READLINK, 0, 0, 0 },
	{ FUSE_LINK, sizeof(struct fuse_link_in), 1, ENTRY | SECOND },
	{ FUSE_UNLINK, 0, 1, 0 },
	{ FUSE_RMDIR, 0, 1, 0 },
	{ FUSE_RENAME, sizeof(struct fuse_rename_in), 2, SECOND },
	{ FUSE_RENAME2, sizeof(struct fuse_rename2_in), 2, SECOND },
	{ FUSE_FORGET, sizeof(struct fuse_forget_in), 0, SILENT },
	{ FUSE_OPEN, sizeof(struct fuse_open_in), 0, OPENS_FILE },
	{ FUSE_RELEASE, sizeof(struct fuse_release_in), 0, HANDLE_OF_FILE | CLOSES },
	{ FUSE_OPENDIR, sizeof(struct fuse_open_in), 0, OPENS_DIRECTORY },
	{ FUSE_READDIR, sizeof(struct fuse_read_in), 0, HANDLE_OF_DIRECTORY | LIST },
	{ FUSE_READDIRPLUS, sizeof(struct fuse_read_in), 0, HANDLE_OF_DIRECTORY | LIST },
	{ FUSE_FSYNCDIR, sizeof(struct fuse_fsync_in), 0, HANDLE_OF_DIRECTORY },
	{ FUSE_RELEASEDIR, sizeof(struct fuse_release_in), 0, HANDLE_OF_DIRECTORY | CLOSES },
	{ FUSE_STATFS, 0, 0, 0 },
	{ FUSE_SETXATTR, FUSE_COMPAT_SETXATTR_IN_SIZE, 1, 0 },
	{ FUSE_GETXATTR, sizeof(struct fuse_getxattr_in), 1, LIST },
	{ FUSE_LISTXATTR, sizeof(struct fuse_getxattr_in), 0, LIST },
	{ FUSE_REMOVEXATTR, 0, 1, 0 },
	{ FUSE_FALLOCATE, sizeof(struct fuse_fallocate_in), 0, HANDLE_OF_FILE },
	{ FUSE_LSEEK, sizeof(struct fuse_lseek_in), 0, HANDLE_OF_FILE },
	{ FUSE_TMPFILE, sizeof(struct fuse_create_in), 1, ENTRY | OPENS_FILE },
	{ 52 /* FUSE_STATX */, 24, 0, 0 },
	{ FUSE_INTERRUPT, sizeof(struct fuse_interrupt_in), 0, AGAIN },
	{ FUSE_FLUSH, sizeof(struct fuse_flush_in), 0, HANDLE_OF_FILE },
	{ FUSE_IOCTL, sizeof(struct fuse_ioctl_in), 0, HANDLE_OF_FILE },
	{ 4000, 8, 0, 0 },
	{ 0, 0, 0, PARK },
};

static const char *const names[16] = { "a",	      "b",	    "c",
				       "directory",   ".hidden",    "user.x",
				       "user.y",      "trusted.t",  "security.capability",
				       "system.nfs4", "\xff\xfe",   "system.posix_acl_access",
				       "d",	      "e",	    NULL /* 255 bytes */,
				       NULL /* 256 bytes */ };

struct known_node {
	uint64_t id, lookups, handles;
};

struct known_handle {
	uint64_t fh, id;
	bool directory;
};

struct pending {
	uint64_t unique, id;
	const struct kind *kind;
	uint32_t asked; /* bytes, of LIST */
};

struct mount {
	struct region *region;
	struct pools *pools;
	struct fusefs *fs;
	int fd; /* what the kernel would read */
	bool parked;
	uint64_t unique;
	struct known_node nodes[NODES_MAX];
	struct known_handle handles[HANDLES_MAX];
	struct pending pending[PENDING_MAX];
	size_t node_count, handle_count, pending_count;
};

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

/* ---- Replies ------------------------------------------------------------------- */

static struct known_node *node_of(struct mount *mount, uint64_t id)
{
	for (size_t i = 0; i < mount->node_count; i++)
		if (mount->nodes[i].id == id)
			return &mount->nodes[i];
	return NULL;
}

static void learn_node(struct mount *mount, uint64_t id)
{
	struct known_node *node = node_of(mount, id);

	if (!id)
		return;
	/* A kernel knows any number of nodes; the others are this one's until the mount ends. */
	if (!node && mount->node_count < NODES_MAX) {
		node = &mount->nodes[mount->node_count++];
		*node = (struct known_node){ .id = id };
	}
	if (node)
		node->lookups++;
}

static void learn_handle(struct mount *mount, const struct pending *request, uint64_t id,
			 const struct fuse_open_out *open)
{
	struct known_node *node = node_of(mount, id);

	if (node)
		node->handles++;
	if (mount->handle_count < HANDLES_MAX)
		mount->handles[mount->handle_count++] = (struct known_handle){
			.fh = open->fh, .id = id, .directory = request->kind->traits & OPENS_DIRECTORY
		};
}

static void check_listing(struct mount *mount, const struct pending *request, const unsigned char *body,
			  size_t size)
{
	const bool plus = request->kind->opcode == FUSE_READDIRPLUS;
	const size_t head = plus ? sizeof(struct fuse_direntplus) : sizeof(struct fuse_dirent);

	while (size) {
		struct fuse_direntplus entry = { 0 };
		size_t whole;

		must(size >= head, "an entry of a listing is whole");
		memcpy(plus ? (void *)&entry : (void *)&entry.dirent, body, head);
		whole = plus ? FUSE_DIRENTPLUS_SIZE(&entry) : FUSE_DIRENT_SIZE(&entry.dirent);
		must(entry.dirent.namelen > 0 && entry.dirent.namelen <= 255 && whole <= size,
		     "an entry of a listing has a name");
		must(!memchr(body + head, '/', entry.dirent.namelen), "a listed name has no slash");
		if (plus)
			learn_node(mount, entry.entry_out.nodeid);
		body += whole;
		size -= whole;
	}
}

static void check_reply(struct mount *mount, const struct pending *request, int error,
			const unsigned char *body, size_t size)
{
	const uint16_t traits = request->kind->traits;
	struct fuse_entry_out entry = { 0 };
	struct fuse_open_out open;

	must(error <= 0 && error > -4096, "an error is a negative errno");
	must(!error || !size, "an error has no body");
	must(!(traits & AGAIN) || error == -EAGAIN, "an INTERRUPT is answered with EAGAIN");
	if (error)
		return;
	if (traits & ENTRY) {
		must(size == sizeof(entry) + (traits & OPENS_FILE ? sizeof(open) : 0), "an entry's size");
		memcpy(&entry, body, sizeof(entry));
		must(entry.nodeid || request->kind->opcode == FUSE_LOOKUP, "a new entry has a node");
		learn_node(mount, entry.nodeid);
	}
	if (traits & (OPENS_FILE | OPENS_DIRECTORY)) {
		must(size >= sizeof(open), "an open's size");
		memcpy(&open, body + size - sizeof(open), sizeof(open));
		learn_handle(mount, request, traits & ENTRY ? entry.nodeid : request->id, &open);
	}
	if (traits & LIST)
		must(size <= (request->asked ? request->asked : sizeof(struct fuse_getxattr_out)),
		     "no more than was asked for");
	if (request->kind->opcode == FUSE_READDIR || request->kind->opcode == FUSE_READDIRPLUS)
		check_listing(mount, request, body, size);
}

/* A request that must be answered has not been. */
static bool is_awaited(const struct mount *mount)
{
	for (size_t i = 0; i < mount->pending_count; i++)
		if (!(mount->pending[i].kind->traits & AGAIN))
			return true;
	return false;
}

/* Read what was written to the kernel: replies, and notifications, whose number is 0. */
static void receive(struct mount *mount)
{
	const off_t size = lseek(mount->fd, 0, SEEK_END);
	CLEANUP_FREE unsigned char *bytes = malloc((size_t)size + 1);
	struct fuse_out_header out;

	must(bytes && pread(mount->fd, bytes, (size_t)size, 0) == size, "replies can be read");
	must(ftruncate(mount->fd, 0) == 0 && lseek(mount->fd, 0, SEEK_SET) == 0, "they are taken");
	for (size_t at = 0; at < (size_t)size; at += out.len) {
		size_t i = 0;
		struct pending request;

		must((size_t)size - at >= sizeof(out), "a reply has a header");
		memcpy(&out, bytes + at, sizeof(out));
		must(out.len >= sizeof(out) && out.len <= (size_t)size - at, "a reply's length");
		if (!out.unique)
			continue;
		while (i < mount->pending_count && mount->pending[i].unique != out.unique)
			i++;
		must(i < mount->pending_count, "a reply is to a request without one");
		request = mount->pending[i];
		mount->pending[i] = mount->pending[--mount->pending_count];
		check_reply(mount, &request, out.error, bytes + at + sizeof(out), out.len - sizeof(out));
	}
}

/* ---- The mount ------------------------------------------------------------------ */

static void send_request(struct mount *mount, const struct kind *kind, uint64_t id, uint32_t asked,
			 const void *body, size_t size)
{
	const struct fuse_in_header in = { .len = (uint32_t)(sizeof(in) + size), .opcode = kind->opcode,
					   .unique = mount->unique += 2, .nodeid = id,
					   .uid = (uint32_t)mount->unique % 3 ? 0 : 1000, .gid = 1000,
					   .pid = 1 };
	/* Exactly as large as the request, so that a sanitizer notices reads beyond its end. */
	CLEANUP_FREE unsigned char *bytes = malloc(in.len);
	const struct fuse_buf request = { .mem = bytes, .size = in.len };

	must(bytes, "memory");
	memcpy(bytes, &in, sizeof(in));
	if (size)
		memcpy(bytes + sizeof(in), body, size);
	if (!(kind->traits & SILENT))
		mount->pending[mount->pending_count++] =
			(struct pending){ .unique = in.unique, .id = id, .kind = kind, .asked = asked };
	fusefs_dispatch(mount->fs, &request);
	fusefs_late_run(mount->fs);
	receive(mount);
}

static void start(struct mount *mount)
{
	static const struct kind init = { FUSE_INIT, sizeof(struct fuse_init_in), 0, 0 };
	const struct fuse_init_in body = { .major = FUSE_KERNEL_VERSION, .minor = 38,
					   .max_readahead = 128 << 10,
					   .flags = ~(uint32_t)FUSE_POSIX_LOCKS, .flags2 = ~0u };
	const struct pools_format_options format = { .mode = POOL_MODE_FSDAX };
	const struct pools_options options = { .read_only = false };
	const struct fusefs_options mount_options = { .mountpoint = "none" };
	char path[32];

	must(region_open("memfd:2M", 0, &mount->region, NULL) == 0, "a region");
	must(pools_format(mount->region, &format, NULL) == 0, "a format");
	must(pools_open(mount->region, &options, &mount->pools, NULL) == 0, "pools");
	mount->fs = fusefs_new(&(struct fusefs_region){ .pools = mount->pools, .name = "" }, 1,
			       &mount_options);
	must(mount->fs && mount->fs->session, "a session");
	mount->fd = memfd_create("replies", MFD_CLOEXEC);
	/* The session's descriptor, which it closes, shares the position. */
	snprintf(path, sizeof(path), "/dev/fd/%d", dup(mount->fd));
	must(fuse_session_mount(mount->fs->session, path) == 0, "a descriptor for requests");
	must(fusefs_negotiate_begin(mount->fs) == 0, "a session's functions");
	mount->nodes[mount->node_count++] = (struct known_node){ .id = FUSE_ROOT_ID, .lookups = 1 };
	send_request(mount, &init, 0, 0, &body, sizeof(body));
	must(mount->pending_count == 0, "INIT is answered");
}

static void toggle_outage(struct mount *mount)
{
	const struct chooser chooser = { .policy = CHOOSER_RANDOM, .seed = mount->unique };
	const struct pools_outage outage = { .mappers_are_gone = false };

	if (!mount->parked) {
		fusefs_park(mount->fs);
	} else {
		fusefs_discard(mount->fs);
		pools_stop(mount->pools);
		must(pools_decide(mount->pools, &chooser, &outage) == 0, "the pools decide");
		fusefs_discard_caches(mount->fs);
		pools_resume(mount->pools);
		fusefs_resume(mount->fs);
		fusefs_late_run(mount->fs);
	}
	mount->parked = !mount->parked;
	receive(mount);
}

static void print_problem(void *context, const struct pools_problem *problem)
{
	fprintf(stderr, "%s\n", problem->text);
}

/*
 * libfuse keeps an INTERRUPT of an unknown request until it has answered it, one with each request that
 * follows, and does not free those that are left.
 */
static void forget_interrupts(struct mount *mount)
{
	static const struct kind getattr = { FUSE_GETATTR, sizeof(struct fuse_getattr_in), 0, 0 };
	const struct fuse_getattr_in body = { 0 };

	for (size_t left = mount->pending_count; left; left--)
		send_request(mount, &getattr, FUSE_ROOT_ID, 0, &body, sizeof(body));
}

static void end(struct mount *mount)
{
	struct pools_check_result result = { 0 };
	const struct pools_check_options options = { .problem = print_problem };
	struct message message = { "" };

	if (mount->parked)
		toggle_outage(mount);
	must(!is_awaited(mount), "each request has its reply");
	forget_interrupts(mount);
	fusefs_free(mount->fs);
	must(pools_close(mount->pools, NULL) == 0, "the pools are closed");
	must(pools_check(mount->region, &options, &result, &message) == 0, message.text);
	region_close(mount->region);
	close(mount->fd);
}

/* ---- Inputs ----------------------------------------------------------------------- */

struct reader {
	const uint8_t *bytes;
	size_t left;
};

static uint8_t next(struct reader *reader)
{
	if (!reader->left)
		return 0;
	reader->left--;
	return *reader->bytes++;
}

static size_t put_name(unsigned char *at, unsigned which)
{
	const char *name = names[which % 16];
	const size_t length = name ? strlen(name) : which % 16 == 14 ? 255 : 256;

	if (name)
		memcpy(at, name, length);
	else
		memset(at, 'n', length);
	at[length] = '\0';
	return length + 1;
}

/* The handle, or NULL if none of its kind is open. */
static struct known_handle *pick_handle(struct mount *mount, bool directory, unsigned which)
{
	for (size_t i = 0; i < mount->handle_count; i++) {
		struct known_handle *handle = &mount->handles[(which + i) % mount->handle_count];

		if (handle->directory == directory)
			return handle;
	}
	return NULL;
}

/* The kernel forgets a node once no file of it is open and no request is about it. */
static bool forget(struct mount *mount, struct known_node *node, uint64_t *lookups)
{
	if (node->id == FUSE_ROOT_ID || node->handles || is_awaited(mount))
		return false;
	*lookups = node->lookups;
	*node = mount->nodes[--mount->node_count];
	return true;
}

/* What the kernel checks or fills in. The number of bytes to transfer, or 0. */
static uint32_t complete(const struct kind *kind, unsigned char *body, uint64_t fh, bool has_handle)
{
	union {
		struct fuse_write_in write;
		struct fuse_read_in read;
		struct fuse_setattr_in setattr;
		struct fuse_getxattr_in getxattr;
		struct fuse_fallocate_in fallocate;
		struct fuse_lseek_in lseek;
		struct fuse_getattr_in getattr;
	} in = { 0 };
	uint32_t bytes = 0;

	memcpy(&in, body, kind->size);
	switch (kind->opcode) {
	case FUSE_WRITE:
		in.write.fh = fh;
		in.write.offset &= INT64_MAX;
		in.write.size = bytes = in.write.size % (DATA_MAX + 1);
		break;
	case FUSE_READ:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		in.read.fh = fh;
		in.read.offset &= INT64_MAX;
		in.read.size = bytes = 1 + in.read.size % (64 << 10);
		break;
	case FUSE_SETATTR:
		in.setattr.valid &= ~(uint32_t)FATTR_FH;
		in.setattr.size &= INT64_MAX;
		break;
	case FUSE_GETATTR:
		in.getattr.getattr_flags = 0;
		break;
	case 52:
		memset(&in, 0, sizeof(uint32_t));
		break;
	case FUSE_SETXATTR:
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
		in.getxattr.size = bytes = in.getxattr.size % (DATA_MAX + 1);
		break;
	case FUSE_FALLOCATE:
		in.fallocate.fh = fh;
		in.fallocate.offset &= INT64_MAX;
		in.fallocate.length &= INT64_MAX;
		in.fallocate.length -= min_u64(in.fallocate.length, in.fallocate.offset);
		break;
	case FUSE_LSEEK:
		in.lseek.fh = fh;
		break;
	default:
		/* Each of these structures begins with the handle. */
		if (has_handle)
			in.lseek.fh = fh;
	}
	memcpy(body, &in, kind->size);
	return bytes;
}

/* One request, or an outage. */
static void step(struct mount *mount, struct reader *reader)
{
	const struct kind *kind = &kinds[next(reader) % (sizeof(kinds) / sizeof(kinds[0]))];
	struct known_node *node = &mount->nodes[next(reader) % mount->node_count];
	const unsigned which = next(reader), chosen = next(reader);
	size_t given = next(reader), size = kind->size;
	static unsigned char body[BODY_MAX];
	struct known_handle *handle = NULL;
	uint64_t id = node->id, lookups;
	uint32_t bytes;

	memset(body, 0, sizeof(body));
	for (; given && reader->left; given--) {
		const uint8_t byte = next(reader);

		if (size > 0)
			body[kind->size - size--] = byte;
	}
	size = kind->size;
	if (kind->traits & PARK) {
		toggle_outage(mount);
		return;
	}
	if (kind->traits & (HANDLE_OF_FILE | HANDLE_OF_DIRECTORY)) {
		handle = pick_handle(mount, kind->traits & HANDLE_OF_DIRECTORY, which);
		if (!handle)
			return;
		id = handle->id;
	}
	bytes = complete(kind, body, handle ? handle->fh : 0, handle);
	if (kind->traits & SECOND)
		memcpy(body, &mount->nodes[which % mount->node_count].id, sizeof(uint64_t));
	if (kind->opcode == FUSE_FORGET) {
		if (!forget(mount, node, &lookups))
			return;
		memcpy(body, &lookups, sizeof(lookups));
	}
	for (unsigned i = 0; i < kind->names; i++)
		size += put_name(body + size, chosen >> (4 * i));
	if (kind->opcode == FUSE_WRITE || kind->opcode == FUSE_SETXATTR) {
		memset(body + size, (int)which, bytes);
		size += bytes;
	}
	if (kind->traits & CLOSES) {
		node = node_of(mount, id);
		if (node)
			node->handles--;
		*handle = mount->handles[--mount->handle_count];
	}
	send_request(mount, kind, id, bytes, body, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader reader = { data, size };
	struct mount mount = { .unique = 2 };

	start(&mount);
	for (unsigned i = 0; reader.left && i < STEPS_MAX; i++)
		step(&mount, &reader);
	end(&mount);
	return 0;
}
