# SPDX-License-Identifier: MIT
"""Measured converters and crossbars as devices of CrossSim 3.2.

This file imports numpy and CrossSim (``simulator``) alone, is copied as it stands into exports and
reads ``model.npz`` beside it.

CrossSim finds models by the names of subclasses. Every call of `configure_adc` and
`configure_array` makes one of its own, so layers may use different chips.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from simulator import AnalogCore, CrossSimParameters
from simulator.backend import ComputeBackend
from simulator.circuits.adc.iadc import IADC
from simulator.devices.idevice import EmptyDevice

Floats = NDArray[np.float64]

SCHEMA = "imccircuit-crosssim-1"

xp = ComputeBackend()

# CrossSim sees subclasses through weak references; what nothing else holds would vanish.
_KEPT: list[type] = []


def _load() -> dict[str, NDArray[Any]]:
    path = Path(__file__).with_name("model.npz")
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if str(arrays.get("schema", "")) != SCHEMA:
        raise ValueError(f"{path}: not of schema {SCHEMA}")
    return arrays


MODEL = _load()


def _number(name: str) -> float:
    """A scalar of the model; 0 where it has none."""
    return float(MODEL[name]) if name in MODEL else 0.0


def _subclass(base: Any, root: Any, **attributes: Any) -> str:
    """Name of a new subclass of ``base`` with these attributes, unique below ``root``."""
    taken = {item.__name__ for item in root.get_all_subclasses()}
    number = 1
    while f"{base.__name__}_{number}" in taken:
        number += 1
    made = type(f"{base.__name__}_{number}", (base,), attributes)
    _KEPT.append(made)
    return made.__name__


def _along_columns(vector: Any) -> int:
    """Axis of the outputs: CrossSim sees (out,), (out, batch) and (batch, out, windows)."""
    return -1 if vector.ndim == 1 else -2


class ImcAdc(IADC):
    """Converters with the transition levels of measured chips, one for each column or group.

    The lower limit of CrossSim's range stands for 0 V and the upper one for full scale. A
    conversion gives the middle of its code's ideal step, (code + 1/2)·LSB above the lower limit;
    an input that meets a level exactly has the code below it.
    """

    chips: tuple[int, ...] = (0,)
    group = 1
    offset_v = np.zeros(1)
    seeds: Any = None
    columns = 1

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # Every array has its own stream of noise.
        self._draws = None if self.seeds is None else np.random.default_rng(self.seeds.spawn(1)[0])

    def set_limits(self, matrix: Any) -> None:
        """Limits from the parameters, as in any converter of CrossSim."""
        super().set_limits(matrix)
        style = self.core_params.offset.style.name
        unit = self.core_params.style.name == "OFFSET" and style == "UNIT_COLUMN_SUBTRACTION"
        self.columns = int(matrix.shape[0]) + int(unit)

    def convert(self, vector: Any) -> Any:
        """Values of the codes of normalised column currents."""
        bits = int(MODEL["transition_level"].shape[1]).bit_length()
        axis = _along_columns(vector)
        value = xp.moveaxis(vector, axis, 0).astype(xp.float64)
        # One factor, so that a range equal to full scale in V changes no bit of the input.
        voltage = (value - self.min) * (_number("full_scale_v") / self.range)
        # Packed sliding windows stand behind one another.
        column = np.arange(len(value)) % self.columns
        shift = xp.asarray(self.offset_v[column % len(self.offset_v)])
        voltage = voltage + shift.reshape(-1, *(1,) * (voltage.ndim - 1))
        chip = np.asarray(self.chips)[column // self.group % len(self.chips)]
        code = xp.zeros(voltage.shape)
        for one in np.unique(chip):
            mine = xp.asarray(np.flatnonzero(chip == one))
            code[mine] = self._codes(voltage[mine], int(one))
        found = self.min + (code + 0.5) * (self.range / 2**bits)
        found = xp.where(xp.isnan(voltage), xp.nan, found)
        return xp.moveaxis(found, 0, axis).astype(vector.dtype)

    def _codes(self, voltage: Any, chip: int) -> Any:
        decision = _number("noise_decision_v")
        draws = self._draws
        if draws is not None:
            drawn = xp.asarray(draws.standard_normal(voltage.shape))
            voltage = voltage + _number("noise_sampled_v") * drawn
            if decision > 0:
                return _search(voltage, chip, decision, draws)
        level = xp.asarray(MODEL["transition_level"][chip])
        return xp.searchsorted(level, voltage.ravel(), side="left").reshape(voltage.shape)


def _search(voltage: Any, chip: int, decision: float, draws: np.random.Generator) -> Any:
    """Successive approximation with the comparator's noise in each decision."""
    level = xp.asarray(decision_levels(chip))
    code = xp.zeros(voltage.shape, dtype=xp.int64)
    for bit in reversed(range(len(level).bit_length())):
        trial = code + 2**bit
        noise = decision * xp.asarray(draws.standard_normal(voltage.shape))
        code = xp.where(voltage + noise > level[trial - 1], trial, code)
    return code


def decision_levels(chip: int) -> Floats:
    """Level (code,) in V of each trial code: as measured, else Σ w_k b_k(d) + o."""
    if "decision_level" in MODEL:
        return np.asarray(MODEL["decision_level"][chip])
    weight = MODEL["bit_weight"][chip]
    codes = np.arange(1, 2 ** len(weight))
    return np.asarray(
        ((codes[:, None] >> np.arange(len(weight))) & 1) @ weight + MODEL["level_offset"][chip]
    )


def configure_adc(
    params: Any,
    limits: ArrayLike,
    *,
    chips: tuple[int, ...] | None = None,
    group: int = 1,
    seed: int | None = None,
    offset_v: ArrayLike = 0.0,
) -> None:
    """Let the products of ``params`` (matrix times vector) be converted by the measured chips.

    Parameters
    ----------
    params : CrossSimParameters; changed.
    limits : normalised column currents I/(V_max·G_max) that meet 0 V and full scale of the
        converter, falling behind inverting amplifiers; a pair for each slice of a bit-sliced core.
    chips : column j has converter ``chips[(j // group) % len(chips)]``; all chips of the model, in
        order, by default.
    group : neighbouring columns that share one converter.
    seed : of the noise; without it there is none.
    offset_v : (column,) voltages in V that stand at the converters besides.

    Raises
    ------
    ValueError : there is no such chip, or a seed is given and the model knows no noise.
    """
    level = MODEL["transition_level"]
    used = tuple(range(len(level))) if chips is None else tuple(int(chip) for chip in chips)
    if not used or not all(0 <= chip < len(level) for chip in used) or group < 1:
        raise ValueError(f"chips are 0 to {len(level) - 1}, group at least 1: {used}, {group}")
    if seed is not None and "noise_sampled_v" not in MODEL:
        raise ValueError("the model knows no noise, so a seed has no meaning; leave it out")
    seeds = None if seed is None else np.random.SeedSequence(seed)
    shift = np.atleast_1d(np.asarray(offset_v, dtype=np.float64))
    name = _subclass(ImcAdc, IADC, chips=used, group=int(group), seeds=seeds, offset_v=shift)
    _set_adc(params, name)
    # Setting the model has put another object in this place: fetch it anew.
    adc = params.xbar.adc.mvm
    adc.bits = int(level.shape[1]).bit_length()
    adc.adc_range_option = "CALIBRATED"
    adc.calibrated_range = np.asarray(limits, dtype=np.float64).tolist()


def _set_adc(params: Any, name: str) -> None:
    # The transposed product has other axes and is read at other lines: it keeps CrossSim's ADC.
    if params.xbar.adc.match:
        params.xbar.adc.match = False
    params.xbar.adc.mvm.model = name


def codes_of(values: ArrayLike, limits: ArrayLike) -> NDArray[np.int64]:
    """Codes of values that `ImcAdc` gave for these limits; -1 where one is NaN."""
    low, high = np.asarray(limits, dtype=np.float64)
    steps = MODEL["transition_level"].shape[1] + 1
    codes = np.floor((np.asarray(values, dtype=np.float64) - low) / (high - low) * steps)
    return np.asarray(np.where(np.isnan(codes), -1, codes), dtype=np.int64)


class ImcArray(EmptyDevice):
    """Cells of a measured chip: their programmed conductances and their law of current."""

    table: Floats
    v_max = 1.0
    g_max = 1.0

    def programming_error(self, input_: Any) -> Any:
        """Normalised conductances of the chip, whatever was to be programmed.

        An array of zeros stays one: a balanced core has an array for negative weights, which the
        chip has not.
        """
        if not input_.any():
            return input_
        if input_.shape != self.table.shape:
            raise ValueError(f"the chip has {self.table.shape} (columns, rows): {input_.shape}")
        return xp.asarray(self.table)

    def nonlinear_current(self, Gmat: Any, Vmat: Any) -> Any:
        """Normalised currents of cells of normalised conductance at normalised voltage."""
        conductance = Gmat[(..., *(None,) * (Vmat.ndim - Gmat.ndim))]
        if "v0_v" in MODEL:
            return conductance * self._sinh(Vmat)
        # V = I/G + r·I·|I|, solved for I without a difference of near numbers.
        rise = 4 * _number("r_rise_ohm_per_a") * self.g_max**2 * self.v_max
        root = xp.sqrt(1 + rise * conductance**2 * xp.abs(Vmat))
        return 2 * conductance * Vmat / (1 + root)

    def nonlinear_current_sum(self, Gmat: Any, Vterm: Any) -> Any:
        """Column sums without wires; sinh cells alone have a product for it."""
        return xp.matmul(Gmat, self._sinh(Vterm))

    def _sinh(self, voltage: Any) -> Any:
        scale = _number("v0_v") / self.v_max
        return scale * xp.sinh(voltage / scale)


class ImcReadout(IADC):
    """No converter, but amplifiers whose input offsets shift the column currents."""

    shift: Floats

    def set_limits(self, matrix: Any) -> None:
        """There are none."""

    def convert(self, vector: Any) -> Any:
        """Normalised column currents with the offsets'."""
        shape = [1] * vector.ndim
        shape[_along_columns(vector)] = len(self.shift)
        return vector + xp.asarray(self.shift).reshape(shape)


def configure_array(
    params: Any, *, v_max: float, chip: int = 0, wires: str = "solver", v_error: float = 1e-9
) -> None:
    """Let ``params`` describe a measured crossbar.

    Parameters
    ----------
    params : CrossSimParameters; changed.
    v_max : drive voltage in V of a normalised input of 1.
    chip : measured chip.
    wires : ``solver`` (CrossSim's own) or ``effective`` (linear cells only: a matrix that contains
        the wires, exact and without a solver).
    v_error : where the solver stops, over ``v_max``.

    Raises
    ------
    ValueError : there is no such chip, or the cells have no effective conductance.
    """
    if not 0 <= chip < len(MODEL["conductance"]):
        raise ValueError(f"chips are 0 to {len(MODEL['conductance']) - 1}, not {chip}")
    linear = "effective_conductance" in MODEL
    if wires not in ("solver", "effective") or (wires == "effective" and not linear):
        allowed = "solver, effective" if linear else "solver: the cells are not linear"
        raise ValueError(f"wires may be {allowed}; not {wires}")
    g_max = float(np.max(MODEL["conductance"]))
    cells = cell_conductance_s(chip) if wires == "solver" else MODEL["effective_conductance"][chip]
    table = np.ascontiguousarray(cells.T) / g_max
    name = _subclass(ImcArray, EmptyDevice, table=table, v_max=float(v_max), g_max=g_max)
    _set_cells(params, name, g_max, nonlinear=not linear)
    _set_wires(params, enable=wires == "solver", v_error=v_error)
    if params.xbar.array.parasitics.enable:
        slope = np.cosh(v_max / _number("v0_v")) if "v0_v" in MODEL else 1.0
        params.simulation.relaxation_gamma = _relaxation(cells.T * float(slope))
    if "offset_current" in MODEL:
        shift = MODEL["offset_current"][chip] / (g_max * v_max)
        _set_adc(params, _subclass(ImcReadout, IADC, shift=shift))


def _set_cells(params: Any, name: str, g_max: float, *, nonlinear: bool) -> None:
    device = params.xbar.device
    device.Rmin = 1 / g_max
    device.infinite_on_off_ratio, device.clip_conductance = True, False
    device.cell_bits, device.time = 0, 0
    device.programming_error.model, device.programming_error.enable = name, True
    device.nonlinear_IV.model = name if nonlinear else "IdealDevice"
    device.nonlinear_IV.enable = nonlinear
    if nonlinear and "v0_v" not in MODEL:
        params.simulation.disable_fast_nonlinear_IV = True
    weights = params.core.mapping.weights
    weights.percentile, weights.min, weights.max = None, -1.0, 1.0


def _set_wires(params: Any, *, enable: bool, v_error: float) -> None:
    lines = params.xbar.array.parasitics
    lines.Rp_row, lines.Rp_col = _number("r_row_ohm"), _number("r_col_ohm")
    lines.Rp_row_terminal = _number("r_driver_ohm")
    lines.Rp_col_terminal = _number("r_sense_ohm")
    resistances = (lines.Rp_row, lines.Rp_col, lines.Rp_row_terminal, lines.Rp_col_terminal)
    lines.enable, lines.current_from_input = enable and any(resistances), True
    params.simulation.Verr_th_mvm = float(v_error)
    params.simulation.Niters_max_parasitics = 10_000
    params.simulation.hide_convergence_msg = True


def _relaxation(conductance_s: Floats) -> float:
    """Best step of CrossSim's solver, which takes V += step·(V0 - (1 + P·G)·V).

    P·G, voltage drops along the wires from the cells' voltages, has no negative entry. So its
    eigenvalues reach up to λ, the largest (P·G·x)/x of any positive x (Collatz, Wielandt), which
    comes close to the largest eigenvalue after some products. Best is 2 / (2 + λ); CrossSim's own
    search for a step starts at 1 and may take minutes.
    """
    along_row = np.full(conductance_s.shape, _number("r_row_ohm"))
    along_row[0, :] += _number("r_driver_ohm")
    along_col = np.full(conductance_s.shape, _number("r_col_ohm"))
    along_col[:, -1] += _number("r_sense_ohm")
    shape, largest = np.ones(conductance_s.shape), 0.0
    for _ in range(30):
        current = conductance_s * shape
        in_rows = np.cumsum(current[::-1], axis=0)[::-1]
        in_cols = along_col * np.cumsum(current, axis=1)
        drop = np.cumsum(along_row * in_rows, axis=0)
        drop += np.cumsum(in_cols[:, ::-1], axis=1)[:, ::-1]
        largest = float(np.max(drop / shape))
        shape = drop / np.max(drop) + 1e-9
    return 2 / (2 + largest)


def cell_conductance_s(chip: int) -> Floats:
    """Conductances (row, col) in S of a chip's cells at 0 V, their series resistance included."""
    if "cell_conductance" in MODEL:
        return np.asarray(MODEL["cell_conductance"][chip])
    programmed = MODEL["conductance"][chip]
    return np.asarray(programmed / (1 + programmed * _number("r_series_ohm")))


def measured_core(
    params: Any = None,
    *,
    v_max: float,
    chip: int = 0,
    wires: str = "solver",
    converters: Callable[[Any], None] | None = None,
    **more: Any,
) -> Any:
    """AnalogCore of a measured chip: normalised inputs in, I/(V_max·G_max) of its columns out.

    Parameters
    ----------
    params : CrossSimParameters to start from, unchanged; CrossSim's defaults if not given.
    v_max, chip, wires, more : as in `configure_array`.
    converters : sets the parameters' converter, in place of what adds offsets to the currents.
    """
    params = CrossSimParameters() if params is None else params.copy()
    configure_array(params, v_max=v_max, chip=chip, wires=wires, **more)
    if converters is not None:
        converters(params)
    # One array in one piece, beside an empty one for negative weights.
    params.core.style, params.core.balanced.style = "BALANCED", "ONE_SIDED"
    params.core.balanced.interleaved_posneg = False
    params.core.rows_max = params.core.cols_max = 0
    target = MODEL["conductance"][chip].T * params.xbar.device.Rmin
    core = AnalogCore(target, params)
    for array in (core.cores[0][0].core_pos, core.cores[0][0].core_neg):
        _set_terminals(array.circuit_solver_mvm, target.shape)
    return core


def _set_terminals(solver: Any, shape: tuple[int, int]) -> None:
    """Drivers before the first segment of each row; CrossSim 3.2 puts them all along row 0."""
    if solver is None or not hasattr(solver, "Rp_in_mat"):
        return
    solver.Rp_in_mat = solver.Rp_row_norm * xp.ones(shape)
    solver.Rp_in_mat[0, :] += solver.Rp_row_terminal_norm
    solver.Rp_out_mat = solver.Rp_col_norm * xp.ones(shape)
    solver.Rp_out_mat[:, -1] += solver.Rp_col_terminal_norm


def currents_a(core: Any, voltage_v: ArrayLike, v_max: float) -> Floats:
    """Column currents (batch, col) in A of a `measured_core` for voltages (batch, row) in V."""
    voltage = np.atleast_2d(np.asarray(voltage_v, dtype=np.float64))
    found = core @ (voltage.T / v_max)
    return np.asarray(np.asarray(found).T * (v_max / core.params.xbar.device.Rmin))
