/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random operations on files of a mount, compared with a model in memory that also
 * knows what a power failure may lose. The seed determines every operation.
 *
 *   exercise --dir DIR [--ops N] [--seed N] [--files N] [--powerfail PROGRAM]
 *            [--policy lose|keep|random] [--sector BYTES] [--every N]
 *
 * PROGRAM is run as `PROGRAM powerfail --policy P [--seed N]`, about once in
 * --every operations; without --policy one of the three is drawn each time.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/rng.h"
#include "exercise_model.h"
#include "powerfail.h"

#define FILES_MAX 8
#define HISTORY 1024
#define SHOWN 30
#define OPERATION_MAX (40u * 1024)

struct file {
	char path[512];
	int fd, direct_fd;
	unsigned char *map;
	struct model model;
};

static struct {
	const char *dir, *powerfail;
	unsigned long operations, every, seed;
	unsigned files;
	size_t sector;
	int policy; /* -1: all */
} options = { .operations = 10000, .every = 500, .seed = 1, .files = 3, .policy = -1 };

static struct rng rng;
static struct file *files;
static unsigned long operation, failures;
static const struct file *suspect; /* show the history of this file; NULL: of all files */
static char history[HISTORY][160];
static unsigned char *bounce; /* page aligned */
static sigjmp_buf fault;

static const char *const policies[] = { "lose", "keep", "random" };

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
	char *line = history[operation % HISTORY];
	va_list arguments;
	int used = snprintf(line, sizeof(history[0]), "%lu ", operation);

	va_start(arguments, format);
	vsnprintf(line + used, sizeof(history[0]) - (size_t)used, format, arguments);
	va_end(arguments);
}

static bool is_shown(unsigned long number)
{
	return !suspect || strstr(history[number % HISTORY], suspect->path) ||
	       strstr(history[number % HISTORY], "power");
}

static void show_history(void)
{
	unsigned long first = operation + 1, shown = 0;

	while (first > 0 && first + HISTORY > operation + 2 && shown < SHOWN)
		shown += is_shown(--first) ? 1 : 0;
	for (; first <= operation; first++)
		if (is_shown(first))
			fprintf(stderr, "# %s\n", history[first % HISTORY]);
}

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	show_history();
	fprintf(stderr, "# operation %lu: ", operation);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr,
		"\n# replay: exercise --dir %s --ops %lu --seed %lu --files %u --every %lu --sector "
		"%zu%s%s%s%s\n",
		options.dir, options.operations, options.seed, options.files, options.every, options.sector,
		options.policy >= 0 ? " --policy " : "", options.policy >= 0 ? policies[options.policy] : "",
		options.powerfail ? " --powerfail " : "", options.powerfail ? options.powerfail : "");
	exit(1);
}

static void on_bus_error(int number)
{
	siglongjmp(fault, 1);
}

static void file_open(struct file *file)
{
	file->fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file->fd < 0)
		die("open %s: %s", file->path, strerror(errno));
	file->direct_fd = open(file->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (file->direct_fd < 0)
		die("open %s O_DIRECT: %s", file->path, strerror(errno));
	file->map = mmap(NULL, MODEL_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
	if (file->map == MAP_FAILED)
		die("mmap %s: %s", file->path, strerror(errno));
}

static void file_close(struct file *file)
{
	munmap(file->map, MODEL_MAX);
	close(file->fd);
	close(file->direct_fd);
}

/*
 * The byte in the pool, read past the kernel's cache: it tells whether the cache or the pool is wrong. -1:
 * there is none.
 */
static int pool_byte(const struct file *file, size_t offset)
{
	static unsigned char page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
	size_t start = align_down(offset, PAGE_BYTES);
	ssize_t got = pread(file->direct_fd, page, PAGE_BYTES, (off_t)start);

	return got > (ssize_t)(offset - start) ? page[offset - start] : -1;
}

static void compare(struct file *file, const char *how, const unsigned char *got, size_t offset,
		    size_t length)
{
	const unsigned char *want = file->model.now + offset;
	size_t at;

	for (at = 0; at < length; at++)
		if (got[at] != want[at])
			die("%s: %s at %zu (of %zu from %zu): %02x, should be %02x; the pool has %02x",
			    file->path, how, offset + at, length, offset, got[at], want[at],
			    pool_byte(file, offset + at));
}

static void check_size(struct file *file)
{
	struct stat st;

	if (fstat(file->fd, &st))
		die("fstat %s: %s", file->path, strerror(errno));
	if ((size_t)st.st_size != file->model.size)
		die("%s: size %zu, should be %zu", file->path, (size_t)st.st_size, file->model.size);
}

static void read_back(struct file *file, int fd, const char *how, size_t offset, size_t length)
{
	const struct model *model = &file->model;
	size_t want = offset >= model->size ? 0 : min_u64(length, model->size - offset);
	ssize_t got = pread(fd, bounce, length, (off_t)offset);

	if (got < 0)
		die("%s: %s: %s", file->path, how, strerror(errno));
	if ((size_t)got != want)
		die("%s: %s of %zu at %zu gave %zd bytes, should be %zu", file->path, how, length, offset,
		    got, want);
	compare(file, how, bounce, offset, want);
}

/* A random offset and length, aligned to `unit`. Most ranges are small and near each other. */
static size_t some_range(size_t unit, size_t limit, size_t *length)
{
	size_t offset = rng_below(&rng, limit);

	*length = rng_below(&rng, 4) ? 1 + rng_below(&rng, 600) : 1 + rng_below(&rng, OPERATION_MAX);
	offset = align_down(offset, unit);
	*length = align_up(*length, unit);
	if (offset + *length > MODEL_MAX)
		*length = MODEL_MAX - offset;
	return offset;
}

static void fill(unsigned char *bytes, size_t length)
{
	uint64_t word = rng_next(&rng);
	size_t i;

	for (i = 0; i < length; i++)
		bytes[i] = (unsigned char)(rng_mix(word + i / 8) >> (i % 8 * 8));
}

/* The upper limit of offsets. Files grow slowly, so that operations often meet their ends. */
static size_t reach(const struct file *file)
{
	return min_u64(MODEL_MAX, file->model.size + 3 * PAGE_BYTES);
}

static void do_write(struct file *file)
{
	size_t length, offset = some_range(1, reach(file), &length);

	note("write %s %zu+%zu", file->path, offset, length);
	fill(bounce, length);
	if (pwrite(file->fd, bounce, length, (off_t)offset) != (ssize_t)length)
		die("pwrite: %s", strerror(errno));
	model_write(&file->model, offset, bounce, length);
}

static void do_write_synced(struct file *file)
{
	size_t length, offset = some_range(1, reach(file), &length);
	struct iovec iov = { .iov_base = bounce, .iov_len = length };

	note("write dsync %s %zu+%zu", file->path, offset, length);
	fill(bounce, length);
	if (pwritev2(file->fd, &iov, 1, (off_t)offset, RWF_DSYNC) != (ssize_t)length)
		die("pwritev2: %s", strerror(errno));
	model_write(&file->model, offset, bounce, length);
	model_sync(&file->model, offset, length);
}

static void do_write_direct(struct file *file)
{
	size_t length, offset = some_range(PAGE_BYTES, reach(file), &length);

	note("write direct %s %zu+%zu", file->path, offset, length);
	fill(bounce, length);
	if (pwrite(file->direct_fd, bounce, length, (off_t)offset) != (ssize_t)length)
		die("direct pwrite: %s", strerror(errno));
	model_write(&file->model, offset, bounce, length);
}

static void do_read(struct file *file)
{
	size_t length, offset = some_range(1, reach(file), &length);

	note("read %s %zu+%zu", file->path, offset, length);
	read_back(file, file->fd, "read", offset, length);
}

static void do_read_direct(struct file *file)
{
	size_t length, offset = some_range(PAGE_BYTES, reach(file), &length);

	note("read direct %s %zu+%zu", file->path, offset, length);
	read_back(file, file->direct_fd, "direct read", offset, length);
}

static void do_store(struct file *file)
{
	size_t length, offset;

	note("store %s", file->path);
	if (!file->model.size)
		return;
	offset = some_range(1, file->model.size, &length);
	length = min_u64(length, file->model.size - offset);
	note("store %s %zu+%zu", file->path, offset, length);
	fill(bounce, length);
	memcpy(file->map + offset, bounce, length);
	model_store(&file->model, offset, bounce, length);
}

static void do_load(struct file *file)
{
	size_t length, offset;

	note("load %s", file->path);
	if (!file->model.size)
		return;
	offset = some_range(1, file->model.size, &length);
	length = min_u64(length, file->model.size - offset);
	note("load %s %zu+%zu", file->path, offset, length);
	compare(file, "load", file->map + offset, offset, length);
}

static void do_msync(struct file *file)
{
	size_t length, offset = some_range(PAGE_BYTES, reach(file), &length);

	note("msync %s %zu+%zu", file->path, offset, length);
	if (msync(file->map + offset, length, MS_SYNC))
		die("msync: %s", strerror(errno));
	model_sync(&file->model, offset, length);
}

static void do_fsync(struct file *file)
{
	note("fsync %s", file->path);
	if (rng_below(&rng, 2) ? fsync(file->fd) : fdatasync(file->fd))
		die("fsync: %s", strerror(errno));
	model_sync(&file->model, 0, MODEL_MAX);
}

static void do_truncate(struct file *file)
{
	size_t size = rng_below(&rng, rng_below(&rng, 3) ? file->model.size + 1 : MODEL_MAX);

	note("truncate %s %zu (from %zu)", file->path, size, file->model.size);
	if (rng_below(&rng, 2) ? ftruncate(file->fd, (off_t)size) : truncate(file->path, (off_t)size))
		die("truncate: %s", strerror(errno));
	model_truncate(&file->model, size);
}

static void do_punch(struct file *file)
{
	size_t length, offset = some_range(rng_below(&rng, 2) ? 1 : PAGE_BYTES, reach(file), &length);

	note("punch %s %zu+%zu", file->path, offset, length);
	if (fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length))
		die("punch: %s", strerror(errno));
	model_zero(&file->model, offset, length, false);
}

static void do_zero_range(struct file *file)
{
	size_t length, offset = some_range(1, reach(file), &length);
	bool keep = rng_below(&rng, 2);

	note("zero range %s %zu+%zu%s", file->path, offset, length, keep ? " keep size" : "");
	if (fallocate(file->fd, FALLOC_FL_ZERO_RANGE | (keep ? FALLOC_FL_KEEP_SIZE : 0), (off_t)offset,
		      (off_t)length))
		die("zero range: %s", strerror(errno));
	model_zero(&file->model, offset, length, !keep);
}

static void do_allocate(struct file *file)
{
	size_t length, offset = some_range(1, reach(file), &length);
	bool keep = rng_below(&rng, 2);

	note("allocate %s %zu+%zu%s", file->path, offset, length, keep ? " keep size" : "");
	if (fallocate(file->fd, keep ? FALLOC_FL_KEEP_SIZE : 0, (off_t)offset, (off_t)length))
		die("fallocate: %s", strerror(errno));
	if (!keep)
		model_allocate(&file->model, offset, length);
}

static void do_reopen(struct file *file)
{
	note("reopen %s", file->path);
	file_close(file);
	file_open(file);
}

static void do_replace(struct file *file)
{
	note("unlink and create %s", file->path);
	if (unlink(file->path))
		die("unlink: %s", strerror(errno));
	/* An unlinked file keeps its bytes while it is open. */
	read_back(file, file->fd, "read of an unlinked file", 0, MODEL_MAX);
	file_close(file);
	model_reset(&file->model);
	file_open(file);
}

/* A file that was open or mapped during the power failure is of no use any more; open it again. */
static void check_dead(struct file *file)
{
	if (pread(file->fd, bounce, 1, 0) >= 0 || errno != EIO)
		die("%s: a handle from before the power failure still reads", file->path);
	if (pwrite(file->fd, bounce, 1, 0) >= 0 || errno != EIO)
		die("%s: a handle from before the power failure still writes", file->path);
	if (fsync(file->fd) >= 0 || errno != EIO)
		die("%s: a handle from before the power failure still syncs", file->path);
	if (file->model.size && !sigsetjmp(fault, 1)) {
		bounce[0] = *(volatile unsigned char *)file->map;
		die("%s: a mapping from before the power failure still loads", file->path);
	}
}

static void check_survivor(struct file *file, enum model_policy policy)
{
	static unsigned char whole[MODEL_MAX + 1];
	const char *wrong;
	size_t where;
	ssize_t got;

	suspect = file;
	check_dead(file);
	file_close(file);
	file_open(file);
	got = pread(file->fd, whole, sizeof(whole), 0);
	if (got < 0 || (size_t)got > MODEL_MAX)
		die("%s: after power failure: %zd bytes", file->path, got);
	wrong = model_power_failure(&file->model, policy, options.sector, whole, (size_t)got, &where);
	if (wrong)
		die("%s: after power failure (%s): %s, at %zu of %zd (model: size %zu, durable %zu)",
		    file->path, policies[policy], wrong, where, got, file->model.size,
		    file->model.durable_size);
}

static void do_powerfail(void)
{
	enum model_policy policy = options.policy >= 0 ? (enum model_policy)options.policy :
							 (enum model_policy)rng_below(&rng, 3);
	unsigned long seed = rng_below(&rng, 1u << 30);
	int status;
	unsigned i;

	suspect = NULL;
	note("powerfail --policy %s --seed %lu", policies[policy], seed);
	status = powerfail(options.powerfail, policies[policy], seed);
	if (status)
		die("%s powerfail --policy %s: status %d", options.powerfail, policies[policy], status);
	failures++;
	for (i = 0; i < options.files; i++)
		check_survivor(&files[i], policy);
}

static const struct {
	unsigned weight;
	void (*run)(struct file *file);
} kinds[] = {
	{ 20, do_write },      { 6, do_write_direct }, { 2, do_write_synced }, { 14, do_read },
	{ 6, do_read_direct }, { 16, do_store },       { 8, do_load },	       { 4, do_msync },
	{ 3, do_fsync },       { 4, do_truncate },     { 3, do_punch },	       { 3, do_zero_range },
	{ 2, do_allocate },    { 2, do_reopen },       { 1, do_replace },
};

static void one_operation(void)
{
	struct file *file = &files[rng_below(&rng, options.files)];
	unsigned total = 0, pick, i;

	if (options.powerfail && !rng_below(&rng, options.every)) {
		do_powerfail();
		return;
	}
	suspect = file;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		total += kinds[i].weight;
	pick = (unsigned)rng_below(&rng, total);
	for (i = 0; pick >= kinds[i].weight; i++)
		pick -= kinds[i].weight;
	kinds[i].run(file);
	check_size(file);
}

static int parse(int argc, char **argv)
{
	static const struct option words[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "ops", required_argument, NULL, 'o' },
		{ "seed", required_argument, NULL, 's' },
		{ "files", required_argument, NULL, 'f' },
		{ "every", required_argument, NULL, 'e' },
		{ "powerfail", required_argument, NULL, 'p' },
		{ "policy", required_argument, NULL, 'P' },
		{ "sector", required_argument, NULL, 'S' },
		{ NULL, 0, NULL, 0 },
	};
	int word, i;

	while ((word = getopt_long(argc, argv, "", words, NULL)) != -1) {
		switch (word) {
		case 'd': options.dir = optarg; break;
		case 'o': options.operations = strtoul(optarg, NULL, 0); break;
		case 's': options.seed = strtoul(optarg, NULL, 0); break;
		case 'f': options.files = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'e': options.every = strtoul(optarg, NULL, 0); break;
		case 'p': options.powerfail = optarg; break;
		case 'S': options.sector = strtoul(optarg, NULL, 0); break;
		case 'P':
			for (i = 0; i < 3; i++)
				if (!strcmp(optarg, policies[i]))
					options.policy = i;
			break;
		default: return -1;
		}
	}
	return options.dir && options.files && options.files <= FILES_MAX && options.every ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_bus_error };
	unsigned i;

	if (parse(argc, argv)) {
		fprintf(stderr,
			"usage: exercise --dir DIR [--ops N] [--seed N] [--files N] [--powerfail PROGRAM]\n"
			"       [--policy lose|keep|random] [--sector BYTES] [--every N]\n");
		return 2;
	}
	sigaction(SIGBUS, &action, NULL);
	rng.state = options.seed;
	files = calloc(options.files, sizeof(*files));
	if (!files || posix_memalign((void **)&bounce, PAGE_BYTES, MODEL_MAX + PAGE_BYTES))
		return 1;
	for (i = 0; i < options.files; i++) {
		snprintf(files[i].path, sizeof(files[i].path), "%s/exercise.%u", options.dir, i);
		unlink(files[i].path);
		model_reset(&files[i].model);
		file_open(&files[i]);
	}
	for (operation = 0; operation < options.operations; operation++)
		one_operation();
	for (i = 0; i < options.files; i++) {
		read_back(&files[i], files[i].fd, "read at the end", 0, MODEL_MAX);
		file_close(&files[i]);
	}
	printf("%lu operations, %lu power failures, seed %lu\n", options.operations, failures, options.seed);
	return 0;
}
