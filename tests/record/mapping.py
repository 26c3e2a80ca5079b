# SPDX-License-Identifier: BSD-3-Clause
"""mapping.py POOL: a Python program to be recorded, which stores to a mapping in many ways."""

import array
import mmap
import os
import struct
import sys
import threading


def fill(pool, which):
    for i in range(3000):
        pool[80000 + (i * 2 + which) % 500] = (i * 7 + which) & 255


def main():
    pool = mmap.mmap(os.open(sys.argv[1], os.O_RDWR), 1 << 20)
    for i in range(2000):
        pool[i * 3] = i & 255
    pool[10000:20000] = os.urandom(10000)
    pool.seek(30000)
    pool.write(b"hello " * 1000)
    view = memoryview(pool)
    with open("/proc/self/exe", "rb") as program:
        print("read", program.readinto(view[50000:60000]))
    struct.pack_into("<QQd", pool, 70000, 1, 2, 3.5)
    threads = [threading.Thread(target=fill, args=(pool, which)) for which in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.move(100000, 10000, 5000)
    pool.move(102000, 100000, 5000)
    view[200000:208000] = array.array("d", range(1000)).tobytes()
    child = os.fork()
    if child == 0:
        pool[300000:300100] = b"c" * 100
        os._exit(0)
    os.waitpid(child, 0)
    pool.flush()
    print("done", pool[0], pool[70000], pool[300099])


main()
