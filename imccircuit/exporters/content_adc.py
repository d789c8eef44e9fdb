"""Content of an export of converters: levels of every chip."""

from __future__ import annotations

from typing import Any

import numpy as np

from imccircuit.exporters.content import (
    NOISE_OF_A_CONVERSION,
    Content,
    Fidelity,
    cost_fidelity,
    cost_numbers,
    replay_of,
)
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.adc_noise import DECISION, SAMPLED
from imccircuit.surrogates.base import ModelArray, Surrogate


def _adc(model: Any) -> Content:
    converter: AdcSurrogate = model
    arrays = {
        name: array
        for name, array in converter.model.arrays.items()
        if not name.startswith("replay_")
    }
    if converter.level_law is not None:
        # What takes a search for granted finds the levels that one over them has: the same.
        arrays["decision_level"] = converter.model.arrays["transition_level"]
    replay = replay_of(converter)
    chip, voltage = replay["chip"].values, replay["input"].values
    codes = np.array(
        [int(converter.convert(v, int(c))) for v, c in zip(voltage, chip, strict=True)],
        dtype=np.int64,
    )
    replay["expected_code"] = ModelArray(codes, "1", ("replay",), "code of the surrogate")
    varies = "bit weights and offset" if converter.level_law is None else "the levels"
    population = (
        Fidelity("population of chips", "exact", f"mean and covariance of {varies}")
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
            *cost_fidelity(converter),
        ),
        numbers={
            "full_scale_v": converter.full_scale_v,
            "bits": float(converter.bits),
            **{f"{name}_v": _noise_v(converter, name) for name in (SAMPLED, DECISION)},
            **_law_numbers(converter),
            **cost_numbers(converter),
        },
    )


def _law_numbers(converter: AdcSurrogate) -> dict[str, float]:
    """σ of the law of levels, where the population is one of levels."""
    law = converter.level_law
    return {} if law is None else {"level_sigma_v": law.level_v, "step_sigma_v": law.step_v}


def _noise_v(model: Surrogate, name: str) -> float | None:
    return model.value(name) if name in model.model.parameters else None


def _noise_fidelity(model: Surrogate) -> Fidelity:
    if SAMPLED not in model.model.parameters:
        return Fidelity(NOISE_OF_A_CONVERSION, "dropped", "not in the surrogate")
    how = "conversions have none; its two powers are in the model for users to add"
    return Fidelity(NOISE_OF_A_CONVERSION, "dropped", how)


CONTENT = _adc
