"""How small a unit capacitor each way to get along with the converters tolerates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from imccircuit.networks.training_tables import CHIP_WAYS

if TYPE_CHECKING:
    from imccircuit.networks.crossed import Estimate
    from imccircuit.networks.training_ways import Comparison

State = Literal["tolerated", "not resolved", "lost"]


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

    def loss(self, way: str) -> Estimate:
        """Accuracy that a way loses against float, in pairs of training, chip and image."""
        return self.comparison.loss(way)

    def as_dict(self, tolerated: float) -> dict[str, Any]:
        """Everything for JSON."""
        return {
            "unit_f": self.unit_f,
            "conversion_j": self.conversion_j,
            "area_m2": self.area_m2,
            "ways": {
                way.name: {
                    "mean": way.mean,
                    "sd": finite(way.sigma),
                    "loss": estimate_as_dict(self.loss(way.name)),
                    "state": judge(self, way.name, tolerated),
                }
                for way in self.comparison.ways
                if way.name in CHIP_WAYS
            },
        }


def judge(size: Size, way: str, loss: float) -> State:
    """Whether a way loses no more than ``loss`` against float.

    ``tolerated`` if the upper end of the loss's one-sided 95 % interval is at most ``loss``,
    ``lost`` if the lower end is above, else ``not resolved``. Each size and way is judged for
    itself; nothing is taken off for their number.
    """
    least, most = size.loss(way).one_sided()
    if most <= loss:
        return "tolerated"
    return "lost" if least > loss else "not resolved"


def find_smallest(sizes: Sequence[Size], way: str, loss: float) -> Size | None:
    """The smallest size at which, and at all larger ones tried, ``loss`` is tolerated; see `judge`.

    None if it is not at the largest.
    """
    found = None
    for size in sorted(sizes, key=lambda size: -size.unit_f):
        if judge(size, way, loss) != "tolerated":
            break
        found = size
    return found


def ways_of(sizes: Sequence[Size]) -> tuple[str, ...]:
    """Ways in which chips take part."""
    first = sizes[0].comparison
    return tuple(way.name for way in first.ways if way.name in CHIP_WAYS)


def estimate_as_dict(found: Estimate) -> dict[str, float | None]:
    """Mean, standard error, and the ends of both kinds of 95 % interval, for JSON."""
    (low, high), (least, most) = found.interval(), found.one_sided()
    return {
        "mean": found.mean,
        "error": finite(found.error),
        "low": finite(low),
        "high": finite(high),
        "least": finite(least),
        "most": finite(most),
    }


def finite(value: float) -> float | None:
    """None where it is not, for JSON."""
    return value if math.isfinite(value) else None
