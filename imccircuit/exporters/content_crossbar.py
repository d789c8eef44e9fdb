"""Content of an export of a crossbar: its matrices, wires and read-out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from imccircuit.exporters.content import (
    Content,
    Fidelity,
    cost_fidelity,
    cost_numbers,
    replay_of,
)
from imccircuit.surrogates.base import ModelArray
from imccircuit.surrogates.crossbar import CrossbarSurrogate


def _crossbar(model: Any) -> Content:
    array: CrossbarSurrogate = model
    names = ("conductance", "sample", "held_out", "input_offset", "output_offset")
    arrays = {name: array.model.arrays[name] for name in names if name in array.model.arrays}
    chips = [array.conductance_s(chip) for chip in range(array.chips)]
    physics = array.physics
    if array.linear:
        effective = np.stack([array.effective_conductance(g) for g in chips])
        arrays["effective_conductance"] = ModelArray(
            effective, "S", ("chip", "row", "col"), "current = voltage @ matrix, wires included"
        )
    else:
        cells = np.stack([physics.cells(g) for g in chips])
        arrays["cell_conductance"] = ModelArray(
            cells, "S", ("chip", "row", "col"), "conductance of the cells at 0 V, series included"
        )
    if array.has_amplifiers:
        offset = np.stack(
            [
                array.offset_current(g, e)
                for g, e in zip(chips, array.array("input_offset"), strict=True)
            ]
        )
        arrays["offset_current"] = ModelArray(
            offset, "A", ("chip", "col"), "column current at 0 V drive"
        )
    replay = replay_of(array)
    outputs = [
        array.predict(voltage_v=v, chip=int(c))
        for v, c in zip(replay["voltage"].values, replay["chip"].values, strict=True)
    ]
    current = np.concatenate([item["output_current_a"] for item in outputs])
    dims = ("replay", "col")
    replay["expected_current"] = ModelArray(current, "A", dims, "current of the surrogate")
    if array.has_amplifiers:
        voltage = np.concatenate([item["output_voltage_v"] for item in outputs])
        replay["expected_output_voltage"] = ModelArray(
            voltage, "V", dims, "output of the surrogate's amplifiers"
        )
    return Content(
        kind="crossbar",
        arrays=arrays,
        replay=replay,
        fidelity=_crossbar_fidelity(array),
        numbers={
            "r_row_ohm": physics.r_row_ohm,
            "r_col_ohm": physics.r_col_ohm,
            "r_driver_ohm": physics.r_driver_ohm,
            "r_sense_ohm": physics.r_sense_ohm,
            "r_series_ohm": physics.r_series_ohm,
            "r_rise_ohm_per_a": physics.r_rise_ohm_per_a,
            "v0_v": physics.v0_v if np.isfinite(physics.v0_v) else None,
            "transresistance_ohm": array.value("transresistance") if array.has_amplifiers else None,
            "offset_error_a": offset_error(array, arrays, replay),
            **cost_numbers(array),
        },
        needs_solver=not array.linear,
    )


def offset_error(
    array: CrossbarSurrogate,
    arrays: Mapping[str, ModelArray],
    replay: Mapping[str, ModelArray],
) -> float | None:
    """Largest error in A on the stored vectors where the offset current of rest stands for all.

    None where that is exact: cells are linear, or there are no amplifiers.
    """
    if array.linear or not array.has_amplifiers:
        return None
    error = 0.0
    for v, chip, expected in zip(
        *(replay[name].values for name in ("voltage", "chip", "expected_current")), strict=True
    ):
        alone = array.physics.currents(array.conductance_s(int(chip)), v[None])[0]
        difference = alone + arrays["offset_current"].values[chip] - expected
        error = max(error, float(np.max(np.abs(difference))))
    return error


def _crossbar_fidelity(array: CrossbarSurrogate) -> tuple[Fidelity, ...]:
    cells = (
        Fidelity("cells and wires", "exact", "effective conductance: one matrix for each chip")
        if array.linear
        else Fidelity("cells and wires", "exact", "the surrogate's own nonlinear solver, lines.py")
    )
    if not array.has_amplifiers:
        readout = Fidelity("read-out", "exact", "ideal: currents into 0 V, no output voltage")
    else:
        readout = Fidelity("read-out", "exact", "transresistance and each amplifier's offsets")
    return (
        Fidelity("programmed conductances", "exact", "of every chip in the model"),
        cells,
        readout,
        Fidelity("other conductances", "dropped", "the export holds the programmed chips only"),
        Fidelity("spread of conductances", "dropped", "the chips are those that were measured"),
        Fidelity("noise, settling, drift", "dropped", "not in the surrogate"),
        *cost_fidelity(array),
    )


CONTENT = _crossbar
