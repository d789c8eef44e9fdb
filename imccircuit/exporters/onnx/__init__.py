"""Target ``onnx``: a graph of standard operators, for onnxruntime and whatever reads ONNX."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imccircuit.errors import SetupError, UsageError
from imccircuit.exporters.array_terms import array_terms, table_fidelity
from imccircuit.exporters.content import COST_NUMBERS, Content, Fidelity, flat_numbers
from imccircuit.exporters.onnx.load import INSTALL, open_session
from imccircuit.exporters.parts import levels_within, macro_levels, parts_fidelity
from imccircuit.exporters.replay import (
    Difference,
    Replay,
    compare_codes,
    compare_values,
    stored_vectors,
)
from imccircuit.exporters.target import Target
from imccircuit.surrogates.base import Surrogate

# A protocol buffer ends at 2 GiB; what is not a table takes some kilobytes.
_MOST_BYTES = 2**31 - 2**20
_USE = {
    "adc": """\
feeds = {"voltage": np.array([0.1, 0.5]), "chip": np.array([0, 0])}
(codes,) = session.run(["code"], feeds)    # V in, codes out""",
    "crossbar": """\
feeds = {"voltage": voltages, "chip": np.array(0)}
(currents,) = session.run(["current"], feeds)  # (batch, row) V in, (batch, col) A out""",
    "macro": """\
feeds = {"voltage": voltages, "chip": np.array(0)}
(codes,) = session.run(["code"], feeds)  # (batch, row) V in, (batch, converter) codes out""",
}


def _write(content: Content, model: Surrogate, folder: Path) -> None:
    del model
    try:
        from imccircuit.exporters.onnx.graphs import adc_graph, crossbar_graph, macro_graph
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "onnx":
            raise
        raise SetupError(f"writing target onnx needs the package onnx; {INSTALL}") from None
    facts = {
        name: repr(value) for name, value in flat_numbers(content).items() if value is not None
    }
    if content.kind == "adc":
        levels = content.arrays["transition_level"].values
        _check_size(levels.nbytes)
        graph = adc_graph(levels, facts)
    elif content.kind == "macro":
        terms, levels = array_terms(content.parts["array"]), macro_levels(content)
        _check_size(terms.matrices.nbytes + levels.nbytes)
        error_v = 1.001 * terms.stated_error_a * (terms.transresistance_ohm or 0.0)
        apart = levels_within(levels.reshape(-1, levels.shape[-1]), error_v)
        facts |= {"stated_error_codes": repr(apart)}
        graph = macro_graph(terms, levels, content.numbers["bias_voltage_v"] or 0.0, facts)
    else:
        terms = array_terms(content)
        _check_size(terms.matrices.nbytes)
        graph = crossbar_graph(terms, {**facts, "stated_error_a": repr(terms.stated_error_a)})
    (folder / f"{content.kind}.onnx").write_bytes(graph.SerializeToString(deterministic=True))


def _check_size(count: int) -> None:
    if count > _MOST_BYTES:
        text = f"target onnx: tables of {count / 1e9:.3g} GB; allowed: 2 GB in one file"
        raise UsageError(text)


def _usage(content: Content) -> str:
    lines = _USE[content.kind]
    if content.numbers.get("transresistance_ohm") is not None:
        lines += '\n(outputs,) = session.run(["output_voltage"], feeds)  # amplifiers, V'
    return (
        "Standard operators of opset 17, all numbers in float64.\n\n"
        "```python\n"
        "import numpy as np, onnxruntime\n"
        f'session = onnxruntime.InferenceSession("{content.kind}.onnx")\n'
        f"{lines}\n"
        "```"
    )


def _fidelity(content: Content) -> tuple[Fidelity, ...]:
    if content.kind == "macro":
        found = parts_fidelity(content, _fidelity)
        used = "; a number in the metadata, which nothing uses"
        return tuple(
            replace(item, how=item.how + used)
            if item.quantity in COST_NUMBERS and item.treatment != "dropped"
            else item
            for item in found
        )
    return tuple(table_fidelity(content, "the metadata"))


def _replay(folder: Path) -> Replay:
    stored = stored_vectors(folder)
    kind = "adc" if "input" in stored else "crossbar" if "expected_current" in stored else "macro"
    session, runtime = open_session(folder / f"{kind}.onnx")
    chips = stored["chip"].astype(np.int64)
    if "input" in stored:
        (codes,) = session.run(["code"], {"voltage": stored["input"], "chip": chips})
        return Replay("onnx", runtime, (compare_codes("code", codes, stored["expected_code"]),))
    names = [output.name for output in session.get_outputs()]
    answers = [
        session.run(names, {"voltage": voltage[None], "chip": np.array(chip)})
        for voltage, chip in zip(stored["voltage"], chips, strict=True)
    ]
    facts = session.get_modelmeta().custom_metadata_map
    if kind == "macro":
        expected, bound = stored["expected_code"], float(facts["stated_error_codes"])
        codes = np.reshape([item[0][0] for item in answers], expected.shape)
        return Replay("onnx", runtime, (compare_values("code", "1", codes, expected, bound),))
    # Sums in another order are apart by rounding, curves by what the export states.
    error = 1.001 * float(facts["stated_error_a"])
    found = [_compare("current", "A", [item[0] for item in answers], stored, error)]
    if "output_voltage" in names:
        error *= float(facts["transresistance_ohm"])
        found.append(_compare("output_voltage", "V", [item[1] for item in answers], stored, error))
    return Replay("onnx", runtime, tuple(found))


def _compare(name: str, unit: str, answers: list[Any], stored: Any, error: float) -> Difference:
    expected = stored[f"expected_{name}"]
    bound = error + 1e-13 * float(np.max(np.abs(expected)))
    return compare_values(name.replace("_", " "), unit, np.concatenate(answers), expected, bound)


TARGET = Target(
    "onnx",
    "a graph of standard ONNX operators",
    _usage,
    _write,
    replay=_replay,
    fidelity=_fidelity,
    kinds=("adc", "crossbar", "macro"),
)
