"""Charge-domain columns in closed form: output, spread from mismatch, thermal noise by phase."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError

Floats = NDArray[np.float64]

BOLTZMANN_J_PER_K = 1.380649e-23


def compute_charge_voltage(
    products: ArrayLike, capacitors_f: ArrayLike, line_f: float, supply_v: float
) -> Floats:
    """Output of columns after their capacitors have shared: V = VDD·Σ p·C/(Σ C + C_line).

    Parameters
    ----------
    products : (batch, row, col) 1 where a capacitor was charged to the supply, 0 where to ground.
    capacitors_f : (row, col) in F.
    line_f : capacitance of a line to ground, discharged before sharing, in F.
    supply_v : in V.

    Returns
    -------
    (batch, col) in V.
    """
    c = np.asarray(capacitors_f, dtype=np.float64)
    charge = np.einsum("brc,rc->bc", np.asarray(products, dtype=np.float64), c)
    return np.asarray(supply_v * charge / (c.sum(axis=0) + line_f))


def compute_charge_mismatch(
    active: ArrayLike, rows: int, unit_f: float, sigma_f: float, line_f: float, supply_v: float
) -> Floats:
    """Spread in V over chips of a column's output, ``active`` of its ``rows`` products being one.

    The output is V = VDD·A/T with A the sum of the active capacitors and T = Σ C + C_line. A
    capacitor that is active moves it by VDD·(T − A)/T² per F, an idle one by −VDD·A/T². With N
    independent capacitors of σ_C around C, k active, and c = C_line/C, which does not vary:

        σ_V = VDD·σ_C/C · √(k·(N − k + c)² + (N − k)·k²) / (N + c)²

    to first order in σ_C/C; the second order is σ_C/C smaller again.

    Raises
    ------
    UsageError : more active products than rows, or none of the capacitances above 0.
    """
    k = np.asarray(active, dtype=np.float64)
    if np.any((k < 0) | (k > rows)):
        raise UsageError(f"active products must lie between 0 and the {rows} rows")
    if not unit_f > 0:
        raise UsageError(f"a unit capacitance must be above 0 F, not {unit_f!r}")
    c = line_f / unit_f
    squares = k * (rows - k + c) ** 2 + (rows - k) * k**2
    return np.asarray(supply_v * sigma_f / unit_f * np.sqrt(squares) / (rows + c) ** 2)


def compute_charge_noise(
    total_f: float, line_f: float, temperature_degc: float
) -> tuple[float, float]:
    """Thermal noise of a column's output in V rms: of reset and sample, and of share.

    When the reset and sample switches open, each capacitor keeps a charge of variance kT·C. They
    are independent and add: kT·(ΣC + C_line) on ΣC + C_line, so kT/(ΣC + C_line). The share
    switches cannot change that sum of charges. They move charge between the line and the
    capacitors; in equilibrium the line on its own would have kT/C_line, of which the part of the
    common charge, kT/(ΣC + C_line), is the first term again. What is left is
    kT·ΣC/(C_line·(ΣC + C_line)). The phases add to √(kT/C_line).

    The second term is that of the line seen with all its bandwidth, or held by opening the share
    switches. A reader that averages the line for long while they are closed sees less of it.

    Raises
    ------
    UsageError : a capacitance that is not above 0.
    """
    if not (total_f > 0 and line_f > 0):
        raise UsageError("capacitances of a column and of its line must be above 0 F")
    kt = BOLTZMANN_J_PER_K * (temperature_degc + 273.15)
    whole = total_f + line_f
    return float(np.sqrt(kt / whole)), float(np.sqrt(kt * total_f / (line_f * whole)))
