"""A run in a process of its own, to be killed: OUTPUT COUNT JOBS."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from sweep_bench import recipe, resistances

from imccircuit.recipes.plan import Plan
from imccircuit.sweeps import dispatch
from imccircuit.sweeps.run import RunOptions, run_plan


def main():
    output, count, jobs = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    os.environ["IMC_TEST_MAIN"] = str(os.getpid())
    dispatch._WORTH_WORKERS_S = dispatch._TRIAL_MIN_S = 0.0
    plan = Plan(
        recipe(
            circuit={"delay": "10 ms"},
            sweep=[{"circuit.resistance": resistances(count)}],
            variation={"samples": 1, "quantities": ["drawn"]},
        )
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    run_plan(plan, output, RunOptions(jobs=jobs, mode="resume"))


if __name__ == "__main__":
    main()
