/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/explore_checkers.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "explore/trial.h"

/*
 * Before its creation is complete a file may be empty: that is no damage.
 *
 * sqlite: all databases of the state, each of which SQLite recovers when it is opened; integrity_check prints
 * "ok" or what is wrong, with status 0 in either case. e2fsck: the journal is replayed first, as by a mount.
 */
static const char pmempool[] = "[ ! -s \"$1\" ] || pmempool check -v \"$1\"";
#define IS_SQLITE "[ \"$(head -c 15 \"$file\" | tr -d '\\0')\" = 'SQLite format 3' ]"
static const char sqlite[] =
	"cd \"$SOFTPMEM_STATE\" || exit 9\n"
	"find . -type f | while read -r file; do\n"
	"	" IS_SQLITE " || continue\n"
	"	said=$(sqlite3 -batch -bail \"$file\" 'PRAGMA integrity_check' 2>&1)\n"
	"	[ \"$said\" = ok ] || { printf '%s: %s\\n' \"$file\" \"$said\"; exit 1; }\n"
	"done\n";
/* Fails where there is a database. */
static const char any_sqlite[] = "cd \"$SOFTPMEM_STATE\" || exit 9\n"
				 "find . -type f | while read -r file; do ! " IS_SQLITE " || exit 1; done\n";
static const char e2fsck[] = "[ -s \"$1\" ] || exit 0\n"
			     "e2fsck -E journal_only -y \"$1\" || [ $? -le 1 ] || exit\n"
			     "e2fsck -fn \"$1\"\n";

static const struct builtin {
	const char *name;
	char *const words[6];
} builtins[] = {
#define SHELL(script)                                                                                        \
	{                                                                                                    \
		(char *)"sh", (char *)"-c", (char *)(uintptr_t)(script), (char *)"check", (char *)"{}", NULL \
	}
	{ "pmempool", SHELL(pmempool) },
	{ "sqlite", SHELL(sqlite) },
	{ "e2fsck", SHELL(e2fsck) },
};

enum explore_checker_how explore_checker_how(const char *name)
{
	if (strcmp(name, "mount") == 0)
		return EXPLORE_CHECKER_MOUNT;
	if (strcmp(name, "engine") == 0)
		return EXPLORE_CHECKER_ENGINE;
	return strcmp(name, "fork-server") == 0 ? EXPLORE_CHECKER_FORK_SERVER : EXPLORE_CHECKER_BY_NAME;
}

char *const *explore_builtin_checker(const char *name)
{
	for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++)
		if (strcmp(builtins[i].name, name) == 0)
			return builtins[i].words;
	return NULL;
}

int explore_builtin_has_subject(int fd, const char *trace, uint64_t events,
				const struct explore_options *options, bool *has, struct message *message)
{
	static char *const words[] = SHELL(any_sqlite);
	struct explore_options with = *options;
	CLEANUP_FREE uint64_t *newest = NULL;
	struct explore_verdict verdict;
	struct explore_trial *trial;
	int error;

	*has = true;
	if (options->checker != explore_builtin_checker("sqlite"))
		return 0;
	with.checker = (char **)(uintptr_t)words;
	error = explore_trial_open(fd, trace, events, &with, &trial, message);
	if (error)
		return error;
	const struct explore_places *places = explore_trial_places(trial);

	newest = calloc(places->count + 1, sizeof(*newest));
	for (size_t i = 0; newest && i < places->count; i++)
		newest[i] = places->items[i].versions - 1;
	error = newest ? explore_trial_check(trial, newest, &verdict, message) :
			 message_fail(message, -ENOMEM, "out of memory");
	*has = error || verdict.result != EXPLORE_PASSED;
	explore_trial_close(trial);
	return error;
}

void explore_engine_words_set(struct explore_engine_words *words, const struct explore_engine *engine)
{
	const struct {
		const char *option, *command;
	} all[] = { { "--start", engine->start },
		    { "--ready", engine->ready },
		    { "--ask", engine->ask },
		    { "--stop", engine->stop } };
	size_t count = 0;

	words->engine = *engine;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].command) {
			words->words[count++] = (char *)(uintptr_t)all[i].option;
			words->words[count++] = (char *)(uintptr_t)all[i].command;
		}
	words->words[count] = NULL;
}
