/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool/pool.h"

#include <errno.h>
#include <string.h>

int pool_mode_parse(const char *text, enum pool_mode *mode)
{
	static const struct {
		const char *text;
		enum pool_mode mode;
	} words[] = {
		{ "fsdax", POOL_MODE_FSDAX },
		{ "sector", POOL_MODE_SECTOR_4096 },
		{ "sector:4096", POOL_MODE_SECTOR_4096 },
		{ "sector:512", POOL_MODE_SECTOR_512 },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i].text) == 0) {
			*mode = words[i].mode;
			return 0;
		}
	}
	return -EINVAL;
}

const char *pool_mode_name(enum pool_mode mode)
{
	return mode == POOL_MODE_SECTOR_512 || mode == POOL_MODE_SECTOR_4096 ? "sector" : "fsdax";
}
