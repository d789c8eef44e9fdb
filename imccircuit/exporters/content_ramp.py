"""Content of an export of a ramp converter: every column of every chip is a converter.

A target's chip is then one column: chip·columns + column of the model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from imccircuit.exporters.content import (
    COST_NUMBERS,
    NOISE_OF_A_CONVERSION,
    Content,
    Fidelity,
    cost_fidelity,
    cost_numbers,
    replay_of,
)
from imccircuit.surrogates.base import ModelArray
from imccircuit.surrogates.ramp_adc import RampAdcSurrogate
from imccircuit.surrogates.ramp_law import column_levels


def _ramp(model: Any) -> Content:
    ramp: RampAdcSurrogate = model
    columns = ramp.columns
    levels = column_levels(ramp.array("ramp"), ramp.array("column"), ramp.bits, ramp.bends)
    flat = levels.reshape(-1, levels.shape[-1])
    dims = ("chip", "code")
    arrays = {
        "transition_level": ModelArray(flat, "V", dims, "T[k] of a column of a chip, of the law"),
        # Levels that never fall: a search over them decides as the counter does.
        "decision_level": ModelArray(flat, "V", dims, "level of each trial code"),
        **{name: _for_each_column(ramp, name, columns) for name in ("sample", "held_out")},
        "ramp_of_chip": ModelArray(
            np.repeat(np.arange(ramp.chips), columns), "1", ("chip",), "chip that a column is of"
        ),
        "column_of_chip": ModelArray(
            np.tile(np.arange(columns), ramp.chips), "1", ("chip",), "which column it is"
        ),
    }
    return Content(
        kind="adc",
        arrays=arrays,
        replay=_replay(ramp),
        fidelity=_fidelity(ramp),
        numbers={
            "full_scale_v": ramp.full_scale_v,
            "bits": float(ramp.bits),
            "noise_sampled_v": None,
            "noise_decision_v": None,
            **_column_costs(ramp),
        },
    )


def _for_each_column(ramp: RampAdcSurrogate, name: str, columns: int) -> ModelArray:
    array = ramp.model.arrays[name]
    values = np.repeat(array.values, columns)
    return ModelArray(values, array.units, ("chip",), f"{array.long_name}, of the chip")


def _replay(ramp: RampAdcSurrogate) -> dict[str, ModelArray]:
    """Stored conversions with columns as chips; none in files of older versions."""
    stored = replay_of(ramp)
    if not stored:
        none = ModelArray(np.zeros(0, dtype=np.int64), "1", ("replay",), "none was stored")
        return dict.fromkeys(("chip", "input", "code", "expected_code"), none)
    chip, column = stored["chip"].values, stored.pop("column").values
    pairs = zip(stored["input"].values, chip, column, strict=True)
    codes = np.array([int(ramp.convert(v, int(c), int(j))) for v, c, j in pairs], dtype=np.int64)
    place = chip * ramp.columns + column
    return {
        **stored,
        "chip": ModelArray(place, "1", ("replay",), "column of a chip that converted"),
        "expected_code": ModelArray(codes, "1", ("replay",), "code of the surrogate"),
    }


def _column_costs(ramp: RampAdcSurrogate) -> dict[str, float | None]:
    """Costs of one column: its share of what all columns of a ramp take together."""
    found = cost_numbers(ramp)
    for name in ("energy_j", "area_m2"):
        value = found[name]
        found[name] = None if value is None else value / ramp.columns
    return found


def _fidelity(ramp: RampAdcSurrogate) -> tuple[Fidelity, ...]:
    count = ramp.columns
    axis = f"a chip of the export is a column: chip·{count} + column of the model"
    share = f"a column's share, 1/{count} of what all columns on a ramp take together; "
    share += "no amount: a column alone was not measured"
    ramps = "no law of converters of their own: columns share a ramp"
    return (
        Fidelity("transition levels", "exact", f"every level of the law; {axis}"),
        Fidelity("population of chips", "dropped", ramps),
        Fidelity("one ramp for all columns", "dropped", f"levels hold it; {axis}"),
        Fidelity(NOISE_OF_A_CONVERSION, "dropped", "conversions have none"),
        Fidelity("settling, input bandwidth, clock", "dropped", "not in the surrogate"),
        Fidelity("temperature and supply", "dropped", "those of the domain only"),
        *(
            Fidelity(item.quantity, "approximated", f"{item.how}; {share}")
            if item.treatment == "exact" and COST_NUMBERS[item.quantity] != "latency_s"
            else item
            for item in cost_fidelity(ramp)
        ),
    )


CONTENT = _ramp
