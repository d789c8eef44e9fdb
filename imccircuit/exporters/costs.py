"""What operations cost, for targets that take energy, latency and area: the file costs.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from imccircuit.errors import FileFormatError
from imccircuit.exporters.content import COST_NUMBERS, Content, Fidelity

SCHEMA = "imccircuit-costs-1"
FILE = "costs.json"

Costs = dict[str, float | int | None]


def costs_of(content: Content) -> dict[str, Costs]:
    """Costs by part: ``adc`` with its ``bits``, ``array`` with ``rows`` and ``cols``, or both.

    A macro has both parts, one converter standing for all, and under ``macro`` its own costs with
    ``converters``, their number.

    ``energy_j`` in J, ``latency_s`` in s and ``area_m2`` in m² of one conversion, or of one
    product of the whole array or macro; None is "not measured".
    """
    figures: Costs = {name: content.numbers.get(name) for name in COST_NUMBERS.values()}
    if content.kind == "adc":
        return {"adc": {**figures, "bits": int(content.numbers["bits"] or 0)}}
    if content.kind == "macro":
        own: Costs = {**figures, "converters": int(content.numbers["converters"] or 0)}
        found = {"macro": own}
        for part in ("array", "converter_0"):
            found |= costs_of(content.parts[part])
        return found
    rows, cols = content.arrays["conductance"].values.shape[1:]
    return {"array": {**figures, "rows": int(rows), "cols": int(cols)}}


def shared_parts(content: Content) -> dict[str, Content]:
    """Array and one converter of a macro, what was measured of the whole alone shared out.

    A cost of the whole that neither part has is that of the conversions: energy and area in equal
    shares, latency as it is; the array costs nothing besides, for the whole contains it.
    """
    array, adc = content.parts["array"], content.parts["converter_0"]
    of_array, of_adc = dict(array.numbers), dict(adc.numbers)
    for name in _whole_alone(content):
        whole = content.numbers[name] or 0.0
        count = content.numbers["converters"] or 1.0
        of_adc[name] = whole if name == COST_NUMBERS["latency"] else whole / count
        of_array[name] = 0.0
    return {"array": replace(array, numbers=of_array), "adc": replace(adc, numbers=of_adc)}


def _whole_alone(content: Content) -> list[str]:
    """Costs that were measured of a macro as a whole and of neither part."""
    parts = (content.parts["array"], content.parts["converter_0"])
    return [
        name
        for name in COST_NUMBERS.values()
        if content.numbers.get(name) is not None
        and all(part.numbers.get(name) is None for part in parts)
    ]


def shared_costs(content: Content) -> dict[str, Costs]:
    """As `costs_of`, but of a macro the costs of `shared_parts` beside those of the whole."""
    if content.kind != "macro":
        return costs_of(content)
    found = {"macro": costs_of(content)["macro"]}
    for part in shared_parts(content).values():
        found |= costs_of(part)
    return found


def write_costs(costs: Mapping[str, Costs], folder: Path) -> None:
    """Write ``costs.json``: the schema and these parts."""
    text = json.dumps({"schema": SCHEMA, **costs}, indent=1, sort_keys=True)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read_costs(folder: Path) -> dict[str, Costs]:
    """Parts of the ``costs.json`` of an export.

    Raises
    ------
    FileFormatError : there is none, or it is none.
    """
    path = folder / FILE
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        schema = found.pop("schema")
    except (OSError, ValueError, KeyError, AttributeError):
        raise FileFormatError(f"{path}: no costs of an export") from None
    if schema != SCHEMA:
        raise FileFormatError(f"{path}: schema {schema!r} is not {SCHEMA!r}")
    return found


def costs_fidelity(content: Content, otherwise: str) -> tuple[Fidelity, ...]:
    """Costs as `content` has them, all else dropped.

    Parameters
    ----------
    otherwise : what the target does where a cost was not measured.
    """
    found = []
    for item in content.fidelity:
        if item.quantity.rpartition(": ")[2] not in COST_NUMBERS:
            how = "the target knows no values, only costs"
            found.append(Fidelity(item.quantity, "dropped", how))
        elif item.treatment == "dropped":
            found.append(Fidelity(item.quantity, "dropped", f"{item.how}; {otherwise}"))
        else:
            found.append(item)
    return tuple(found)


def shared_fidelity(content: Content, found: Iterable[Fidelity]) -> tuple[Fidelity, ...]:
    """What becomes of the costs of a macro as a whole where `shared_parts` are written."""
    alone = _whole_alone(content) if content.kind == "macro" else []
    count = int(content.numbers.get("converters") or 0)
    how = (
        f"of the whole, as cost of its {count} conversions, an array that costs nothing besides; "
        "no amount: the parts were not measured apart"
    )
    return tuple(
        replace(item, treatment="approximated", how=how)
        if COST_NUMBERS.get(item.quantity) in alone and item.treatment == "exact"
        else item
        for item in found
    )
