"""Running a plan to the end, or as far as it gets, and never doing twice what is done."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from pathlib import Path

from imccircuit.engines.contract import Status
from imccircuit.engines.registry import make_engine
from imccircuit.errors import UsageError
from imccircuit.recipes.plan import Plan
from imccircuit.results.schema import SCHEMA, Provenance, TaskRecord
from imccircuit.results.write import write_results
from imccircuit.sweeps.dispatch import Dispatcher, cores
from imccircuit.sweeps.ledger import Ledger, work_folder
from imccircuit.sweeps.state import Mode, Progress, RunOptions, Stopper, Summary
from imccircuit.versions import library_versions

__all__ = ["Mode", "Progress", "RunOptions", "Stopper", "Summary", "run_plan"]

_HDF5 = b"\x89HDF\r\n\x1a\n"


def run_plan(
    plan: Plan,
    output: Path,
    options: RunOptions,
    *,
    progress: Progress | None = None,
    stopper: Stopper | None = None,
) -> Summary:
    """Run a plan and write its results file.

    Raises
    ------
    UsageError : unfinished work is in the way, another run holds the output, the output is some
        other file, nothing can be written.
    InputError : two axes do not go together.
    SetupError : the engine is missing.
    """
    versions = {
        **make_engine(plan.recipe.common.engine).versions(),
        **library_versions(),
    }
    header = {"digest": plan.digest, "tasks": plan.tasks, "versions": versions}
    _ = plan.groups  # points that do not go together are refused before anything is written
    _check_output(output)
    if options.mode == "resume" and output.is_file() and not _unfinished(output):
        summary = _finished_summary(plan, output)
        if work_folder(output).is_dir():
            # Killed after its file was written and before its work was removed.
            with Ledger(output) as ledger:
                ledger.clear(keep_failed=summary.failed > 0)
        return summary
    with Ledger(output) as ledger:
        _prepare(ledger, header, output, options.mode)
        summary = Summary(output, plan.tasks)
        _recount(summary, ledger)
        Dispatcher(plan, ledger, summary, options, progress, stopper or Stopper()).work()
        _consolidate(plan, ledger, summary, versions, options)
        if summary.complete:
            ledger.clear(keep_failed=summary.failed > 0)
    return summary


def _check_output(output: Path) -> None:
    """Refuse to replace what is no results file."""
    try:
        if output.is_dir():
            raise UsageError(f"{output} is a folder")
        if not output.exists():
            return
        with output.open("rb") as file:
            head = file.read(len(_HDF5))
    except OSError as error:
        raise UsageError(f"{output} cannot be read: {error.strerror}") from None
    if head and (head != _HDF5 or not _may_be_results(output)):
        raise UsageError(f"{output} is no results file and is not replaced; choose another output")


def _may_be_results(output: Path) -> bool:
    """Whether an HDF5 file is a results file, or so torn that nothing is lost with it."""
    import h5py

    try:
        with h5py.File(output, "r") as file:
            return str(file.attrs.get("schema", "")).startswith(SCHEMA.rpartition("-")[0])
    except OSError:
        return True


def _unfinished(output: Path) -> bool:
    return (work_folder(output) / "ledger.jsonl").is_file()


def _finished_summary(plan: Plan, output: Path) -> Summary:
    """Summary of a finished results file of this very plan."""
    from imccircuit.results.read import read_results

    results = read_results(output)
    if results.provenance.digest != plan.digest:
        raise UsageError(f"{output} holds another run (recipe, --set or cards differ); use --fresh")
    if not results.complete:
        text = f"{output} is a part of a run whose {work_folder(output).name} is gone; use --fresh"
        raise UsageError(text)
    summary = Summary(output, plan.tasks, done=plan.tasks, already=plan.tasks)
    failures = results.failures()
    summary.counts[Status.GOOD] = plan.tasks - len(failures)
    for _, _, status, reason in failures:
        summary.counts[Status[status.upper()]] += 1
        summary.reasons[f"{status}: {reason}"] += 1
    return summary


def _prepare(ledger: Ledger, header: dict[str, object], output: Path, mode: Mode) -> None:
    if mode != "fresh":
        ledger.read()
    if not ledger.header:
        ledger.start(header)
        return
    if mode == "new":
        raise UsageError(
            f"unfinished work in {work_folder(output)} "
            f"({len(ledger.done())} of {ledger.header.get('tasks')} done); use --resume or --fresh"
        )
    if ledger.header != header:
        keys = [key for key in header if ledger.header.get(key) != header[key]]
        raise UsageError(
            f"the unfinished work in {work_folder(output)} is of another recipe, card or version "
            f"({', '.join(keys)} differ); use --fresh to forget it"
        )
    ledger.repair()


def _recount(summary: Summary, ledger: Ledger) -> None:
    for entry in ledger.entries:
        summary.count(
            [TaskRecord(row[0], row[1], Status(row[2]), row[3]) for row in entry["records"]]
        )
    summary.already = summary.done


def _consolidate(
    plan: Plan, ledger: Ledger, summary: Summary, versions: dict[str, str], options: RunOptions
) -> None:
    now = datetime.now(UTC)
    info: dict[str, str | float | int] = {
        "finished": now.isoformat(timespec="seconds"),
        "host": platform.node(),
        "elapsed_s": round(summary.elapsed_s, 3),
        "engine_s": round(sum(row[6] for entry in ledger.entries for row in entry["records"]), 3),
        "jobs": options.jobs or cores(),
        "resumed_from": summary.already,
    }
    provenance = Provenance(
        recipe_name=plan.recipe.name,
        recipe_text=plan.recipe.text,
        recipe_resolved=plan.resolved,
        inputs=plan.arrays,
        bench=plan.recipe.bench.name,
        title=plan.recipe.common.title,
        seed=plan.recipe.common.variation.seed,
        digest=plan.digest,
        file_hashes=plan.file_hashes,
        versions=versions,
    )
    write_results(
        summary.output,
        plan.groups,
        plan.samples,
        ledger.records(),
        provenance,
        info,
        complete=summary.complete,
    )
