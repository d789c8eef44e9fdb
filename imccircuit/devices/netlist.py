"""A circuit of somebody else: one subcircuit of a SPICE file, brought in whole and unchanged.

The file may come from a stranger and ends up in a deck, so only lines that describe a circuit are
taken: elements and a few dot commands. What would run something, read some other file at run time
or change the analysis is refused before a deck is written.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from imccircuit.devices.figure import Card, Text
from imccircuit.errors import UsageError

DESCRIBING = (
    ".subckt", ".ends", ".model", ".param", ".include", ".inc", ".lib", ".endl", ".func",
    ".global", ".option", ".options", ".if", ".elseif", ".else", ".endif",
)  # fmt: skip
_RUNS_SOMETHING = (
    "d_process",
    "d_cosim",
    "filesource",
    "d_source",
    "d_state",
    "table2d",
    "table3d",
)
_REFERENCE = re.compile(r"(?P<path>[^\x00-\x1f`]+):(?P<name>[A-Za-z_][A-Za-z0-9_.]*)")
_INCLUDE = re.compile(r"^(\.inc(?:lude)?|\.lib)(\s+)(\"[^\"]+\"|'[^']+'|\S+)(.*)$", re.IGNORECASE)
_LARGEST = 256 * 1024 * 1024


class NetlistCard(Card):
    """One subcircuit of a netlist.

    Attributes
    ----------
    subcircuit : its name.
    pins : names of its pins in order, in lower case as ngspice has them.
    text : the netlist, its continued lines joined, paths of what it includes absolute.
    """

    kind: Literal["netlist"] = "netlist"
    description: Text = "netlist"
    subcircuit: Text
    pins: tuple[str, ...]
    text: str

    _others: tuple[Path, ...] = ()

    def source_files(self) -> tuple[Path, ...]:
        """List the netlist and every file that it includes."""
        return (self.file, *self._others)

    def uses(self, model: str) -> bool:
        """Whether the netlist's own text calls something by this name."""
        return re.search(rf"(?<![\w.]){re.escape(model)}(?![\w.])", self.text, re.I) is not None


def split_reference(reference: str) -> tuple[str, str]:
    """Path and subcircuit of ``path:SUBCKT``.

    Raises
    ------
    ValueError : it is not written like that; one line, with ``; allowed:``.
    """
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise ValueError("not a netlist; allowed: path:SUBCKT, such as my_adc.spice:SAR8")
    return found["path"], found["name"]


def load_netlist(reference: str) -> NetlistCard:
    """Read the netlist that ``path:SUBCKT`` names.

    Raises
    ------
    UsageError : no such file or subcircuit, or lines in it that describe no circuit.
    """
    try:
        name, subcircuit = split_reference(reference)
    except ValueError as error:
        raise UsageError(str(error)) from None
    path = Path(name).expanduser().resolve()
    files: dict[Path, list[str]] = {}
    _read(path, files)
    lines = files[path]
    found = {words[1].lower(): words for words in map(str.split, lines)
             if words and words[0].lower() == ".subckt" and len(words) > 1}  # fmt: skip
    if subcircuit.lower() not in found:
        known = ", ".join(words[1] for words in found.values()) or "none at all"
        raise UsageError(f"{path.name} has no subcircuit {subcircuit!r}; allowed: {known}")
    card = NetlistCard(
        subcircuit=subcircuit,
        description=f"subcircuit {subcircuit} of {path.name}",
        pins=_pins(found[subcircuit.lower()][2:]),
        text="\n".join(_absolute(line, path.parent) for line in lines),
    )
    card._file = path
    card._others = tuple(other for other in files if other != path)
    return card


def _pins(words: list[str]) -> tuple[str, ...]:
    """Words before the parameters."""
    pins = []
    for word in words:
        if "=" in word or word.lower() == "params:":
            break
        pins.append(word.lower())
    if pins and len(pins) < len(words) and words[len(pins)].startswith("="):
        pins.pop()  # "w = 1u": the name before a lone sign is a parameter
    return tuple(pins)


def _read(path: Path, files: dict[Path, list[str]]) -> None:
    """Checked lines of a file and of all that it includes."""
    if path in files:
        return
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"netlist {path.name} is larger than {_LARGEST >> 20} MiB")
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"netlist {path}: {error.strerror or error}") from None
    lines = _joined(text, path.name)
    files[path] = lines
    for line in lines:
        include = _INCLUDE.match(line)
        # Inside a library, ".lib NAME" with nothing behind it opens a section.
        if include and (include[1].lower() != ".lib" or include[4].strip()):
            _read((path.parent / include[3].strip("'\"")).resolve(), files)


def _joined(text: str, name: str) -> list[str]:
    lines: list[str] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith(("*", ";", "$")) or line.lower() == ".end":
            continue
        _check(line, name, number)
        if line.startswith("+") and lines:
            lines[-1] += " " + line[1:].strip()
        else:
            lines.append(line)
    for line in lines:
        words = line.lower().split()
        if words[0] == ".model" and len(words) > 2:
            kind = words[2].partition("(")[0]
            if kind in _RUNS_SOMETHING:
                raise UsageError(f"{name}: a model of kind {kind} reads or runs files; remove it")
    return lines


def _check(line: str, name: str, number: int) -> None:
    if "`" in line or not line.replace("\t", " ").isprintable():
        raise UsageError(f"{name} line {number}: a sign that no netlist needs; allowed: text")
    if line.startswith("."):
        command = line.split()[0].lower()
        if command not in DESCRIBING:
            allowed = ", ".join(DESCRIBING)
            raise UsageError(f"{name} line {number}: {command} is refused; allowed: {allowed}")
    elif not (line[0].isalpha() or line[0] == "+"):
        raise UsageError(f"{name} line {number}: {line[:20]!r} is no element; allowed: a netlist")


def _absolute(line: str, folder: Path) -> str:
    include = _INCLUDE.match(line)
    if include is None or (include[1].lower() == ".lib" and not include[4].strip()):
        return line
    path = (folder / include[3].strip("'\"")).resolve()
    return f"{include[1]} '{path}'{include[4]}"
