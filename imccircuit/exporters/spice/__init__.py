"""Target ``spice``: behavioural subcircuits that run in ngspice beside real circuits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imccircuit.exporters.array_terms import (
    array_terms,
    sense_admittance,
    sense_ends,
    table_fidelity,
)
from imccircuit.exporters.content import Content, Fidelity
from imccircuit.exporters.replay import (
    Difference,
    Replay,
    compare_codes,
    compare_values,
    stored_vectors,
)
from imccircuit.exporters.spice.decks import adc_subcircuit, comment_lines, crossbar_subcircuit
from imccircuit.exporters.spice.macro import spice_chain
from imccircuit.exporters.spice.run import (
    adc_problem,
    answers,
    crossbar_problem,
    levels_of,
    read_model,
)
from imccircuit.exporters.target import Target
from imccircuit.surrogates.base import Surrogate

if TYPE_CHECKING:
    from imccircuit.engines.ngspice import NgspiceEngine

# ngspice reads a decimal number a few units in its last place wrong.
_READING = 1e-14
# That, sums over some hundred rows, and the solution of a system whose pivots are all 1.
_LINEAR = 1e-12


def _write(content: Content, model: Surrogate, folder: Path) -> None:
    del model
    facts = {name: value for name, value in content.numbers.items() if value is not None}
    lines = [f"* imccircuit: subcircuits of kind {content.kind}, one for each chip; numbers in SI"]
    if content.kind == "adc":
        levels = content.arrays["transition_level"].values
        lines += comment_lines(facts, "*")
        for chip, own in enumerate(levels):
            lines += ["", *adc_subcircuit(own, chip, facts["full_scale_v"])]
    else:
        terms = array_terms(content)
        lines += comment_lines({**facts, "stated_error_a": terms.stated_error_a}, "*")
        load = None if terms.output_offset_v is not None else sense_admittance(content)
        for chip in range(terms.shape[0]):
            own = None if load is None else load[chip]
            lines += ["", *crossbar_subcircuit(terms, chip, own)]
    (folder / "imc_model.cir").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _usage(content: Content) -> str:
    if content.kind == "adc":
        bits = int(content.numbers["bits"] or 0)
        ports = " ".join(f"b{k}" for k in range(bits))
        use = (
            f"Xadc in code {ports} imc_adc_0 v_high=1.2\n```\n\n"
            "The code is a voltage (1 V a code); bits stand at 0 V or `v_high`. "
            f"There is one subcircuit for each chip, `imc_adc_0` to "
            f"`imc_adc_{len(content.arrays['transition_level'].values) - 1}`. "
            "Steps have no width: an input that the simulator knows to 1 µV has its code to 1 µV."
        )
    else:
        chips, rows, cols = content.arrays["conductance"].values.shape
        amplified = content.numbers.get("transresistance_ohm") is not None
        end = "out" if amplified else "col"
        use = (
            f"Xarray row0 … row{rows - 1} {end}0 … {end}{cols - 1} imc_crossbar_0\n```\n\n"
            "Rows are voltages and draw no current; "
            + ("outputs are voltages of ideal sources. " if amplified else
               "columns deliver their currents into whatever senses them. ")
            + f"There is one subcircuit for each chip, up to `imc_crossbar_{chips - 1}`."
        )  # fmt: skip
    return f"```spice\n.include imc_model.cir\n{use}"


def _fidelity(content: Content) -> tuple[Fidelity, ...]:
    found = table_fidelity(content, "the comments of the file")
    if content.kind == "adc":
        how = (
            f"every level of every chip; ngspice reads numbers to about {_READING:g} of their size"
        )
        found = [replace(i, how=how) if i.quantity == "transition levels" else i for i in found]
        ends = Fidelity(
            "input current, output resistance", "dropped", "ideal; not in the surrogate"
        )
        return (*found, ends)
    how = "inputs draw none: the surrogate was judged on column currents alone"
    found.append(Fidelity("currents drawn from the word lines", "dropped", how))
    if content.numbers.get("transresistance_ohm") is None:
        how = "linear: the admittance of the array at its sense ends"
        if content.needs_solver:
            load = sense_ends(content, f"{how}, at 0 V")
        else:
            load = Fidelity("voltages of the sense ends", "exact", how)
        found.append(load)
    return tuple(found)


def _replay(folder: Path) -> Replay:
    from imccircuit.engines.ngspice import NgspiceEngine

    stored, (text, facts) = stored_vectors(folder), read_model(folder)
    engine = NgspiceEngine()
    versions = engine.versions()
    program = f"ngspice {versions['version']} ({versions['solver']})"
    replay = _replay_adc if "input" in stored else _replay_crossbar
    return Replay("spice", program, replay(engine, text, facts, stored))


def _replay_adc(
    engine: NgspiceEngine, text: str, facts: Mapping[str, float], stored: Mapping[str, Any]
) -> tuple[Difference, ...]:
    chips, voltage = stored["chip"], stored["input"]
    code, bits = np.full(len(chips), np.nan), np.full(len(chips), np.nan)
    width = _READING * facts["full_scale_v"]
    clear = np.zeros(len(chips), dtype=bool)
    for chip in np.unique(chips):
        own = np.flatnonzero(chips == chip)
        apart = np.abs(voltage[own, None] - levels_of(text, int(chip)))
        clear[own] = np.min(apart, axis=1) > width
        found = answers(engine, adc_problem(text, int(chip), voltage[own]))
        code[own] = found["code"]
        bits[own] = found["bits"] @ 2.0 ** np.arange(found["bits"].shape[1])
    code, bits, expected = code[clear], bits[clear], stored["expected_code"][clear]
    left = len(clear) - len(code)
    note = f"; {left} within {width:.2g} V of a level left out" if left else ""
    # Sums of ones in a solved system: a thousandth of a code is far above their rounding.
    whole = compare_values("voltage of the code", "V", code, np.round(code), 1e-3)
    return (
        compare_codes(f"code{note}", np.round(code), expected),
        compare_codes(f"code from the bits{note}", np.round(bits), expected),
        whole,
    )


def _replay_crossbar(
    engine: NgspiceEngine, text: str, facts: Mapping[str, float], stored: Mapping[str, Any]
) -> tuple[Difference, ...]:
    chips, voltage = stored["chip"], stored["voltage"]
    amplified = "transresistance_ohm" in facts
    name, unit = ("output", "V") if amplified else ("current", "A")
    expected = stored["expected_output_voltage" if amplified else "expected_current"]
    answered = np.full(expected.shape, np.nan)
    for chip in np.unique(chips):
        own = np.flatnonzero(chips == chip)
        sense = np.zeros(expected.shape[1])
        problem = crossbar_problem(text, int(chip), voltage[own], sense)
        answered[own] = answers(engine, problem)[name]
    slope = facts["transresistance_ohm"] if amplified else 1.0
    bound = 1.001 * slope * facts.get("stated_error_a", 0.0)
    bound += _LINEAR * float(np.max(np.abs(expected)))
    return (compare_values(name, unit, answered, expected, bound),)


TARGET = Target(
    "spice",
    "behavioural subcircuits for ngspice",
    _usage,
    _write,
    replay=_replay,
    fidelity=_fidelity,
    chain=spice_chain(_fidelity),
)
