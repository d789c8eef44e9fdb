"""Front ends of a macro that are not ideal: their results alone, and how they join the array.

A bit line's end stands at the input voltage u_j(I_j) of its front end, which the column's current
moves, and that current depends on where all ends stand. Both are solved together: the mean slope of
the input curves is a resistance behind the bit lines and goes into the array's own solution; what
is left of a curve, its offset and its bends, is a voltage there, found by fixed-point iteration.
Nothing is neglected: u is as bent as the front end's model has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.benches.macro_front import FRONT_VARIABLES, PREFIX
from imccircuit.benches.macro_parameters import MacroParameters
from imccircuit.benches.readout_parameters import ReadoutGates
from imccircuit.benches.readout_transfer import BENCH as FRONT_END
from imccircuit.errors import EngineError, UsageError
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.adc_noise import SAMPLED
from imccircuit.surrogates.array_model import ArrayModel
from imccircuit.surrogates.crossbar import CrossbarSurrogate
from imccircuit.surrogates.data import Measured
from imccircuit.surrogates.front_end import FrontEndSurrogate
from imccircuit.surrogates.front_end_law import TERMS
from imccircuit.units import format_quantity

Floats = NDArray[np.float64]

FRONT = "front_end"
_MOST_ROUNDS = 60
# Of the largest current: far below what an LSB of 14 bits is.
_LAST_MOVE = 1e-11


def front_end_of(measured: Measured, parameters: MacroParameters) -> Measured | None:
    """What the bench of front ends would have measured of all columns; None for ideal ones.

    Every column of every chip is a chip of its own: they are drawn from one law.
    """
    alone = parameters.front_end_parameters()
    if alone is None:
        return None
    arrays = {name: measured.arrays[PREFIX + name] for name in FRONT_VARIABLES}
    return replace(
        measured,
        parameters=alone,
        recipe=replace(measured.recipe, bench=FRONT_END, gates=ReadoutGates()),
        samples=np.repeat(measured.samples, parameters.cols),
        arrays={name: values.reshape(-1, *values.shape[2:]) for name, values in arrays.items()},
        columns=parameters.cols,
    )


@dataclass(frozen=True)
class FrontEnds:
    """Front ends of one chip's columns.

    Attributes
    ----------
    model : the law they share.
    numbers_v : (col, 2 · term) numbers of each in V: the output's, then the input's.
    bias_v : from where drive voltages count, in V.
    """

    model: FrontEndSurrogate
    numbers_v: Floats
    bias_v: float

    def currents(self, array: CrossbarSurrogate, conductance_s: Floats, drive_v: Floats) -> Floats:
        """Column currents (batch, col) in A of drive voltages (batch, row) in V from the bias on.

        Raises
        ------
        EngineError : no currents were found at which array and front ends agree.
        """
        slope = self._slope()
        base = array.physics
        # A front end whose input rises less than nothing has no resistance: all of it is iterated.
        physics = replace(base, r_sense_ohm=base.r_sense_ohm + max(slope, 0.0))
        slope = physics.r_sense_ohm - base.r_sense_ohm
        solve = _Linear(physics, conductance_s) if physics.linear else _Bent(physics, conductance_s)
        try:
            return self._agreed(solve, drive_v, slope)
        except RuntimeError as error:
            raise EngineError(f"the surrogate of the crossbar: {error}") from None

    def output_v(self, current_a: Floats) -> Floats:
        """Outputs (batch, col) in V of currents (batch, col) in A, at rest and without load."""
        stops = self.model.value("low_stop"), self.model.value("high_stop")
        return np.clip(self._curves("output", current_a), *stops)

    def _agreed(self, solve: _Linear | _Bent, drive_v: Floats, slope_ohm: float) -> Floats:
        current = solve.start(drive_v)
        for _ in range(_MOST_ROUNDS):
            rest = self._curves("input", current) - self.bias_v - slope_ohm * current
            found = solve.currents(drive_v, rest)
            moved = float(np.max(np.abs(found - current), initial=0.0))
            current = found
            if moved <= _LAST_MOVE * float(np.max(np.abs(current), initial=0.0)):
                return current
        raise EngineError(
            f"the front ends' inputs and the array did not agree in {_MOST_ROUNDS} rounds: the "
            f"last one moved a current by {moved:.3g} A"
        )

    def _slope(self) -> float:
        """Mean end-point slope of the input curves in ohm."""
        low, high = self.model.array("level_current")[[0, -1]]
        return float(self.numbers_v[:, TERMS + 1].mean() / (high - low))

    def _curves(self, curve: str, current_a: Floats) -> Floats:
        law = self.model.law(curve)
        part = slice(0, TERMS) if curve == "output" else slice(TERMS, None)
        each = [law.voltage(n[part], current_a[:, j]) for j, n in enumerate(self.numbers_v)]
        return np.stack(each, axis=1)


def given_numbers(own_v: Floats, given: Mapping[str, ArrayLike | None]) -> Floats:
    """Numbers (col, 2 · term) in V of front ends: a chip's own, but for what is given of others.

    Parameters
    ----------
    given : ``output_coefficient_v`` and ``input_coefficient_v``, (col, term) or None.

    Raises
    ------
    UsageError : what is given has another shape, or is no finite number.
    """
    halves = []
    for own, (name, values) in zip(np.split(own_v, 2, axis=1), given.items(), strict=True):
        numbers = own if values is None else np.asarray(values, dtype=np.float64)
        if numbers.shape != own.shape or not np.all(np.isfinite(numbers)):
            raise UsageError(
                f"{name} of shape {numbers.shape}; allowed: finite numbers of shape {own.shape}"
            )
        halves.append(numbers)
    return np.hstack(halves)


def checked_array(conductance_s: ArrayLike, drive_v: Floats, columns: int) -> Floats:
    """Conductances (row, col) in S that fit drive voltages (batch, row) and the front ends.

    Raises
    ------
    UsageError : they do not.
    """
    g = np.asarray(conductance_s, dtype=np.float64)
    if g.ndim != 2 or drive_v.ndim != 2 or drive_v.shape[1] != g.shape[0] or g.shape[1] != columns:
        raise UsageError(
            f"voltages {drive_v.shape} and {columns} front ends do not fit conductances {g.shape}"
        )
    if not np.all(np.isfinite(drive_v)):
        raise UsageError("a drive voltage is no finite number")
    return g


def noise_text(front: FrontEndSurrogate) -> str:
    """Line of the domain on the noise of front ends."""
    noise = front.model.parameters.get("noise")
    if noise is None:
        return "none"
    sigma = format_quantity(noise.value, "V", 3)
    return f"where a seed is given, {sigma} rms at their outputs, the cells' and wires' included"


def with_noise(
    converters: Sequence[AdcSurrogate], front: FrontEndSurrogate | None
) -> Sequence[AdcSurrogate]:
    """Converters whose sample has the noise of front ends on top; the same for ideal ones.

    Both are drawn once a conversion and independent, so that their powers add. What the sampling
    capacitors filter out of a front end's noise is left in: it was measured without them.
    """
    noise = None if front is None else front.model.parameters.get("noise")
    if noise is None or any(SAMPLED not in part.model.parameters for part in converters):
        return converters
    found = []
    for part in converters:
        sampled = part.model.parameters[SAMPLED]
        total = replace(sampled, value=float(np.hypot(sampled.value, noise.value)))
        parameters = {**part.model.parameters, SAMPLED: total}
        found.append(AdcSurrogate(replace(part.model, parameters=parameters)))
    return found


class _Linear:
    """An array of linear cells: its currents are a product, and so is what the ends take."""

    def __init__(self, physics: ArrayModel, conductance_s: Floats) -> None:
        self._matrix = physics.effective_conductance(conductance_s)
        self._admittance = physics.port_admittance(conductance_s)

    def start(self, drive_v: Floats) -> Floats:
        return np.asarray(drive_v @ self._matrix)

    def currents(self, drive_v: Floats, ends_v: Floats) -> Floats:
        return np.asarray(drive_v @ self._matrix - ends_v @ self._admittance)


class _Bent:
    """Another array, whose ends stand elsewhere with every vector."""

    def __init__(self, physics: ArrayModel, conductance_s: Floats) -> None:
        self._physics, self._conductance_s = physics, conductance_s

    def start(self, drive_v: Floats) -> Floats:
        return self._physics.currents(self._conductance_s, drive_v)

    def currents(self, drive_v: Floats, ends_v: Floats) -> Floats:
        pairs = zip(drive_v, ends_v, strict=True)
        g = self._conductance_s
        return np.concatenate([self._physics.currents(g, v[None], e) for v, e in pairs])
