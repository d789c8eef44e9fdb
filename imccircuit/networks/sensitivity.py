"""Accuracy against each non-ideality, alone and together with all others."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imccircuit.networks.chips import IDEAL, Scales
from imccircuit.networks.finished import Finished
from imccircuit.networks.hardware import Hardware, ReadNoise
from imccircuit.networks.models import Floats
from imccircuit.networks.network_tables import SensitivityTable

LABELS = {
    "wires": "wire resistance (× characterised)",
    "mismatch": "capacitor mismatch (× characterised)",
    "spread": "conductance spread (× characterised)",
    "offsets": "offsets (× characterised)",
    "bits": "resolution of the converters (bit)",
    "read_time": "read time (s)",
}
"""What each axis is, as written on a picture."""


@dataclass(frozen=True)
class Point:
    """Accuracy at one value of one axis.

    Attributes
    ----------
    axis : key of `LABELS`.
    value : factor, bits, or time in s.
    others : whether all other non-idealities are there as well.
    mean, sd : of the accuracies of the chips.
    """

    axis: str
    value: float
    others: bool
    mean: float
    sd: float


def compute_sensitivity(
    hardware: Hardware,
    images: Floats,
    classes: NDArray[np.int64],
    table: SensitivityTable,
    seed: int,
    finished: Finished | None = None,
) -> tuple[Point, ...]:
    """Accuracies along all axes of the table, each alone and with all others.

    Parameters
    ----------
    finished : keeps every point, and has those of a run that was interrupted.
    """
    bits = hardware.population.converter.bits
    asked: list[tuple[str, float, dict[str, float | int]]] = [
        (name, float(factor), {name: float(factor)})
        for name in ("wires", "mismatch", "spread", "offsets")
        for factor in getattr(table, name)
    ]
    asked += [("bits", float(b), {"drop_bits": bits - b}) for b in table.bits if b <= bits]
    asked += [("read_time", t, {"read_time_s": t, "spread": 1.0}) for t in table.read_times]
    found = []
    for axis, value, change in asked:
        for others, base in ((False, IDEAL), (True, Scales())):
            scales = replace(base, **change)  # type: ignore[arg-type]
            ask = partial(_ask, hardware, images, classes, scales, table.chips, seed)
            name = f"sensitivity.{axis}.{value!r}.{others}"
            told = ask() if finished is None else finished.unit(name, ask)
            right = told["accuracy"]
            found.append(Point(axis, value, others, right.mean(), right.std(ddof=1)))
    return tuple(found)


def _ask(
    hardware: Hardware,
    images: Floats,
    classes: NDArray[np.int64],
    scales: Scales,
    chips: int,
    seed: int,
) -> dict[str, Floats]:
    return {"accuracy": compute_accuracies(hardware, images, classes, scales, chips, seed)}


def compute_accuracies(
    hardware: Hardware,
    images: Floats,
    classes: NDArray[np.int64],
    scales: Scales,
    chips: int,
    seed: int,
) -> Floats:
    """Accuracy (chip,) of chips with these non-idealities."""
    noise = ReadNoise(seed, scales.noise * hardware.population.noise_v)
    found = []
    for chip in range(chips):
        layers = hardware.program(seed, chip, scales)
        logits = hardware.logits(layers, images, noise, chip)
        found.append(np.mean(np.argmax(logits, axis=1) == classes))
    return np.array(found)


def costliest(points: tuple[Point, ...]) -> tuple[str, float] | None:
    """Which non-ideality alone, as characterised, costs most, and how much of the accuracy.

    Counted from the same axis at 0; axes without both values do not take part.
    """
    losses = {}
    for axis in ("wires", "mismatch", "spread", "offsets"):
        alone = {point.value: point.mean for point in points if point.axis == axis
                 and not point.others}  # fmt: skip
        if 0.0 in alone and 1.0 in alone:
            losses[axis] = alone[0.0] - alone[1.0]
    return max(losses.items(), key=lambda item: item[1]) if losses else None


def write_sensitivity(points: tuple[Point, ...], path: Path) -> None:
    """Write the points as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["axis", "value", "with_all_others", "accuracy_mean", "accuracy_sd"])
        for p in points:
            writer.writerow([p.axis, repr(p.value), int(p.others), repr(float(p.mean)),
                             repr(float(p.sd))])  # fmt: skip
