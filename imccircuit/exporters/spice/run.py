"""Stored vectors through exported subcircuits, in ngspice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import EngineError, FileFormatError
from imccircuit.exporters.replay import numbers_in

if TYPE_CHECKING:
    from imccircuit.benches.problem import Problem
    from imccircuit.engines.ngspice import NgspiceEngine

Floats = NDArray[np.float64]

FILE = "imc_model.cir"


def subcircuit(text: str, name: str) -> tuple[str, list[str]]:
    """Text of a subcircuit and its ports.

    Raises
    ------
    FileFormatError : it is not in ``text``.
    """
    found = re.search(rf"^\.subckt {name} .*?^\.ends {name}$", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise FileFormatError(f"no subcircuit {name} in the export")
    words: list[str] = []
    first, *others = found[0].splitlines()
    words += first.split()[2:]
    for line in others:
        if not line.startswith("+") or "params:" in line:
            break
        words += line[1:].split()
    return found[0], words


def levels_of(text: str, chip: int) -> Floats:
    """Transition levels (code,) in V that a converter's subcircuit holds.

    Raises
    ------
    FileFormatError : one of them is no number.
    """
    body, _ = subcircuit(text, f"imc_adc_{chip}")
    levels = re.findall(r"\(v\(in\)>([^)]+)\)", body)
    try:
        return np.array([float(level) for level in levels])
    except ValueError as error:
        raise FileFormatError(f"subcircuit imc_adc_{chip}: a level is none: {error}") from None


def adc_problem(text: str, chip: int, voltage_v: Floats) -> Problem:
    """Operating points of a converter; answers ``code`` () and ``bits`` (bit,) in V."""
    from imccircuit.benches.problem import OperatingPoint, Probe, Problem

    body, ports = subcircuit(text, f"imc_adc_{chip}")
    bits = ports[2:]
    lines = [body, f"Xadc {' '.join(ports)} imc_adc_{chip} v_high=1", "Vin in 0 0"]
    return Problem(
        circuit=make_circuit(lines),
        analysis=OperatingPoint(),
        probes=(
            Probe("code", ("v(code)",), (), 2.0 ** len(bits)),
            Probe("bits", tuple(f"v({bit})" for bit in bits), (len(bits),), 1.0),
        ),
        alterations=tuple({"Vin": float(v)} for v in voltage_v),
    )


def crossbar_problem(text: str, chip: int, voltage_v: Floats, sense_v: Floats) -> Problem:
    """Operating points of a crossbar: answers ``current`` in A, or ``output`` in V (col,).

    Parameters
    ----------
    voltage_v : (batch, row) drive voltages in V.
    sense_v : (col,) voltages in V that the columns end in; not used where there are amplifiers.
    """
    from imccircuit.benches.problem import OperatingPoint, Probe, Problem

    body, ports = subcircuit(text, f"imc_crossbar_{chip}")
    rows = [port for port in ports if port.startswith("row")]
    ends = ports[len(rows) :]
    lines = [body, f"Xarray {_wrapped(ports)}\n+ imc_crossbar_{chip}"]
    lines += [f"V{row} {row} 0 0" for row in rows]
    if ends[0].startswith("out"):
        probe = Probe("output", tuple(f"v({end})" for end in ends), (len(ends),), np.inf)
    else:
        lines += [f"V{end} {end} 0 {float(v)!r}" for end, v in zip(ends, sense_v, strict=True)]
        probe = Probe("current", tuple(f"i(V{end})" for end in ends), (len(ends),), np.inf)
    return Problem(
        circuit=make_circuit(lines),
        analysis=OperatingPoint(),
        probes=(probe,),
        alterations=tuple(
            {f"V{row}": float(v) for row, v in zip(rows, vector, strict=True)}
            for vector in voltage_v
        ),
    )


def _wrapped(words: list[str]) -> str:
    return "\n+ ".join(" ".join(words[k : k + 8]) for k in range(0, len(words), 8))


def make_circuit(lines: list[str]) -> Any:
    """Circuit of these lines as they are."""
    from PySpice.Spice.Netlist import Circuit

    circuit = Circuit("replay")
    circuit.raw_spice = "\n".join(lines)
    return circuit


def answers(engine: NgspiceEngine, problem: Problem) -> dict[str, Floats]:
    """Probes of a problem as (run, …).

    Raises
    ------
    EngineError : ngspice does not solve it.
    """
    (outcome,) = engine.solve([problem])
    if outcome.answer is None:
        raise EngineError(f"ngspice and the exported subcircuit: {outcome.reason}")
    return {probe.name: outcome.answer.final(probe.name) for probe in problem.probes}


def read_model(folder: Path, name: str = FILE) -> tuple[str, dict[str, float]]:
    """Text of a file of subcircuits and the numbers in its comments.

    Raises
    ------
    FileFormatError : it cannot be read, or a number in it is none.
    """
    path = folder / name
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path}: no subcircuits: {error}") from None
    return text, numbers_in(path, text, "*")
