"""Lines of a SPICE file that somebody else wrote, and what in them is no description of a circuit.

A file that ngspice includes can do more than describe: ngspice executes control blocks and comments
that begin with ``*#``, and some models start programs or read and write files. Files that a recipe
names are read here first, line by line as ngspice reads them, and refused if they hold such lines.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path

from imccircuit.errors import UsageError

_LARGEST = 256 * 1024 * 1024
# Digital models with programs or files behind them, tables in files, devices with their own output.
_KINDS = re.compile(
    r"(?<![\w.])(d_process|d_cosim|filesource|d_source|d_state|table2d|table3d|xfer|numd|nbjt2?|"
    r"numos)(?![\w.])",
    re.IGNORECASE,
)
# The kind as a plain word: ngspice would take it from a text parameter ({kind}) or the next line.
_MODEL = re.compile(r"\.model\s+[\w.:!@%/+-]+\s+[a-z]\w*(?![^\s(])", re.IGNORECASE)
_FILE_NAME = r"(?<!\w)((?:input_|state_|process_)?file|ic\.file)"
_FILE_PARAMETER = re.compile(rf"{_FILE_NAME}\s*[=\"']", re.IGNORECASE)
# Signs that the shell of ngspice expands in a path, and quotes inside of quotes.
_NO_PATH = re.compile(r"^~|[\"'`$*?{}\[\]]")
_NAME = r"[\w./+@%~-]+"
_PATH = rf"""(?P<path>"[^"]+"|'[^']+'|{_NAME})"""
_INCLUDE = re.compile(rf"(?P<command>\.inc(?:lude)?)\s+{_PATH}(?P<rest>\s.*)?", re.I | re.S)
_LIB = re.compile(
    rf"(?P<command>\.lib)\s+{_PATH}(?P<rest>\s+(?P<section>{_NAME})(\s.*)?)", re.I | re.S
)
_SECTION = re.compile(rf"\.lib\s+(?P<name>{_NAME})\s*", re.I)
_DEEPEST = 20


@dataclass(frozen=True)
class SpiceLine:
    """A line with what continues it.

    Attributes
    ----------
    number : of its first line in the file, from 1.
    text : without blanks around it; continuations joined by one blank.
    """

    number: int
    text: str


@dataclass(frozen=True)
class FileReference:
    """A line that brings in another file.

    Attributes
    ----------
    command : ``.include``, ``.inc`` or ``.lib`` as written.
    path : as written, without quotes.
    section : of a ``.lib`` line, else empty.
    rest : what follows the path.
    """

    command: str
    path: str
    section: str
    rest: str


def read_lines(path: Path, what: str) -> list[SpiceLine]:
    """Lines of a file without comments and blank ones.

    Parameters
    ----------
    what : how messages call such a file.

    Raises
    ------
    UsageError : it cannot be read, is too large, or has a line that would run something.
    """
    if set("'`") & set(str(path)) or not str(path).isprintable():
        raise UsageError(f"{what} {str(path)!r}: a path that no deck can hold; allowed: no quotes")
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise UsageError(f"{what} {path}: no ordinary file")
        if state.st_size > _LARGEST:
            raise UsageError(f"{what} {path.name} is larger than {_LARGEST >> 20} MiB")
        with path.open("rb") as file:
            # Neither read as text nor split by Python: both know line ends that ngspice does not.
            # And no more than its size: some files of the system have none and no end.
            text = file.read(state.st_size).decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(f"{what} {path}: {error.strerror or error}") from None
    lines: list[SpiceLine] = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if line.startswith("*#"):
            raise UsageError(
                f"{path.name} line {number}: ngspice runs comments that begin with *#; allowed: "
                "a comment that begins otherwise"
            )
        if not line or line.startswith(("*", ";", "$")):
            continue
        if line.startswith("+") and lines:
            lines[-1] = SpiceLine(lines[-1].number, f"{lines[-1].text} {line[1:].strip()}")
        else:
            lines.append(SpiceLine(number, line))
    for spice_line in lines:
        _check_models(spice_line, path.name)
    return lines


def _check_models(line: SpiceLine, name: str) -> None:
    is_model = line.text[:6].lower() == ".model"
    found = _KINDS.search(line.text) if is_model else None
    if found:
        raise UsageError(
            f"{name} line {line.number}: a model of kind {found[1]} reads or runs files; allowed: "
            "models that do not"
        )
    if is_model and not _MODEL.match(line.text):
        raise UsageError(
            f"{name} line {line.number}: {line.text[:60]!r} names no kind of model; allowed: "
            ".model NAME KIND on one line"
        )
    found = _FILE_PARAMETER.search(line.text)
    if found:
        raise UsageError(
            f"{name} line {line.number}: {found[1]} = … reads a file; allowed: leave it out"
        )


def check_runs_nothing(lines: list[SpiceLine], name: str) -> None:
    """Refuse control blocks.

    Raises
    ------
    UsageError : there is one.
    """
    for line in lines:
        if line.text[:8].lower() == ".control":
            raise UsageError(
                f"{name} line {line.number}: .control is refused, it would be run; allowed: lines "
                "that describe a circuit"
            )


def find_reference(line: SpiceLine, name: str) -> FileReference | None:
    """The file that a line brings in, None if it brings in none.

    Raises
    ------
    UsageError : ngspice would take the line for one that does, but it is written oddly.
    """
    command = line.text[:4].lower()
    if command not in (".inc", ".lib") or _SECTION.fullmatch(line.text):
        return None
    found = (_INCLUDE if command == ".inc" else _LIB).fullmatch(line.text)
    if found is None:
        raise UsageError(
            f"{name} line {line.number}: {line.text[:60]!r} brings in no file; allowed: "
            ".include 'FILE', .lib 'FILE' SECTION"
        )
    groups = found.groupdict()
    path = groups["path"]
    if path[0] in "'\"":
        path = path[1:-1]
    if _NO_PATH.search(path):
        raise UsageError(
            f"{name} line {line.number}: {path[:60]!r} is no plain path; allowed: no ~ before it "
            "and no quotes, $, braces or wildcards in it"
        )
    return FileReference(groups["command"], path, groups.get("section") or "", groups["rest"] or "")


def included_file(path: Path, reference: FileReference) -> Path:
    """Where ngspice finds a file that ``path`` brings in.

    Links among folders are followed, but the file itself is not: if it is a link, what it brings in
    in turn lies beside the link for ngspice, not beside what it points to.
    """
    other = path.parent / reference.path
    return other.parent.resolve() / other.name


def check_depth(depth: int, path: Path) -> None:
    """Refuse files that bring in files that bring in files, and so on.

    Raises
    ------
    UsageError : ``path`` would be one too deep.
    """
    if depth > _DEEPEST:
        raise UsageError(f"{path.name} is brought in by more than {_DEEPEST} files in a row")


def find_section(line: SpiceLine) -> str:
    """Name of the section of a library that a line opens, empty if it opens none."""
    found = _SECTION.fullmatch(line.text)
    return found["name"] if found else ""
