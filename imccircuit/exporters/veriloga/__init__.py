"""Target ``veriloga``: converters and arrays as behavioural modules, tables in the text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import FileFormatError
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
    numbers_in,
    stored_vectors,
)
from imccircuit.exporters.target import Chain, Target
from imccircuit.exporters.veriloga.compiled import compile_modules, contributions
from imccircuit.exporters.veriloga.modules import adc_module, crossbar_module, header
from imccircuit.surrogates.base import Surrogate

_FILE = "imc_model.va"


def _write(content: Content, model: Surrogate, folder: Path) -> None:
    del model
    facts = {name: value for name, value in content.numbers.items() if value is not None}
    if content.kind == "adc":
        lines = header("adc", facts)
        for chip, own in enumerate(content.arrays["transition_level"].values):
            lines += adc_module(own, chip, facts["full_scale_v"])
    else:
        terms = array_terms(content)
        lines = header("crossbar", {**facts, "stated_error_a": terms.stated_error_a})
        load = None if terms.output_offset_v is not None else sense_admittance(content)
        for chip in range(terms.shape[0]):
            lines += crossbar_module(terms, chip, None if load is None else load[chip])
    (folder / _FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _usage(content: Content) -> str:
    if content.kind == "adc":
        bits = int(content.numbers["bits"] or 0)
        ports = " ".join(f"b{k}" for k in range(bits))
        use = f"Xadc (in code {ports}) imc_adc_0 v_high=1.2"
        more = "The code is a voltage (1 V a code); bits stand at 0 V or `v_high`. Steps have no "
        more += "width."
    else:
        _, rows, cols = content.arrays["conductance"].values.shape
        end = "out" if content.numbers.get("transresistance_ohm") is not None else "col"
        use = f"Xarray (row0 … row{rows - 1} {end}0 … {end}{cols - 1}) imc_crossbar_0"
        more = "Rows draw no current."
    return (
        "In Spectre:\n\n"
        f'```spectre\nahdl_include "{_FILE}"\n{use}\n```\n\n'
        "For other simulators compile it, for example with `openvaf imc_model.va`. There is one "
        f"module for each chip, numbered from 0. {more}"
    )


def _macro_usage(content: Content) -> str:
    count, bias = int(content.numbers["converters"] or 0), content.numbers["bias_voltage_v"]
    bits = int(content.parts["converter_0"].numbers["bits"] or 0)
    last = content.parts["array"].arrays["conductance"].values.shape[1:]
    return (
        "Chip 0 in Spectre, rows at their voltages less the bias:\n\n"
        f'```spectre\nahdl_include "array/{_FILE}"\nahdl_include "converters/{_FILE}"\n'
        f"Vbias0 (row0 drive0) vsource dc={bias:g}     // likewise every row\n"
        f"Xarray (drive0 … drive{last[0] - 1} out0 … out{last[1] - 1}) imc_crossbar_0\n"
        f"Xadc0 (out0 code0 b0_0 … b0_{bits - 1}) imc_adc_0     // to out{count - 1} and "
        f"imc_adc_{count - 1}\n```"
    )


def _fidelity(content: Content) -> tuple[Fidelity, ...]:
    found = table_fidelity(content, "the comments of the file")
    if content.kind == "adc":
        how = "ideal; not in the surrogate"
        return (*found, Fidelity("input current, output resistance", "dropped", how))
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
    stored, path = stored_vectors(folder), folder / _FILE
    modules, program = compile_modules(path)
    text = path.read_text(encoding="utf-8")
    facts = numbers_in(path, text, "//")
    replay = _replay_adc if "input" in stored else _replay_crossbar
    return Replay("veriloga", program, replay(modules, facts, stored))


def _module(modules: Mapping[str, Any], name: str) -> Any:
    if name not in modules:
        raise FileFormatError(f"no module {name} in the export")
    return modules[name]


def _replay_adc(
    modules: Mapping[str, Any], facts: Mapping[str, float], stored: Mapping[str, NDArray[Any]]
) -> tuple[Difference, ...]:
    codes, words = [], []
    for chip, voltage in zip(stored["chip"], stored["input"], strict=True):
        module = _module(modules, f"imc_adc_{chip}")
        found = contributions(module, {"in": voltage}, {"v_high": 1.0})
        codes.append(found["flow(code)"])
        bits = range(int(facts["bits"]))
        words.append(sum(found[f"flow(b{k})"] * 2**k for k in bits))
    expected = stored["expected_code"]
    return (
        compare_codes("code", np.array(codes), expected),
        compare_codes("code from the bits", np.array(words), expected),
    )


def _replay_crossbar(
    modules: Mapping[str, Any], facts: Mapping[str, float], stored: Mapping[str, NDArray[Any]]
) -> tuple[Difference, ...]:
    amplified = "transresistance_ohm" in facts
    name, unit = ("output", "V") if amplified else ("current", "A")
    expected = stored["expected_output_voltage" if amplified else "expected_current"]
    slope = facts["transresistance_ohm"] if amplified else 1.0
    parameters = {"transresistance": slope} if amplified else {}
    answered = np.full(expected.shape, np.nan)
    for n, (chip, drive) in enumerate(zip(stored["chip"], stored["voltage"], strict=True)):
        module = _module(modules, f"imc_crossbar_{chip}")
        rows = {f"row{i}": v for i, v in enumerate(drive)}
        found = contributions(module, rows, parameters)
        for j in range(expected.shape[1]):
            answered[n, j] = found[f"flow(out{j})"] if amplified else -found[f"col{j}"]
    # Sums in another order are apart by rounding, curves by what the export states.
    bound = 1.001 * slope * facts["stated_error_a"] + 1e-13 * float(np.max(np.abs(expected)))
    return (compare_values(name, unit, answered, expected, bound),)


TARGET = Target(
    "veriloga",
    "behavioural modules in Verilog-A",
    _usage,
    _write,
    replay=_replay,
    fidelity=_fidelity,
    chain=Chain(_macro_usage),
)
