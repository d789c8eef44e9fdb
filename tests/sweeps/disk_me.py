"""Runs on a disk that fills up or turns read-only; in a mount namespace of its own: FOLDER PAGES…

For every number of pages it runs a plan on a disk of that size, makes room, and resumes; for ``ro``
the disk becomes read-only in the middle. Prints one JSON object for each: what was said, what was
recorded, how often each point was measured, and whether the file is that of a run with room enough.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from sweep_bench import recipe
from sweep_helpers import contents, log_lines

from imccircuit.errors import StorageError
from imccircuit.recipes.plan import Plan
from imccircuit.sweeps import dispatch
from imccircuit.sweeps.ledger import read_entries, work_folder
from imccircuit.sweeps.run import RunOptions, run_plan

PAGE = 4096
POINTS = 6
ENOUGH = 4000 * PAGE


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def plan_of():
    # Every second line of the ledger fills a page of its own, as every shard does.
    what = ["work", "fail_at_length"] * (POINTS // 2)
    return Plan(recipe(sweep=[{"circuit.what": what}]))


def on_a_disk(disk, log, pages, whole):
    size = ENOUGH if pages == "ro" else int(pages) * PAGE
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk))
    log.unlink(missing_ok=True)
    output, said = disk / "r.h5", ""

    def turn(summary):
        if pages == "ro" and summary.done == POINTS // 2:
            # Not the disk itself: it has files open for writing.
            mount("--bind", str(disk), str(disk))
            mount("-o", "remount,bind,ro", str(disk))

    try:
        run_plan(plan_of(), output, RunOptions(jobs=1), progress=turn)
    except StorageError as error:
        said = str(error)
    there = [row[:2] for entry in read_entries(work_folder(output)) for row in entry["records"]]
    if pages == "ro":
        subprocess.run(["umount", str(disk)], check=True)
    mount("-o", f"remount,size={ENOUGH}", str(disk))
    again = run_plan(plan_of(), output, RunOptions(jobs=1, mode="resume"))
    lines = log_lines(log)
    report = {
        "pages": pages,
        "said": said.replace(f"{disk}/", ""),
        "recorded": len(there),
        "already": again.already,
        "measured": len(lines),
        "same": contents(output) == whole,
        "left": sorted(path.name for path in disk.iterdir()),
    }
    subprocess.run(["umount", str(disk)], check=True)
    sys.stdout.write(json.dumps(report) + "\n")


def main():
    folder = Path(sys.argv[1])
    disk, log = folder / "disk", folder / "log.txt"
    disk.mkdir()
    os.environ.update(IMC_TEST_MAIN=str(os.getpid()), IMC_TEST_LOG=str(log))
    dispatch._CHUNK_S = 0.0  # one measurement a chunk: the pages are the same each time
    run_plan(plan_of(), folder / "whole.h5", RunOptions(jobs=1))
    whole = contents(folder / "whole.h5")
    for pages in sys.argv[2:]:
        on_a_disk(disk, log, pages, whole)


if __name__ == "__main__":
    main()
