/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A mount without the daemon: the FUSE face over a memfd region. The program
 * changes the pools under the mount, and tells the mount of it or not. It directs
 * power failures itself, in the order of src/daemon/outage.c.
 *
 *   bare_mount DIR SIZE [memory_controller|cpu_cache]
 *
 * Commands on standard input, a line each; "ok" or "error N" comes back. The
 * end of the input unmounts.
 *   fail POLICY SEED     fail-unseen POLICY SEED
 *   make NAME            make-unseen NAME
 *   destroy NAME         destroy-unseen NAME
 *   scribble NAME TEXT   scribble-unseen NAME TEXT
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fusefs.h"

static struct pools *pools;
static struct fusefs *fusefs;

static void to_stderr(void *context, const char *line)
{
	fprintf(stderr, "bare_mount: %s\n", line);
}

static int fail(const char *policy, const char *seed, bool seen)
{
	struct chooser chooser = { .seed = strtoull(seed, NULL, 0) };
	const struct pools_outage outage = { .mappers_are_gone = false };
	int error = chooser_policy_parse(policy, &chooser.policy);

	if (error)
		return error;
	if (seen) {
		fusefs_park(fusefs);
		fusefs_write_back(fusefs);
		fusefs_discard(fusefs);
	}
	pools_stop(pools);
	error = pools_decide(pools, &chooser, &outage);
	if (seen)
		fusefs_discard_caches(fusefs);
	pools_resume(pools);
	if (seen)
		fusefs_resume(fusefs);
	return error;
}

static int make(const char *name, bool seen)
{
	struct pool_new attributes = { .mode = S_IFREG | 0644 };
	struct pool *root = pool_root(pools), *pool;
	int error = pool_create(root, name, &attributes, &pool);

	if (!error)
		pool_unref(pool, 1);
	if (!error && seen)
		fusefs_entry_changed(fusefs, root, name);
	pool_unref(root, 1);
	return error;
}

static int destroy(const char *name, bool seen)
{
	struct pool *root = pool_root(pools);
	int error = pool_unlink(root, name);

	if (!error && seen)
		fusefs_entry_changed(fusefs, root, name);
	pool_unref(root, 1);
	return error;
}

static int scribble(const char *name, const char *text, bool seen)
{
	struct pool_handle *handle;
	struct pool *pool;
	ssize_t written;
	int error = pool_lookup_path(pools, name, &pool);

	if (error)
		return error;
	error = pool_open(pool, &handle);
	if (!error) {
		written = pool_write(handle, text, strlen(text), 0, POOL_WRITE_FILE);
		error = written < 0 ? (int)written : 0;
		pool_close(handle);
	}
	if (!error && seen)
		fusefs_pool_changed(fusefs, pool);
	pool_unref(pool, 1);
	return error;
}

static int obey(char *line)
{
	char *words[3] = { "", "", "" };
	char *state = NULL, *word, *unseen;
	int i = 0;
	bool seen;

	for (word = strtok_r(line, " \n", &state); word && i < 3; word = strtok_r(NULL, " \n", &state))
		words[i++] = word;
	unseen = strstr(words[0], "-unseen");
	seen = !unseen;
	if (unseen)
		*unseen = '\0';
	if (!strcmp(words[0], "fail"))
		return fail(words[1], words[2], seen);
	if (!strcmp(words[0], "make"))
		return make(words[1], seen);
	if (!strcmp(words[0], "destroy"))
		return destroy(words[1], seen);
	if (!strcmp(words[0], "scribble"))
		return scribble(words[1], words[2], seen);
	return -EINVAL;
}

static void *obey_all(void *context)
{
	char line[512];
	int error;

	while (fgets(line, sizeof(line), stdin)) {
		error = obey(line);
		if (error)
			printf("error %d\n", -error);
		else
			printf("ok\n");
		fflush(stdout);
	}
	fusefs_stop(fusefs);
	return NULL;
}

static int run(struct region *region, const char *mountpoint, enum persistence_domain kind)
{
	struct pools_options options = { .domain = kind, .log = { .line = to_stderr } };
	struct pools_format_options format = { .mode = POOL_MODE_INHERIT,
					       .uid = geteuid(),
					       .gid = getegid() };
	struct fusefs_options mount = { .mountpoint = mountpoint,
					.allow_other = geteuid() == 0,
					.log = { .line = to_stderr } };
	struct message message = { .text = "" };
	pthread_t commands;
	int error = pools_format(region, &format, &message);

	if (!error)
		error = pools_open(region, &options, &pools, &message);
	if (!error)
		error = fusefs_mount(&(struct fusefs_region){ .pools = pools, .name = "" }, 1, &mount,
				     &fusefs, &message);
	if (error) {
		fprintf(stderr, "bare_mount: %s\n", message.text);
		return error;
	}
	pthread_create(&commands, NULL, obey_all, NULL);
	error = fusefs_serve(fusefs);
	pthread_cancel(commands);
	pthread_join(commands, NULL);
	fusefs_unmount(fusefs);
	return error ? error : pools_close(pools, &message);
}

int main(int argc, char **argv)
{
	enum persistence_domain kind = PERSISTENCE_MEMORY_CONTROLLER;
	struct region *region;
	struct message message = { .text = "" };
	char spec[64];
	int error;

	if (argc < 3 || (argc > 3 && persistence_domain_parse(argv[3], &kind))) {
		fprintf(stderr, "usage: bare_mount DIR SIZE [DOMAIN]\n");
		return 2;
	}
	snprintf(spec, sizeof(spec), "memfd:%s", argv[2]);
	error = region_open(spec, 0, &region, &message);
	if (error) {
		fprintf(stderr, "bare_mount: %s\n", message.text);
		return 1;
	}
	error = run(region, argv[1], kind);
	region_close(region);
	return error ? 1 : 0;
}
