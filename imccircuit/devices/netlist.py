"""A circuit of somebody else: one subcircuit of a SPICE file, brought in whole and unchanged.

The file may come from a stranger and ends up in a deck, so only lines that describe a circuit are
taken: elements and a few dot commands. What would run something, read some other file at run time
or change the analysis is refused before a deck is written.

One thing that runs is known: a control block that only loads compiled Verilog-A models (OSDI), as
plain ngspice needs it. The card lists their files; whether they are run, the user decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from imccircuit.devices.figure import Card, Text
from imccircuit.devices.spice_lines import (
    SpiceLine,
    check_depth,
    find_reference,
    included_file,
    read_lines,
)
from imccircuit.errors import UsageError

DESCRIBING = (
    ".subckt", ".ends", ".model", ".param", ".include", ".inc", ".lib", ".endl", ".func",
    ".global", ".option", ".options", ".if", ".elseif", ".else", ".endif", ".end",
)  # fmt: skip
_REFERENCE = re.compile(r"(?P<path>[^\x00-\x1f`]+):(?P<name>[A-Za-z_][A-Za-z0-9_.]*)")
_NATIVE = re.compile(r"(?:pre_)?osdi\s+(?P<path>'[^']+'|\S+)", re.IGNORECASE)
# Of a path in a control block: ngspice's shell knows more signs than this refuses to learn.
_PLAIN_PATH = re.compile(r"[\w./+@%~ -]+")
# Without a blank here ngspice 46 drops the first parameter of a compiled model, and says nothing.
_GLUED = re.compile(r"(\.model\s+\S+\s+(\w+))\((?=\S)", re.IGNORECASE)
_BUILT_IN = ("r", "c", "l", "d", "npn", "pnp", "nmos", "pmos", "njf", "pjf", "sw", "csw", "vdmos")

Check = Callable[[Path], None]


class NetlistCard(Card):
    """One subcircuit of a netlist.

    Attributes
    ----------
    subcircuit : its name.
    pins : names of its pins in order, in lower case as ngspice has them.
    text : the netlist, its continued lines joined, paths of what it includes absolute, without its
        control block.
    native : shared libraries (OSDI) that its control block loads.
    """

    kind: Literal["netlist"] = "netlist"
    description: Text = "netlist"
    subcircuit: Text
    pins: tuple[str, ...]
    text: str
    native: tuple[Path, ...] = ()

    _others: tuple[Path, ...] = ()

    def source_files(self) -> tuple[Path, ...]:
        """List the netlist and every file that it includes or loads."""
        return (self.file, *self._others, *self.native)

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


def load_netlist(reference: str, check: Check = lambda _: None) -> NetlistCard:
    """Read the netlist that ``path:SUBCKT`` names.

    Parameters
    ----------
    check : called with every other file that it names, before that is opened; may raise.

    Raises
    ------
    UsageError : no such file or subcircuit, or lines in it that describe no circuit.
    """
    try:
        name, subcircuit = split_reference(reference)
    except ValueError as error:
        raise UsageError(str(error)) from None
    path = Path(name).expanduser().resolve()
    native, lines = _take_control(read_lines(path, "netlist"), path, check)
    others: dict[Path, str] = {}
    text = [_absolute(line, path, others, check) for line in lines]
    if native and any(others.values()):
        raise UsageError(next(filter(None, others.values())))
    found = [words for words in (line.text.split() for line in lines)
             if words[0].lower() == ".subckt" and len(words) > 1]  # fmt: skip
    own = [words for words in found if words[1].lower() == subcircuit.lower()]
    if len(own) != 1:
        known = ", ".join(dict.fromkeys(words[1] for words in found)) or "none at all"
        problem = f"{len(own)} subcircuits" if own else "no subcircuit"
        raise UsageError(f"{path.name} has {problem} {subcircuit!r}; allowed: {known}")
    card = NetlistCard(
        subcircuit=subcircuit,
        description=f"subcircuit {subcircuit} of {path.name}",
        pins=_pins(own[0][2:]),
        text="\n".join(line for line in text if line),
        native=native,
    )
    card._file = path
    card._others = tuple(other for other in others if other != path)
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


def _take_control(
    lines: list[SpiceLine], path: Path, check: Check
) -> tuple[tuple[Path, ...], list[SpiceLine]]:
    """Files that a control block loads, and the lines outside of it.

    A block that does anything else is left in, to be refused with all other commands.
    """
    commands = [line.text.lower() for line in lines]
    if ".control" not in commands or ".endc" not in commands:
        return (), lines
    first, last = commands.index(".control"), commands.index(".endc")
    if last < first:
        return (), lines
    native = []
    for line in lines[first + 1 : last]:
        found = _NATIVE.fullmatch(line.text)
        if found is None:
            return (), lines
        file = (path.parent / found["path"].strip("'")).resolve()
        where = f"{path.name} line {line.number}"
        if not _PLAIN_PATH.fullmatch(str(file)):
            raise UsageError(f"{where}: {str(file)!r} cannot be loaded; allowed: a plain path")
        check(file)
        if not file.is_file():
            raise UsageError(f"{where}: no such file {file}; allowed: an existing file")
        native.append(file)
    return tuple(native), lines[:first] + lines[last + 1 :]


def _absolute(
    line: SpiceLine, path: Path, others: dict[Path, str], check: Check, depth: int = 0
) -> str:
    """The line with the path of the file that it brings in absolute; that file is read as well."""
    _check(line, path.name)
    reference = find_reference(line, path.name)
    if reference is None:
        return "" if line.text.lower() == ".end" else _GLUED.sub(r"\1 (", line.text)
    other = included_file(path, reference)
    if other not in others:
        check(other.resolve())
        check_depth(depth, other)
        others[other] = ""
        for inner in read_lines(other, "netlist"):
            _absolute(inner, other, others, check, depth + 1)
            glued = _GLUED.match(inner.text)
            if glued and glued[2].lower() not in _BUILT_IN:
                others[other] = (
                    f"{other.name} line {inner.number}: ngspice loses the first parameter of a "
                    "compiled model without a blank before its bracket; allowed: a blank there"
                )
    return f"{reference.command} '{other}'{reference.rest}"


def _check(line: SpiceLine, name: str) -> None:
    text = line.text
    if "`" in text or not text.replace("\t", " ").isprintable():
        raise UsageError(f"{name} line {line.number}: a sign that no netlist needs; allowed: text")
    if text.startswith("."):
        command = text.split()[0].lower()
        if command not in DESCRIBING:
            allowed = ", ".join(DESCRIBING)
            raise UsageError(f"{name} line {line.number}: {command} is refused; allowed: {allowed}")
    elif not text[0].isalpha():
        raise UsageError(
            f"{name} line {line.number}: {text[:20]!r} is no element; allowed: a netlist"
        )
