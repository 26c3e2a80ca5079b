#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Programs in languages whose compilers make code as they run, and that store to mappings of pools by it.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/record/recorded.bash
. "$abs_top_srcdir/tests/record/recorded.bash"

daemon_start --region memfd:64M || bail "no daemon"
rounds stores 5000 100000

if command -v luajit >/dev/null; then
	cat >"$work/store.lua" <<-'END'
		local ffi = require("ffi")
		ffi.cdef[[
			void *mmap(void *address, size_t length, int prot, int flags, int fd, long offset);
			int msync(void *address, size_t length, int flags);
			int open(const char *path, int flags, ...);
		]]
		local file, count = ffi.C.open(arg[1], 2), tonumber(arg[2])
		local pool = ffi.cast("uint8_t *", ffi.C.mmap(nil, 1048576, 3, 1, file, 0))
		local words, numbers = ffi.cast("uint32_t *", pool), ffi.cast("double *", pool + 524288)
		local sum = 0
		for i = 0, count - 1 do words[i * 7919 % 65536] = i end
		for i = 0, count - 1 do numbers[i % 1000] = numbers[i % 1000] + i * 0.5 end
		ffi.copy(pool + 900000, "from a string", 13)
		ffi.fill(pool + 950000, 100, 7)
		ffi.C.msync(pool, 1048576, 4)
		for i = 0, 65535 do sum = (sum + words[i]) % 1000000007 end
		print(sum, numbers[10])
	END
	both "a LuaJIT program" timeout 120 luajit "$work/store.lua" "$mnt/pool" "$stores"
else
	skip "a LuaJIT program" "no luajit"
fi

if command -v javac >/dev/null; then
	cat >"$work/Store.java" <<-'END'
		import java.nio.*;
		import java.nio.channels.FileChannel;
		import java.nio.file.*;
		public class Store {
			static long fill(MappedByteBuffer pool, int count) {
				for (int i = 0; i < count; i++)
					pool.putInt((i * 7919 & 65535) * 4, i);
				for (int i = 0; i < count; i++) {
					int at = 524288 + i % 1000 * 8;
					pool.putLong(at, pool.getLong(at) + i);
				}
				pool.position(900000);
				pool.put("bytes of an array that are put at once".getBytes());
				long sum = 0;
				for (int i = 0; i < 65536; i++)
					sum = (sum + pool.getInt(i * 4)) % 1000000007L;
				return sum;
			}
			static void some(MappedByteBuffer pool, int at, int count) {
				for (int i = 0; i < count; i++)
					pool.putInt(at + (i & 1023) * 4, i);
			}
			public static void main(String[] arguments) throws Exception {
				int count = Integer.parseInt(arguments[1]);
				FileChannel file = FileChannel.open(Path.of(arguments[0]),
					StandardOpenOption.READ, StandardOpenOption.WRITE);
				MappedByteBuffer pool =
					file.map(FileChannel.MapMode.READ_WRITE, 0, 1048576);
				long sum = fill(pool, count);
				pool.force();
				Thread thread = new Thread(() -> some(pool, 700000, count));
				thread.start();
				some(pool, 800000, count);
				thread.join();
				pool.force();
				sum += pool.getInt(700000) + pool.getInt(800000);
				System.out.println(sum);
			}
		}
	END
	javac -d "$work" "$work/Store.java" || bail "the Java program does not compile"
	both "a Java program with two threads" \
		timeout 300 java -Xmx64m -cp "$work" Store "$mnt/pool" "$stores"
	both "a Java program that is interpreted" \
		timeout 300 java -Xmx64m -Xint -cp "$work" Store "$mnt/pool" "$stores"
else
	skip "Java programs" "no javac"
fi

if command -v python3 >/dev/null; then
	cat >"$work/store.py" <<-'END'
		import ctypes, mmap, os, sys
		file, count = os.open(sys.argv[1], os.O_RDWR), int(sys.argv[2])
		pool = mmap.mmap(file, 1048576)
		words = (ctypes.c_uint32 * 262144).from_buffer(pool)
		for i in range(count):
		    words[i * 7919 % 65536] = i
		ctypes.memset(ctypes.addressof(words) + 900000, 7, 100)
		ctypes.memmove(ctypes.addressof(words) + 910000, b"moved", 5)
		# libffi makes the code of the function that C calls.
		words[200000] = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: x + 1)(41)
		pool.flush()
		print(sum(words[:65536]) % 1000000007, words[200000])
	END
	both "a Python program that stores by ctypes" \
		timeout 120 python3 "$work/store.py" "$mnt/pool" "$stores"
else
	skip "a Python program" "no python3"
fi
finish
