/* SPDX-License-Identifier: BSD-3-Clause */
#include "operations.h"

#include "negotiate.h"
#include "op_attributes.h"
#include "op_data.h"
#include "op_directory.h"
#include "op_names.h"
#include "op_open.h"
#include "op_seek.h"
#include "op_xattr.h"

/*
 * Not served: locks (the kernel's own suffice for one mount), copy_file_range (within
 * one machine the kernel's fallback is as fast).
 */
const struct fuse_lowlevel_ops fusefs_operations = {
	.init = fusefs_op_init,
	.lookup = fusefs_op_lookup,
	.forget = fusefs_op_forget,
	.forget_multi = fusefs_op_forget_multi,
	.getattr = fusefs_op_getattr,
	.access = fusefs_op_access,
	.setattr = fusefs_op_setattr,
	.readlink = fusefs_op_readlink,
	.mknod = fusefs_op_mknod,
	.mkdir = fusefs_op_mkdir,
	.unlink = fusefs_op_unlink,
	.rmdir = fusefs_op_rmdir,
	.symlink = fusefs_op_symlink,
	.rename = fusefs_op_rename,
	.link = fusefs_op_link,
	.open = fusefs_op_open,
	.read = fusefs_op_read,
	.write = fusefs_op_write,
	.flush = fusefs_op_flush,
	.release = fusefs_op_release,
	.fsync = fusefs_op_fsync,
	.opendir = fusefs_op_opendir,
	.readdir = fusefs_op_readdir,
	.readdirplus = fusefs_op_readdirplus,
	.releasedir = fusefs_op_releasedir,
	.fsyncdir = fusefs_op_fsyncdir,
	.statfs = fusefs_op_statfs,
	.setxattr = fusefs_op_setxattr,
	.getxattr = fusefs_op_getxattr,
	.listxattr = fusefs_op_listxattr,
	.removexattr = fusefs_op_removexattr,
	.create = fusefs_op_create,
	.fallocate = fusefs_op_fallocate,
	.lseek = fusefs_op_lseek,
};
