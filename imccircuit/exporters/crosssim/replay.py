"""Replay of exports for CrossSim: stored vectors through an AnalogCore of CrossSim itself."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import SetupError
from imccircuit.exporters.amounts import CROSSSIM_ERROR, solver_bound
from imccircuit.exporters.own_code import import_own
from imccircuit.exporters.replay import (
    Difference,
    Replay,
    compare_codes,
    compare_values,
    stored_vectors,
)

Floats = NDArray[np.float64]

ADAPTER = "imc_crosssim.py"
SOURCE = Path(__file__).with_name("adapter.py")


def replay_crosssim(folder: Path) -> Replay:
    """Drive the stored vectors of an export through CrossSim.

    Converters: every column of an AnalogCore has one chip, its weights are 1 and its range is the
    converters' full scale in V, so that what the converters see is the stored voltage to the last
    bit. A voltage that meets a level has the code below it, as in the surrogate.

    Crossbars: the chip's own core, with CrossSim's solver and, for linear cells, with the matrix
    that contains the wires. The solver leaves each cell an error of at most ``v_error``·v_max, as
    if a source of that voltage were in series with it. By reciprocity its currents reach a column
    as a voltage at that column's end would reach the cells: those of the column take at most
    G times it, and what goes on through the rows into all others is no more than that once again;
    so a column is off by 2·v_error·v_max·Σ G at most, G being the largest slope of its cells.

    Raises
    ------
    SetupError : CrossSim cannot be imported.
    FileFormatError : the folder is no export for CrossSim.
    """
    if find_spec("simulator") is None or find_spec("simulator.cores") is None:
        raise SetupError(
            "CrossSim cannot be imported: clone https://github.com/sandialabs/cross-sim, release "
            "3.2.0, and put the clone on PYTHONPATH"
        )
    adapter, stored = import_own(folder, ADAPTER, SOURCE), stored_vectors(folder)
    found = _codes(adapter, stored) if "input" in stored else _currents(adapter, stored)
    return Replay("crosssim", _program(), found)


def _program() -> str:
    try:
        return f"CrossSim {version('cross-sim')}"
    except PackageNotFoundError:
        return "CrossSim of a folder on the Python path"


def _codes(adapter: Any, stored: Any) -> tuple[Difference, ...]:
    chips = len(adapter.MODEL["transition_level"])
    limits = (0.0, float(adapter.MODEL["full_scale_v"]))
    params = adapter.CrossSimParameters()
    params.xbar.device.infinite_on_off_ratio = True
    adapter.configure_adc(params, limits)
    core = adapter.AnalogCore(np.ones((chips, 1)), params)
    values = np.asarray(core @ stored["input"][None, :])
    codes = adapter.codes_of(values[stored["chip"], np.arange(values.shape[1])], limits)
    return (compare_codes("code", codes, stored["expected_code"]),)


def _currents(adapter: Any, stored: Any) -> tuple[Difference, ...]:
    voltage, expected = stored["voltage"], stored["expected_current"]
    v_max = float(np.max(np.abs(voltage))) or 1.0
    largest = float(np.max(np.abs(expected)))
    found = []
    linear = "effective_conductance" in adapter.MODEL
    if linear:
        answered = _answers(adapter, stored, v_max, wires="effective")
        # Products of some hundred terms, normalised and back, in double.
        found.append(compare_values("current", "A", answered, expected, 1e-12 * largest))
    answered = _answers(adapter, stored, v_max, wires="solver", v_error=CROSSSIM_ERROR)
    # The surrogate's own solver of nonlinear cells promises 1e-10.
    bound = _solver_bound(adapter, v_max) + (1e-12 if linear else 2e-10) * largest
    bound += float(adapter.MODEL.get("offset_error_a", 0.0))
    found.append(compare_values("current by CrossSim's solver", "A", answered, expected, bound))
    return tuple(found)


def _solver_bound(adapter: Any, v_max: float) -> float:
    chips = range(len(adapter.MODEL["conductance"]))
    cells = np.stack([adapter.cell_conductance_s(chip) for chip in chips])
    return solver_bound(cells, float(adapter.MODEL.get("v0_v", np.inf)), v_max)


def _answers(adapter: Any, stored: Any, v_max: float, **how: Any) -> Floats:
    """Currents (replay, col) in A, one vector at a time: a batch holds all cells of each."""
    answers: Floats = np.empty(stored["expected_current"].shape)
    for chip in np.unique(stored["chip"]):
        core = adapter.measured_core(v_max=v_max, chip=int(chip), **how)
        for k in np.flatnonzero(stored["chip"] == chip):
            answers[k] = adapter.currents_a(core, stored["voltage"][k], v_max)[0]
    return answers
