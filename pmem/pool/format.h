/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_FORMAT_H
#define POOL_FORMAT_H

/*
 * The on-media format, version 1, as docs/format.md describes it. All integers are little-endian; blocks
 * have 4096 bytes and are counted from the start of the region.
 *
 *	block 0		superblock, copy 0
 *	...		table chunks, map blocks and data, wherever space was free
 *	last block	superblock, copy 1
 *
 * All metadata is stored twice and has checksums: a write that a crash cuts short leaves the other copy
 * intact, and so does a damaged byte.
 */

#include <stddef.h>
#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "the format is little-endian, and so is every x86-64 host");

#define BLOCK_BYTES 4096u
#define GROUP_BLOCKS 512u /* 2 MiB */
#define FORMAT_VERSION 1u
#define SUPERBLOCK_MAGIC "SOFTPMEM"
#define TABLE_CHUNKS_MAX 200u

/* Bits of features_ro_compat. */
#define FEATURE_XATTRS 1u /* some file has, or had, extended attributes */

enum superblock_state { STATE_CLEAN = 1, STATE_IN_USE = 2 };

struct table_chunk {
	uint64_t block;
	uint64_t blocks; /* even: slots 0 in the first half, slots 1 in the second */
};

struct superblock {
	char magic[8];
	uint32_t version;
	uint32_t size; /* of this struct */
	/*
	 * With unknown bits in compat: ignore them; in ro_compat: read only; in incompat: refuse the
	 * region.
	 */
	uint64_t features_compat;
	uint64_t features_ro_compat;
	uint64_t features_incompat;
	uint8_t uuid[16];
	uint64_t region_size;
	uint32_t block_size;
	uint32_t slot_size;
	uint64_t sequence; /* the valid copy with the higher one is current */
	uint64_t generation;
	uint64_t dirty_shutdowns;
	int64_t created; /* seconds since 1970 */
	uint32_t state;	 /* enum superblock_state */
	uint32_t table_chunks;
	char label[64]; /* NUL padded */
	uint8_t reserved[712];
	struct table_chunk chunks[TABLE_CHUNKS_MAX];
	uint8_t padding[4];
	uint32_t checksum; /* CRC-32C of all bytes before it */
};
_Static_assert(sizeof(struct superblock) == BLOCK_BYTES, "one block");
_Static_assert(offsetof(struct superblock, uuid) == 40, "on media");
_Static_assert(offsetof(struct superblock, sequence) == 72, "on media");
_Static_assert(offsetof(struct superblock, label) == 112, "on media");
_Static_assert(offsetof(struct superblock, chunks) == 888, "on media");
_Static_assert(offsetof(struct superblock, checksum) == 4092, "on media");

/* ---- The table of entries -------------------------------------------------- */

#define SLOT_SIZE 320u
#define SLOTS_PER_BLOCK (BLOCK_BYTES / SLOT_SIZE)
#define INLINE_EXTENTS 11u

enum slot_kind { SLOT_FREE = 1, SLOT_FILE = 2, SLOT_NAME = 3 };

struct slot_head {
	/* CRC-32C of the region's uuid and then of all bytes of the slot after this field. */
	uint32_t checksum;
	uint16_t kind;
	uint16_t reserved0;
	uint64_t sequence; /* counts the changes of the entry, across all its uses */
	uint32_t index;	   /* number of the entry */
	uint32_t metadata; /* of a directory: 0, or 1 and its enum metadata_mode; of all else 0 */
};
_Static_assert(sizeof(struct slot_head) == 24, "on media");
_Static_assert(offsetof(struct slot_head, metadata) == 20, "on media");

#define EXTENT_UNWRITTEN 0x80000000u
struct extent {
	uint32_t page;	/* of the file */
	uint32_t pages; /* with EXTENT_UNWRITTEN: reads as zero, whatever the blocks hold */
	uint64_t block;
};
_Static_assert(sizeof(struct extent) == 16, "on media");

struct file_slot {
	struct slot_head head;
	uint32_t mode; /* st_mode, type included */
	uint32_t uid;
	uint32_t gid;
	uint32_t pool_mode; /* enum pool_mode */
	uint8_t uuid[16];
	uint64_t size;
	int64_t seconds[4]; /* atime, mtime, ctime, btime */
	uint32_t nanoseconds[4];
	uint32_t extents;    /* number of all extents, inline or in map blocks */
	uint32_t map_blocks; /* 0: the extents are inline; else in a chain of as many map blocks */
	uint64_t map[2];     /* the first map block, in two copies */
	uint64_t xattrs;     /* with FEATURE_XATTRS: first block of the area of attributes; 0: none */
	struct extent inline_extents[INLINE_EXTENTS];
};
_Static_assert(sizeof(struct file_slot) == SLOT_SIZE, "on media");
_Static_assert(offsetof(struct file_slot, uuid) == 40, "on media");
_Static_assert(offsetof(struct file_slot, seconds) == 64, "on media");
_Static_assert(offsetof(struct file_slot, map) == 120, "on media");
_Static_assert(offsetof(struct file_slot, xattrs) == 136, "on media");
_Static_assert(offsetof(struct file_slot, inline_extents) == 144, "on media");

/* The effect of a name that becomes valid on another name; see docs/format.md, "Renames". */
enum name_action {
	NAME_ALONE = 0,
	NAME_REPLACES = 1, /* the peer, if its sequence is peer_sequence, is no longer a name */
	NAME_EXCHANGES = 2 /* the peer, if its sequence is peer_sequence, names peer_file */
};

struct name_slot {
	struct slot_head head;
	uint32_t parent; /* entry of a directory */
	uint32_t file;	 /* entry of the file it names */
	uint64_t peer_sequence;
	uint32_t peer; /* entry of a name */
	uint32_t peer_file;
	uint8_t action;
	uint8_t length;
	uint8_t reserved[2];
	char name[268]; /* `length` bytes, zeros behind */
};
_Static_assert(sizeof(struct name_slot) == SLOT_SIZE, "on media");
_Static_assert(offsetof(struct name_slot, name) == 52, "on media");

union slot {
	struct slot_head head;
	struct file_slot file;
	struct name_slot name;
	unsigned char bytes[SLOT_SIZE];
};

/* ---- Map blocks: extents that do not fit into the slot ------------------------ */

#define MAP_MAGIC 0x50414d53u /* "SMAP" */
#define MAP_EXTENTS 253u

struct map_block {
	uint32_t checksum; /* as a slot's */
	uint32_t magic;
	uint32_t owner;	 /* the file's entry */
	uint32_t number; /* in the chain, from 0 */
	uint32_t count;
	uint32_t reserved;
	uint64_t next[2]; /* the next map block, in two copies; 0: none */
	struct extent extents[MAP_EXTENTS];
	uint8_t padding[8];
};
_Static_assert(sizeof(struct map_block) == BLOCK_BYTES, "one block");
_Static_assert(offsetof(struct map_block, extents) == 40, "on media");

/* ---- Extended attributes ------------------------------------------------------- */

#define XATTR_MAGIC 0x54415853u /* "SXAT" */
#define XATTR_BLOCKS 2u		/* adjacent ones */

struct xattr_record {
	uint8_t name_length; /* not 0 */
	uint8_t reserved;
	uint16_t value_length;
	unsigned char name[]; /* without a terminator; the value follows it */
} __attribute__((packed));
_Static_assert(sizeof(struct xattr_record) == 4, "on media");

struct xattr_area {
	uint32_t checksum; /* as a slot's */
	uint32_t magic;
	uint32_t owner;	 /* the file's entry */
	uint32_t length; /* of the records, in bytes; not 0 */
	uint32_t count;	 /* of the records */
	uint32_t reserved;
	unsigned char records[XATTR_BLOCKS * BLOCK_BYTES - 24]; /* sorted by name; zeros behind */
};
_Static_assert(sizeof(struct xattr_area) == XATTR_BLOCKS * BLOCK_BYTES, "two blocks");
_Static_assert(offsetof(struct xattr_area, records) == 24, "on media");

#endif
