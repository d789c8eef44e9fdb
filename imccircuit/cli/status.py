"""``imccircuit status``: how far a run is, from another terminal or after its death."""

from __future__ import annotations

import fcntl
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from imccircuit.cli.output import JsonFlag, say, say_json
from imccircuit.engines.contract import Status
from imccircuit.errors import UsageError
from imccircuit.results.read import read_results
from imccircuit.sweeps.ledger import read_ledger, work_folder

NAME = "status"


def command(
    output: Annotated[Path, typer.Argument(help="The results file of the run.")],
    as_json: JsonFlag = False,
) -> None:
    """Say whether a run is running, dead or finished, and what failed so far."""
    folder = work_folder(output)
    if (folder / "ledger.jsonl").is_file():
        report = _of_ledger(output, folder)
    elif output.is_file():
        report = _of_results(output)
    else:
        raise UsageError(f"{output}: neither results nor unfinished work")
    if as_json:
        say_json(report)
        return
    failed = report["done"] - report["status"].get("good", 0)
    say(f"{output}: {report['state']}, {report['done']} of {report['total']}, {failed} failed")
    for reason, count in list(report["reasons"].items())[:10]:
        say(f"  {count} × {reason}")
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
    header, entries = read_ledger(folder)
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for entry in entries:
        for row in entry["records"]:
            name = Status(row[2]).name.lower()
            counts[name] += 1
            if row[2] != Status.GOOD:
                reasons[f"{name}: {row[3]}"] += 1
    state = "running" if _is_locked(folder) else "unfinished"
    return {"output": output, **_report(state, int(header.get("tasks", 0)), counts, reasons)}


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
