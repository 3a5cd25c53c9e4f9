"""Does the checker see what it is there for? Rules are broken on purpose, in the test's own databases only, and it must find the
loss, the repeat and the hole; and what it is told that is not so."""
import dataclasses
import unittest

from faults_database import lose_by_rule
from suite import Fault, Run
from world import Load, seed_of


class CheckerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.seed = seed_of()
        print(f"JUKWAA_FAULT_SEED={cls.seed}", flush=True)

    def setUp(self):
        self.run_ = Run(Fault(self.id(), "", None, False), self.seed, small=True)

    def test_it_finds_the_loss(self):
        """Without synchronous commits a crash of PostgreSQL loses what was receipted (not in every crash: up to five)."""
        for _ in range(5):
            found = lose_by_rule(self.run_)
            if found.lost:
                return
        self.fail("five crashes with synchronous_commit=off, and no loss was seen")

    def test_it_finds_the_repeat(self):
        """Without the dedup key, and without what it remembers, a report that comes twice is stored twice."""
        with self.run_.world(services=("intake",)) as world:
            world.sql("ALTER TABLE intake.dedup DROP CONSTRAINT dedup_pkey; DROP INDEX intake.dedup_first")
            world.sql("CREATE FUNCTION public.forget() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
            world.sql("GRANT USAGE ON SCHEMA public TO PUBLIC")
            world.sql("CREATE TRIGGER forget BEFORE INSERT ON intake.dedup FOR EACH ROW EXECUTE FUNCTION public.forget()")
            reports = world.reports(200, updates=0)
            for _ in range(2):
                Load([world.publisher("KPS", reports)]).wait()
            found = world.checker().check(cases=False)
        self.assertTrue(found.repeated, found.text())
        self.assertTrue(any("receipts STORED" in one or "stored 2 times" in one for one in found.repeated), found.text())

    def test_it_finds_the_hole(self):
        """Without the lock on a stream's head two intakes give one number twice, and none to others."""
        with self.run_.world(services=("intake",), intakes=2) as world:
            body = world.sql("SELECT pg_get_functiondef('feed.append'::regproc)")[0][0]
            self.assertEqual((body.count("FOR UPDATE OF h"), body.count("FOR UPDATE")), (1, 2))  # of few events, and of many
            world.sql("ALTER TABLE feed.event DROP CONSTRAINT event_pkey")
            world.sql(body.replace("FOR UPDATE OF h", "").replace("FOR UPDATE", "").replace("%", "%%"))
            for turn in range(5):
                Load([world.publisher(a, world.reports(800, f"{a}{turn}-", updates=0), i)
                      for a, i in zip(world.agencies, world.intakes)]).wait()
                found = world.checker().check(cases=False)
                if found.holes:
                    break
        self.assertTrue(any("given twice" in one for one in found.holes), found.text())

    def test_it_finds_what_a_desk_should_not_have_and_what_it_lacks(self):
        """The notes of a desk are altered: one event less, one of another county, one that was never stored, one again."""
        with self.run_.world() as world:
            load = world.load(300)
            load.wait()
            world.settle()
            everything, one, nothing = world.desks
            self.assertFalse(world.checker().check(), "an honest run is clean")

            missing = everything.deliveries.pop(len(everything.deliveries) // 2)
            everything.seen.discard((missing.stream, missing.seq))
            self.assertTrue(any("never got" in text for text in world.checker().check().lost))

            other = next(d for d in everything.deliveries if d.stream != "001")
            one.deliveries.append(dataclasses.replace(other, session=99, number=1))
            nothing.deliveries.append(dataclasses.replace(other, session=1, number=1))
            found = world.checker().check()
            self.assertEqual(len(found.foreign), 2, found.text())

            one.deliveries.append(dataclasses.replace(one.deliveries[0], session=99, number=2, event_id="00" * 16))
            self.assertTrue(any("stored otherwise" in text for text in world.checker().check().lost))
            one.deliveries.append(dataclasses.replace(one.deliveries[0], session=99, number=3, again=True))
            self.assertTrue(any("after acknowledging" in text for text in world.checker().check().repeated))

    def test_it_finds_effects_done_twice_or_never(self):
        with self.run_.world() as world:
            world.load(300).wait()
            world.settle()
            world.sql('DELETE FROM cases."case" WHERE case_id = (SELECT case_id FROM cases."case" LIMIT 1)')
            self.assertTrue(any("no case" in text for text in world.checker().check().lost))
            world.sql('UPDATE cases."case" SET entries = entries + 1 WHERE case_id = (SELECT case_id FROM cases."case" LIMIT 1)')
            self.assertTrue(any("entries counted" in text for text in world.checker().check().repeated))
            world.sql("UPDATE feed.event SET chain = commitment WHERE (stream, seq) = ('001', 2)")
            self.assertTrue(any("the chain breaks" in text for text in world.checker().check().holes))

    def test_a_kill_with_nothing_outstanding_is_no_test(self):
        with self.run_.world(services=("intake",)) as world:
            load = world.load(50)
            load.wait()
            with self.assertRaisesRegex(AssertionError, "outstanding"):
                world.kill("intake", load)


if __name__ == "__main__":
    unittest.main()
