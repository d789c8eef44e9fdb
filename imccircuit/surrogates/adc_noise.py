"""Noise of a converter's model: what the results say of it, and conversions with it.

A SAR converter samples its input once, with the thermal noise of its switches, and compares once a
bit, with the noise of its comparator. The results hold the sum of both powers at the input; the
recipe gives the comparator's own. Other converters draw all of it once a conversion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.adc_parameters import AdcParameters
from imccircuit.benches.adc_sar import draw_adc, weights_of
from imccircuit.benches.bench import Variation
from imccircuit.devices.draws import Draws
from imccircuit.errors import UsageError
from imccircuit.surrogates.adc_levels import design_matrix
from imccircuit.surrogates.base import Parameter
from imccircuit.surrogates.data import Measured
from imccircuit.surrogates.inputs import seed_of, whole
from imccircuit.units import format_quantity

if TYPE_CHECKING:
    from imccircuit.surrogates.adc import AdcSurrogate

SAMPLED, DECISION = "noise_sampled", "noise_decision"

# Columns that the generator draws together; conversion n is column n % 128 of vector n // 128.
_GROUP = 128


def noise_parameters(measured: Measured, used: NDArray[np.bool_]) -> dict[str, Parameter]:
    """Noise of a conversion from the ``noise_sigma`` of the chips ``used``; empty if there is none.

    ``noise_sampled`` is drawn once a conversion, ``noise_decision`` in each bit decision, both in
    V at the input. Their powers add to the mean power of the chips.
    """
    values = measured.arrays.get("noise_sigma")
    good = np.array([]) if values is None else values[used]
    good = good[np.isfinite(good)]
    if len(good) == 0:
        return {}
    power = float(np.mean(good**2))
    decision = min(_comparator_v(measured), math.sqrt(power))
    sampled = math.sqrt(max(power - decision**2, 0.0))
    spread = math.nan
    if len(good) > 1 and sampled > 0:
        spread = float(np.std(good**2, ddof=1)) / math.sqrt(len(good)) / (2 * sampled)
    note = "" if len(good) > 1 else "one chip: its error is not known"
    split = "comparator_noise of the recipe through the nominal capacitors; not fitted"
    return {
        SAMPLED: Parameter(SAMPLED, sampled, "V", spread, note),
        DECISION: Parameter(DECISION, decision, "V", 0.0, split if decision > 0 else ""),
    }


def _comparator_v(measured: Measured) -> float:
    """The comparator's own noise at the input in V; the array attenuates what it sees."""
    parameters = measured.parameters
    if not isinstance(parameters, AdcParameters) or parameters.circuit.comparator_noise == 0:
        return 0.0
    nominal = weights_of(draw_adc(parameters, Variation(Draws(0, 0))))
    return float(parameters.circuit.comparator_noise * nominal.load_f / nominal.input_f)


def noise_text(parameters: dict[str, Parameter]) -> str:
    """Line of the domain."""
    if not parameters:
        return "none"
    sampled, decision = parameters[SAMPLED].value, parameters[DECISION].value
    return (
        f"where a seed is given, {format_quantity(sampled, 'V')} rms once a conversion and "
        f"{format_quantity(decision, 'V')} rms in each bit decision"
    )


def convert_noisy(
    model: AdcSurrogate, voltage_v: NDArray[np.float64], chip: int, seed: int, first_index: int
) -> NDArray[np.int64]:
    """Codes (conversion,) of voltages (conversion,) in V, with the model's noise.

    Raises
    ------
    UsageError : the model knows no noise, or seed or index do not fit the generator.
    """
    first_index = whole("first_index", first_index)
    if first_index < 0:
        raise UsageError(f"the first index must not be negative, it is {first_index}")
    before = first_index % _GROUP
    rows = -(-(before + len(voltage_v)) // _GROUP)
    voltage = np.zeros((rows, _GROUP))
    voltage.ravel()[before : before + len(voltage_v)] = voltage_v
    codes = convert_columns([model] * _GROUP, voltage, chip, seed, first_index // _GROUP)
    return codes.ravel()[before : before + len(voltage_v)]


def convert_columns(
    models: Sequence[AdcSurrogate],
    voltage_v: NDArray[np.float64],
    chip: int,
    seed: int,
    first_index: int,
) -> NDArray[np.int64]:
    """Codes (vector, column) of voltages (vector, column) in V, a converter a column, with noise.

    The converters' noise is that of the first.

    Raises
    ------
    UsageError : the models know no noise, or seed or index do not fit the generator.
    """
    from imccircuit.surrogates.kernels.codes import code_table, convert_codes
    from imccircuit.surrogates.kernels.noise import ConversionNoise
    from imccircuit.surrogates.kernels.sar_noise import convert_sar

    first = models[0]
    if SAMPLED not in first.model.parameters or DECISION not in first.model.parameters:
        raise UsageError("the model knows no noise, so a seed has no meaning; leave it out")
    # The generator packs these into words: what is not whole would be cut without a word.
    chip, first_index = whole("chip", chip), whole("first_index", first_index)
    sampled, decision = first.value(SAMPLED), first.value(DECISION)
    noise = ConversionNoise(seed_of(seed), sampled, decision, chip, first_index)
    codes: NDArray[Any]
    if noise.decision_v == 0.0:
        levels = np.stack([model.levels_v(chip) for model in models])
        codes = convert_codes(code_table(levels, np.float64), voltage_v, noise)
    else:
        codes = convert_sar(
            np.stack([decision_levels(model, chip) for model in models]), voltage_v, noise
        )
    return codes.astype(np.int64)


def decision_levels(model: AdcSurrogate, chip: int) -> NDArray[np.float64]:
    """Level (code,) in V at which each trial code decides: as measured, else from bit weights.

    A converter without bit weights has its transition levels, of which a search makes no others.
    """
    if "decision_level" in model.model.arrays:
        return np.asarray(model.array("decision_level")[chip])
    if "bit_weight" not in model.model.arrays:
        return model.levels_v(chip)
    weights = np.append(model.array("bit_weight")[chip], model.array("level_offset")[chip])
    return np.asarray(design_matrix(np.arange(1, 2**model.bits), model.bits) @ weights)
