"""The command ``imccircuit`` with the bench of the tests of runs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "sweeps"))
import sweep_bench

from imccircuit.cli.main import run_command

if __name__ == "__main__":
    sweep_bench.register()
    sys.exit(run_command(sys.argv[1:]))
