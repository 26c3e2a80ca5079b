// SPDX-License-Identifier: BSD-3-Clause

// go_subject POOL: goroutines that store to a mapping of the file POOL, and let the kernel store there. Go's
// runtime maps, handles signals and reads by system calls of its own.
package main

// #include <stdlib.h>
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
)

const poolBytes = 1 << 20

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func work(part []byte) {
	exe, err := os.Open("/proc/self/exe")
	check(err)
	for i := 0; i < 2000; i++ {
		part[i] = byte(i)
		copy(part[4096:], "stored by Go")
		n, err := syscall.Pread(int(exe.Fd()), part[8192:8292], 0)
		check(err)
		if n != 100 || string(part[8193:8196]) != "ELF" {
			fmt.Println("pread", n)
		}
		if i%200 == 0 {
			runtime.GC()
		}
	}
}

// A fault of the program's own is Go's.
func recovers() (recovered bool) {
	defer func() { recovered = recover() != nil }()
	var nothing *int
	*nothing = 1
	return false
}

func main() {
	C.free(nil) // so that it is linked with libc
	file, err := os.OpenFile(os.Args[1], os.O_RDWR, 0)
	check(err)
	pool, err := syscall.Mmap(int(file.Fd()), 0, poolBytes, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_SHARED)
	check(err)
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func(part []byte) {
			defer group.Done()
			work(part)
		}(pool[i<<16 : (i+1)<<16])
	}
	group.Wait()
	fmt.Println("recovered", recovers())
	fmt.Println(string(pool[4096:4108]))
	check(syscall.Munmap(pool))
}
