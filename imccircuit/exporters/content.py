"""What every export carries, whatever the target: arrays ready for use, replay, fidelity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.adc_noise import DECISION, SAMPLED
from imccircuit.surrogates.base import ModelArray, Surrogate
from imccircuit.surrogates.crossbar import CrossbarSurrogate

Treatment = Literal["exact", "approximated", "dropped"]

COST_NUMBERS = {"energy": "energy_j", "latency": "latency_s", "area": "area_m2"}
"""Parameter of a model that says what an operation costs → its name in `Content.numbers`."""

NOISE_OF_A_CONVERSION = "noise of a conversion"


@dataclass(frozen=True)
class Fidelity:
    """What became of one quantity on its way into an export.

    Attributes
    ----------
    quantity : its name.
    treatment : ``exact``, ``approximated`` or ``dropped``, against the surrogate.
    how : how, and by how much where it is not exact.
    """

    quantity: str
    treatment: Treatment
    how: str


@dataclass(frozen=True)
class Content:
    """A model made ready for users who do not have imccircuit.

    Attributes
    ----------
    kind : kind of surrogate.
    arrays : name → array with unit and axes.
    replay : stored SPICE vectors, and under ``expected_`` what the surrogate answers.
    fidelity : what happened to every quantity.
    numbers : scalars in SI by name with unit in the name; None is "not there".
    needs_solver : the nonlinear solver must come along.
    """

    kind: str
    arrays: Mapping[str, ModelArray]
    replay: Mapping[str, ModelArray]
    fidelity: tuple[Fidelity, ...]
    numbers: Mapping[str, float | None]
    needs_solver: bool = False


def content_of(model: Surrogate) -> Content:
    """Content of an export of ``model``.

    Raises
    ------
    UsageError : this kind cannot be exported yet.
    """
    if model.kind not in _CONTENTS:
        raise UsageError(f"a surrogate of kind {model.kind!r} cannot be exported")
    return _CONTENTS[model.kind](model)


def _adc(model: Any) -> Content:
    converter: AdcSurrogate = model
    arrays = {
        name: array
        for name, array in converter.model.arrays.items()
        if not name.startswith("replay_")
    }
    replay = _replay(converter)
    chip, voltage = replay["chip"].values, replay["input"].values
    codes = np.array(
        [int(converter.convert(v, int(c))) for v, c in zip(voltage, chip, strict=True)],
        dtype=np.int64,
    )
    replay["expected_code"] = ModelArray(codes, "1", ("replay",), "code of the surrogate")
    population = (
        Fidelity("population of chips", "exact", "mean and covariance of bit weights and offset")
        if converter.has_population
        else Fidelity("population of chips", "dropped", "one chip was measured")
    )
    return Content(
        kind="adc",
        arrays=arrays,
        replay=replay,
        fidelity=(
            Fidelity("transition levels", "exact", "every level of every chip in the model"),
            population,
            _noise_fidelity(converter),
            Fidelity("settling, input bandwidth, clock", "dropped", "not in the surrogate"),
            Fidelity("temperature and supply", "dropped", "those of the domain only"),
            *_cost_fidelity(converter),
        ),
        numbers={
            "full_scale_v": converter.full_scale_v,
            "bits": float(converter.bits),
            **{f"{name}_v": _noise_v(converter, name) for name in (SAMPLED, DECISION)},
            **_cost_numbers(converter),
        },
    )


def _noise_v(model: Surrogate, name: str) -> float | None:
    return model.value(name) if name in model.model.parameters else None


def _noise_fidelity(model: Surrogate) -> Fidelity:
    if SAMPLED not in model.model.parameters:
        return Fidelity(NOISE_OF_A_CONVERSION, "dropped", "not in the surrogate")
    how = "conversions have none; its two powers are in the model for users to add"
    return Fidelity(NOISE_OF_A_CONVERSION, "dropped", how)


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
    replay = _replay(array)
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
            **_cost_numbers(array),
        },
        needs_solver=not array.linear,
    )


def _crossbar_fidelity(array: CrossbarSurrogate) -> tuple[Fidelity, ...]:
    cells = (
        Fidelity("cells and wires", "exact", "effective conductance: one matrix for each chip")
        if array.linear
        else Fidelity(
            "cells and wires", "exact", "the surrogate's own nonlinear solver comes along"
        )
    )
    if not array.has_amplifiers:
        readout = Fidelity("read-out", "exact", "ideal: currents into 0 V, no output voltage")
    elif array.linear:
        readout = Fidelity("read-out", "exact", "transresistance and each amplifier's offsets")
    else:
        how = (
            "as in the surrogate: the input offset acts through the admittance at 0 V, first order"
        )
        readout = Fidelity("read-out", "exact", how)
    return (
        Fidelity("programmed conductances", "exact", "of every chip in the model"),
        cells,
        readout,
        Fidelity("other conductances", "dropped", "the export holds the programmed chips only"),
        Fidelity("spread of conductances", "dropped", "the chips are those that were measured"),
        Fidelity("noise, settling, drift", "dropped", "not in the surrogate"),
        *_cost_fidelity(array),
    )


def _cost_numbers(model: Surrogate) -> dict[str, float | None]:
    """What an operation costs by name with unit; None is "not measured"."""
    parameters = model.model.parameters
    return {
        key: parameters[name].value if name in parameters else None
        for name, key in COST_NUMBERS.items()
    }


def _cost_fidelity(model: Surrogate) -> tuple[Fidelity, ...]:
    parameters = model.model.parameters
    return tuple(
        Fidelity(name, "exact", f"mean of the fitted chips; {parameters[name].note}")
        if name in parameters
        else Fidelity(name, "dropped", "not measured")
        for name in COST_NUMBERS
    )


def _replay(model: Surrogate) -> dict[str, ModelArray]:
    return {
        name.removeprefix("replay_"): array
        for name, array in model.model.arrays.items()
        if name.startswith("replay_")
    }


def plain(arrays: Mapping[str, ModelArray]) -> dict[str, NDArray[Any]]:
    """Values alone, for an npz."""
    return {name: np.ascontiguousarray(array.values) for name, array in arrays.items()}


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as an uncompressed npz; the same arrays make the same bytes."""
    np.savez(path, **arrays)  # type: ignore[arg-type]


_CONTENTS: dict[str, Callable[[Any], Content]] = {"adc": _adc, "crossbar": _crossbar}
