"""``imccircuit run``: a recipe to a results file."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from imccircuit.cli.output import (
    AllowNative,
    JsonFlag,
    Libraries,
    Settings,
    Unset,
    complain,
    say,
    say_json,
    say_table,
)
from imccircuit.engines.ngspice import locate, probe, require_osdi
from imccircuit.errors import ExitCode, UsageError
from imccircuit.recipes.load import load_recipe, native_files
from imccircuit.recipes.plan import Plan
from imccircuit.sweeps.ledger import work_folder
from imccircuit.sweeps.run import Mode, Progress, RunOptions, Stopper, Summary, run_plan

NAME = "run"


def command(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name or a .toml file.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Default: results/RECIPE.h5.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("-j", "--jobs", min=1, help="Default: all cores.")
    ] = None,
    settings: Settings = None,
    unset: Unset = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Short for --set variation.samples=N.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Short for --set variation.seed=N.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.001, help="Longest time for one problem, in seconds.")
    ] = 600.0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with unfinished work.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget unfinished work.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be run.")] = False,
    max_fail: Annotated[
        float, typer.Option(min=0, max=100, help="Stop when more than PCT percent have failed.")
    ] = 100.0,
    libraries: Libraries = None,
    allow_native: AllowNative = False,
    as_json: JsonFlag = False,
) -> None:
    """Run a recipe's points on ngspice (or nodal) and write one results file."""
    if resume and fresh:
        raise UsageError("--resume and --fresh exclude each other")
    mode: Mode = "resume" if resume else "fresh" if fresh else "new"
    plan = Plan(
        load_recipe(
            recipe,
            _all_settings(settings, samples, seed),
            libraries or [],
            unset=unset or [],
            allow_native=allow_native,
        )
    )
    for file in native_files(plan.recipe):
        require_osdi(probe(locate()), str(file))
    target = output or Path("results") / f"{plan.recipe.name}.h5"
    if dry_run:
        _say_plan(plan, target, as_json=as_json)
        return
    options = RunOptions(jobs or 0, mode, timeout, max_fail)
    stopper = Stopper()
    with _interrupts(stopper), _progress(plan.tasks, quiet=as_json) as progress:
        summary = run_plan(plan, target, options, progress=progress, stopper=stopper)
    if as_json:
        say_json(as_dict(summary))
    else:
        _say_summary(summary)
    if any(v.name == "loop_difference" for group in plan.groups for v in group.variables):
        _warn_of_loop(summary)
    code = exit_code(summary)
    if code:
        raise typer.Exit(code)


def _warn_of_loop(summary: Summary) -> None:
    from imccircuit.cli.loop_limit import loop_warnings
    from imccircuit.results.read import read_results

    if summary.output.is_file():
        for line in loop_warnings(read_results(summary.output)):
            complain(line)


def _all_settings(settings: list[str] | None, samples: int | None, seed: int | None) -> list[str]:
    found = list(settings or [])
    if samples is not None:
        found.append(f"variation.samples={samples}")
    if seed is not None:
        found.append(f"variation.seed={seed}")
    return found


def exit_code(summary: Summary) -> ExitCode:
    """Exit code of a run."""
    if summary.interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.POINTS_FAILED if summary.failed else ExitCode.GOOD


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
        "complete": summary.complete,
        "interrupted": summary.interrupted,
        "stopped_by_max_fail": summary.stopped_by_max_fail,
    }


@contextmanager
def _interrupts(stopper: Stopper) -> Iterator[None]:
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
def _progress(total: int, *, quiet: bool) -> Iterator[Progress | None]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn(), TextColumn("{task.fields[note]}"))  # fmt: skip
    with Bar(*columns, console=console) as bar:
        line = bar.add_task("measuring", total=total, note="")

        def update(summary: Summary) -> None:
            new = summary.done - summary.already
            rate = f"{new / summary.elapsed_s:.3g}/s" if new and summary.elapsed_s else ""
            failed = f"{summary.failed} failed" if summary.failed else ""
            bar.update(line, completed=summary.done, note=" ".join(filter(None, (rate, failed))))

        yield update


def _say_plan(plan: Plan, target: Path, *, as_json: bool) -> None:
    axes = [{key: len(axis) for key in axis.values} for axis in plan.recipe.axes]
    shapes = [
        {variable.name: [len(group.points), plan.samples, *(group.sizes[d] for d in variable.dims)]
         for variable in group.variables}
        for group in plan.groups
    ]  # fmt: skip
    report = {
        "recipe": plan.recipe.name,
        "bench": plan.recipe.bench.name,
        "engine": plan.recipe.common.engine,
        "points": plan.points,
        "samples": plan.samples,
        "measurements": plan.tasks,
        "axes": axes,
        "shapes": shapes,
        "output": str(target),
    }
    if as_json:
        say_json(report)
        return
    rows = [(key, value) for key, value in report.items() if key not in ("axes", "shapes")]
    rows += [
        ("axis", ", ".join(f"{key} ({count})" for key, count in axis.items())) for axis in axes
    ]
    for group in shapes:
        rows += [(name, " × ".join(map(str, shape))) for name, shape in group.items()]
    say_table("would run", ("what", "value"), rows)


def _say_summary(summary: Summary) -> None:
    new = summary.done - summary.already
    state = "interrupted" if summary.interrupted else "done"
    if summary.stopped_by_max_fail:
        state = "stopped by --max-fail"
    say(
        f"{state}: {summary.done} of {summary.total} measured "
        f"({new} now in {summary.elapsed_s:.1f} s), {summary.failed} failed"
    )
    for reason, count in summary.reasons.most_common(5):
        say(f"  {count} × {reason}")
    failed = work_folder(summary.output) / "failed"
    if summary.failed and failed.is_dir():
        say(f"decks of failed points, each with the command that runs it again: {failed}")
    say(f"results: {summary.output}")
    if not summary.complete:
        complain("unfinished; go on with the same command and --resume")
    else:
        say(f"next: imccircuit show {summary.output}")
