"""What a study of training with the periphery found: tables, notes, JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imccircuit.networks.study import Table
from imccircuit.networks.training_sizes import (
    Size,
    estimate_as_dict,
    find_smallest,
    finite,
    judge,
    ways_of,
)
from imccircuit.networks.training_tables import CHIP_WAYS
from imccircuit.surrogates.verdict import Verdict
from imccircuit.units import format_quantity

if TYPE_CHECKING:
    from imccircuit.networks.training_ways import Comparison, Way

_MANY = 1e6
_TRAINED = {"population": "new chips every batch", "chip": "one chip"}
_REFERENCES = ("float", "naive")


@dataclass(frozen=True)
class TrainingOutcome:
    """What the study found.

    Attributes
    ----------
    mode, bits : of the arrays, and of the converters.
    folds, chips, seeds, epochs : how many.
    comparison : the ways.
    verdict : of the converter's surrogate.
    files : what was written, by name.
    front_end : verdict of the front end's surrogate; None: ideal front ends.
    area_m2 : of a converter; None if not known.
    sizes : all ways with other unit capacitors.
    tolerated : loss of accuracy against float that such a capacitor may cost.
    """

    mode: str
    bits: int
    folds: int
    chips: int
    seeds: int
    epochs: int
    comparison: Comparison
    verdict: Verdict
    files: dict[str, Path] = field(default_factory=dict)
    front_end: Verdict | None = None
    area_m2: float | None = None
    sizes: tuple[Size, ...] = ()
    tolerated: float = 0.01

    @property
    def below_gate(self) -> bool:
        """A surrogate failed its verdict."""
        verdicts = (self.verdict, self.front_end)
        return any(verdict is not None and verdict.state == "fail" for verdict in verdicts)

    def tables(self) -> list[Table]:
        """Tables for a terminal."""
        compared = self.comparison
        rows: list[Any] = [
            (
                way.name,
                f"{100 * way.mean:.1f}" + _plus_minus(way.sigma),
                _percent(way.interval()),
                *(_p_value(compared, way.name, other) for other in _REFERENCES),
            )
            for way in compared.ways
        ]
        title = (
            f"{self.mode} mode, converters of {self.bits} bits: {compared.images} images by "
            f"{self.folds}-fold cross-validation, {self.chips} chips, {self.seeds} trainings of "
            f"{self.epochs} epochs"
        )
        columns = ("way", "accuracy (%)", "95 % of mean", "p (float)", "p (naive)")
        found: list[Table] = [(title, columns, rows)]
        return [*found, self._table_of_sizes(), self._table_of_losses()] if self.sizes else found

    def _table_of_sizes(self) -> Table:
        names = ways_of(self.sizes)
        rows: list[Any] = []
        for size in sorted(self.sizes, key=lambda size: size.unit_f):
            ways = [size.comparison.way(name) for name in names]
            shown = [f"{100 * way.mean:.1f}{_plus_minus(way.sigma)}" for way in ways]
            costs = (_known(size.conversion_j, "J"), _known(size.area_m2, "m**2"))
            rows.append((format_quantity(size.unit_f, "F"), *shown, *costs))
        columns = ("unit capacitor", *names, "a conversion", "a converter")
        return ("Accuracy (%) with other unit capacitors", columns, rows)

    def _table_of_losses(self) -> Table:
        rows: list[Any] = []
        for size in sorted(self.sizes, key=lambda size: size.unit_f):
            for name in ways_of(self.sizes):
                loss, state = size.loss(name), judge(size, name, self.tolerated)
                shown = (f"{100 * loss.mean:.1f}", _percent(loss.one_sided()), state)
                rows.append((format_quantity(size.unit_f, "F"), name, *shown))
        title = f"Points lost against float, of which {100 * self.tolerated:g} are tolerated"
        return (title, ("unit capacitor", "way", "points", "95 % each side", "loss"), rows)

    def notes(self) -> list[str]:
        """Lines below the tables."""
        found = self.comparison
        images = found.calibration_images
        lines = [
            f"an image: {found.conversions} conversions, {_known(found.energy_j, 'J')}; "
            f"a converter: {_known(self.area_m2, 'm**2')}",
            f"calibrating a chip: {found.steps} conversions of each of {found.converters} "
            f"converters, {_known(found.calibration_j, 'J')}, as much as {images:.3g} images; "
            f"spread over a million images {100 * images / _MANY:.2g} % of their conversions",
            f"table of a calibrated converter: {found.table_bits} bits, looked up once a "
            "conversion; not characterised and in no energy here",
            *(
                f"an epoch of a training on {_TRAINED[mode]}: {factor:.1f} times a plain one"
                for mode, factor in found.overhead.items()
            ),
            *self._smallest(),
        ]
        for name, verdict in (("converter", self.verdict), ("front end", self.front_end)):
            if verdict is not None:
                lines.append(f"surrogate of the {name}:")
                lines += [f"  {line}" for line in str(verdict).splitlines()]
        return lines

    def _smallest(self) -> list[str]:
        """What every way tolerates."""
        lines = []
        for name in ways_of(self.sizes) if self.sizes else ():
            found = find_smallest(self.sizes, name, self.tolerated)
            limit = f"a loss of {100 * self.tolerated:g} points against float"
            by_size = sorted(self.sizes, key=lambda size: -size.unit_f)
            if found is None:
                lines.append(
                    f"{name}: at most {limit} is not shown with the largest unit capacitor either: "
                    + self._loss_of(by_size[0], name)
                )
                continue
            line = (
                f"{name}: at most {limit} from a unit capacitor of "
                f"{format_quantity(found.unit_f, 'F')} on, {self._loss_of(found, name)}: "
                f"{_known(found.conversion_j, 'J')} a conversion, "
                f"{_known(found.area_m2, 'm**2')} a converter"
            )
            smaller = by_size[by_size.index(found) + 1 :]
            if smaller:
                below = format_quantity(smaller[0].unit_f, "F")
                line += f"; with {below} {self._loss_of(smaller[0], name)}"
            lines.append(line)
        return lines

    def _loss_of(self, size: Size, name: str) -> str:
        loss, state = size.loss(name), judge(size, name, self.tolerated)
        ends = _percent(loss.one_sided())
        return f"{100 * loss.mean:.1f} points ({ends}), {state}"

    def as_dict(self) -> dict[str, Any]:
        """Everything for JSON."""
        found = self.comparison
        return {
            "mode": self.mode,
            "bits": self.bits,
            "images": found.images,
            "folds": self.folds,
            "chips": self.chips,
            "seeds": self.seeds,
            "epochs": self.epochs,
            "ways": [_way_as_dict(found, way) for way in found.ways],
            "overhead": found.overhead,
            "conversions": found.conversions,
            "energy_j": found.energy_j,
            "area_m2": self.area_m2,
            "table_bits": found.table_bits,
            "calibration": {
                "algorithm": "staircase of whole codes and their fractions, converted once",
                "steps": found.steps,
                "converters": found.converters,
                "energy_j": found.calibration_j,
                "images": found.calibration_images,
            },
            "sizes": [size.as_dict(self.tolerated) for size in self.sizes],
            "tolerated": self.tolerated,
            "verdict": json.loads(self.verdict.to_json()),
            "front_end": None if self.front_end is None else json.loads(self.front_end.to_json()),
            "below_gate": self.below_gate,
            "files": {name: str(path) for name, path in self.files.items()},
        }


def _way_as_dict(found: Comparison, way: Way) -> dict[str, Any]:
    """Accuracy of a way, and what it loses against others in pairs."""
    low, high = way.interval()
    seed, chip = way.median_chip()
    return {
        "name": way.name,
        "mean": way.mean,
        "sd": finite(way.sigma),
        "low": finite(low),
        "high": finite(high),
        "accuracy": way.accuracy.tolist(),
        "median": {"seed": seed, "chip": chip},
        "against": {
            other: {
                "loss": estimate_as_dict(found.loss(way.name, other)),
                "p_of_median": found.p_value(way.name, other),
            }
            for other in _REFERENCES
            if _is_comparable(found, way.name, other)
        },
    }


def _is_comparable(found: Comparison, name: str, other: str) -> bool:
    """Whether a chip, or none, of a way has its like in another."""
    return name != other and found.has(other) and (other == "float" or name in CHIP_WAYS)


def _p_value(found: Comparison, name: str, other: str) -> str:
    return f"{found.p_value(name, other):.2g}" if _is_comparable(found, name, other) else ""


def _percent(ends: tuple[float, float]) -> str:
    low, high = ends
    return f"{100 * low:.1f} to {100 * high:.1f}" if math.isfinite(high) else "not known"


def _plus_minus(sigma: float) -> str:
    return f" ± {100 * sigma:.1f}" if math.isfinite(sigma) else ""


def _known(value: float | None, unit: str) -> str:
    return "not characterised" if value is None else format_quantity(value, unit)
