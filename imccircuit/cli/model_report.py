"""What a model says of itself, for a terminal and for JSON."""

from __future__ import annotations

import json
import math
from typing import Any

from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.verdict import Verdict
from imccircuit.units import format_quantity


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
            name: {"value": p.value, "sigma": p.sigma, "unit": p.unit, "note": p.note}
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
    for name, parameter in content.parameters.items():
        unit = "" if parameter.unit == "1" else parameter.unit
        text = f"  {name} = {format_quantity(parameter.value, unit)}"
        if math.isfinite(parameter.sigma) and parameter.sigma > 0:
            text += f" ± {format_quantity(parameter.sigma, unit, 2)}"
        lines.append(text + (f"  ({parameter.note})" if parameter.note else ""))
    return "\n".join([*lines, str(content.verdict)])
