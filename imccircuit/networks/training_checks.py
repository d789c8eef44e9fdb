"""What the tables of a study of training need of each other, checked as they are loaded."""

from __future__ import annotations

from imccircuit.errors import InputError
from imccircuit.networks.training_tables import CHIP_WAYS, TrainingStudyTables

_KEYS = {
    "current": ("low_conductance", "high_conductance"),
    "charge": ("weight_bits", "input_bits"),
}


def check_training(tables: TrainingStudyTables, file: str) -> None:
    """Refuse tables that do not fit together.

    Raises
    ------
    InputError : ways twice, ways or sizes of which no table can be made, or cells of another mode.
    """
    _check_ways(tables, file)
    _check_cells(tables, file)


def _check_ways(tables: TrainingStudyTables, file: str) -> None:
    ways = tables.training.ways
    if len(set(ways)) < len(ways):
        raise InputError(file, "training.ways", list(ways), "a way twice", "each way once")
    if tables.capacitors is None:
        return
    units = tables.capacitors.units
    if len(set(units)) < len(units):
        shown = [f"{unit:g} F" for unit in units]
        raise InputError(file, "capacitors.units", shown, "a size twice", "each size once")
    if "float" not in ways:
        problem, needed = "capacitors needs float, against which ways lose", '"float" among them'
        raise InputError(file, "training.ways", list(ways), problem, needed)
    if not set(ways) & set(CHIP_WAYS):
        problem, needed = "capacitors needs a way with chips", " or ".join(CHIP_WAYS)
        raise InputError(file, "training.ways", list(ways), problem, needed)


def _check_cells(tables: TrainingStudyTables, file: str) -> None:
    """Each mode has its own keys of the cells, all of them."""
    mode, cells = tables.training.mode, tables.cells
    for key in (key for keys in _KEYS.values() for key in keys):
        value = getattr(cells, key)
        if (key in _KEYS[mode]) != (value is not None):
            problem = f"mode {mode} {'needs' if value is None else 'does not take'} it"
            raise InputError(file, f"cells.{key}", value, problem, " and ".join(_KEYS[mode]))
    low, high = cells.low_conductance, cells.high_conductance
    if low is not None and high is not None and low >= high:
        problem = f"not above low_conductance = {low:g} S"
        raise InputError(file, "cells.high_conductance", high, problem, f"above {low:g} S")
