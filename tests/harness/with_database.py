"""with_database.py PROGRAM ARGUMENT...: runs a program with JUKWAA_TEST_PG naming a fresh migrated database (superuser)."""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from jukwaa_harness import Cluster

cluster = Cluster()
name = cluster.make_database()
done = subprocess.run(sys.argv[1:], env={**os.environ, "JUKWAA_TEST_PG": cluster.conninfo(name)})
cluster.stop()
sys.exit(done.returncode)
