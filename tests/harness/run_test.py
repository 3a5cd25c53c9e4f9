"""run_test.py FILE_test.py: runs one Python test file for ctest: exit 77 when everything in it was skipped."""
import importlib
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
path = pathlib.Path(sys.argv[1]).resolve()
sys.path.insert(0, str(path.parent))
suite = unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(path.stem))
result = unittest.TextTestRunner(verbosity=2).run(suite)
if result.testsRun == 0 and not result.skipped:
    print("no test was found")
    sys.exit(1)
if result.wasSuccessful() and result.skipped and len(result.skipped) >= result.testsRun:
    for _, why in result.skipped:
        print("skipped:", why)
    sys.exit(77)
sys.exit(0 if result.wasSuccessful() else 1)
