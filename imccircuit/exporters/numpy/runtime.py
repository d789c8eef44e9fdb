# SPDX-License-Identifier: MIT
"""Exported models of converters, crossbars and macros, with numpy alone.

This file imports nothing but numpy and is copied as it stands into exports. ``load(folder)``
reads ``model.npz`` and gives an `Adc`, a `Crossbar` or a `Macro`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Solver = Callable[..., tuple[Floats, Floats]]

SCHEMA = "imccircuit-numpy-1"


def _check_chip(chip: int, chips: int) -> None:
    if not 0 <= chip < chips:
        raise ValueError(f"there is no chip {chip}; there are 0 to {chips - 1}")


class Adc:
    """Converters with known transition levels.

    Parameters
    ----------
    arrays : ``transition_level`` (chip, code) in V, not falling along code, and ``full_scale_v``.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.levels_v: Floats = np.asarray(arrays["transition_level"], dtype=np.float64)
        self.full_scale_v = float(arrays["full_scale_v"])
        self.bits = int(self.levels_v.shape[1]).bit_length()
        self._check()

    def _check(self) -> None:
        if not np.all(np.isfinite(self.levels_v)) or np.any(np.diff(self.levels_v, axis=1) < 0):
            raise ValueError("transition levels must be finite and must not fall")

    @property
    def chips(self) -> int:
        """Number of chips."""
        return int(self.levels_v.shape[0])

    def convert(self, voltage_v: ArrayLike, chip: int = 0) -> NDArray[np.int64]:
        """Codes of input voltages in V, any shape; -1 where the input is NaN."""
        _check_chip(chip, self.chips)
        voltage = np.asarray(voltage_v, dtype=np.float64)
        codes = np.searchsorted(self.levels_v[chip], voltage, side="left").astype(np.int64)
        return np.where(np.isnan(voltage), -1, codes)


class Crossbar:
    """Programmed crossbars with their wires and read-out.

    Parameters
    ----------
    arrays : ``conductance`` (chip, row, col) in S, and ``effective_conductance`` (linear cells)
        or ``cell_conductance`` with ``v0_v`` or ``r_rise_ohm_per_a`` and the wires' resistances in
        ohm; with amplifiers ``output_offset`` V (chip, col), ``transresistance_ohm`` and
        ``offset_current`` A, or ``input_offset`` V where cells are not linear, both (chip, col).
    solver : ``solve_lines`` of the file ``lines.py``; only nonlinear cells need it.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], solver: Solver | None = None) -> None:
        self.conductance_s: Floats = np.asarray(arrays["conductance"], dtype=np.float64)
        self._arrays = arrays
        self._solver = solver
        self.linear = "effective_conductance" in arrays
        self.has_amplifiers = "transresistance_ohm" in arrays
        if not self.linear and solver is None:
            raise ValueError("nonlinear cells need the solver in lines.py")

    @property
    def chips(self) -> int:
        """Number of chips."""
        return int(self.conductance_s.shape[0])

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return int(self.conductance_s.shape[1]), int(self.conductance_s.shape[2])

    def currents_a(self, voltage_v: ArrayLike, chip: int = 0) -> Floats:
        """Column currents (batch, col) in A for drive voltages (batch, row) in V."""
        _check_chip(chip, self.chips)
        voltage = np.atleast_2d(np.asarray(voltage_v, dtype=np.float64))
        if voltage.ndim != 2 or voltage.shape[1] != self.shape[0]:
            raise ValueError(f"voltages must be (batch, {self.shape[0]}), not {voltage.shape}")
        if not self.linear:
            return np.asarray(self._solve(voltage, chip))
        current = voltage @ self._arrays["effective_conductance"][chip]
        if self.has_amplifiers:
            current = current + self._arrays["offset_current"][chip]
        return np.asarray(current)

    def outputs_v(self, voltage_v: ArrayLike, chip: int = 0) -> Floats:
        """Outputs (batch, col) of the amplifiers in V for drive voltages (batch, row) in V."""
        if not self.has_amplifiers:
            raise ValueError("the read-out is ideal: there are currents, but no output voltages")
        _check_chip(chip, self.chips)
        offset = self._arrays["output_offset"][chip]
        slope = float(self._arrays["transresistance_ohm"])
        return np.asarray(offset - slope * self.currents_a(voltage_v, chip))

    def _solve(self, voltage: Floats, chip: int) -> Floats:
        if self._solver is None:
            raise ValueError("nonlinear cells need the solver in lines.py")
        wires = {
            name: float(self._arrays[name])
            for name in ("r_row_ohm", "r_col_ohm", "r_driver_ohm", "r_sense_ohm", "v0_v",
                         "r_rise_ohm_per_a")
            if name in self._arrays
        }  # fmt: skip
        stand = self._arrays["input_offset"][chip] if self.has_amplifiers else None
        cells = self._arrays["cell_conductance"][chip]
        return self._solver(cells, voltage, sense_v=stand, **wires)[0]


class Macro:
    """A crossbar with amplifiers, and converters behind its first columns.

    Parameters
    ----------
    arrays : those of a `Crossbar` with ``array.`` before their names, those of `Adc`s with
        ``converter_0.`` and so on; ``converters``, how many; ``bias_voltage_v`` of the bit lines,
        from which the crossbar's drive counts, and ``read_voltage_v``, the drive of an input of 1.
        ``driver_level`` (chip, row, code) in V where the rows have drivers.
    solver : as `Crossbar`.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], solver: Solver | None = None) -> None:
        self.array = Crossbar(_part(arrays, "array."), solver)
        count = int(arrays["converters"])
        self.converters = tuple(Adc(_part(arrays, f"converter_{j}.")) for j in range(count))
        self.bias_v = float(arrays["bias_voltage_v"])
        self.read_v = float(arrays["read_voltage_v"])
        self._driver_level = arrays.get("driver_level")

    @property
    def chips(self) -> int:
        """Number of chips."""
        return self.array.chips

    def codes(self, voltage_v: ArrayLike, chip: int = 0) -> NDArray[np.int64]:
        """Codes (batch, converter) for voltages (batch, row) of the rows in V."""
        return self._codes(np.asarray(voltage_v, dtype=np.float64) - self.bias_v, chip)

    def codes_of_inputs(self, inputs: ArrayLike, chip: int = 0) -> NDArray[np.int64]:
        """Codes (batch, converter) for inputs (batch, row) from 0 to 1 of the read voltage."""
        return self._codes(self.read_v * np.asarray(inputs, dtype=np.float64), chip)

    def codes_of_row_codes(self, row_codes: ArrayLike, chip: int = 0) -> NDArray[np.int64]:
        """Codes (batch, converter) for whole numbers (batch, row), the codes of the rows' drivers.

        Raises
        ------
        ValueError : the model has no drivers, they have no such code, or there are other rows.
        """
        if self._driver_level is None:
            raise ValueError("the rows of this macro have no drivers; give voltages or inputs")
        level, given = self._driver_level[chip], np.asarray(row_codes)
        last = level.shape[1] - 1
        if given.dtype.kind not in "iu" or np.any(given < 0) or np.any(given > last):
            raise ValueError(f"a code is none of the drivers'; allowed: whole, 0 to {last}")
        if given.ndim != 2 or given.shape[1] != len(level):
            raise ValueError(f"codes {given.shape} do not fit the drivers of {len(level)} rows")
        return self.codes(level[np.arange(len(level)), given], chip)

    def _codes(self, drive_v: Floats, chip: int) -> NDArray[np.int64]:
        output = self.array.outputs_v(drive_v, chip)
        columns = [adc.convert(output[:, j], chip) for j, adc in enumerate(self.converters)]
        return np.stack(columns, axis=1)


def _part(arrays: Mapping[str, NDArray[Any]], own: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(own): a for name, a in arrays.items() if name.startswith(own)}


def load(folder: str | Path | None = None, solver: Solver | None = None) -> Adc | Crossbar | Macro:
    """Read the model of an export.

    Parameters
    ----------
    folder : where ``model.npz`` stands; by default the folder of this file.
    solver : ``solve_lines``; by default that of the file ``lines.py`` beside this one.

    Raises
    ------
    ValueError : the file is no model of this schema.
    """
    place = Path(__file__).parent if folder is None else Path(folder)
    with np.load(place / "model.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    schema = str(arrays.get("schema", ""))
    if schema != SCHEMA:
        raise ValueError(f"{place / 'model.npz'}: schema {schema!r} is not {SCHEMA!r}")
    kind = str(arrays["kind"])
    if kind == "adc":
        return Adc(arrays)
    own = "array." if kind == "macro" else ""
    if f"{own}effective_conductance" not in arrays and solver is None:
        solver = _solver_beside()
    return Macro(arrays, solver) if kind == "macro" else Crossbar(arrays, solver)


def _solver_beside() -> Solver:
    """``solve_lines`` of the file beside this one, whatever the import path."""
    from importlib.util import module_from_spec, spec_from_file_location

    path = Path(__file__).with_name("lines.py")
    spec = spec_from_file_location("imc_lines", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ValueError(f"nonlinear cells need {path}")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    solver: Solver = module.solve_lines
    return solver
