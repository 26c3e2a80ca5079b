/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/loglimit.h"

static struct loglimit_user *find_user(struct loglimit *limit, uid_t uid, uint64_t now)
{
	struct loglimit_user *oldest = &limit->users[0];

	for (unsigned i = 0; i < LOGLIMIT_USERS; i++) {
		struct loglimit_user *user = &limit->users[i];

		if (user->used && user->uid == uid)
			return user;
		if (oldest->used && (!user->used || user->since < oldest->since))
			oldest = user;
	}
	*oldest = (struct loglimit_user){ .used = true, .uid = uid, .since = now };
	return oldest;
}

bool loglimit_allows(struct loglimit *limit, uid_t uid, uint64_t now, unsigned *suppressed)
{
	struct loglimit_user *user = find_user(limit, uid, now);

	*suppressed = 0;
	if (now - user->since >= LOGLIMIT_PERIOD_MS) {
		user->since = now;
		user->lines = 0;
	}
	if (user->lines >= LOGLIMIT_LINES) {
		user->suppressed++;
		return false;
	}
	user->lines++;
	*suppressed = user->suppressed;
	user->suppressed = 0;
	return true;
}
