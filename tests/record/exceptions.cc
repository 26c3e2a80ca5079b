/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * exceptions POOL: a C++ program to be recorded: exceptions out of functions that store, destructors of
 * thread-local objects that store when their thread has ended, and a sort in the pool.
 */

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>

#include <fcntl.h>
#include <sys/mman.h>

struct counters {
	std::atomic<unsigned long> count;
	double sums[10];
	char text[64];
};

static thread_local struct late {
	counters *in = nullptr;
	~late()
	{
		if (in)
			in->count += 1000;
	}
} late;

static void count_or_throw(counters *in, int number)
{
	in->count++;
	if (number % 3 == 0)
		throw std::runtime_error("thrown at " + std::to_string(number));
	in->sums[number % 10] += number;
}

int main(int, char **argv)
{
	int fd = open(argv[1], O_RDWR), caught = 0;
	void *pool = mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	counters *in = static_cast<counters *>(pool);
	int *numbers = reinterpret_cast<int *>(static_cast<char *>(pool) + 8192);

	if (pool == MAP_FAILED)
		return 1;
	for (int i = 0; i < 2000; i++) {
		try {
			count_or_throw(in, i);
		} catch (const std::exception &error) {
			caught++;
			snprintf(in->text, sizeof(in->text), "%s", error.what());
		}
	}
	std::thread one([in] {
		late.in = in;
		for (int i = 0; i < 2000; i++) {
			try {
				count_or_throw(in, i);
			} catch (...) {
				in->sums[9] = i;
			}
		}
	});
	std::thread two([in] {
		late.in = in;
		for (int i = 0; i < 2000; i++)
			in->count += 2;
	});
	one.join();
	two.join();
	for (int i = 0; i < 5000; i++)
		numbers[i] = i * 7919 % 5003;
	std::sort(numbers, numbers + 5000);
	printf("%d caught, %lu counted, %s, %d\n", caught, in->count.load(), in->text, numbers[4999]);
	return 0;
}
