"""What a study of training with the periphery found: tables, notes, JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imccircuit.networks.study import Table
from imccircuit.networks.training_sizes import Size, find_smallest, ways_of
from imccircuit.surrogates.verdict import Verdict
from imccircuit.units import format_quantity

if TYPE_CHECKING:
    from imccircuit.networks.training_comparison import Comparison

_MANY = 1e6


@dataclass(frozen=True)
class TrainingOutcome:
    """What the study found.

    Attributes
    ----------
    mode, bits : of the arrays, and of the converters.
    chips, seeds, epochs : how many.
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
        rows: list[Any] = [
            (
                way.name,
                f"{100 * way.mean:.1f}" + _plus_minus(way.sigma),
                _factor(self.comparison.overhead, way.name),
            )
            for way in self.comparison.ways
        ]
        title = (
            f"{self.mode} mode, converters of {self.bits} bits: {self.chips} chips, {self.seeds} "
            f"trainings of {self.epochs} epochs"
        )
        found: list[Table] = [(title, ("way", "accuracy (%)", "time of an epoch"), rows)]
        return [*found, self._table_of_sizes()] if self.sizes else found

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
            if found is None:
                largest = max(self.sizes, key=lambda size: size.unit_f)
                lines.append(
                    f"{name}: more than {limit} with the largest unit capacitor too, "
                    f"{100 * largest.loss(name):.1f} points"
                )
                continue
            lines.append(
                f"{name}: at most {limit} from a unit capacitor of "
                f"{format_quantity(found.unit_f, 'F')} on: {_known(found.conversion_j, 'J')} a "
                f"conversion, {_known(found.area_m2, 'm**2')} a converter"
            )
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Everything for JSON."""
        found = self.comparison
        return {
            "mode": self.mode,
            "bits": self.bits,
            "chips": self.chips,
            "seeds": self.seeds,
            "epochs": self.epochs,
            "ways": [
                {
                    "name": way.name,
                    "mean": way.mean,
                    "sd": way.sigma if math.isfinite(way.sigma) else None,
                    "accuracy": way.accuracy.tolist(),
                }
                for way in found.ways
            ],
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
            "sizes": [size.as_dict() for size in self.sizes],
            "tolerated": self.tolerated,
            "verdict": json.loads(self.verdict.to_json()),
            "front_end": None if self.front_end is None else json.loads(self.front_end.to_json()),
            "below_gate": self.below_gate,
            "files": {name: str(path) for name, path in self.files.items()},
        }


def _plus_minus(sigma: float) -> str:
    return f" ± {100 * sigma:.1f}" if math.isfinite(sigma) else ""


def _factor(overhead: dict[str, float], way: str) -> str:
    mode = {"population": "population", "chip in the loop": "chip"}.get(way)
    return f"{overhead[mode]:.1f} times plain" if mode in overhead else ""


def _known(value: float | None, unit: str) -> str:
    return "not characterised" if value is None else format_quantity(value, unit)
