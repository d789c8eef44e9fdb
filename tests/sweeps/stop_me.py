"""A run of two long ngspice simulations, to be stopped: OUTPUT JOBS."""

import signal
import sys
from pathlib import Path

from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.sweeps import dispatch
from imccircuit.sweeps.run import RunOptions, Stopper, run_plan


def main():
    stopper = Stopper()
    signal.signal(signal.SIGINT, lambda *_: stopper.request())
    dispatch._TRIAL_S = 0.2
    settings = ["circuit.bits=14", "variation.samples=2"]
    plan = Plan(load_recipe("adc_sar8", settings))
    options = RunOptions(jobs=int(sys.argv[2]))
    summary = run_plan(plan, Path(sys.argv[1]), options, stopper=stopper)
    sys.stdout.write(f"interrupted {summary.interrupted}, done {summary.done}\n")


if __name__ == "__main__":
    main()
