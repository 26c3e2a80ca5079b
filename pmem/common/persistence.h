/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_PERSISTENCE_H
#define COMMON_PERSISTENCE_H

/*
 * The persistence domain of a platform: the point that a store must have reached to survive a power
 * failure. The names are those of the kernel (Documentation/ABI/removed/sysfs-bus-nfit and
 * sysfs-bus-nd: persistence_domain).
 */
enum persistence_domain {
	PERSISTENCE_MEMORY_CONTROLLER, /* ADR: a store survives once it was flushed and fenced */
	PERSISTENCE_CPU_CACHE	       /* eADR: a store survives; a non-temporal one needs a fence */
};

/* "memory_controller" or "cpu_cache". */
const char *persistence_domain_name(enum persistence_domain domain);
/* The reverse: 0, or -EINVAL for any other text. */
int persistence_domain_parse(const char *text, enum persistence_domain *domain);

#endif
