"""Law of voltage-to-time cells in cascade, and its fit to edges and line voltages.

A cell of stage s delays an edge by

    d = t_s + a·V + Σ b_m·(V/V_m)^m  (m = 2, 3)  + e + g·V ,

with t_s, a, b_m common to all chips and e, g a cell's own. t_s differs from stage to stage, for the
edge that comes from a cell is not as steep as the launched one. The cascade is the sum over
stages; the reference column is the same at 0 V, and its last edge is subtracted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.surrogates.seen import items_of

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

CURVATURE = (2, 3)
# A cell's own offset and slope need so many of its delays.
_FEWEST_DELAYS = 4


@dataclass(frozen=True)
class TimeLaw:
    """Common part of the delays.

    Attributes
    ----------
    coefficients : (stage + 1 + len(CURVATURE),): t_s in s, a·V_m in s, b_m in s.
    errors : their standard deviations in s.
    largest_v : V_m.
    left_s : rms of what the law, the cells' own parts included, leaves.
    """

    coefficients: Floats
    errors: Floats
    largest_v: float
    left_s: float

    @property
    def stages(self) -> int:
        """Cells in cascade."""
        return len(self.coefficients) - 1 - len(CURVATURE)

    @property
    def slope_s_per_v(self) -> float:
        """The coefficient a."""
        return float(self.coefficients[self.stages] / self.largest_v)

    def delays(self, voltage_v: Floats) -> Floats:
        """Delays (…, stage) in s of cells without mismatch at voltages (…, stage) in V."""
        share = voltage_v / self.largest_v
        found = self.coefficients[: self.stages] + self.coefficients[self.stages] * share
        for place, power in enumerate(CURVATURE):
            found = found + self.coefficients[self.stages + 1 + place] * share**power
        return np.asarray(found)


def cell_delays(edges_s: Floats) -> Floats:
    """Delay of each cell from the edges behind the cells of a cascade, along the last axis."""
    return np.diff(edges_s, axis=-1, prepend=0.0)


def fit_time_law(voltage_v: Floats, delay_s: Floats, used: Mask) -> tuple[TimeLaw, Floats]:
    """Law, and own parts (chip, output, stage, 2) of cells: e in s and g in s/V.

    Least squares in which every cell has a line of its own: the curvature from what the lines
    leave, then the lines, whose means over cells are the law's t_s and a. With fewer than four
    delays a cell has no line, and all are taken to be alike.

    Parameters
    ----------
    voltage_v, delay_s : (chip, vector, output, stage).
    used : (vector, output) those that the fit may see.
    """
    stages, largest = voltage_v.shape[3], float(np.max(np.abs(voltage_v)))
    alike = int(used.sum(axis=0).min()) < _FEWEST_DELAYS
    table = _table(voltage_v[:, used] / largest)
    coefficients: Floats = np.zeros(table.shape[1])
    if alike:
        solved = np.linalg.lstsq(table, delay_s[:, used].ravel(), rcond=None)[0]
        coefficients = np.asarray(solved, dtype=np.float64)
    else:
        coefficients[stages + 1 :] = _curvature(voltage_v / largest, delay_s, used)
        bare = TimeLaw(coefficients.copy(), coefficients, largest, 0.0)
        lines = own_parts(bare, voltage_v, delay_s, used)
        coefficients[:stages] = lines[..., 0].mean(axis=(0, 1))
        coefficients[stages] = lines[..., 1].mean() * largest
    law = TimeLaw(coefficients, np.zeros_like(coefficients), largest, 0.0)
    own = own_parts(law, voltage_v, delay_s, used)
    left = (delay_s - law.delays(voltage_v) - own_delays(own, voltage_v))[:, used]
    lost = table.shape[1] if alike else own.size + len(CURVATURE)
    rms = float(np.sqrt(np.sum(left**2) / max(1, left.size - lost)))
    variance = rms**2 * np.diag(np.linalg.pinv(table.T @ table))
    # Means over cells are as uncertain as the cells vary.
    variance[:stages] += own[..., 0].var() * stages / own[..., 0].size
    variance[stages] += (own[..., 1] * largest).var() / own[..., 1].size
    return TimeLaw(coefficients, np.sqrt(variance), largest, rms), own


def _table(share: Floats) -> Floats:
    """Terms (cell and vector, term) of the law at V/V_m (chip, pair, stage)."""
    stages = share.shape[-1]
    which = np.broadcast_to(np.eye(stages), (*share.shape, stages))
    powers = np.stack([share, *(share**m for m in CURVATURE)], axis=-1)
    return np.concatenate([which, powers], axis=-1).reshape(share.size, -1)


def _curvature(share: Floats, delay_s: Floats, used: Mask) -> Floats:
    """Coefficients b_m in s from what each cell's own line leaves of its delays."""
    terms, targets = [], []
    for output in range(share.shape[2]):
        x = np.moveaxis(share[:, used[:, output], output], 1, -1)
        y = np.moveaxis(delay_s[:, used[:, output], output], 1, -1)
        line = np.stack([np.ones_like(x), x], axis=-1)
        rest = np.eye(x.shape[-1]) - line @ np.linalg.pinv(line)
        powers = np.stack([x**m for m in CURVATURE], axis=-1)
        terms.append((rest @ powers).reshape(-1, len(CURVATURE)))
        targets.append((rest @ y[..., None]).ravel())
    found = np.linalg.lstsq(np.concatenate(terms), np.concatenate(targets), rcond=None)[0]
    return np.asarray(found)


def own_parts(law: TimeLaw, voltage_v: Floats, delay_s: Floats, used: Mask) -> Floats:
    """Own parts (chip, output, stage, 2) of cells around a law, from the delays that are used."""
    left = delay_s - law.delays(voltage_v)
    chips, _, outputs, stages = voltage_v.shape
    found = np.zeros((chips, outputs, stages, 2))
    for output in range(outputs):
        seen = used[:, output]
        if np.count_nonzero(seen) < _FEWEST_DELAYS:
            continue
        for chip in range(chips):
            for stage in range(stages):
                volt = voltage_v[chip, seen, output, stage]
                if np.ptp(volt) < 1e-3 * law.largest_v:
                    continue
                slope, offset = np.polyfit(volt, left[chip, seen, output, stage], 1)
                found[chip, output, stage] = offset, slope
    return found


def own_delays(own: Floats, voltage_v: Floats) -> Floats:
    """Own delays (chip, vector, output, stage) in s of cells at their voltages."""
    return np.asarray(own[:, None, ..., 0] + own[:, None, ..., 1] * voltage_v)


def items_of_pairs(arrays: Mapping[str, NDArray[Any]]) -> Floats:
    """Items (chip, vector · output, 3) by which chips and pairs are known again; see `seen`.

    A pair is known by the voltages at the launch, for these are what its cells are given, and by
    its output.
    """
    delay, voltage = arrays["output_delay"], arrays["output_voltage"]
    chips, vectors, outputs = delay.shape
    items = items_of(
        np.zeros((chips, 1)),
        voltage.reshape(chips, vectors * outputs, -1),
        delay.reshape(chips, vectors * outputs, 1),
    )
    # Two outputs may stand at the same voltages.
    items[..., 1] += np.tile(np.arange(outputs), vectors)
    return items
