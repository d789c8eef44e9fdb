"""How small a unit capacitor each way to get along with the converters tolerates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imccircuit.networks.training_tables import CHIP_WAYS

if TYPE_CHECKING:
    from imccircuit.networks.training_comparison import Comparison


@dataclass(frozen=True)
class Size:
    """All ways on converters with one unit capacitor.

    Attributes
    ----------
    unit_f : the capacitor.
    conversion_j, area_m2 : energy of a conversion and area of a converter; None if not known.
    comparison : the ways.
    """

    unit_f: float
    conversion_j: float | None
    area_m2: float | None
    comparison: Comparison

    def loss(self, way: str) -> float:
        """Accuracy that a way loses against float, mean over seeds and chips."""
        return self.comparison.way("float").mean - self.comparison.way(way).mean

    def as_dict(self) -> dict[str, Any]:
        """Everything for JSON."""
        return {
            "unit_f": self.unit_f,
            "conversion_j": self.conversion_j,
            "area_m2": self.area_m2,
            "ways": {
                way.name: {
                    "mean": way.mean,
                    "sd": way.sigma if math.isfinite(way.sigma) else None,
                    "loss": self.loss(way.name),
                }
                for way in self.comparison.ways
                if way.name in CHIP_WAYS
            },
        }


def find_smallest(sizes: Sequence[Size], way: str, loss: float) -> Size | None:
    """The smallest size at which, and at all larger ones tried, a way loses no more than ``loss``.

    None if it loses more at the largest.
    """
    found = None
    for size in sorted(sizes, key=lambda size: -size.unit_f):
        if size.loss(way) > loss:
            break
        found = size
    return found


def ways_of(sizes: Sequence[Size]) -> tuple[str, ...]:
    """Ways in which chips take part."""
    first = sizes[0].comparison
    return tuple(way.name for way in first.ways if way.name in CHIP_WAYS)
