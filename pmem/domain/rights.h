/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DOMAIN_RIGHTS_H
#define DOMAIN_RIGHTS_H

/* Private to pmem/domain: what wpq.h says of rights, for who drains. */

#include <stdbool.h>
#include <stdint.h>

struct wpq_rights;

/* May a record name the view? NULL: any. domain->lock is held. */
bool rights_allow(const struct wpq_rights *rights, uint32_t view);

#endif
