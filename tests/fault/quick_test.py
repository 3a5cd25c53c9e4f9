"""The quick selection of the fault suite, for tests/run: the small form of the faults that pass in a few seconds each. All of them,
at length: tests/fault/run. JUKWAA_FAULT_SEED repeats a run."""
import unittest

from suite import Run, header, load_all, report
from world import seed_of


class QuickTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.seed = seed_of()
        print(f"JUKWAA_FAULT_SEED={cls.seed}", flush=True)
        print(header(), flush=True)


def test_of(one):
    def test(self):
        run = Run(one, self.seed, small=True).go()
        report(run)
        self.assertTrue(run.is_good(), f"{one.name}: {run.error or run.findings.text()}")
    test.__doc__ = one.title
    return test


for _fault in load_all().values():
    if _fault.quick:
        setattr(QuickTest, f"test_{_fault.name.lower()}", test_of(_fault))

if __name__ == "__main__":
    unittest.main()
