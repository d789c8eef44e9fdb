"""Values of sources that runs alter, written into the netlist instead of into commands.

A command costs ngspice 20 to 50 µs, and an operating point by itself orders and allocates its
matrix again. So a source that has one value in all runs has it in its line. In a linear circuit,
whose runs may go on from one another, a source that changes becomes a table of the number of the
run, and one ``dc`` analysis over that number is all of them. Only sources whose line is nothing but
two nodes and a number are rewritten; everything else is altered by commands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imccircuit.benches.problem import OperatingPoint, Problem

RUN_NODE = "imc_run"
_PLAIN = re.compile(r"([vV]\S*) (\S+) (\S+) ([-+]?[\d.]+(?:[eE][-+]?\d+)?)")
_WORD = re.compile(r"[\w.#]+")
# Looked for from line break to line break: that is six times as fast as from "^".
_SOURCE_OR_SCOPE = re.compile(r"\n((?:v|\.subckt|\.ends).*)", re.IGNORECASE)
# Not those elements whose lines name no source unless they hold an expression.
_MAY_NAME = re.compile(r"\n(?:[^rclvmxdqjs*\n]|.*\().*", re.IGNORECASE)
# A resistor between the run's number and the node that a table reads: with all tables on one node
# a matrix has a dense column, and KLU takes twice as long for it (64 x 64 cells, ngspice 46).
_APART_OHM = 0.001


@dataclass(frozen=True)
class Driven:
    """A netlist with what of the alterations could be written into it.

    Attributes
    ----------
    netlist : text of the circuit.
    alterations : what is left to commands, one mapping a run.
    is_swept : one ``dc`` analysis over the number of the run is all runs; nothing is left then.
    """

    netlist: str
    alterations: tuple[Mapping[str, float], ...]
    is_swept: bool = False


def drive(problem: Problem) -> Driven:
    """Write into the netlist of a problem what its runs alter, as far as that gives the same."""
    runs, netlist = problem.alterations, f"\n{problem.netlist}"
    names = {name.lower(): name for name in runs[0]}
    if not names or any(run.keys() != runs[0].keys() for run in runs):
        return Driven(problem.netlist, runs)
    places = _plain_sources(netlist, names)
    fixed = {name for name in names.values() if len({run[name] for run in runs}) == 1}
    left = [name for key, name in names.items() if name not in fixed or key not in places]
    swept = bool(left) and _may_sweep(problem, left, places) and not _are_named(netlist, left)
    parts, end = [], 0
    for key, place in sorted(places.items(), key=lambda item: item[1].start(1)):
        name = names[key]
        parts.append(netlist[end : place.start(1)])
        end = place.end()
        if name in fixed:
            parts.append(f"{place[1].rpartition(' ')[0]} {float(runs[0][name])!r}")
        else:
            parts.append(_table(place[1], name, runs) if swept else place[1])
    netlist = "".join([*parts, netlist[end:]])[1:]
    if swept:
        return Driven(netlist, ({},) * len(runs), is_swept=True)
    return Driven(netlist, tuple({name: run[name] for name in left} for run in runs))


def _plain_sources(netlist: str, names: Mapping[str, str]) -> dict[str, re.Match[str]]:
    """Element name → line of those sources that are nothing but two nodes and a number."""
    places: dict[str, re.Match[str]] = {}
    depth = 0
    for line in _SOURCE_OR_SCOPE.finditer(netlist):
        word = line[1].partition(" ")[0].lower()
        if word.startswith("."):
            depth += 1 if word == ".subckt" else -1
        elif depth == 0 and word in names:
            if word in places:  # defined twice: ngspice says so
                return {}
            if _PLAIN.fullmatch(line[1]) and not netlist.startswith("\n+", line.end()):
                places[word] = line
    return places


def _may_sweep(problem: Problem, left: Sequence[str], places: Mapping[str, object]) -> bool:
    """Whether the analysis allows it and the sources are only asked to be there."""
    analysis = problem.analysis
    if not (isinstance(analysis, OperatingPoint) and analysis.continued):
        return False
    if any(name.lower() not in places for name in left):
        return False
    asked = {vector.lower() for probe in problem.probes for vector in probe.vectors}
    return not any(f"i({name.lower()})" in asked for name in left)


def _are_named(netlist: str, names: Sequence[str]) -> bool:
    """Whether a line, such as of a source controlled by a current, names one of them."""
    wanted = {name.lower() for name in names}
    return any(
        wanted.intersection(_WORD.findall(line[0].lower())) for line in _MAY_NAME.finditer(netlist)
    )


def _table(line: str, name: str, runs: Sequence[Mapping[str, float]]) -> str:
    """Lines of a source whose voltage is a table of the number of the run.

    Between two runs the table is straight: from any run's number Newton's first step is exact.
    """
    own, plus, minus, _ = line.split(" ")
    node = f"{RUN_NODE}_{own.lower()}"
    pairs = [f"{k},{float(run[name])!r}" for k, run in enumerate(runs)]
    # Lines of a length that an editor shows.
    rows = [", ".join(pairs[start : start + 4]) for start in range(0, len(pairs), 4)]
    text = ",\n+ ".join(rows)
    apart = f"r{node} {RUN_NODE} {node} {_APART_OHM!r}"
    return f"{apart}\nb{own} {plus} {minus} v=pwl(v({node}),\n+ {text})"
