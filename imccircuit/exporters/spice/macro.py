"""Macros in ngspice: subcircuits of array and converters as one, and their stored vectors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.exporters.chained import compare_macro
from imccircuit.exporters.content import Content, Fidelity
from imccircuit.exporters.macro_parts import CONVERTERS, stated_codes
from imccircuit.exporters.replay import Difference, numbers_in, stored_vectors
from imccircuit.exporters.spice.decks import comment_lines, macro_subcircuit
from imccircuit.exporters.spice.run import FILE, answers, make_circuit, read_model, subcircuit
from imccircuit.exporters.target import Chain
from imccircuit.surrogates.macro_parts import ARRAY

if TYPE_CHECKING:
    from imccircuit.benches.problem import Problem

MACRO = "imc_macro.cir"


def spice_chain(of_part: Callable[[Content], tuple[Fidelity, ...]]) -> Chain:
    """Chain by subcircuits ``imc_macro_<chip>`` that include those of the parts.

    Parameters
    ----------
    of_part : what the target keeps of an array or of converters.
    """

    def write(content: Content, folder: Path) -> None:
        array = content.parts[ARRAY].arrays["conductance"].values
        chips, rows, cols = array.shape
        count = int(content.numbers["converters"] or 0)
        bits = int(content.parts["converter_0"].numbers["bits"] or 0)
        facts = {"converters": count, "stated_error_codes": stated_codes(content, of_part)}
        lines = ["* imccircuit: subcircuits of kind macro, one for each chip; numbers in SI"]
        lines += comment_lines(facts, "*")
        lines += [f".include {part}/{FILE}" for part in (ARRAY, CONVERTERS)]
        bias = content.numbers["bias_voltage_v"] or 0.0
        for chip in range(chips):
            lines += ["", *macro_subcircuit(chip, (rows, cols), count, bits, bias)]
        (folder / MACRO).write_text("\n".join(lines) + "\n", encoding="utf-8")

    return Chain(_usage, write, _replay)


def _usage(content: Content) -> str:
    rows = content.parts[ARRAY].arrays["conductance"].values.shape[1]
    count = int(content.numbers["converters"] or 0)
    return (
        f"```spice\n.include {MACRO}\nXmacro row0 … row{rows - 1} code0 … code{count - 1} "
        "imc_macro_0\n```\n\n"
        "Rows stand at the voltages of the macro's rows and draw no current; a code is a voltage, "
        "1 V a code."
    )


def _replay(folder: Path) -> tuple[Difference, ...]:
    from imccircuit.engines.ngspice import NgspiceEngine

    text, _ = read_model(folder, MACRO)
    facts = numbers_in(folder / MACRO, text, "*")
    array, _ = read_model(folder / ARRAY)
    adc, _ = read_model(folder / CONVERTERS)
    engine = NgspiceEngine()
    count = int(facts.get("converters", 0))

    def codes(chip: int, voltage_v: NDArray[np.float64]) -> NDArray[Any]:
        bodies = [subcircuit(array, f"imc_crossbar_{chip}")[0]]
        bodies += [subcircuit(adc, f"imc_adc_{chip * count + j}")[0] for j in range(count)]
        return np.round(answers(engine, _problem(text, bodies, chip, voltage_v))["code"])

    return compare_macro(codes, stored_vectors(folder), facts.get("stated_error_codes", 0.0))


def _problem(text: str, bodies: list[str], chip: int, voltage_v: NDArray[np.float64]) -> Problem:
    from imccircuit.benches.problem import OperatingPoint, Probe, Problem

    body, ports = subcircuit(text, f"imc_macro_{chip}")
    rows = [port for port in ports if port.startswith("row")]
    codes = ports[len(rows) :]
    lines = [*bodies, body, "Xmacro", *(f"+ {port}" for port in ports), f"+ imc_macro_{chip}"]
    lines += [f"V{row} {row} 0 0" for row in rows]
    return Problem(
        circuit=make_circuit(lines),
        analysis=OperatingPoint(),
        probes=(Probe("code", tuple(f"v({code})" for code in codes), (len(codes),), np.inf),),
        alterations=tuple(
            {f"V{row}": float(v) for row, v in zip(rows, vector, strict=True)}
            for vector in voltage_v
        ),
    )
