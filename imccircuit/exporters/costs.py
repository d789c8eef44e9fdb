"""What operations cost, for targets that take energy, latency and area: the file costs.json."""

from __future__ import annotations

import json
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


def write_costs(content: Content, folder: Path) -> None:
    """Write ``costs.json``: the schema and the parts of `costs_of`."""
    text = json.dumps({"schema": SCHEMA, **costs_of(content)}, indent=1, sort_keys=True)
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
        if item.quantity not in COST_NUMBERS:
            how = "the target knows no values, only costs"
            found.append(Fidelity(item.quantity, "dropped", how))
        elif item.treatment == "dropped":
            found.append(Fidelity(item.quantity, "dropped", f"{item.how}; {otherwise}"))
        else:
            found.append(item)
    return tuple(found)
