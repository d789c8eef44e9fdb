"""From a `Problem` to the text of a deck that ngspice runs, alone or with others in a process.

Every run of a deck alters a marker source, ``v_imc_run``, to its own number and saves it, so that
each plot in a raw file says which run it is: after an analysis that failed, ngspice's ``write``
silently writes the plot of the analysis before. Where one analysis is all runs (`driven`), the
marker is what it sweeps, and each of its points says which run it is.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from imccircuit.benches.problem import Noise, OperatingPoint, Problem
from imccircuit.engines.driven import RUN_NODE, Driven, drive
from imccircuit.errors import UsageError

MARKER = f"v({RUN_NODE})"
NOISE_MARKER = RUN_NODE
SENTINEL = "IMC_DONE"
_THREADS = "set num_threads"
_CHANGING = (f"echo {SENTINEL}", "write ", "quit", _THREADS)
# How a raw file is written, and that ngspice 46 does not read /proc/meminfo at every time point:
# half the time of a transient of 50 nodes. What a process may take is limited by the system.
_SETTINGS = ("set filetype=binary", "set appendwrite", "set noinit", "set no_mem_check")
_VECTORS_PER_LINE = 8
# ngspice looks named vectors up one by one: 32,000 names take 6.5 s, all of them 0.4 s.
_NAMED_VECTORS = 1000


@dataclass(frozen=True)
class Rung:
    """One step of the ladder of convergence options.

    Attributes
    ----------
    name : what the results file calls it.
    options : added to the ``.options`` of the deck.
    commands : control commands before the first analysis.
    """

    name: str
    options: Mapping[str, str | float] = field(default_factory=dict)
    commands: tuple[str, ...] = ()


LADDER = (
    Rung("default"),
    Rung("shunt", {"gmin": 1e-11, "rshunt": 1e13}),
    Rung("optran", commands=("optran 0 0 0 1n 1u 0",)),
    Rung("gear", {"method": "gear", "itl1": 500, "itl4": 100, "gminsteps": 50}),
)


# What ngspice would run, wherever in a deck it stands: a control block, a comment of this form.
_RUNS = re.compile(r"^[ \t\r\f\v]*(?:\.control|\*#)", re.IGNORECASE | re.MULTILINE)
_WORD = re.compile(r"[\w.@:#\[\]()+-]+")


def check_harmless(title: str, body: str, words: Iterable[str]) -> None:
    """Refuse what would make ngspice run more than the commands that are written here.

    Names and values are checked where they are read; this is the last look before there is a deck.

    Parameters
    ----------
    body : all lines between title and control block.
    words : names of elements and nodes that stand in control commands.

    Raises
    ------
    UsageError : a control block in the circuit, a title of two lines, or a name that is no word.
    """
    lower = body.lower()
    # Looked for as plain text first: that is a hundred times faster than the expression.
    suspect = any(text in lower for text in (".control", "*#"))
    if "`" in body or "\0" in body or (suspect and _RUNS.search(body)):
        raise UsageError("a control block or command in the circuit; allowed: what describes it")
    if not title.isprintable() or "`" in title:
        raise UsageError(f"title {title[:80]!r} of a deck; allowed: one line of text")
    for word in words:
        if not _WORD.fullmatch(word):
            raise UsageError(f"name {word[:80]!r} in a command; allowed: letters, digits, . and _")


def write_options(options: Mapping[str, str | float]) -> str:
    """``.options`` line; a value that is an empty string is a flag."""
    words = [key if value == "" else f"{key}={value}" for key, value in options.items()]
    return f".options {' '.join(words)}"


def vectors_of(problem: Problem) -> list[str]:
    """The vectors a problem needs, each once, in order."""
    return list(dict.fromkeys(vector for probe in problem.probes for vector in probe.vectors))


def _analysis_command(problem: Problem, driven: Driven) -> str:
    analysis = problem.analysis
    if isinstance(analysis, OperatingPoint):
        last = len(driven.alterations) - 1
        return f"dc v_imc_run 0 {last} 1" if driven.is_swept else "op"
    if isinstance(analysis, Noise):
        return f"noise v({analysis.node}) {analysis.source} dec {_band(analysis)}"
    # UIC is never used: the operating point before a transient is what makes it reproducible.
    return f"tran {analysis.step_s!r} {analysis.stop_s!r} 0 {analysis.max_step_s!r}"


def _band(analysis: Noise) -> str:
    """Grid and ends of a band.

    ngspice integrates to the last point of its grid that is not beyond the stop, with a tolerance
    of a thousandth: at 20 points a decade it leaves out 44 % of 9 to 11 GHz.
    """
    decades = math.log10(analysis.stop_hz / analysis.start_hz)
    points = max(analysis.points_per_decade, math.ceil(200 / decades))
    steps = math.ceil(points * decades - 1e-6)
    stop = analysis.start_hz * 10 ** (steps / points)
    return f"{points} {analysis.start_hz!r} {stop * (1 - 5e-4)!r}"


def deck_body(
    problem: Problem, driven: Driven, options: Mapping[str, str | float], rung: Rung
) -> str:
    """Everything of a deck between its title line and its control block."""
    merged = {**options, **problem.options, **rung.options}
    # ngspice refuses noise with KLU.
    if merged.get("klu", "") != "" or isinstance(problem.analysis, Noise):
        merged.pop("klu", None)
    vectors = [MARKER, *vectors_of(problem)]
    if isinstance(problem.analysis, Noise):
        saves = []
    elif len(vectors) > _NAMED_VECTORS:
        saves = [".save all"]
    else:
        saves = [
            ".save " + " ".join(vectors[start : start + _VECTORS_PER_LINE])
            for start in range(0, len(vectors), _VECTORS_PER_LINE)
        ]
    return "\n".join(
        [
            driven.netlist,
            f"v_imc_run {RUN_NODE} 0 0",
            write_options(merged) if merged else "*",
            f".temp {problem.temperature_degc!r}",
            *saves,
        ]
    )


def load_commands(native: Iterable[str]) -> list[str]:
    """Control commands that load compiled models, before ngspice reads the circuit around them."""
    return [f"pre_osdi '{path}'" for path in native]


def control_lines(
    problem: Problem, driven: Driven, rung: Rung, raw_name: str, threads: int = 1
) -> list[str]:
    """Control commands: for each run alter, analyse, write; or one analysis that is all runs."""
    command = _analysis_command(problem, driven)
    lines = [*load_commands(problem.native), f"{_THREADS}={threads}", *_SETTINGS, *rung.commands]
    if driven.is_swept:
        return [*lines, command, f"write {raw_name}", "destroy all"]
    stands: dict[str, float] = {}
    for index, alteration in enumerate(driven.alterations):
        # An altered value stands until it is altered again, and each costs 20 µs in a large deck.
        changed = {name: v for name, v in alteration.items() if stands.get(name) != v}
        lines += [f"alter {name} = {float(value)!r}" for name, value in changed.items()]
        stands |= changed
        if isinstance(problem.analysis, Noise):
            # Its plots hold no node voltages: the run's number is written as a vector of its own.
            # With no plot left from before, a run that fails has nothing to write.
            lines += ["destroy all", command, f"let {NOISE_MARKER} = {index}",
                      f"write {raw_name} {NOISE_MARKER} onoise_total"]  # fmt: skip
            continue
        lines += [f"alter v_imc_run = {index}", command, f"write {raw_name}"]
        # Plots that are kept cost time with the square of their number: 128 operating points of
        # 2600 nodes take 30 s with them, 1.6 s without. But between transients `destroy all`
        # leaves XSPICE logic dead: every code is 0, and nothing is said (ngspice 46).
        if isinstance(problem.analysis, OperatingPoint):
            lines.append("destroy all")
    return lines


def _names_in_commands(problem: Problem) -> set[str]:
    names = {name for alteration in problem.alterations for name in alteration}
    if isinstance(problem.analysis, Noise):
        names |= {problem.analysis.node, problem.analysis.source}
    return names


def deck_text(
    problem: Problem,
    *,
    title: str,
    options: Mapping[str, str | float],
    rung: Rung = LADDER[0],
    raw_name: str = "imccircuit.raw",
    standalone: bool = True,
    threads: int = 1,
) -> str:
    """A whole deck.

    Parameters
    ----------
    title : first line; ngspice copies it, in lower case, into every raw file.
    options : the engine's own options, such as ``{"klu": ""}``.
    raw_name : file the runs are written to, in the folder ngspice runs in.
    threads : cores that models may use; decides no number.
    standalone : end with ``quit 0``, so that ``ngspice -b deck.cir`` gives exit code 0.
    """
    driven = drive(problem)
    control = [*control_lines(problem, driven, rung, raw_name, threads), "rusage time"]
    control.append(f"echo {SENTINEL} {title.split()[-1]}")
    if standalone:
        control.append("quit 0")
    body = deck_body(problem, driven, options, rung)
    check_harmless(title, body, _names_in_commands(problem))
    return "\n".join([title, body, ".control", *control, ".endc", ".end", ""])


def deck_sha256(text: str) -> str:
    """Hash of a deck without what differs from run to run: title, sentinel, number of threads.

    Parameters
    ----------
    text : a deck whose included paths were replaced by what is in the files
        (`DeckFiles.portable`): a deck is the same on every machine.
    """
    _, _, rest = text.partition("\n")
    # The control block alone holds them; the thousands of lines before it are not looked at.
    circuit, block, control = rest.partition("\n.control\n")
    kept = [line for line in control.split("\n") if not line.startswith(_CHANGING)]
    return hashlib.sha256("\n".join([circuit, block, *kept]).encode()).hexdigest()
