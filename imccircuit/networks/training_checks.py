"""What the tables of a study of training need of each other, checked as they are loaded."""

from __future__ import annotations

from imccircuit.devices.cards import load_card
from imccircuit.devices.rram import RramCard
from imccircuit.errors import InputError, UsageError
from imccircuit.networks.training_tables import CHIP_WAYS, TrainingStudyTables

_NUMBERS: dict[str, tuple[str, ...]] = {
    "current": ("low_conductance", "high_conductance", "spread"),
    "charge": ("weight_bits", "input_bits", "spread"),
}
_CARD = ("device_card", "read_time")


def check_training(tables: TrainingStudyTables, file: str) -> None:
    """Refuse tables that do not fit together.

    Raises
    ------
    InputError : ways twice, ways or sizes of which no table can be made, cells of another mode,
        or a card that cannot be used.
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
    """Each mode has its own keys of the cells, all of them, or a card."""
    mode, cells = tables.training.mode, tables.cells
    has_card = mode == "current" and cells.device_card is not None
    who, needed = f"mode {mode}", _NUMBERS[mode]
    if has_card:
        who, needed = "a device_card, which says it,", ("device_card",)
    elif cells.read_time is not None and mode == "current":
        problem = "it is of a device_card, and there is none"
        raise InputError(file, "cells.read_time", cells.read_time, problem, "none")
    optional = _CARD if has_card else ()
    for key in dict.fromkeys((*_NUMBERS["current"], *_NUMBERS["charge"], *_CARD)):
        value = getattr(cells, key)
        if key not in optional and (key in needed) != (value is not None):
            problem = f"{who} {'needs' if value is None else 'does not take'} it"
            raise InputError(file, f"cells.{key}", value, problem, " and ".join(needed))
    low, high = cells.low_conductance, cells.high_conductance
    if low is not None and high is not None and low >= high:
        problem = f"not above low_conductance = {low:g} S"
        raise InputError(file, "cells.high_conductance", high, problem, f"above {low:g} S")
    if has_card:
        load_cells(tables, file)


def load_cells(tables: TrainingStudyTables, file: str) -> RramCard:
    """The card of the cells.

    Raises
    ------
    InputError : no such card, a read time it does not know, or cells that deviate together.
    """
    name, time_s = str(tables.cells.device_card), tables.cells.read_time
    try:
        card = load_card(name, "rram")
    except UsageError as error:
        raise InputError(file, "cells.device_card", name, str(error)) from None
    try:
        spread = card.spread_at(time_s)
    except UsageError as error:
        raise InputError(file, "cells.read_time", time_s, str(error)) from None
    if spread.group is not None:
        problem = "its cells deviate together, which trainings do not draw"
        raise InputError(file, "cells.device_card", name, problem, "a card without correlation")
    return card
