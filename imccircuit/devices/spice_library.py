"""What a SPICE model library holds: names of models and subcircuits, section by section."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from imccircuit.devices.spice_lines import (
    SpiceLine,
    check_depth,
    check_runs_nothing,
    find_reference,
    find_section,
    included_file,
    read_lines,
)
from imccircuit.errors import UsageError

_MODEL = re.compile(r"\.model\s+(\S+)", re.IGNORECASE)
_SUBCIRCUIT = re.compile(r"\.subckt\s+(\S+)", re.IGNORECASE)
_END = re.compile(r"\.endl", re.IGNORECASE)
_BIN = re.compile(r"\.\d+$")


@dataclass
class LibraryContent:
    """What one section (or a whole file) of a library gives, included files too.

    Attributes
    ----------
    models, subcircuits : names, lower case; of binned models (``nch.1``) also the common name.
    sections : names of the sections of the first file, as written.
    files : every file read, in the order of first reading.
    """

    models: set[str] = field(default_factory=set)
    subcircuits: set[str] = field(default_factory=set)
    sections: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


def read_library(path: Path, section: str | None) -> LibraryContent:
    """Names that ``.lib PATH SECTION`` (or ``.include PATH``, without a section) brings in.

    Raises
    ------
    UsageError : a file is unreadable or would run something, or a section is missing, in the
        library or in what it includes.
    """
    content = LibraryContent()
    reader = _Reader()
    _collect(reader, path.resolve(), section, content, 0)
    # ngspice opens the files of sections that it does not take, too.
    for file in list(content.files):
        reader.check_all(file, 0)
    return content


class _Reader:
    """Checked lines of files, each read once."""

    def __init__(self) -> None:
        self.seen: set[tuple[Path, str | None]] = set()
        self._lines: dict[Path, list[SpiceLine]] = {}
        self._checked: set[Path] = set()

    def lines(self, path: Path) -> list[SpiceLine]:
        if path not in self._lines:
            lines = read_lines(path, "model library")
            check_runs_nothing(lines, path.name)
            self._lines[path] = lines
        return self._lines[path]

    def check_all(self, path: Path, depth: int) -> None:
        """Check all that a file brings in in any section, as far as it exists."""
        if path in self._checked:
            return
        check_depth(depth, path)
        self._checked.add(path)
        for line in self.lines(path):
            reference = find_reference(line, path.name)
            if reference and (other := included_file(path, reference)).exists():
                self.check_all(other, depth + 1)


def _collect(
    reader: _Reader, path: Path, section: str | None, content: LibraryContent, depth: int
) -> None:
    if (path, section) in reader.seen:
        return
    check_depth(depth, path)
    reader.seen.add((path, section))
    first = not content.files
    if path not in content.files:
        content.files.append(path)
    current: str | None = None
    found = section is None
    for line in reader.lines(path):
        if not line.text.startswith("."):
            continue
        if opened := find_section(line):
            current = opened
            if first:
                content.sections.append(current)
            found = found or current.lower() == str(section).lower()
        elif _END.match(line.text):
            current = None
        elif (current or "").lower() == (section or "").lower():
            _take(reader, line, path, content, depth)
    if not found:
        raise UsageError(f"model library {path} has no section {section!r}")


def _take(
    reader: _Reader, line: SpiceLine, path: Path, content: LibraryContent, depth: int
) -> None:
    if model := _MODEL.match(line.text):
        name = model[1].lower()
        content.models |= {name, _BIN.sub("", name)}
    elif subcircuit := _SUBCIRCUIT.match(line.text):
        content.subcircuits.add(subcircuit[1].lower())
    elif reference := find_reference(line, path.name):
        other = included_file(path, reference)
        _collect(reader, other, reference.section or None, content, depth + 1)
