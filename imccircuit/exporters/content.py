"""What every export carries, whatever the target: arrays ready for use, replay, fidelity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imccircuit.registry import Registry
from imccircuit.surrogates.base import ModelArray, Surrogate

DRIVER_LEVEL = "driver_level"
"""Array of a macro whose rows have drivers: their voltages (chip, row, code) without load."""

Treatment = Literal["exact", "approximated", "dropped", "absent"]

COST_NUMBERS = {"energy": "energy_j", "latency": "latency_s", "area": "area_m2"}
"""Parameter of a model that says what an operation costs → its name in `Content.numbers`."""

POPULATIONS = frozenset({"population_mean", "level_mean"})
"""Arrays of which a model has one where chips can be drawn, by bit weights or by levels."""

NOISE_OF_A_CONVERSION = "noise of a conversion"

# Kinds that more than the bundle takes; all others are exported as they are.
_KINDS = Registry(
    "content of kind",
    "CONTENT",
    {
        "adc": "imccircuit.exporters.content_adc",
        "crossbar": "imccircuit.exporters.content_crossbar",
        "macro": "imccircuit.exporters.content_macro",
        "ramp_adc": "imccircuit.exporters.content_ramp",
    },
)


@dataclass(frozen=True)
class Fidelity:
    """What became of one quantity on its way into an export.

    Attributes
    ----------
    quantity : its name.
    treatment : ``exact``, ``approximated`` or ``dropped``, against the surrogate; ``absent`` for
        a part of a system that the surrogate is not of.
    how : how. Of what is approximated without an amount it says why, after ``no amount:``.
    amount : by how much what is approximated, or dropped where that is known, is off; see ``how``
        for which error it is.
    unit : of ``amount``; ``1`` of shares.
    """

    quantity: str
    treatment: Treatment
    how: str
    amount: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Content:
    """A model made ready for users who do not have imccircuit.

    Attributes
    ----------
    kind : ``adc``, ``crossbar``, ``macro``, or that of the surrogate; all converters with levels
        of their own are ``adc``.
    arrays : name → array with unit and axes.
    replay : stored SPICE vectors, and under ``expected_`` what the surrogate answers.
    fidelity : what happened to every quantity.
    numbers : scalars in SI by name with unit in the name; None is "not there".
    needs_solver : the nonlinear solver must come along.
    parts : contents of the parts of a macro by name, ``array`` and ``converter_0`` and so on.
    """

    kind: str
    arrays: Mapping[str, ModelArray]
    replay: Mapping[str, ModelArray]
    fidelity: tuple[Fidelity, ...]
    numbers: Mapping[str, float | None]
    needs_solver: bool = False
    parts: Mapping[str, Content] = field(default_factory=dict)


def content_of(model: Surrogate) -> Content:
    """Content of an export of ``model``, of any kind."""
    if model.kind not in _KINDS.modules:
        return as_in_the_model(model)
    content: Callable[[Any], Content] = _KINDS.get(model.kind)
    return content(model)


def as_in_the_model(model: Surrogate) -> Content:
    """All arrays as they are, for kinds that no target has code for."""
    arrays = {n: a for n, a in model.model.arrays.items() if not n.startswith("replay_")}
    law = "no code comes along; the formula of its numbers stands in docs/bundle-format.md"
    return Content(
        kind=model.kind,
        arrays=arrays,
        replay=replay_of(model),
        fidelity=(
            *(Fidelity(name, "exact", "as in the model") for name in arrays),
            Fidelity("parameters", "exact", "as in the model"),
            Fidelity(f"law of a {model.kind}", "dropped", law),
            *cost_fidelity(model),
        ),
        numbers=cost_numbers(model),
    )


def cost_numbers(model: Surrogate) -> dict[str, float | None]:
    """What an operation costs by name with unit; None is "not measured"."""
    parameters = model.model.parameters
    return {
        key: parameters[name].value if name in parameters else None
        for name, key in COST_NUMBERS.items()
    }


def cost_fidelity(model: Surrogate) -> tuple[Fidelity, ...]:
    """What becomes of energy, latency and area."""
    parameters = model.model.parameters
    return tuple(
        Fidelity(name, "exact", f"mean of the fitted chips; {parameters[name].note}")
        if name in parameters
        else Fidelity(name, "dropped", "not measured")
        for name in COST_NUMBERS
    )


def replay_of(model: Surrogate) -> dict[str, ModelArray]:
    """Stored vectors of a model, named as in an export."""
    return {
        name.removeprefix("replay_"): array
        for name, array in model.model.arrays.items()
        if name.startswith("replay_")
    }


def flat_arrays(content: Content) -> dict[str, ModelArray]:
    """Arrays of a content and of its parts, these with the part's name and a dot before."""
    found = dict(content.arrays)
    for part, own in content.parts.items():
        found |= {f"{part}.{name}": array for name, array in own.arrays.items()}
    return found


def flat_numbers(content: Content) -> dict[str, float | None]:
    """Numbers of a content and of its parts, named as `flat_arrays`."""
    found = dict(content.numbers)
    for part, own in content.parts.items():
        found |= {f"{part}.{name}": value for name, value in own.numbers.items()}
    return found


def plain(arrays: Mapping[str, ModelArray]) -> dict[str, NDArray[Any]]:
    """Values alone, for an npz."""
    return {name: np.ascontiguousarray(array.values) for name, array in arrays.items()}


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as an uncompressed npz; the same arrays make the same bytes."""
    np.savez(path, **arrays)  # type: ignore[arg-type]
