"""By how much an export is off: figures of its fidelity list, computed from the model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imccircuit.exporters.content import Content, Fidelity
from imccircuit.exporters.curves import cells_and_wires
from imccircuit.exporters.states import States
from imccircuit.metrics.adc import compute_codes

Floats = NDArray[np.float64]

# Voltages of one LSB at which codes are compared; their middles, so that none is an ideal level.
_WITHIN_LSB = 32

CROSSSIM_ERROR = 1e-9
"""Where CrossSim's solver stops, over the largest drive voltage, unless it is told otherwise."""


def neglected_wires(content: Content) -> float:
    """‖G_eff − G‖ / ‖G‖ over all chips: what neglecting wires and ends makes of a crossbar.

    G_eff is the effective conductance at 0 V, G that of the cells with their series resistance;
    the norm is that of Frobenius.
    """
    physics, cells = cells_and_wires(content)
    effective = np.stack([physics.effective_conductance(own) for own in cells])
    return _relative(effective, cells)


def sense_ends_at_drive(content: Content) -> float:
    """Relative difference of the admittance at the sense ends, all cells at the largest drive.

    Against that at 0 V: with slopes of the cells, dI/dV, at the largest stored drive voltage; in
    the norm of Frobenius over all chips. The true one lies between, for no cell has more than the
    drive across it.
    """
    physics, cells = cells_and_wires(content)
    drive = np.asarray(largest_drive(content))
    at_rest = np.stack([physics.port_admittance(own) for own in cells])
    slopes = [physics.law.currents(own, drive)[1] for own in cells]
    driven = np.stack([physics.port_admittance(own) for own in slopes])
    return _relative(driven, at_rest)


def largest_drive(content: Content) -> float:
    """Largest stored drive voltage in V; 0 where none is stored."""
    return float(np.max(np.abs(content.replay["voltage"].values), initial=0.0))


def crosssim_solver_bound(content: Content) -> float:
    """Most in A that CrossSim's solver leaves of a column's current at the largest stored drive.

    2·v_error·v_max·Σ G, G being the largest slope of the column's cells; see
    `imccircuit.exporters.crosssim.replay.replay_crosssim`.
    """
    physics, cells = cells_and_wires(content)
    return solver_bound(cells, physics.v0_v, largest_drive(content))


def solver_bound(cells_s: Floats, v0_v: float, v_max: float) -> float:
    """As `crosssim_solver_bound`, of cells (chip, row, col) in S and their V0 in V, or infinity."""
    slope = float(np.cosh(v_max / v0_v)) if np.isfinite(v0_v) else 1.0
    return 2 * CROSSSIM_ERROR * v_max * float(np.max(np.sum(cells_s, axis=1))) * slope


def gradient_error(content: Content) -> float:
    """Rms error of a straight-through gradient over the steps of all converters, in codes.

    Across the step of a code, from its level to the next one, the code rises by 1; a gradient of
    1/LSB makes it rise by the step's width in LSB. Steps of no width count too: there the code
    rises at once and the gradient not at all.
    """
    levels = content.arrays["transition_level"].values
    widths = np.diff(levels, axis=1) / lsb_v(content)
    return float(np.sqrt(np.mean((widths - 1.0) ** 2))) if widths.size else 0.0


def lsb_v(content: Content) -> float:
    """Full scale / 2^bits of converters in V."""
    full_scale, bits = (content.numbers[name] or 0.0 for name in ("full_scale_v", "bits"))
    return full_scale / float(2 ** int(bits))


def redrawn_code_error(content: Content, mean: Floats, sigma: Floats) -> float:
    """Rms difference of an independent draw for the ideal code and the code of the chip, in codes.

    Over chips and inputs from 0 to full scale: √⟨(c − μ_k)² + σ_k²⟩ where c is the chip's code of
    an input that an ideal converter has code k for.

    Parameters
    ----------
    mean, sigma : (code,) μ and σ of the draw for ideal codes from 0 on.
    """
    steps = 2 ** int(content.numbers["bits"] or 0)
    place = (np.arange(steps * _WITHIN_LSB) + 0.5) / _WITHIN_LSB
    ideal = place.astype(np.int64)
    voltage = place * lsb_v(content)
    levels = content.arrays["transition_level"].values
    codes = np.stack([compute_codes(chip, voltage) for chip in levels])
    return float(np.sqrt(np.mean((codes - mean[ideal]) ** 2 + sigma[ideal] ** 2)))


def state_error(content: Content, states: States) -> float:
    """Rms difference in S of the cells' mean conductances and the states next to them."""
    conductance = content.arrays["conductance"].values
    mean = conductance.mean(axis=0).ravel()
    return _rms(states.mean_s[_nearest(mean, states)] - mean)


def spread_error(content: Content, states: States, sigma_s: Floats | None = None) -> float:
    """Rms difference in S of the cells' own σ over chips and that of the states next to them.

    Parameters
    ----------
    sigma_s : (state,) standard deviations of the states as a target has them; theirs by default.
    """
    conductance = content.arrays["conductance"].values
    mean = conductance.mean(axis=0).ravel()
    own = conductance.std(axis=0, ddof=1).ravel()
    stated = states.sigma_s if sigma_s is None else sigma_s
    return _rms(stated[_nearest(mean, states)] - own)


def spread_fidelity(
    content: Content, states: States, how: str, sigma_s: Floats | None = None
) -> Fidelity:
    """What becomes of the cells' spread where states have it; ``sigma_s`` as `spread_error`."""
    name = "spread of conductances"
    if len(content.arrays["conductance"].values) == 1:
        return Fidelity(name, "dropped", "one chip was measured")
    how += "; amount: rms difference of the spread of a cell and that of the nearest of two states"
    return Fidelity(name, "approximated", how, spread_error(content, states, sigma_s), "S")


def _nearest(mean_s: Floats, states: States) -> NDArray[np.int64]:
    return np.asarray(np.argmin(np.abs(mean_s[:, None] - states.mean_s), axis=1))


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _relative(found: Floats, reference: Floats) -> float:
    return float(np.linalg.norm(found - reference) / np.linalg.norm(reference))
