/* SPDX-License-Identifier: BSD-3-Clause */
#include "attach/attach_trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attach/attach_context.h"
#include "attach/attach_message.h"
#include "common/cleanup.h"

static int fail(struct attach_exchange *exchange, int error)
{
	const char *why = error == -ENOENT   ? "nothing is being recorded" :
			  error == -EACCES   ? "not a process of the program that is recorded" :
			  error == -EALREADY ? "this process is recorded" :
			  error == -ESRCH    ? "the trace has no such process or thread of this user" :
			  error == -EMFILE   ? "too many processes or threads are recorded" :
					       strerror(-error);

	snprintf(exchange->reply.message, sizeof(exchange->reply.message), "%s", why);
	return error;
}

/* What a file of /proc says, at most `size` bytes. Its end may be missing. */
static struct trace_bytes read_text(const char *path, char *text, size_t size)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got = 0;

	while (fd >= 0 && length < size && (got = read(fd, text + length, size - length)) > 0)
		length += (size_t)got;
	return (struct trace_bytes){ (unsigned char *)text, (uint32_t)length };
}

int attach_trace_process(struct attach_client *client, struct attach_exchange *exchange)
{
	const struct attach_request *request = &exchange->request;
	const struct peer *peer = &client->connection.peer;
	struct recorder_process_options options = { .pid = peer->pid,
						    .uid = peer->uid,
						    .key = request->length };
	char path[32], command[TRACE_PATH_MAX];
	int error;

	if (!(request->flags & ATTACH_TRACE_FORKED) != !request->offset || request->offset > UINT32_MAX)
		return fail(exchange, -ESRCH);
	options.forked_from = (uint32_t)request->offset;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)peer->pid);
	options.command = read_text(path, command, sizeof(command));
	/* What was read belongs to the peer only if it is still alive. The last argument has a NUL too. */
	if (!peer_is_alive(peer))
		options.command.length = 0;
	else if (options.command.length)
		options.command.length -= command[options.command.length - 1] == '\0';
	error = recorder_add_process(client->attach->served.recorder, &client->recorded, &options,
				     &exchange->reply_fds[0], &exchange->reply_fds[1]);
	if (error)
		return fail(exchange, error);
	exchange->reply_fd_count = 2;
	exchange->reply_fds_owned = true;
	exchange->reply.number = client->recorded.id;
	return 0;
}

int attach_trace_thread(struct attach_client *client, struct attach_exchange *exchange)
{
	const uint64_t tid = exchange->request.offset;
	const struct peer *peer = &client->connection.peer;
	char path[64], comm[32];
	struct trace_bytes name;
	uint32_t thread;
	int error;

	if (!tid || tid > INT32_MAX)
		return fail(exchange, -ESRCH);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", (int)peer->pid, (int)tid);
	name = read_text(path, comm, sizeof(comm));
	if (!peer_is_alive(peer))
		name.length = 0;
	else if (name.length)
		name.length -= comm[name.length - 1] == '\n';
	error = recorder_add_thread(client->attach->served.recorder, &client->recorded, (pid_t)tid, name,
				    &exchange->reply_fds[0], &thread);
	if (error)
		return fail(exchange, error);
	exchange->reply_fd_count = 1;
	exchange->reply_fds_owned = true;
	exchange->reply.number = thread;
	return 0;
}

int attach_trace_thread_gone(struct attach_client *client, struct attach_exchange *exchange)
{
	int error = recorder_remove_thread(client->attach->served.recorder, &client->recorded,
					   exchange->request.offset);

	return error ? fail(exchange, error) : 0;
}

void attach_trace_pool(struct attach_client *client, struct attach_exchange *exchange, struct pool *pool)
{
	if (recorder_grant(client->attach->served.recorder, &client->recorded, pool,
			   &exchange->reply.trace_pool) < 0)
		exchange->reply.trace_pool = ATTACH_TRACE_NO_POOL;
}

void attach_trace_end(struct attach_client *client)
{
	recorder_remove_process(client->attach->served.recorder, &client->recorded);
}
