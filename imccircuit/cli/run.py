"""``imccircuit run``: a recipe to a results file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    say_json_line,
    say_table,
)
from imccircuit.cli.progress import as_dict, interrupts, progress_of
from imccircuit.engines.ngspice import locate, probe, require_osdi
from imccircuit.errors import ExitCode, ImcError, UsageError
from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.native import native_files
from imccircuit.recipes.plan import Plan
from imccircuit.sweeps.ledger import work_folder
from imccircuit.sweeps.log import log_file
from imccircuit.sweeps.run import ExecutorName, Mode, RunOptions, Stopper, Summary, run_plan
from imccircuit.units import parse_bytes

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
    memory: Annotated[
        str, typer.Option(metavar="BYTES", help='Most memory of one simulator, such as "8 GB".')
    ] = "",
    cores_per_point: Annotated[
        int, typer.Option(min=1, help="Cores for each simulator; so many fewer run side by side.")
    ] = 1,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Simulate also what was simulated before.")
    ] = False,
    executor: Annotated[
        ExecutorName, typer.Option(help="Processes of this machine, or a Dask cluster.")
    ] = "local",
    scheduler: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Of the Dask scheduler: tcp://HOST:8786.")
    ] = "",
    libraries: Libraries = None,
    allow_native: AllowNative = False,
    as_json: JsonFlag = False,
) -> None:
    """Run a recipe's points on ngspice (or nodal) and write one results file."""
    if resume and fresh:
        raise UsageError("--resume and --fresh exclude each other")
    if scheduler and executor != "dask":
        raise UsageError("--scheduler needs --executor dask")
    if jobs and executor == "dask":
        raise UsageError("--jobs is of this machine; a Dask cluster brings its own workers")
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
    options = RunOptions(
        jobs=jobs or 0,
        mode=mode,
        timeout_s=timeout,
        max_fail_percent=max_fail,
        memory_bytes=_bytes("--memory", memory),
        cores_per_point=cores_per_point,
        use_cache=not no_cache,
        executor=executor,
        scheduler=scheduler,
    )
    stopper = Stopper()
    try:
        with interrupts(stopper), progress_of(plan.tasks, as_json=as_json) as progress:
            summary = run_plan(plan, target, options, progress=progress, stopper=stopper)
    except ImcError as error:
        if as_json:
            end = {"event": "end", "error": str(error), "exit_code": int(error.exit_code)}
            say_json_line(end)
        raise
    if as_json:
        say_json_line({"event": "end", **as_dict(summary)})
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


def _bytes(option: str, text: str) -> int:
    try:
        return parse_bytes(text) if text else 0
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from None


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
    say(f"results: {summary.output}, log: {log_file(summary.output)}")
    if not summary.complete:
        complain("unfinished; go on with the same command and --resume")
    else:
        say(f"next: imccircuit show {summary.output}")
