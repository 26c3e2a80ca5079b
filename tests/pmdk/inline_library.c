/* SPDX-License-Identifier: BSD-3-Clause */

/* A library with a flush and a fence in line, which a program loads late. See inline_program.c. */

void inline_persist(const void *at);

void inline_persist(const void *at)
{
	__asm__ volatile(".byte 0x66; xsaveopt (%0); sfence" ::"r"(at) : "memory"); /* clwb */
}
