"""The resolved recipe: every table with its defaults, as JSON beside its arrays.

It is what a results file stores, and it alone (with the cards it names) makes the same plan again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from imccircuit.benches.bench import Section
from imccircuit.devices.figure import Card
from imccircuit.devices.reference import card_label
from imccircuit.recipes.fields import unit_of
from imccircuit.recipes.load import Recipe
from imccircuit.units import SI

_ARRAY = "$array"
ArrayTable = dict[str, NDArray[np.float64]]


def resolve(recipe: Recipe) -> tuple[str, ArrayTable]:
    """JSON text of the resolved recipe and the arrays it refers to, by key."""
    swept = {key for axis in recipe.axes for key in axis.values}
    first = {key: values[0] for axis in recipe.axes for key, values in axis.values.items()}
    raw = recipe.raw
    resolved = {
        **_with_defaults(recipe.common, raw, "", set()),
        **_with_defaults(recipe.parameters(first), raw, "", swept),
        "gates": _with_defaults(recipe.gates, raw.get("gates", {}), "gates.", set()),
    }
    arrays: ArrayTable = {}
    plain = _take_arrays(resolved, "", arrays)
    return json.dumps(plain, indent=1, sort_keys=True), arrays


def restore(text: str, arrays: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    """Tables of a recipe from what `resolve` gave."""
    tables: dict[str, Any] = _put_arrays(json.loads(text), arrays)
    return tables


def _with_defaults(
    checked: BaseModel, table: Mapping[str, Any], prefix: str, swept: set[str]
) -> dict[str, Any]:
    """What ``table`` gives as it stands, and what it leaves out as ``checked`` has it."""
    complete: dict[str, Any] = {}
    for name, field in type(checked).model_fields.items():
        key, value = prefix + name, getattr(checked, name)
        if key in swept:
            continue
        if isinstance(value, Section):
            complete[name] = _with_defaults(value, table.get(name, {}), f"{key}.", swept)
        elif name in table:
            complete[name] = table[name]
        elif value is not None:
            complete[name] = _write(value, field)
    return complete


def _write(default: Any, field: FieldInfo) -> Any:
    if isinstance(default, float):
        unit = unit_of(field)
        is_quantity = any(isinstance(item, SI) for item in field.metadata)
        return f"{default!r} {unit}".strip() if is_quantity else default
    if isinstance(default, Card):
        return card_label(default)
    return list(default) if isinstance(default, tuple) else default


def _take_arrays(value: Any, key: str, arrays: ArrayTable) -> Any:
    if isinstance(value, np.ndarray):
        arrays[key] = value
        return {_ARRAY: key}
    if isinstance(value, Mapping):
        return {k: _take_arrays(v, f"{key}.{k}" if key else k, arrays) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_take_arrays(v, f"{key}[{i}]", arrays) for i, v in enumerate(value)]
    return value


def _put_arrays(value: Any, arrays: Mapping[str, NDArray[np.float64]]) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {_ARRAY}:
            return arrays[value[_ARRAY]]
        return {k: _put_arrays(v, arrays) for k, v in value.items()}
    if isinstance(value, list):
        return [_put_arrays(v, arrays) for v in value]
    return value
