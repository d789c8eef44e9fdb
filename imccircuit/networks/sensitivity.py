"""Accuracy against each non-ideality, alone and together with all others."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imccircuit.networks.chips import IDEAL, Scales
from imccircuit.networks.digital_side import ReadNoise
from imccircuit.networks.finished import Finished
from imccircuit.networks.hardware import Hardware
from imccircuit.networks.models import Floats
from imccircuit.networks.network_tables import SensitivityTable

LABELS = {
    "wires": "wire resistance (× characterised)",
    "mismatch": "capacitor mismatch (× characterised)",
    "curvature": "curvature of the converters (× characterised)",
    "spread": "conductance spread (× characterised)",
    "offsets": "offsets (× characterised)",
    "bits": "resolution of the converters (bit)",
    "read_time": "read time (s)",
}
"""What each axis is, as written on a picture."""

_FACTORS = ("wires", "mismatch", "curvature", "spread", "offsets")


@dataclass(frozen=True)
class Point:
    """Accuracy at one value of one axis.

    Attributes
    ----------
    axis : key of `LABELS`.
    value : factor, bits, or time in s.
    others : whether all other non-idealities are there as well.
    mean, sd : of the accuracies of the chips, each over the images of all folds.
    """

    axis: str
    value: float
    others: bool
    mean: float
    sd: float


@dataclass(frozen=True)
class OnImages:
    """A network of one fold and what it is tested with.

    Attributes
    ----------
    hardware : the network, mapped and calibrated.
    images, classes : (image, pixel) and (image,).
    """

    hardware: Hardware
    images: Floats
    classes: NDArray[np.int64]


def compute_sensitivity(
    folds: Sequence[OnImages], table: SensitivityTable, seed: int, finished: Finished | None = None
) -> tuple[Point, ...]:
    """Accuracies along all axes of the table, each alone and with all others.

    Parameters
    ----------
    folds : a chip's accuracy is that over the images of all of them.
    finished : keeps every point, and has those of a run that was interrupted.
    """
    bits = folds[0].hardware.population.converter.bits
    asked: list[tuple[str, float, dict[str, float | int]]] = [
        (name, float(factor), {name: float(factor)})
        for name in _FACTORS
        for factor in getattr(table, name)
    ]
    asked += [("bits", float(b), {"drop_bits": bits - b}) for b in table.bits]
    asked += [("read_time", t, {"read_time_s": t, "spread": 1.0}) for t in table.read_times]
    found = []
    for axis, value, change in asked:
        for others, base in ((False, IDEAL), (True, Scales())):
            scales = replace(base, **change)  # type: ignore[arg-type]
            ask = partial(_ask, folds, scales, table.chips, seed)
            name = f"sensitivity.{axis}.{value!r}.{others}"
            told = ask() if finished is None else finished.unit(name, ask)
            right = told["accuracy"]
            found.append(Point(axis, value, others, right.mean(), right.std(ddof=1)))
    return tuple(found)


def _ask(folds: Sequence[OnImages], scales: Scales, chips: int, seed: int) -> dict[str, Floats]:
    return {"accuracy": compute_accuracies(folds, scales, chips, seed)}


def compute_accuracies(folds: Sequence[OnImages], scales: Scales, chips: int, seed: int) -> Floats:
    """Accuracy (chip,) of chips with these non-idealities, over the images of all folds."""
    right = np.zeros(chips)
    for fold in folds:
        hardware = fold.hardware
        noise = ReadNoise(seed, scales.noise * hardware.population.noise_v)
        for chip in range(chips):
            layers = hardware.program(seed, chip, scales)
            logits = hardware.logits(layers, fold.images, noise, chip)
            right[chip] += np.sum(np.argmax(logits, axis=1) == fold.classes)
    return np.asarray(right / sum(len(fold.classes) for fold in folds))


def costliest(points: tuple[Point, ...]) -> tuple[str, float] | None:
    """Which non-ideality alone, as characterised, costs most, and how much of the accuracy.

    Counted from the same axis at 0; axes without both values do not take part.
    """
    losses = {}
    for axis in _FACTORS:
        alone = {point.value: point.mean for point in points if point.axis == axis
                 and not point.others}  # fmt: skip
        if 0.0 in alone and 1.0 in alone:
            losses[axis] = alone[0.0] - alone[1.0]
    return max(losses.items(), key=lambda item: item[1]) if losses else None


def widest(points: tuple[Point, ...]) -> tuple[str, float, float] | None:
    """Axis and value at which the least is left alone, and how much less than on ideal circuits.

    Of all axes, resolution and read time among them; None without points.
    """
    alone = [point for point in points if not point.others]
    if not alone:
        return None
    worst = min(alone, key=lambda point: point.mean)
    return worst.axis, worst.value, max(point.mean for point in alone) - worst.mean


def write_sensitivity(points: tuple[Point, ...], path: Path) -> None:
    """Write the points as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["axis", "value", "with_all_others", "accuracy_mean", "accuracy_sd"])
        for p in points:
            writer.writerow([p.axis, repr(p.value), int(p.others), repr(float(p.mean)),
                             repr(float(p.sd))])  # fmt: skip
