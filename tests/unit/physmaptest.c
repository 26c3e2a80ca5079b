/* SPDX-License-Identifier: BSD-3-Clause */
#include "physmaptest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

char tree_root[64];

int tree_setup(void **state)
{
	strcpy(tree_root, "/tmp/softpmem-unit.XXXXXX");
	return mkdtemp(tree_root) ? 0 : -1;
}

int tree_teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", tree_root);
	return system(command);
}

void tree_append(const char *path, const char *text)
{
	char full[512];
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", tree_root, path);
	for (char *slash = full + strlen(tree_root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		if (mkdir(full, 0700) < 0)
			assert_int_equal(errno, EEXIST);
	}
	file = fopen(full, "a");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

void tree_lay_out(const char *capture, const char *without)
{
	char path[512], line[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/tests/data/region/%s", getenv("abs_top_srcdir"), capture);
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		char *text = strchr(line, ':');

		assert_non_null(text);
		if (without && strstr(line, without))
			continue;
		*text = '\0';
		tree_append(line, text + 1);
	}
	fclose(file);
}

void message_says(const struct message *said, const char *words)
{
	if (!strstr(said->text, words))
		fail_msg("'%s' does not say '%s'", said->text, words);
}
