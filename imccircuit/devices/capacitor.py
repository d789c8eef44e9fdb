"""Unit capacitor and its mismatch law."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.devices.figure import Card, Correlation, Figure, PositiveCapacitance, Share
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
    bank_correlation : of two unit capacitors that are drawn together, 0 to 1.
    """

    kind: Literal["capacitor"]
    unit_capacitance: Figure[PositiveCapacitance]
    reference_capacitance: Figure[PositiveCapacitance]
    reference_sigma: Figure[Share]
    bank_correlation: Figure[Correlation] | None = None

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

        With a bank correlation ρ the capacitors of one call are a bank: each unit is its own part
        times one factor F of the bank, of mean 1 and variance ρ·cv², and the own part has the
        variance (1 − ρ)·cv²/(1 + ρ·cv²). A unit's mean and deviation are then as before, and two
        units have the correlation ρ. Ratios of capacitors do not see F.

        Parameters
        ----------
        rng : generator; one uniform number a capacitor, then one for a correlated bank.
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
        sigma, common = float(self.sigma_f(unit_f)), 1.0
        if self.bank_correlation is not None:
            shared = self.bank_correlation.value * (sigma / unit_f) ** 2
            common = float(Gamma().quantile(uniform(rng, ()), 1.0, np.sqrt(shared)))
            sigma *= float(np.sqrt((1 - self.bank_correlation.value) / (1 + shared)))
        drawn = common * Gamma().quantile(u, some * unit_f, np.sqrt(some) * sigma)
        return np.asarray(np.where(count == 0, 0.0, drawn))
