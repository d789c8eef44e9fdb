"""What a population of cells depends on: results of other conditions judge no model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from imccircuit.benches.cell_iv_parameters import CellParameters
from imccircuit.devices.figure import Card
from imccircuit.devices.rram_spread import TableSpread
from imccircuit.errors import UsageError
from imccircuit.surrogates.data import Measured, file_sha256
from imccircuit.units import format_quantity

_PREFIX = "condition: "
# Values that agree in so many digits are one.
DIGITS = 9


def conditions_of(measured: Measured) -> dict[str, str]:
    """Name → value with unit of everything that the currents' distribution depends on.

    Raises
    ------
    UsageError : results of another bench.
    """
    parameters = measured.parameters
    if not isinstance(parameters, CellParameters):
        raise UsageError(f"{measured.results.path} holds no I-V curves of cells")
    circuit = parameters.circuit
    found = {
        "cell": circuit.cell,
        "device card": card_identity(circuit.device_card, measured),
        "levels": ", ".join(format_quantity(float(g), "S", DIGITS) for g in circuit.level_s),
        "read time": _read_time(parameters),
        "V0": "none" if circuit.v0_v is None else format_quantity(circuit.v0_v, "V", DIGITS),
        "temperature": f"{parameters.conditions.temperature:.9g} degC",
        "varied from chip to chip": varied(measured),
    }
    if not parameters.has_transistors:
        return found
    width = circuit.transistor_width
    return found | {
        "technology": card_identity(parameters.technology, measured),
        "corner": parameters.corner,
        "supply": format_quantity(parameters.supply_v, "V", DIGITS),
        "transistor width": "technology's"
        if width is None
        else format_quantity(width, "m", DIGITS),
    }


def varied(measured: Measured) -> str:
    """Quantities of the recipe that vary from chip to chip."""
    return ", ".join(sorted(measured.recipe.common.variation.quantities)) or "nothing"


def as_settings(conditions: Mapping[str, str]) -> dict[str, str]:
    """Conditions as settings of a model."""
    return {f"{_PREFIX}{name}": value for name, value in conditions.items()}


def check_conditions(settings: Mapping[str, str], measured: Measured) -> None:
    """Refuse results of other conditions than those of the fit.

    Raises
    ------
    UsageError : they differ; the first difference with both values.
    """
    mine = {
        name.removeprefix(_PREFIX): value
        for name, value in settings.items()
        if name.startswith(_PREFIX)
    }
    theirs = conditions_of(measured)
    path = measured.results.path
    if not mine:
        raise UsageError("the model does not say its conditions; fit it again to its results")
    refuse_others(mine, theirs, path)


def refuse_others(mine: Mapping[str, str], theirs: Mapping[str, str], path: Path) -> None:
    """Refuse results at ``path`` whose conditions, by name, are not those of the model.

    Raises
    ------
    UsageError : they differ; the first difference with both values.
    """
    other = [name for name in theirs if mine.get(name) != theirs[name]]
    if other:
        name = other[0]
        more = f" ({', '.join(other[1:])} too)" if other[1:] else ""
        raise UsageError(
            f"{path} cannot judge the model, {name} differs{more}: {theirs[name]} there, "
            f"{mine.get(name, 'none')} in the model; nothing was judged"
        )


def _read_time(parameters: CellParameters) -> str:
    given, spread = parameters.circuit.read_time, parameters.circuit.device_card.spread
    if given is None and isinstance(spread, TableSpread):
        given = spread.read_time.value
    return "none" if given is None else format_quantity(given, "s", DIGITS)


def card_identity(card: Card, measured: Measured) -> str:
    """Name of a card with a digest of its numbers and of the files that these come from."""
    stored = measured.results.provenance.file_hashes
    # A second file of one name is marked there; which of the two is meant is not.
    known = {name: value for name, value in stored.items() if f"{name}#2" not in stored}
    digest = hashlib.sha256()
    for path in card.source_files():
        digest.update((known.get(path.name) or file_sha256(Path(path))).encode())
    return f"{card.file.stem} ({digest.hexdigest()[:8]})"
