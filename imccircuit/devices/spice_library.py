"""What a SPICE model library holds: names of models and subcircuits, section by section."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from imccircuit.errors import UsageError

_MODEL = re.compile(r"\.model\s+(\S+)", re.IGNORECASE)
_SUBCIRCUIT = re.compile(r"\.subckt\s+(\S+)", re.IGNORECASE)
_INCLUDE = re.compile(r"\.inc(?:lude)?\s+(\S+)", re.IGNORECASE)
_LIB = re.compile(r"\.lib\s+(\S+)(?:\s+(\S+))?", re.IGNORECASE)
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
    UsageError : a file is unreadable or a section missing, in the library or in what it includes.
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
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UsageError(f"model library {path}: {error.strerror or error}") from None
    current: str | None = None
    found = section is None
    for raw in lines:
        line = raw.strip()
        if not line.startswith("."):
            continue
        if (lib := _LIB.match(line)) and lib[2] is None:
            current = lib[1].strip("'\"")
            if first:
                content.sections.append(current)
            found = found or current.lower() == str(section).lower()
        elif _END.match(line):
            current = None
        elif (current or "").lower() == (section or "").lower():
            _take(line, path, content, seen)
    if not found:
        raise UsageError(f"model library {path} has no section {section!r}")


def _take(
    line: str, path: Path, content: LibraryContent, seen: set[tuple[Path, str | None]]
) -> None:
    if model := _MODEL.match(line):
        name = model[1].lower()
        content.models |= {name, _BIN.sub("", name)}
    elif subcircuit := _SUBCIRCUIT.match(line):
        content.subcircuits.add(subcircuit[1].lower())
    elif include := _INCLUDE.match(line):
        _collect(_beside(path, include[1]), None, content, seen)
    elif lib := _LIB.match(line):
        _collect(_beside(path, lib[1]), lib[2].strip("'\""), content, seen)


def _beside(path: Path, name: str) -> Path:
    return (path.parent / name.strip("'\"")).resolve()
