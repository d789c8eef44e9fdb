"""What a model says of itself, for a terminal and for JSON."""

from __future__ import annotations

import json
import math
from typing import Any

from imccircuit.surrogates.base import Parameter, Surrogate
from imccircuit.surrogates.verdict import Verdict
from imccircuit.units import format_quantity

_TOLD = 2.0
"""A number this many standard deviations from 0 or more is told from it."""


def verdict_dict(verdict: Verdict) -> dict[str, Any]:
    """A verdict for JSON."""
    found: dict[str, Any] = json.loads(verdict.to_json())
    return found


def model_dict(model: Surrogate) -> dict[str, Any]:
    """A model for JSON: everything but its arrays."""
    content = model.model
    return {
        "kind": model.kind,
        "provenance": vars(content.provenance),
        "parameters": {
            name: {
                "value": p.value,
                "sigma": p.sigma,
                "unit": p.unit,
                "note": p.note,
                "open": open_question(p),
            }
            for name, p in content.parameters.items()
        },
        "arrays": {
            name: {"shape": list(array.values.shape), "unit": array.units, "what": array.long_name}
            for name, array in content.arrays.items()
        },
        "gates": dict(content.gates),
        "domain": dict(content.domain),
        "verdict": verdict_dict(content.verdict),
    }


def model_text(model: Surrogate) -> str:
    """A model in a screenful: where from, parameters, verdict."""
    content = model.model
    source = content.provenance
    lines = [
        f"surrogate {model.kind} of {source.title or source.recipe_name}",
        f"fitted to recipe {source.recipe_name}, point {source.point}, {source.reference}, "
        f"seed {source.seed}",
    ]
    lines += [f"  {parameter_text(parameter)}" for parameter in content.parameters.values()]
    return "\n".join([*lines, str(content.verdict)])


def open_question(parameter: Parameter) -> str:
    """What the data do not tell of a parameter; empty if they tell it, or if its note says so."""
    if math.isnan(parameter.sigma):
        return "" if parameter.note else "not told by these data"
    return "not told from 0" if abs(parameter.value) < _TOLD * parameter.sigma else ""


def parameter_text(parameter: Parameter) -> str:
    """One line: value, standard deviation, what the data do not tell, note."""
    text = f"{parameter.name} = {format_quantity(parameter.value, parameter.unit)}"
    if math.isfinite(parameter.sigma) and parameter.sigma > 0:
        text += f" ± {format_quantity(parameter.sigma, parameter.unit, 2)}"
    notes = [note for note in (open_question(parameter), parameter.note) if note]
    return text + (f"  ({'; '.join(notes)})" if notes else "")
