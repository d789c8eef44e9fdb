"""The surrogates' own errors, injected: what they are wrong by reaches the accuracy.

Errors of a model are not noise: a level that is wrong is wrong every time. So they are drawn once a
chip, one for each column (all its levels together) and one for each code of each column, each with
the rms that the verdict states; the array's with its own rms, one a column.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from imccircuit.devices.draws import Draws
from imccircuit.networks.chips import TileChip
from imccircuit.surrogates.adc_level_verdict import FROM_FEW_CODES
from imccircuit.surrogates.base import Surrogate


@dataclass(frozen=True)
class Residuals:
    """Errors that are injected.

    Attributes
    ----------
    level_v : rms in V of the levels of a converter.
    voltage_over_ohm : rms of a front end's output over its transresistance, in A.
    """

    level_v: float
    voltage_over_ohm: float

    def __call__(self, tile: TileChip, seed: int) -> TileChip:
        """A tile with errors drawn for it, those of a chip always the same."""
        draws = Draws(seed, 0)
        cols, codes = tile.levels_v.shape
        shared = draws.generator("residual/column").standard_normal((cols, 1))
        own = draws.generator("residual/code").standard_normal((cols, codes))
        levels = np.sort(tile.levels_v + self.level_v * (shared + own), axis=1)
        shift = draws.generator("residual/array").standard_normal(cols)
        offset = tile.output_offset_v + shift * self.voltage_over_ohm * tile.transresistance_ohm
        return replace(tile, levels_v=levels, output_offset_v=offset)


def residuals_of(array: Surrogate, converter: Surrogate) -> Residuals:
    """Errors that the verdicts of both models state: the largest rms of a figure in V of each.

    How well a population of levels would tell a chip from a few of its codes is none: it has no
    gate, for such a model replays chips and draws them, and predicts none.

    A verdict without a figure (too little was measured) leaves nothing to inject: 0; see
    `without_error`.
    """
    r_t = array.value("transresistance")
    return Residuals(_rms_v(converter), _rms_v(array) / r_t if r_t > 0 else 0.0)


def without_error(array: Surrogate, converter: Surrogate) -> tuple[str, ...]:
    """Which of the two has a verdict that states no error in V: ``array``, ``converter``."""
    both = {"array": array, "converter": converter}
    return tuple(name for name, model in both.items() if not _figures_v(model))


def _rms_v(model: Surrogate) -> float:
    return max(_figures_v(model), default=0.0)


def _figures_v(model: Surrogate) -> list[float]:
    errors = (item for item in model.verdict.errors if item.quantity != FROM_FEW_CODES)
    figures = [item.rms for item in errors if item.unit == "V"]
    return [value for value in figures if math.isfinite(value)]
