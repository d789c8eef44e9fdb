"""How far a run is, while it runs: a bar for a person, lines of JSON for a program."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from imccircuit.cli.output import complain, say_json_line
from imccircuit.sweeps.run import Progress, Stopper, Summary

# A program that watches wants to know that we live, not every measurement.
_JSON_EVERY_S = 1.0
_REASONS_SHOWN = 2


def as_dict(summary: Summary) -> dict[str, Any]:
    """A summary for JSON."""
    return {
        "output": str(summary.output),
        "total": summary.total,
        "done": summary.done,
        "already_done": summary.already,
        "failed": summary.failed,
        "status": {status.name.lower(): count for status, count in summary.counts.items()},
        "reasons": dict(summary.reasons),
        "elapsed_s": round(summary.elapsed_s, 3),
        "engine_s": round(summary.engine_s, 3),
        "analysis_s": round(summary.analysis_s, 3),
        "rate_per_s": round(summary.rate, 3),
        "left_s": None if summary.left_s is None else round(summary.left_s, 1),
        "complete": summary.complete,
        "interrupted": summary.interrupted,
        "stopped_by_max_fail": summary.stopped_by_max_fail,
    }


@contextmanager
def interrupts(stopper: Stopper) -> Iterator[None]:
    """Ctrl-C once drains and writes, twice kills; a polite kill counts as the first."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        stopper.request()
        if stopper.requests > 1:
            raise KeyboardInterrupt
        complain("stopping: what is in flight is finished and written; Ctrl-C again kills it")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def progress_of(total: int, *, as_json: bool) -> Iterator[Progress | None]:
    """What a run calls after every step: a bar on a terminal, JSON lines if asked, else None."""
    from rich.console import Console

    console = Console(stderr=True)
    if as_json:
        yield _json_lines()
    elif console.is_terminal:
        with _bar(console, total) as update:
            yield update
    else:
        yield None


def _json_lines() -> Progress:
    last = time.monotonic()

    def update(summary: Summary) -> None:
        nonlocal last
        if time.monotonic() - last >= _JSON_EVERY_S:
            last = time.monotonic()
            say_json_line({"event": "progress", **as_dict(summary)})

    return update


@contextmanager
def _bar(console: Any, total: int) -> Iterator[Progress]:
    from rich.console import Group
    from rich.live import Live
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.text import Text

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn(), TextColumn("{task.fields[rate]}"))  # fmt: skip
    bar = Bar(*columns, console=console, auto_refresh=False)
    line = bar.add_task("measuring", total=total, rate="")
    # On a line of its own, or it pushes the rest out of a narrow terminal; and plain text, because
    # a reason may hold brackets, which are markup elsewhere.
    note = Text(no_wrap=True, overflow="ellipsis")

    def update(summary: Summary) -> None:
        rate = f"{summary.rate:.3g}/s" if summary.rate else ""
        bar.update(line, completed=summary.done, rate=rate)
        if summary.failed:
            common = summary.reasons.most_common(_REASONS_SHOWN)
            reasons = "; ".join(f"{count} × {reason[:60]}" for reason, count in common)
            note.plain = f"{summary.failed} failed: {reasons}"

    with Live(Group(bar, note), console=console):
        yield update
