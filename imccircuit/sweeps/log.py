"""The log of a run: ``<output>.log``, to which every call of the run adds."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

from imccircuit.recipes.plan import Plan
from imccircuit.sweeps.state import RunOptions, Summary

_LOG = logging.getLogger("imccircuit.run")


class _Handler(logging.FileHandler):
    """A full disk must not end a run because of its log."""

    def _open(self) -> TextIOWrapper:
        """Open the file itself: a link leads out of the folder, a pipe would wait for a reader."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        return os.fdopen(os.open(self.baseFilename, flags, 0o644), "a", encoding=self.encoding)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Lose the line."""


def log_file(output: Path) -> Path:
    """Where the log of a run lies."""
    return output.with_name(output.name + ".log")


@contextmanager
def run_log(output: Path) -> Iterator[None]:
    """Send what is logged under ``imccircuit.run`` to the log of this output."""
    try:
        handler = _Handler(log_file(output), encoding="utf-8")
    except OSError:
        yield
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    level, propagate = _LOG.level, _LOG.propagate
    _LOG.addHandler(handler)
    _LOG.setLevel(logging.INFO)
    _LOG.propagate = False
    try:
        yield
    except BaseException as error:
        _LOG.error("ended by %s: %s", type(error).__name__, error)
        raise
    finally:
        _LOG.removeHandler(handler)
        _LOG.setLevel(level)
        _LOG.propagate = propagate
        with suppress(OSError):  # what could not be written is tried once more
            handler.close()


def say_start(
    plan: Plan, summary: Summary, versions: Mapping[str, str], options: RunOptions
) -> None:
    """Log what begins, with all that decides its numbers."""
    _LOG.info(
        "process %d on %s: %s, %d of %d to measure, digest %s",
        os.getpid(), platform.node(), plan.recipe.file, summary.left, summary.total,
        plan.digest[:12],
    )  # fmt: skip
    _LOG.info("versions: %s", ", ".join(f"{key} {value}" for key, value in versions.items()))
    _LOG.info("options: %s", options)


def say_end(summary: Summary) -> None:
    """Log how it ended, with the failures by reason."""
    state = "done" if summary.complete else "unfinished"
    _LOG.info(
        "%s: %d of %d measured, %d failed, %.1f s", state, summary.done, summary.total,
        summary.failed, summary.elapsed_s,
    )  # fmt: skip
    for reason, count in summary.reasons.most_common():
        _LOG.info("%d × %s", count, reason)
