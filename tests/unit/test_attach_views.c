/* SPDX-License-Identifier: BSD-3-Clause */

/* The list of memory files that clients were given: those that nobody uses are forgotten. */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "attach/attach_context.h"
#include "attach/attach_views.h"
#include "common/align.h"
#include "pooltest.h"

/* As many as may be listed, and some more. */
#define MANY 66000u

struct scene {
	struct pooltest_bench *bench;
	struct attach_server attach;
};

static void begin(void **state, struct scene *scene)
{
	*scene = (struct scene){ .bench = *state };
	scene->attach.served.regions = 1;
	scene->attach.served.pools[0] = scene->bench->pools;
	pthread_mutex_init(&scene->attach.lock, NULL);
	pthread_mutex_init(&scene->attach.views.adding, NULL);
}

static void end(struct scene *scene)
{
	vector_free(&scene->attach.views);
}

/* Returns the inode of the memory file. Its view has a number that no pool's view has. */
static ino_t add_memory(struct scene *scene, unsigned number, int *fd_out)
{
	int fd = memfd_create("softpmem-view", MFD_CLOEXEC);
	const struct pool_attachment attachment = { .fd = fd, .view = 1000 + number };
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(attach_views_add(&scene->attach, scene->bench->pool, &attachment, 0), 0);
	if (fd_out)
		*fd_out = fd;
	else
		close(fd);
	return st.st_ino;
}

static bool is_listed(const struct scene *scene, ino_t ino)
{
	for (size_t i = 0; i < scene->attach.views.count; i++)
		if (scene->attach.views.items[i].ino == ino)
			return true;
	return false;
}

/* A process that maps the file, and lives until it is killed. */
static pid_t map_in_child(int fd)
{
	int ready[2];
	char byte;
	pid_t child;

	assert_int_equal(ftruncate(fd, PAGE_BYTES) + pipe(ready), 0);
	child = fork();
	if (child == 0) {
		if (mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED &&
		    write(ready[1], "m", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return child;
}

static void any_number_of_views_may_be_added_one_after_the_other(void **state)
{
	struct pool_attachment attachment;
	struct scene scene;
	struct stat pool;
	ino_t mapped, unused;
	pid_t child;
	int fd, status;

	begin(state, &scene);
	assert_int_equal(pool_truncate(scene.bench->pool, NULL, PAGE_BYTES), 0);
	assert_int_equal(pool_attach(scene.bench->pool, &attachment), 0);
	assert_int_equal(attach_views_add(&scene.attach, scene.bench->pool, &attachment, 0), 0);
	assert_int_equal(fstat(attachment.fd, &pool), 0);
	mapped = add_memory(&scene, 0, &fd);
	child = map_in_child(fd);
	close(fd);
	unused = add_memory(&scene, 1, NULL);
	/* Negative control: all are listed at first. */
	assert_true(is_listed(&scene, unused));
	for (unsigned i = 2; i < MANY; i++)
		add_memory(&scene, i, NULL);

	assert_in_range(scene.attach.views.count, 2, MANY / 4);
	assert_true(is_listed(&scene, pool.st_ino));
	assert_true(is_listed(&scene, mapped));
	assert_false(is_listed(&scene, unused));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	end(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOLTEST(any_number_of_views_may_be_added_one_after_the_other),
	};

	return cmocka_run_group_tests_name("attach_views", tests, NULL, NULL);
}
