"""Every way imccircuit refuses or fails, each with the exit code the command line gives it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum

# Signs that steer a terminal, turn its text around, or are no text at all.
_STEERING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff]"
)


def visible(text: str) -> str:
    """``text`` with every sign that would steer a terminal written as its escape; lines stay."""
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


class ExitCode(IntEnum):
    """What a finished ``imccircuit`` command tells the shell."""

    GOOD = 0
    USAGE = 1
    POINTS_FAILED = 2
    BELOW_GATE = 3
    ENVIRONMENT = 4
    INTERRUPTED = 130


class ImcError(Exception):
    """Base of all errors of this package. Its text is one line that a user can act on."""

    exit_code: ExitCode = ExitCode.USAGE

    def __str__(self) -> str:
        """One line, whatever name of a file or text from a file is in it."""
        return visible(" ".join(super().__str__().split()))


class UsageError(ImcError):
    """A command or call that cannot be carried out as asked."""


class InputError(ImcError):
    """A file that a user wrote (recipe, card, study, array) holds something impossible.

    Parameters
    ----------
    file : where the fault stands, as the user named it.
    key : dotted path of the faulty entry, empty if the fault is the file itself.
    value : the value found there.
    problem : what is wrong with it.
    allowed : what would be accepted.
    """

    def __init__(self, file: str, key: str, value: object, problem: str, allowed: str = "") -> None:
        shown = repr(value)
        if len(shown) > 80:
            shown = shown[:77] + "..."
        # A fault between the keys of a table names them; the whole table would only hide it.
        place = key if isinstance(value, Mapping) else f"{key} = {shown}"
        where = f"{file}: {place}" if key else file
        text = f"{where}: {problem}" + (f"; allowed: {allowed}" if allowed else "")
        super().__init__(" ".join(text.split()))
        self.file, self.key, self.value = file, key, value
        self.problem, self.allowed = problem, allowed


class EngineError(ImcError):
    """A problem was refused by an engine or could not be solved by it."""

    exit_code = ExitCode.POINTS_FAILED


class SetupError(ImcError):
    """Something is missing on this machine; the text names the command that installs it."""

    exit_code = ExitCode.ENVIRONMENT


class StorageError(ImcError):
    """What was measured cannot be kept: disk full, folder read-only or taken away."""

    exit_code = ExitCode.ENVIRONMENT


class FileFormatError(ImcError):
    """A results or model file is torn, foreign, or of a schema this version cannot read."""


class VerdictError(ImcError):
    """A surrogate is below its gate, so it is not handed on unless that is forced."""

    exit_code = ExitCode.BELOW_GATE
