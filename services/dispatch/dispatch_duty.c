#include "dispatch_duty.h"

#include <stdlib.h>

#include "dispatch_duty_internal.h"

static void register_metrics(struct dispatch_duty_metrics *m)
{
	static const char *const actions[DISPATCH_DUTY_ACTIONS] = {NULL, "action=\"opened\"", "action=\"offered\"",
		"action=\"accepted\"", "action=\"declined\"", "action=\"timed_out\"", "action=\"skipped\"",
		"action=\"unanswered\"", "action=\"handed_over\"", "action=\"completed\"", "action=\"withdrawn\"",
		"action=\"escalated\""};
	static const char *const states[DISPATCH_DUTY_STATES] = {
		NULL, "state=\"waiting\"", "state=\"offered\"", "state=\"held\"", "state=\"unanswered\"", NULL, NULL};

	for (int i = 1; i < DISPATCH_DUTY_ACTIONS; i++)
		m->steps[i] = jk_metric_counter("jukwaa_dispatch_duty_steps_total", actions[i], "Steps of duties.");
	for (int i = DISPATCH_DUTY_WAITING; i <= DISPATCH_DUTY_UNANSWERED; i++)
		m->states[i] =
			jk_metric_gauge("jukwaa_dispatch_duties", states[i], "Duties that are not done yet, all dispatchers'.");
	m->unsaid = jk_metric_counter("jukwaa_dispatch_duty_unsaid_total", "",
		"Steps of duties without an event: the incident's body is not kept any more.");
	m->commands = jk_metric_counter("jukwaa_dispatch_duty_commands_total", "", "Commands of desks about duties.");
	m->pushed = jk_metric_counter("jukwaa_dispatch_offers_sent_total", "", "Offers sent to open sessions.");
}

void dispatch_duty_count(struct dispatch_duties *duties, const struct dispatch_duty_steps *steps)
{
	for (int i = 1; i < DISPATCH_DUTY_ACTIONS; i++)
		if (steps->counts[i] > 0)
			jk_metric_add(duties->metrics.steps[i], steps->counts[i]);
	if (steps->unsaid > 0)
		jk_metric_add(duties->metrics.unsaid, steps->unsaid);
	duties->around.on_grown(duties->around.arg);
}

enum jk_status dispatch_duty_open(const struct dispatch_duty_around *around, struct dispatch_duties **ret_duties)
{
	struct dispatch_duties *duties = calloc(1, sizeof *duties);

	*ret_duties = NULL;
	if (duties == NULL)
		return JK_BROKEN;
	duties->around = *around;
	duties->sessions = around->sessions;
	register_metrics(&duties->metrics);
	if (dispatch_tick_open(duties) != JK_OK || dispatch_command_open(duties) != JK_OK ||
		dispatch_offers_open(duties) != JK_OK) {
		dispatch_duty_close(&duties);
		return JK_BROKEN;
	}
	*ret_duties = duties;
	return JK_OK;
}

void dispatch_duty_close(struct dispatch_duties **duties_p)
{
	struct dispatch_duties *duties = *duties_p;

	if (duties == NULL)
		return;
	*duties_p = NULL;
	dispatch_command_close(duties);
	dispatch_tick_close(duties);
	dispatch_offers_close(duties);
	free(duties);
}

void dispatch_duty_wake(struct dispatch_duties *duties)
{
	duties->tick.woken = true;
}

void dispatch_duty_on_timer(struct dispatch_duties *duties)
{
	jk_db_on_timer(duties->tick.db);
	duties->tick.woken = true;
	jk_commands_on_timer(duties->commands);
	dispatch_offers_on_timer(duties);
}

void dispatch_duty_turn(struct dispatch_duties *duties)
{
	dispatch_tick_turn(duties);
	jk_commands_turn(duties->commands);
	dispatch_offers_turn(duties);
}
