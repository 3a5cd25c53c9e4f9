"""Faults of processes: killed, stopped, started twice, rolled."""
from suite import fault

INTAKE_POINTS = (
    ("intake_after_read", 40),                  # a report is in memory, nothing of it anywhere else
    ("db_before_sync/intake_append", 2),        # all statements handed over, no Sync
    ("db_after_sync/intake_append", 2),         # the commit is under way, its answer unknown
    ("intake_before_receipt", 100),             # committed; some of the batch have their receipt, some have not
)


@fault("F2", "kill -9 intake at four points of a batch", quick=True)
def kill_intake(run):
    """Kills intake after reading a report, after the statements and before Sync, after Sync and before the reply, and between two
    receipts of one batch; restarts it; publishers repeat what has no answer."""
    for point, most in INTAKE_POINTS:
        with run.world() as world:
            world.plan_crash("intake", f"{point}:{run.random.randrange(1, most + 1)}")
            load = world.load(run.count(3000, 1200))
            world.moment(load)
            world.crash("intake", load)
            world.restart("intake")
            load.wait()
            run.judge(world)
