"""What a SPICE model library holds: names of models and subcircuits, section by section."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from imccircuit.devices.spice_lines import (
    SpiceLine,
    check_runs_nothing,
    find_reference,
    find_section,
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
    _collect(path.resolve(), section, content, set())
    return content


def _collect(
    path: Path, section: str | None, content: LibraryContent, seen: set[tuple[Path, str | None]]
) -> None:
    if (path, section) in seen:
        return
    seen.add((path, section))
    first = not content.files
    if path not in content.files:
        content.files.append(path)
    lines = read_lines(path, "model library")
    check_runs_nothing(lines, path.name)
    current: str | None = None
    found = section is None
    for line in lines:
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
            _take(line, path, content, seen)
    if not found:
        raise UsageError(f"model library {path} has no section {section!r}")


def _take(
    line: SpiceLine, path: Path, content: LibraryContent, seen: set[tuple[Path, str | None]]
) -> None:
    if model := _MODEL.match(line.text):
        name = model[1].lower()
        content.models |= {name, _BIN.sub("", name)}
    elif subcircuit := _SUBCIRCUIT.match(line.text):
        content.subcircuits.add(subcircuit[1].lower())
    elif reference := find_reference(line, path.name):
        other = (path.parent / reference.path).resolve()
        _collect(other, reference.section or None, content, seen)
