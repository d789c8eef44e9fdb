"""Runs in processes of their own, to be killed; a fork of this one costs no second of imports.

Reads one JSON object a line: ``output``, ``log``, ``count`` points, ``jobs``, and perhaps ``hold``
(go no further than so many records: who is to be killed waits for it) or ``die_at`` (kill yourself
before the n-th step of writing). Answers ``pid N`` and, once that process has ended, its exit code
as ``subprocess`` gives it and the number of steps.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from sweep_bench import recipe, resistances

from imccircuit.recipes.plan import Plan
from imccircuit.sweeps import dispatch
from imccircuit.sweeps.run import RunOptions, run_plan

DELAY = "10 ms"
# What Python reports before it changes a file or folder.
CHANGES = {"open", "os.rename", "os.remove", "os.truncate", "os.mkdir", "os.rmdir"}


def plan_of(count, delay=DELAY):
    return Plan(
        recipe(
            circuit={"delay": delay},
            sweep=[{"circuit.resistance": resistances(count)}],
            variation={"samples": 1, "quantities": ["drawn"]},
        )
    )


class Steps:
    """Counts steps of writing below a folder, and dies before one of them."""

    def __init__(self, folder, die_at):
        self.folder, self.die_at, self.count = str(folder), die_at, 0
        sys.addaudithook(self.see)
        fsync = os.fsync
        os.fsync = lambda descriptor: (self.step(), fsync(descriptor))[1]

    def see(self, event, arguments):
        if event in CHANGES and str(arguments[0]).startswith(self.folder):
            self.step()

    def step(self):
        self.count += 1
        if self.count == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)


def work(told, report):
    os.environ.update(IMC_TEST_MAIN=str(os.getpid()), IMC_TEST_LOG=told["log"])
    dispatch._WORTH_WORKERS_S = dispatch._TRIAL_MIN_S = 0.0
    dispatch._LARGEST_CHUNK = dispatch._TRIAL_CHUNK = 3
    output, hold = Path(told["output"]), told.get("hold", 1e9)
    steps = None
    if "die_at" in told:
        dispatch._CHUNK_S = 0.0  # one measurement a chunk: the steps are the same each time
        steps = Steps(output.parent, told["die_at"])

    def wait(summary):
        if summary.done >= hold:
            time.sleep(600)

    plan = plan_of(told["count"], "0 s" if steps else DELAY)
    run_plan(plan, output, RunOptions(jobs=told["jobs"], mode="resume"), progress=wait)
    os.write(report, str(steps.count if steps else 0).encode())


def main():
    for line in sys.stdin:
        told = json.loads(line)
        back, report = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(back)
            code = 1
            try:
                work(told, report)
                code = 0
            finally:
                sys.stderr.flush()
                os._exit(code)
        os.close(report)
        sys.stdout.write(f"pid {pid}\n")
        sys.stdout.flush()
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        sys.stdout.write(f"{ended} {os.read(back, 20).decode() or 0}\n")
        sys.stdout.flush()
        os.close(back)


if __name__ == "__main__":
    main()
