/* SPDX-License-Identifier: BSD-3-Clause */

/* The full-screen view of `softpmem stat --follow`. */

#include "cli/cli_stat.h"

#include <curses.h>
#include <locale.h>
#include <stdlib.h>
#include <term.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "wire/frame.h"

#define CONTROL_C 3

/* A row that is too long continues on the next line, which the next row overwrites. */
static void draw_row(int *line, const char *text, attr_t how)
{
	if (*line >= LINES)
		return;
	move(*line, 0);
	clrtobot();
	attrset(how);
	addstr(text);
	attrset(A_NORMAL);
	++*line;
}

static void draw_table(const struct stat_options *options, const struct sample *sample,
		       struct json_object *array, int last, int *line,
		       void (*row_of)(char *row, const struct stat_options *, const struct sample *,
				      struct json_object *))
{
	char row[ROW_BYTES];

	row_of(row, options, sample, NULL);
	draw_row(line, row, A_REVERSE);
	for (size_t i = 0; i < json_object_array_length(array) && *line < last; i++) {
		row_of(row, options, sample, json_object_array_get_idx(array, i));
		draw_row(line, row, A_NORMAL);
	}
}

static void draw(const struct stat_options *options, const struct sample *sample, unsigned interval_ms)
{
	CLEANUP_JSON struct json_object *total = sample_total(sample);
	size_t pools = json_object_array_length(sample->pools);
	size_t clients = json_object_array_length(sample->clients);
	/* The rows of clients with their head: up to a third of the lines. */
	int for_clients = (int)(clients + 1 < (size_t)LINES / 3 ? clients + 1 : (size_t)LINES / 3);
	char text[ROW_BYTES], generation[40] = "";
	int line = 0;

	if (total)
		control_put_string(total, "path", "total");
	/* Several regions have different generations. */
	if (json_object_object_get_ex(sample->result, "generation", NULL))
		snprintf(generation, sizeof(generation), ", generation %llu",
			 (unsigned long long)output_u64(sample->result, "generation"));
	snprintf(text, sizeof(text), "softpmem: %zu pools, %zu clients%s, every %.2f s; q quits", pools,
		 clients, generation, interval_ms / 1000.0);
	draw_row(&line, text, A_BOLD);
	draw_table(options, sample, sample->pools, LINES - for_clients - 2, &line, row_of_pool);
	if (total)
		row_of_pool(text, options, sample, total);
	draw_row(&line, total && pools > 1 ? text : "", A_BOLD);
	draw_row(&line, "", A_NORMAL);
	draw_table(options, sample, sample->clients, LINES, &line, row_of_client);
	refresh();
}

/* Wait until `deadline`. False: the user quits. */
static bool wait_for_keys(const struct stat_options *options, const struct sample *sample,
			  unsigned interval_ms, uint64_t deadline)
{
	for (uint64_t now; (now = clock_ms()) < deadline;) {
		int key;

		timeout((int)(deadline - now));
		key = getch();
		if (key == 'q' || key == 'Q' || key == CONTROL_C)
			return false;
		if (key == KEY_RESIZE)
			draw(options, sample, interval_ms);
	}
	return true;
}

static int follow(struct stat_context *context, unsigned interval_ms)
{
	struct sample now, before;
	int status = sample_take(context, &before);
	bool goes_on = status == CLI_OK;

	if (status == CLI_OK)
		sample_compare(&before, &before);
	while (goes_on) {
		draw(context->options, &before, interval_ms);
		goes_on = wait_for_keys(context->options, &before, interval_ms, clock_ms() + interval_ms);
		if (!goes_on)
			break;
		status = sample_take(context, &now);
		goes_on = status == CLI_OK;
		if (goes_on)
			sample_compare(&now, &before);
		sample_clear(&before);
		before = now;
	}
	sample_clear(&before);
	return status;
}

/* Can the terminal put text where a table needs it? One that is dumb cannot. */
static bool can_place(void)
{
	int error;
	const char *place;

	if (setupterm(NULL, STDOUT_FILENO, &error) != OK)
		return false;
	place = tigetstr("cup");
	del_curterm(cur_term);
	return place && place != (const char *)-1;
}

int live_view(struct stat_context *context, unsigned interval_ms)
{
	struct cli *cli = context->cli;
	SCREEN *screen;
	int status;

	setlocale(LC_CTYPE, "");
	if (!can_place())
		return -1;
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return -1;
	raw();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	cli->holds = true;
	status = follow(context, interval_ms);
	cli->holds = false;
	endwin();
	delscreen(screen);
	if (cli->held) {
		cli_fail(cli, cli->held);
		free(cli->held);
		cli->held = NULL;
	}
	return status;
}
