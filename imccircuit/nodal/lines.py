# SPDX-License-Identifier: MIT
"""Resistive arrays solved line by line, with numpy alone.

This file imports nothing but numpy and is copied as it stands into exports, whose runtime is
under a permissive licence. So it alone, unlike the package around it, is under the MIT licence,
knows none of the package's error classes, and takes plain arrays.

Method
------
Newton on Kirchhoff's current law; for linear cells that is iterative refinement. In each step
the word lines are eliminated exactly (each is a tridiagonal system), and what remains for the
bit lines, the Schur complement, is symmetric and positive definite: conjugate gradients solve
it, preconditioned by the bit lines' own tridiagonal systems. All vectors of a batch and all
lines of an array are solved at once. Ideal wires (0 ohm) make a line one node, ideal ends fix it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Reduction of the residual by conjugate gradients within one Newton step, in the norm of the
# preconditioner, and the largest step (relative to the drive) after which no other is needed:
# what remains is their product, far below 1e-10.
_REDUCTION = 1e-7
_LAST_STEP = 1e-7
_MAX_STEPS = 60
_MAX_HALVINGS = 40
# Conductance of a cell times the resistance of its lines: so many times more than node voltages the
# current through it is uncertain, which is 1e-9 of it beyond this bound (measured).
_MOST_SHORT = 1e5


def solve_lines(
    conductance_s: Array,
    voltage_v: Array,
    *,
    r_row_ohm: float = 0.0,
    r_col_ohm: float = 0.0,
    r_driver_ohm: float = 0.0,
    r_sense_ohm: float = 0.0,
    sense_v: Array | None = None,
    v0_v: float | Array | None = None,
    r_rise_ohm_per_a: float = 0.0,
) -> tuple[Array, Array]:
    """Output currents and cell voltages of a crossbar with wire resistance.

    Parameters
    ----------
    conductance_s : (row, col) cell conductances in S, not negative; 0 is an open cell.
    voltage_v : (batch, row) drive voltages in V.
    r_row_ohm, r_col_ohm : resistance of one segment of a word line and of a bit line in ohm.
    r_driver_ohm : resistance before the first segment of each word line in ohm.
    r_sense_ohm : resistance between the last segment of each bit line and its end in ohm.
    sense_v : (col,) voltages in V at which the ends of the bit lines stand; None is 0 V.
    v0_v : None for linear cells; else V0 in V of I = G·V0·sinh(V/V0), a number or (row, col).
    r_rise_ohm_per_a : of cells without V0, by how much their resistance 1/G rises with their own
        current, in ohm/A: V = I/G + r·I·|I|, such as that of a transistor in series.

    Returns
    -------
    output_current_a : (batch, col) current out of each bit line's end in A.
    cell_voltage_v : (batch, row, col) voltage across each cell in V, word line over bit line.

    Raises
    ------
    ValueError : shapes that do not fit, or a cell that conducts too well for its lines.
    RuntimeError : no convergence.
    """
    g = np.asarray(conductance_s, dtype=np.float64)[None]
    drive = np.asarray(voltage_v, dtype=np.float64)
    if g.ndim != 3 or drive.ndim != 2 or drive.shape[1] != g.shape[1]:
        raise ValueError(f"voltages {drive.shape} do not fit conductances {g.shape[1:]}")
    sense = np.zeros(g.shape[2]) if sense_v is None else np.asarray(sense_v, dtype=np.float64)
    if sense.shape != g.shape[2:]:
        raise ValueError(f"voltages {sense.shape} of the ends do not fit {g.shape[1:]} cells")
    _refuse_shorts(g[0], r_row_ohm, r_col_ohm, r_driver_ohm + r_sense_ohm)
    v0 = None if v0_v is None else np.asarray(v0_v, dtype=np.float64)
    if v0 is not None and r_rise_ohm_per_a != 0:
        raise ValueError("cells have a V0 or a resistance that rises, not both")
    linear = v0 is None and r_rise_ohm_per_a == 0

    # A word line runs from its driver, a bit line (turned round) from its sense end: both are
    # "lines" along their last axis whose first node is next to the end.
    rows = _Lines(r_row_ohm, r_row_ohm + r_driver_ohm)
    cols = _Lines(r_col_ohm, r_col_ohm + r_sense_ohm)
    end_v, sense_end_v = drive[:, :, None], sense[::-1, None]
    w = np.zeros((drive.shape[0], *g.shape[1:])) + (end_v if rows.ideal else 0.0)
    b = np.zeros_like(w) + (sense if cols.ideal else 0.0)
    scale = np.max(np.abs(drive), axis=1, initial=float(np.max(np.abs(sense))))

    def unbalance(w: Array, b: Array) -> tuple[Array, Array, Array, Array]:
        current, slope = _cells(g, v0, r_rise_ohm_per_a, w - b)
        into_w = rows.injected(w, end_v) - current
        into_b = _turn(cols.injected(_turn(b), sense_end_v)) + current
        return current, slope, into_w, into_b

    def norm(into_w: Array, into_b: Array) -> Array:
        w_part, b_part = rows.per_node(into_w), cols.per_node(_turn(into_b))
        return np.sqrt(_dot(w_part, w_part) + _dot(b_part, b_part))

    current, slope, into_w, into_b = unbalance(w, b)
    for _ in range(_MAX_STEPS):
        step_w, step_b = _step(rows, cols, slope, into_w, into_b)
        last = np.maximum(_largest(step_w), _largest(step_b)) <= _LAST_STEP * scale
        before = norm(into_w, into_b)
        damping = np.ones_like(scale)
        for _ in range(_MAX_HALVINGS):
            trial = w + damping[:, None, None] * step_w, b + damping[:, None, None] * step_b
            with np.errstate(over="ignore", invalid="ignore"):  # a step too long may overflow
                current, slope, into_w, into_b = unbalance(*trial)
                worse = ~(norm(into_w, into_b) <= (1 - 1e-4 * damping) * before) & ~last
            # A linear array needs no damping, and at rounding level nothing falls any more.
            if linear or not np.any(worse):
                break
            damping = np.where(worse, damping / 2, damping)
        w, b = trial
        if np.all(last):
            return current.sum(axis=1), w - b
    raise RuntimeError(f"the line solver did not converge in {_MAX_STEPS} steps")


def _refuse_shorts(g: Array, r_row_ohm: float, r_col_ohm: float, r_ends_ohm: float) -> None:
    rows, cols = g.shape
    lines_ohm = (
        r_row_ohm * np.arange(1, cols + 1)
        + r_col_ohm * np.arange(rows, 0, -1)[:, None]
        + r_ends_ohm
    )
    # Ideal lines to ideal ends hold the cell's voltage, and any conductance will do.
    shortness = g * lines_ohm
    if np.max(shortness, initial=0.0) > _MOST_SHORT:
        i, j = np.unravel_index(np.argmax(shortness), g.shape)
        most = _MOST_SHORT / lines_ohm[i, j]
        raise ValueError(
            f"conductance_s[{i}, {j}] = {g[i, j]:g} S is too good for its lines of "
            f"{lines_ohm[i, j]:g} ohm; allowed: up to {most:.3g} S there"
        )


class _Lines:
    """The wires of one direction: lines along the last axis, the first node next to the end."""

    def __init__(self, segment_ohm: float, end_ohm: float) -> None:
        self.merged = segment_ohm == 0
        self.ideal = end_ohm == 0
        self.segment_s = 0.0 if self.merged else 1.0 / segment_ohm
        self.end_s = 0.0 if self.ideal else 1.0 / end_ohm

    def injected(self, voltage: Array, end_v: Array | float) -> Array:
        """Sum up what the wires bring into each node (…, line, node), in A.

        Differences of voltages, not a matrix product: they are exact, so small currents in
        good conductors survive. The nodes of a merged line are one; its first stands for it.
        """
        into = np.zeros_like(voltage)
        if not self.ideal:
            into[..., :1] = self.end_s * (end_v - voltage[..., :1])
        if not self.merged:
            wire = self.segment_s * (voltage[..., :-1] - voltage[..., 1:])
            into[..., :-1] -= wire
            into[..., 1:] += wire
        return into

    def per_node(self, into: Array) -> Array:
        """Currents left over at the line's true nodes: one if merged, none if the end is ideal."""
        if self.ideal:
            return np.zeros_like(into)
        return into.sum(axis=-1, keepdims=True) if self.merged else into

    def factors(self, load_s: Array) -> tuple[Array, Array]:
        """Factors for `solve` with conductances ``load_s`` (…, line, node) from node to ground."""
        if self.ideal:
            return load_s, load_s
        if self.merged:
            return 1.0 / (load_s.sum(axis=-1, keepdims=True) + self.end_s), load_s
        # Elimination from the far end: `leak` is what all that was eliminated conducts to
        # ground. A sum of positive terms only, so it never cancels, whatever the ratios.
        s = self.segment_s
        pivot, ratio = np.empty_like(load_s), np.empty_like(load_s)
        leak = load_s[..., -1]
        for k in range(load_s.shape[-1] - 1, -1, -1):
            towards_end = s if k else self.end_s
            pivot[..., k] = 1.0 / (leak + towards_end)
            ratio[..., k] = towards_end * pivot[..., k]
            if k:
                leak = load_s[..., k - 1] + ratio[..., k] * leak
        return pivot, ratio

    def solve(self, factors: tuple[Array, Array], injected_a: Array) -> Array:
        """Node voltages in V for currents injected into the nodes, ends at 0 V."""
        pivot, ratio = factors
        if self.ideal:
            return np.zeros_like(injected_a)
        if self.merged:
            return np.broadcast_to(injected_a.sum(axis=-1, keepdims=True) * pivot, injected_a.shape)
        solution = np.array(injected_a)
        for k in range(injected_a.shape[-1] - 1, 0, -1):
            solution[..., k - 1] += ratio[..., k] * solution[..., k]
        solution *= pivot
        for k in range(1, injected_a.shape[-1]):
            solution[..., k] += ratio[..., k] * solution[..., k - 1]
        return solution


def _step(
    rows: _Lines, cols: _Lines, slope: Array, residual_w: Array, residual_b: Array
) -> tuple[Array, Array]:
    """Newton step of word-line and bit-line voltages from the currents left over there."""
    row_factors = rows.factors(slope)
    col_factors = cols.factors(_turn(slope))

    def precondition(current: Array) -> Array:
        return _turn(cols.solve(col_factors, _turn(current)))

    def schur(voltage: Array) -> Array:
        through_w = rows.solve(row_factors, slope * voltage)
        return slope * (voltage - through_w) - _turn(cols.injected(_turn(voltage), 0.0))

    residual = residual_b + slope * rows.solve(row_factors, residual_w)
    step_b = np.zeros_like(residual)
    z = precondition(residual)
    direction = z
    square = _dot(residual, z)
    goal = _REDUCTION**2 * square
    for _ in range(10 * residual[0].size):
        active = square > goal
        if not np.any(active):
            break
        image = schur(direction)
        alpha = _ratio(square, _dot(direction, image), active)
        step_b += alpha[:, None, None] * direction
        residual = residual - alpha[:, None, None] * image
        z = precondition(residual)
        following = np.where(active, _dot(residual, z), square)
        direction = z + _ratio(following, square, active)[:, None, None] * direction
        square = following
    step_w = rows.solve(row_factors, residual_w + slope * step_b)
    return step_w, step_b


def _cells(g: Array, v0: Array | None, rise: float, voltage: Array) -> tuple[Array, Array]:
    """Cell currents in A and slopes in S."""
    if v0 is None and rise == 0:
        return g * voltage, np.broadcast_to(g, voltage.shape)
    if v0 is None:
        # The root of V = I/g + rise·I·|I|, written so that nothing cancels.
        root = np.sqrt(1.0 + 4.0 * rise * g**2 * np.abs(voltage))
        return 2.0 * g * voltage / (1.0 + root), g / root
    return g * v0 * np.sinh(voltage / v0), g * np.cosh(voltage / v0)


def _turn(x: Array) -> Array:
    """(batch, row, col) as bit lines from their sense ends (batch, col, row), and back.

    Both orders are reversed, which changes nothing for the lines and makes this its own inverse.
    """
    return x[:, ::-1, ::-1].swapaxes(1, 2)


def _largest(x: Array) -> Array:
    largest: Array = np.max(np.abs(x), axis=(1, 2), initial=0.0)
    return largest


def _dot(x: Array, y: Array) -> Array:
    products: Array = np.einsum("bij,bij->b", x, y)
    return products


def _ratio(over: Array, under: Array, active: Mask) -> Array:
    return np.divide(over, under, out=np.zeros_like(over), where=active & (under > 0))
