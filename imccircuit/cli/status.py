"""``imccircuit status``: how far a run is, from another terminal or after its death."""

from __future__ import annotations

import fcntl
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from imccircuit.cli.output import JsonFlag, say, say_json
from imccircuit.engines.contract import Status
from imccircuit.errors import UsageError
from imccircuit.results.read import read_results
from imccircuit.results.schema import TaskRecord
from imccircuit.sweeps.ledger import read_entries, read_header, work_folder
from imccircuit.sweeps.log import log_file
from imccircuit.sweeps.state import Pace, Tally

NAME = "status"


def command(
    output: Annotated[Path, typer.Argument(help="The results file of the run.")],
    as_json: JsonFlag = False,
) -> None:
    """Say whether a run is running, dead or finished, and what failed so far."""
    folder = work_folder(output)
    report: dict[str, Any] = {}
    if (folder / "ledger.jsonl").is_file():
        with suppress(FileNotFoundError):  # it may end and remove its work at this very moment
            report = _of_ledger(output, folder)
    if not report and output.is_file():
        report = _of_results(output)
    if not report:
        raise UsageError(f"{output}: neither results nor unfinished work")
    if as_json:
        say_json(report)
        return
    failed = report["done"] - report["status"].get("good", 0)
    say(f"{output}: {report['state']}, {report['done']} of {report['total']}, {failed} failed")
    for reason, count in list(report["reasons"].items())[:10]:
        say(f"  {count} × {reason}")
    if report.get("left_s") is not None:
        left = timedelta(seconds=round(report["left_s"]))
        say(f"  process {report['process']}, {report['rate_per_s']:.3g}/s, about {left} left")
    if log_file(output).is_file():
        say(f"log: {log_file(output)}")
    if report["state"] == "unfinished":
        say("go on with: imccircuit run RECIPE --resume")


def _report(state: str, total: int, counts: Counter[str], reasons: Counter[str]) -> dict[str, Any]:
    return {
        "state": state,
        "total": total,
        "done": counts.total(),
        "status": dict(counts),
        "reasons": dict(reasons.most_common()),
    }


def _of_ledger(output: Path, folder: Path) -> dict[str, Any]:
    tally, pace = Tally(), Pace()
    for entry in read_entries(folder):
        for row in entry["records"]:
            tally.count(TaskRecord(row[0], row[1], Status(row[2]), row[3]))
        pace.add(entry["elapsed_s"], len(entry["records"]))
    total = int(read_header(folder).get("tasks", 0))
    state = "running" if _is_locked(folder) else "unfinished"
    counts = Counter({status.name.lower(): n for status, n in tally.counts.items()})
    report = {"output": output, **_report(state, total, counts, tally.reasons)}
    if state == "running":
        report["process"] = (folder / "lock").read_text().strip()
        report["rate_per_s"] = pace.rate
        report["left_s"] = (total - tally.done) / pace.rate if pace.rate else None
    return report


def _of_results(output: Path) -> dict[str, Any]:
    results = read_results(output)
    total = sum(data["status"].size for data in results.datasets)
    failures = results.failures()
    counts = Counter(status for _, _, status, _ in failures)
    if total > len(failures):
        counts["good"] = total - len(failures)
    reasons = Counter(f"{status}: {reason}" for _, _, status, reason in failures)
    state = "finished" if results.complete else "unfinished"
    return {"output": output, **_report(state, total, counts, reasons)}


def _is_locked(folder: Path) -> bool:
    try:
        with (folder / "lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
