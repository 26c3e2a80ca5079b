/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_FILE_FORMAT_H
#define TRACE_FILE_FORMAT_H

/*
 * A trace file: a header, then blocks; docs/trace-format.md describes it to the byte.
 * Little-endian. Each block can be checked by itself, so that a file that was cut or
 * damaged is good up to the block before.
 */

#include <stddef.h>
#include <stdint.h>

#define TRACE_MAGIC "SPMTRACE"
#define TRACE_VERSION 1u

struct trace_file_header {
	char magic[8];
	uint32_t version;
	uint32_t header_bytes; /* of this header; the first block follows */
	uint64_t features;     /* bits that a reader must know; none are defined in version 1 */
	unsigned char uuid[16];
	uint64_t created; /* seconds since the epoch; 0: not known */
	unsigned char reserved[12];
	uint32_t crc; /* CRC-32C of the bytes before it */
};
_Static_assert(sizeof(struct trace_file_header) == 64 && offsetof(struct trace_file_header, features) == 16 &&
		       offsetof(struct trace_file_header, uuid) == 24 &&
		       offsetof(struct trace_file_header, created) == 40 &&
		       offsetof(struct trace_file_header, crc) == 60,
	       "docs/trace-format.md");

#define TRACE_BLOCK_MAGIC 0x4b4c4254u /* "TBLK" */

enum trace_codec {
	TRACE_CODEC_NONE, /* the payload is the block's records */
	TRACE_CODEC_ZSTD, /* it is one zstd frame of them */
};

struct trace_block_header {
	uint32_t magic;
	uint32_t codec;	 /* enum trace_codec */
	uint32_t stored; /* bytes of payload in the file */
	uint32_t raw;	 /* bytes of records: 1 to TRACE_BLOCK_RAW_MAX */
	uint64_t number; /* of blocks before this one */
	uint64_t stamp;	 /* of the last event with a stamp in the blocks before this one; 0: there is none */
	uint32_t events; /* number of records: at least 1 */
	uint32_t payload_crc; /* CRC-32C of the payload as stored */
	uint32_t reserved;
	uint32_t crc; /* CRC-32C of the file's uuid and of the bytes of this header before it */
};
_Static_assert(sizeof(struct trace_block_header) == 48 && offsetof(struct trace_block_header, number) == 16 &&
		       offsetof(struct trace_block_header, events) == 32 &&
		       offsetof(struct trace_block_header, crc) == 44,
	       "docs/trace-format.md");

#define TRACE_BLOCK_RAW_MAX (2u << 20)

/*
 * A record: its length less these bytes, the stamp less the stamp before it, the thread, each a number;
 * then the event as encode.h has it. A definition has 0 for stamp and thread.
 */
#define TRACE_RECORD_HEAD_MAX 30u

#endif
