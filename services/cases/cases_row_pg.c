/* cases_row_pg.c: the life's part of a case's row, and tasks. */
#include "cases_row_pg.h"

#include "base/jk_text.h"

static void read_text(char *ret, size_t size, const PGresult *result, int row, int column)
{
	const char *text = jk_db_get_bytes(result, row, column, NULL);
	(void)jk_text_copy(ret, size, text ? text : "");
}

void cases_row_read_life(const PGresult *result, int row, struct cases_life *ret)
{
	enum { FIRST = CASES_ROW_LIFE };
	int64_t *const times[] = {&ret->triaged_at_us, &ret->assigned_at_us, &ret->started_at_us, &ret->closed_at_us,
		&ret->target_triage_at_us, &ret->target_resolve_at_us};

	read_text(ret->assigned_agency, sizeof ret->assigned_agency, result, row, FIRST);
	read_text(ret->assigned_desk, sizeof ret->assigned_desk, result, row, FIRST + 1);
	read_text(ret->referred_agency, sizeof ret->referred_agency, result, row, FIRST + 2);
	read_text(ret->referred_service, sizeof ret->referred_service, result, row, FIRST + 3);
	ret->disposition = (int)jk_db_get_int(result, row, FIRST + 4);
	ret->blocking = (int32_t)jk_db_get_int(result, row, FIRST + 5);
	ret->took_in = (int32_t)jk_db_get_int(result, row, FIRST + 6);
	ret->merged_into = jk_db_get_id(result, row, FIRST + 7);
	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		*times[i] = jk_db_get_time_us(result, row, FIRST + 8 + (int)i);
	ret->assigned_hidden = jk_db_get_int(result, row, FIRST + 14) != 0;
	ret->referred_hidden = jk_db_get_int(result, row, FIRST + 15) != 0;
	ret->since_version = (int32_t)jk_db_get_int(result, row, FIRST + 16);
}

void cases_row_read_task(const PGresult *result, int row, struct cases_task *ret)
{
	*ret = (struct cases_task){
		.task_id = jk_db_get_id(result, row, 0),
		.case_id = jk_db_get_id(result, row, 1),
		.due_us = jk_db_get_time_us(result, row, 5),
		.blocking = jk_db_get_int(result, row, 6) != 0,
		.state = (enum cases_task_state)jk_db_get_int(result, row, 7),
		.made_at_us = jk_db_get_time_us(result, row, 8),
		.ended_at_us = jk_db_get_time_us(result, row, 9),
		.hidden = jk_db_get_int(result, row, 10) != 0,
	};
	read_text(ret->title, sizeof ret->title, result, row, 2);
	read_text(ret->agency, sizeof ret->agency, result, row, 3);
	read_text(ret->desk, sizeof ret->desk, result, row, 4);
}

void cases_row_add_time(struct jk_db_array *column, int64_t time_us)
{
	uint8_t bytes[8];

	jk_put_be64(bytes, (uint64_t)cases_row_time(time_us));
	jk_db_array_add(column, time_us == 0 ? NULL : bytes, sizeof bytes);
}
