"""Adapters: an export of one module for a simulator in Python, and its data ``model.npz``.

What is common to them: writing the data, and what such a simulator keeps.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from imccircuit.exporters.content import (
    COST_NUMBERS,
    NOISE_OF_A_CONVERSION,
    POPULATIONS,
    Content,
    Fidelity,
    plain,
    write_npz,
)


def write_model(content: Content, folder: Path, schema: str) -> None:
    """Write ``model.npz``: schema, kind, the numbers that there are, and all arrays."""
    numbers = {name: np.asarray(v) for name, v in content.numbers.items() if v is not None}
    head = {"schema": np.asarray(schema), "kind": np.asarray(content.kind)}
    write_npz(folder / "model.npz", {**head, **numbers, **plain(content.arrays)})


def adapter_fidelity(
    content: Content, program: str, changes: tuple[Fidelity, ...]
) -> tuple[Fidelity, ...]:
    """What an adapter for ``program`` keeps of every quantity of ``content``.

    Parameters
    ----------
    changes : of quantities that are this program's own matter.
    """
    own = {item.quantity: item for item in (*_common(content), *changes)}
    unused = f"in model.npz; {program} has no place for it"
    return tuple(
        replace(item, treatment="dropped", how=unused)
        if item.quantity in COST_NUMBERS and item.treatment != "dropped"
        else own.get(item.quantity, item)
        for item in content.fidelity
    )


def _common(content: Content) -> list[Fidelity]:
    found = []
    if not POPULATIONS.isdisjoint(content.arrays):
        how = "columns take the chips of the model; the law stands in model.npz"
        found.append(Fidelity("population of chips", "dropped", how))
    if content.numbers.get("noise_sampled_v") is not None:
        how = "its two powers, where noise is asked for; the draws are the program's own"
        found.append(Fidelity(NOISE_OF_A_CONVERSION, "exact", how))
    if content.numbers.get("transresistance_ohm") is not None:
        how = (
            "currents with the amplifiers' offsets, a gain apart from output voltages; without the "
            "outputs' own offsets, which are in model.npz, these are off by up to the amount"
        )
        offset = float(np.max(np.abs(content.arrays["output_offset"].values)))
        found.append(Fidelity("read-out", "approximated", how, offset, "V"))
    return found
