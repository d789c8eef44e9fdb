"""Unit capacitor and its mismatch law."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.devices.figure import Card, Figure, PositiveCapacitance, Share
from imccircuit.devices.laws import Gamma, uniform
from imccircuit.errors import UsageError


class CapacitorCard(Card):
    """Capacitor technology whose relative mismatch falls with the root of the capacitance.

    σ(C)/C = r·√(C_ref/C), that is σ(C) = r·√(C_ref·C): the law of any device whose independent
    parts add.

    Attributes
    ----------
    unit_capacitance : unit capacitor that generators take by default, in F.
    reference_capacitance : C_ref in F.
    reference_sigma : r, σ(C)/C at C_ref.
    """

    kind: Literal["capacitor"]
    unit_capacitance: Figure[PositiveCapacitance]
    reference_capacitance: Figure[PositiveCapacitance]
    reference_sigma: Figure[Share]

    def sigma_f(self, c_f: ArrayLike) -> NDArray[np.float64]:
        """Return the standard deviation in F of a capacitor of ``c_f`` (F)."""
        c = np.asarray(c_f, dtype=np.float64)
        return np.asarray(
            self.reference_sigma.value * np.sqrt(self.reference_capacitance.value * c)
        )

    def draw_capacitors(
        self, rng: np.random.Generator, units: ArrayLike, unit_f: float
    ) -> NDArray[np.float64]:
        """Capacitances in F, each the sum of that many independent unit capacitors.

        A unit capacitor is gamma distributed (positive, and with skew 2σ/µ, a percent or so,
        hardly to be told from a Gaussian), because then the sum of n is again gamma: one draw is
        exact whatever n. σ grows with √n.

        Parameters
        ----------
        rng : generator; one uniform number a capacitor.
        units : number of unit capacitors in each, whole and not negative.
        unit_f : nominal unit capacitance in F.

        Raises
        ------
        UsageError : ``units`` are no such numbers, or ``unit_f`` is not above 0.
        """
        count = np.asarray(units, dtype=np.float64)
        if not np.all((count >= 0) & (count == np.rint(count)) & np.isfinite(count)):
            raise UsageError("numbers of unit capacitors must be whole and not negative")
        if not 0 < unit_f < np.inf:
            raise UsageError(f"a unit capacitance must be above 0 F, not {unit_f!r}")
        u = uniform(rng, count.shape)
        some = np.maximum(count, 1)
        drawn = Gamma().quantile(u, some * unit_f, np.sqrt(some) * self.sigma_f(unit_f))
        return np.asarray(np.where(count == 0, 0.0, drawn))
