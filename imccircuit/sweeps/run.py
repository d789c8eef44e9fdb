"""Running a plan to the end, or as far as it gets, and never doing twice what is done."""

from __future__ import annotations

import contextlib
import platform
from datetime import UTC, datetime
from pathlib import Path

from imccircuit.engines.contract import Status
from imccircuit.engines.registry import make_engine
from imccircuit.errors import FileFormatError, UsageError
from imccircuit.recipes.plan import Plan
from imccircuit.results.hdf5 import check_plain, schema_of
from imccircuit.results.schema import SCHEMA, Provenance, TaskRecord
from imccircuit.results.write import write_results
from imccircuit.sweeps.dispatch import Dispatcher, cores
from imccircuit.sweeps.ledger import Ledger, read_entries, read_header, work_folder
from imccircuit.sweeps.log import run_log, say_end, say_start
from imccircuit.sweeps.state import (
    Done,
    ExecutorName,
    Mode,
    Progress,
    RunOptions,
    Stopper,
    Summary,
)
from imccircuit.versions import library_versions

__all__ = ["ExecutorName", "Mode", "Progress", "RunOptions", "Stopper", "Summary", "run_plan"]

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
    UsageError : unfinished work or another run's results are in the way, another run holds the
        output, the output is some other file.
    StorageError : something cannot be written; what is recorded stays for ``resume``.
    InputError : two axes do not go together.
    SetupError : the engine is missing.
    """
    engine_versions = make_engine(plan.recipe.common.engine).versions()
    versions = {**engine_versions, **library_versions()}
    header = {"digest": plan.digest, "tasks": plan.tasks, "versions": versions}
    _ = plan.groups  # points that do not go together are refused before anything is written
    _check_output(plan, output, options.mode)
    if options.mode == "resume" and output.is_file() and not _unfinished(output):
        summary = _finished_summary(plan, output)
        if work_folder(output).is_dir():
            # Killed after its file was written and before its work was removed.
            with Ledger(output) as ledger:
                ledger.clear(keep_failed=summary.failed > 0)
        return summary
    with Ledger(output) as ledger, run_log(output):
        summary, done = Summary(output, plan.tasks), Done(plan.points, plan.samples)
        _prepare(ledger, header, options.mode, summary, done)
        say_start(plan, summary, versions, options)
        stopper = stopper or Stopper()
        dispatcher = Dispatcher(
            plan, ledger, done, summary, engine_versions, options, progress, stopper
        )
        try:
            dispatcher.work()
        except BaseException:
            if summary.done == 0:
                # Nothing is lost, and the same command may be given again as it was.
                with contextlib.suppress(OSError):
                    ledger.clear(keep_failed=False)
            raise
        _consolidate(plan, ledger, summary, versions, options)
        say_end(summary)
        if summary.complete:
            ledger.clear(keep_failed=summary.failed > 0)
    return summary


def _check_output(plan: Plan, output: Path, mode: Mode) -> None:
    """Refuse to replace what is no results file, or results of another run."""
    try:
        if output.is_dir():
            raise UsageError(f"{output} is a folder")
        if not output.exists():
            return
        if not output.is_file():
            raise UsageError(f"{output} is no ordinary file; choose another output")
        with output.open("rb") as file:
            head = file.read(len(_HDF5))
    except OSError as error:
        raise UsageError(f"{output} cannot be read: {error.strerror}") from None
    if head and (head != _HDF5 or not _may_be_results(output)):
        raise UsageError(f"{output} is no results file and is not replaced; choose another output")
    if mode == "new" and _digest_of(output) not in ("", plan.digest):
        raise UsageError(
            f"{output} holds results of another run (recipe, --set or cards differ); "
            "use --fresh to replace it, or choose another output"
        )


def _may_be_results(output: Path) -> bool:
    """Whether an HDF5 file is a results file, or so torn that nothing is lost with it."""
    try:
        return schema_of(output).startswith(SCHEMA.rpartition("-")[0])
    except BlockingIOError:
        raise UsageError(f"{output} is open for writing in another program") from None
    except OSError:
        return True


def _digest_of(output: Path) -> str:
    """Digest of the plan whose results a file holds; empty for a torn one."""
    import h5py

    try:
        check_plain(output)
        with h5py.File(output, "r") as file:
            return str(file["provenance/digest"].asstr()[()])
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RuntimeError,
            FileFormatError):  # fmt: skip
        return ""


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
    summary = Summary(output, plan.tasks, already=plan.tasks)
    failures = results.failures()
    for point, sample, status, reason in failures:
        summary.count([TaskRecord(point, sample, Status[status.upper()], reason)])
    summary.counts[Status.GOOD] = plan.tasks - len(failures)
    return summary


def _prepare(
    ledger: Ledger, header: dict[str, object], mode: Mode, summary: Summary, done: Done
) -> None:
    """Begin a ledger, or go on with one and count what it holds."""

    def take(record: TaskRecord) -> None:
        try:
            done.add(record)
        except IndexError:
            raise UsageError(f"{ledger.folder}: a record of no point; use --fresh") from None
        summary.count([record])

    old = read_header(ledger.folder) if mode != "fresh" else {}
    if not old:
        ledger.start(header)
        return
    if mode == "new":
        count = sum(len(entry["records"]) for entry in read_entries(ledger.folder))
        raise UsageError(
            f"unfinished work in {ledger.folder} "
            f"({count} of {old.get('tasks')} done); use --resume or --fresh"
        )
    if old != header:
        keys = [key for key in header if old.get(key) != header[key]]
        raise UsageError(
            f"the unfinished work in {ledger.folder} is of another recipe, card or version "
            f"({', '.join(keys)} differ); use --fresh to forget it"
        )
    ledger.read(take)
    summary.already = summary.done


def _consolidate(
    plan: Plan, ledger: Ledger, summary: Summary, versions: dict[str, str], options: RunOptions
) -> None:
    now = datetime.now(UTC)
    info: dict[str, str | float | int] = {
        "finished": now.isoformat(timespec="seconds"),
        "host": platform.node(),
        "elapsed_s": round(summary.elapsed_s, 3),
        "engine_s": round(summary.engine_s, 3),
        "analysis_s": round(summary.analysis_s, 3),
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
