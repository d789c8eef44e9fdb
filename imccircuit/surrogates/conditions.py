"""Conditions and circuit of the measurements that a model was fitted to: others judge nothing.

Compared is every key of the recipe's tables ``circuit`` and ``conditions`` that counts in its
circuit, and what varies from chip to chip. Left out is what a model takes as an input or checks by
its shape, and what says how to measure. Cells have rules of their own; see `cell_conditions`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

from imccircuit.benches.bench import Parameters
from imccircuit.devices.figure import Card
from imccircuit.recipes.fields import field_keys, field_of, unit_of, value_of
from imccircuit.surrogates.cell_conditions import DIGITS, card_identity, refuse_others
from imccircuit.surrogates.data import Measured
from imccircuit.units import format_quantity

if TYPE_CHECKING:
    from imccircuit.surrogates.base import Surrogate

CONDITIONS = "conditions"
"""Setting of a model: JSON of the conditions of its fit. Older files lack it."""

_OWN_RULES = "cell"
# Sizes, which kinds check by the shapes of arrays; which of many columns is looked at.
_SHAPES = {"rows", "cols", "bits", "columns", "column", "outputs", "built_outputs", "converters"}
# Inputs of the models, and how weights are mapped on them.
_INPUTS = {"conductances", "weights", "weight_pattern", "differential", "read_time"}
# How much is measured: currents of front ends inside macros, levels that were given.
_MEASURED = {"levels", "current_low", "current_high"}
_SKIPPED = _SHAPES | _INPUTS | _MEASURED
# Where a key is left out, the property of its table that says what counts then.
_EFFECTIVE = {
    "unit_capacitor": "unit_f",
    "dummy_capacitor": "dummy_f",
    "row_segment_resistance": "row_ohm",
    "column_segment_resistance": "column_ohm",
    "row_segment_capacitance": "row_f",
    "current": "current_a",
}
_VARIED = "variation.quantities"
# Conductances are inputs of these kinds, so that they may vary or not.
_OF_ARRAYS = {"crossbar", "macro"}


def conditions_of(measured: Measured) -> dict[str, str]:
    """Key of the recipe → value with unit, of all that a model of these results depends on."""
    parameters, recipe = measured.parameters, measured.recipe
    varied = set(recipe.common.variation.quantities)
    found = _general(parameters, measured)
    idle = set(parameters.idle_keys())
    for key, quantities in parameters.spread_keys().items():
        names = {quantities} if isinstance(quantities, str) else set(quantities)
        if not names & varied:
            idle.add(key)
    for key in field_keys(type(parameters)):
        if not key.startswith("circuit.") or key in idle or key.rpartition(".")[2] in _SKIPPED:
            continue
        # Given conductances leave nothing to the card that others are drawn from.
        if key.endswith("device_card") and _given(parameters, key, "conductances"):
            continue
        found[key] = _text(parameters, key, measured)
    if recipe.bench.surrogate in _OF_ARRAYS:
        varied.discard("conductance")
    return {**found, _VARIED: ", ".join(sorted(varied)) or "nothing"}


def with_conditions(model: Surrogate, measured: Measured) -> Surrogate:
    """Return the same model with the conditions of its fit among its settings."""
    if model.kind == _OWN_RULES:
        return model
    text = json.dumps({"bench": measured.recipe.bench.name, **conditions_of(measured)})
    settings = {**model.model.settings, CONDITIONS: text}
    return type(model)(replace(model.model, settings=settings))


def check_conditions(model: Surrogate, measured: Measured, *, varied: bool = False) -> str:
    """Refuse results of other conditions than those of the fit.

    Parameters
    ----------
    varied : compare what varies from chip to chip, and else all but that. A kind has more to say
        on results that do not fit it at all, and is asked in between.

    Returns
    -------
    A note where the model, of an older version, does not say its conditions; else empty.

    Raises
    ------
    UsageError : they differ; the first difference with both values.
    """
    if model.kind == _OWN_RULES:
        return ""
    text = model.model.settings.get(CONDITIONS)
    if text is None:
        return "the model does not say the conditions of its fit, so that they were not compared"
    mine, theirs = json.loads(text), conditions_of(measured)
    same_bench = mine.pop("bench") == measured.recipe.bench.name
    # A key that idles on one side idles by another that differs, or counts for no level.
    common = {key for key in theirs if key in mine and (key == _VARIED) is varied}
    if not same_bench:
        common = {key for key in common if key.startswith("conditions.")}
    refuse_others(
        {key: mine[key] for key in common},
        {key: value for key, value in theirs.items() if key in common},
        measured.results.path,
    )
    return ""


def _general(parameters: Parameters, measured: Measured) -> dict[str, str]:
    """Temperature, and what else of technology and supply counts."""
    found, conditions = {}, parameters.conditions
    usual = type(conditions)().temperature
    # Of levels measured elsewhere a temperature in a recipe is a statement, the default is none.
    elsewhere = measured.recipe.bench.name == "adc_levels"
    if not (elsewhere and conditions.temperature == usual):
        found["conditions.temperature"] = f"{conditions.temperature:.{DIGITS}g} degC"
    if parameters.has_transistors:
        found["technology"] = card_identity(parameters.technology, measured)
        found["conditions.corner"] = parameters.corner
    if parameters.has_supply:
        found["conditions.supply"] = format_quantity(parameters.supply_v, "V", DIGITS)
    return found


def _given(parameters: Parameters, key: str, name: str) -> bool:
    table: BaseModel = value_of(parameters, key.rpartition(".")[0])
    return getattr(table, name, None) is not None


def _text(parameters: Parameters, key: str, measured: Measured) -> str:
    """Value of a key, with its unit; of what is left out, what counts instead."""
    value: Any = value_of(parameters, key)
    table, _, name = key.rpartition(".")
    if value is None and hasattr(value_of(parameters, table), _EFFECTIVE.get(name, "")):
        value = getattr(value_of(parameters, table), _EFFECTIVE[name])
    if value is None and name == "word_line_voltage":
        value = parameters.supply_v
    if value is None:
        return "none given"
    if isinstance(value, Card):
        return card_identity(value, measured)
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return f"array {value.shape} ({digest[:8]})"
    if isinstance(value, float):
        return format_quantity(value, unit_of(field_of(type(parameters), key)), DIGITS)
    return str(value)
