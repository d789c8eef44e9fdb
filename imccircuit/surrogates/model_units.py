"""Units that each kind writes into its model files: a file that says another is not read as it.

Numbers of a model are SI and nothing converts them, so a unit that was changed by hand, to ``mV``
say, would change nothing but what a reader believes. Names that are in no table, such as those of
a kind of one's own, are not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imccircuit.surrogates.base import Model

_LEVEL = "LEVEL"  # of a row DAC: V, or s where it gives pulses
_PULSES = "pulse_width"

_ALL: Mapping[str, str] = {
    "sample": "1", "held_out": "1", "chips": "1", "fitted_chips": "1", "energy": "J",
    "latency": "s", "settling_time": "s", "area": "m**2", "noise": "V", "power": "W",
    "replay_chip": "1", "replay_column": "1", "replay_code": "1", "replay_input": "V",
    "replay_voltage": "V", "replay_current": "A", "replay_output_voltage": "V",
    "replay_sampled_voltage": "V", "seen_item": "1",
}  # fmt: skip

_KINDS: Mapping[str, Mapping[str, str]] = {
    "adc": {
        "transition_level": "V", "decision_level": "V", "shared_level": "V", "bit_weight*": "V",
        "level_offset": "V", "population_mean": "V", "population_covariance": "V**2",
        "level_mean": "V", "level_factor": "V", "level_scale": "1", "reference_voltage": "V",
        "offset": "V", "*_sigma": "V", "shrinkage": "1", "noise_sampled": "V",
        "noise_decision": "V",
    },
    "cell": {
        "cell_conductance_*_share": "1", "threshold_shift_*_share": "1",
        "current_factor_*_share": "1", "cell_conductance*": "S", "threshold_shift*": "V",
        "current_factor*": "1", "programmed_conductance": "S", "residual_coefficient": "1",
        "bit_line_voltage": "V", "word_line_voltage": "V", "reference_current": "A",
        "curvature": "1/V**2", "threshold": "V", "slope_factor": "1", "gain": "A/V**2",
        "mobility_reduction": "1/V", "drain_coupling": "1", "drain_slope": "1/V",
        "sinh_voltage": "V", "fit_rms": "1", "temperature": "degC", "fitted_cells": "1",
    },
    "charge_column": {
        "cell_weight": "V", "column_offset": "V", "stored": "1", "coefficient": "V",
        "coefficient_covariance": "V**2", "held_out_vector": "1", "supply": "V", "gain": "V",
        "offset": "V", "parasitic_ratio": "1", "sigma_capacitor": "1", "sigma_offset": "LSB",
        "sigma_left": "LSB", "residual_terms": "1",
    },
    "crossbar": {
        "conductance": "S", "input_offset": "V", "output_offset": "V", "input_offset_move": "V",
        "r_rise_ohm_per_a": "ohm/A", "r_*_ohm": "ohm", "v0_v": "V", "transresistance": "ohm",
        "product_quadratic": "1/V", "product_cubic": "1/V**2",
    },
    "dac": {
        "number": _LEVEL, "common": _LEVEL, "population_mean": _LEVEL,
        "population_covariance": f"{_LEVEL}**2", "lsb": _LEVEL, "offset": _LEVEL,
        "bit_weight_*": _LEVEL, "step_sigma": _LEVEL, "clock_time": "s",
    },
    "front_end": {
        "level_current": "A", "*_coefficient": "V", "*_residual": "V", "population_mean": "V",
        "population_covariance": "V**2", "transresistance": "ohm", "input_resistance": "ohm",
        "zero_output": "V", "input_voltage": "V", "*_bow": "V", "*_asymmetry": "V",
        "*_stop": "V", "lsb": "V",
    },
    "macro": {
        "converters": "1", "bias_voltage": "V", "read_voltage": "V", "on_conductance": "S",
        "off_conductance": "S",
    },
    "ramp_adc": {
        "ramp_noise": "V", "ramp_curvature": "1", "ramp_*": "V", "ramp": "SI", "column": "V",
        "population_mean": "SI", "population_covariance": "SI", "column_covariance": "V**2",
        "reference_voltage": "V", "bits": "1", "sigma_curvature": "1", "sigma_*": "V",
        "column_offset_sigma": "V", "start_*": "V", "end_*": "V",
    },
    "time_accumulator": {
        "coefficient": "s", "coefficient_sigma": "s", "cell": "SI", "reference": "s",
        "zero_delay": "s", "full_delay": "s", "held_out_pair": "1", "population_covariance": "SI",
        "t0_*": "s", "slope": "s/V", "curvature_*": "s", "largest_voltage": "V",
        "full_scale_voltage": "V", "left": "s", "output_levels": "1", "sigma_offset": "s",
        "sigma_slope": "s/V",
    },
}  # fmt: skip
"""Kind → name or pattern of an array or parameter → unit; the first that fits counts."""

_PARTS: Mapping[str, str] = {
    "array": "crossbar", "converter_*": "adc", "driver": "dac", "front_end": "front_end",
}  # fmt: skip
"""Part of a macro → its kind."""


def written_unit(kind: str, name: str, settings: Mapping[str, str]) -> str | None:
    """Unit in which a kind writes an array or parameter; None where the tables do not say.

    Parameters
    ----------
    name : of a part of a macro with the part before it, as in its files: ``array.conductance``.
    settings : of the model.
    """
    part, _, own = name.rpartition(".")
    known = _fitting(_PARTS, part) if part and kind == "macro" else kind
    if known is None or known not in _KINDS:
        return None
    unit = _fitting({**_KINDS[known], **_ALL}, own)
    if unit is None or _LEVEL not in unit:
        return unit
    converter = settings.get(f"{part}.converter" if part else "converter")
    return unit.replace(_LEVEL, "s" if converter == _PULSES else "V")


def check_units(kind: str, model: Model) -> None:
    """Refuse a model with a unit that its kind does not write.

    Raises
    ------
    ValueError : one is another, named with what is written.
    """
    given = {f"arrays/{name}": array.units for name, array in model.arrays.items()}
    given |= {f"parameters/{name}": each.unit for name, each in model.parameters.items()}
    for key, unit in given.items():
        right = written_unit(kind, key.partition("/")[2], model.settings)
        if right is not None and unit != right:
            raise ValueError(f"units of {key} are {unit!r}; allowed: {right!r}")


def _fitting(table: Mapping[str, str], name: str) -> str | None:
    if name in table:
        return table[name]
    return next((value for pattern, value in table.items() if fnmatchcase(name, pattern)), None)
