"""The study of training with the periphery: a converter in SPICE, and what training makes of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

from imccircuit.errors import SetupError
from imccircuit.networks.digits import Digits, load_folds
from imccircuit.networks.finished import Finished, study_key
from imccircuit.networks.study import Progress, TrainingStudy
from imccircuit.networks.training_checks import load_cells
from imccircuit.networks.training_outcome import TrainingOutcome
from imccircuit.networks.training_parts import Parts, characterise_parts, load_recipes
from imccircuit.networks.training_sizes import Size
from imccircuit.networks.training_tables import TrainingStudyTables
from imccircuit.sweeps.state import Mode
from imccircuit.units import format_quantity

if TYPE_CHECKING:
    from imccircuit.networks.hardware_layer import Array
    from imccircuit.networks.training_ways import Comparison


def run_training(
    study: TrainingStudy, folder: Path, *, jobs: int, progress: Progress, mode: Mode = "new"
) -> TrainingOutcome:
    """Measure and fit the converter, train every way, and write ``study.json`` into ``folder``.

    Parameters
    ----------
    mode : what becomes of trainings that an interrupted run finished.

    Raises
    ------
    InputError, UsageError : recipes that do not fit, or unfinished work in the way, in one line.
    SetupError : torch or scikit-learn is not installed.
    EngineError : SPICE did not solve what was asked.
    """
    tables = study.tables
    recipes = load_recipes(tables, study.file)
    units = () if tables.capacitors is None else tables.capacitors.units
    others = [load_recipes(tables, study.file, unit) for unit in units]
    if find_spec("torch") is None:
        raise SetupError('torch is missing: pip install "imccircuit[torch,digits]"')
    table = tables.training
    data = load_folds(table.folds, table.seed)
    every = [recipe for item in (recipes, *others) for recipe in item.all]
    arrays = [part for fold in data for part in (fold.test_x, fold.test_y)]
    key = study_key(tables, every, arrays, _card_hashes(tables, study.file))
    finished = Finished(folder, key, mode)
    progress("converter: measuring in SPICE, fitting")
    parts = characterise_parts(recipes, folder, jobs)
    comparison = _compare(study, data, parts, progress, finished, "")
    sizes = []
    for number, (unit, other) in enumerate(zip(units, others, strict=True)):
        known = format_quantity(unit, "F")
        progress(f"unit capacitor of {known}: measuring in SPICE, fitting")
        of_size = characterise_parts(other, folder / f"size_{number}", jobs)
        named = _named(known, progress)
        found = _compare(study, data, of_size, named, finished, f"size_{number}.")
        sizes.append(Size(unit, of_size.conversion_j, of_size.area_m2, found))
    outcome = TrainingOutcome(
        table.mode,
        parts.adc.bits,
        table.folds,
        table.chips,
        table.seeds,
        table.epochs,
        comparison,
        parts.adc.verdict,
        {**parts.files, "table": folder / "study.json"},
        front_end=None if parts.front_end is None else parts.front_end.verdict,
        area_m2=parts.area_m2,
        sizes=tuple(sizes),
        tolerated=0.01 if tables.capacitors is None else tables.capacitors.loss,
    )
    text = json.dumps(outcome.as_dict(), indent=1) + "\n"
    outcome.files["table"].write_text(text, encoding="utf-8")
    finished.forget()
    return outcome


def _named(name: str, progress: Progress) -> Progress:
    return lambda text: progress(f"{name}: {text}")


def _compare(
    study: TrainingStudy,
    data: Sequence[Digits],
    parts: Parts,
    progress: Progress,
    finished: Finished,
    prefix: str,
) -> Comparison:
    from imccircuit.networks.training import Schedule
    from imccircuit.networks.training_chips import ChipSource
    from imccircuit.networks.training_comparison import compare_training

    table = study.tables.training
    return compare_training(
        data,
        _array(study.tables, study.file),
        ChipSource(parts.adc, parts.front_end),
        chips=table.chips,
        seeds=table.seeds,
        hidden=table.hidden,
        schedule=Schedule(epochs=table.epochs),
        ways=table.ways,
        progress=progress,
        conversion_j=parts.conversion_j,
        kept=lambda name, compute: finished.unit(prefix + name, compute),
    )


def _array(tables: TrainingStudyTables, file: str) -> Array:
    from imccircuit.networks.hardware_layer import ChargeArray, CurrentArray
    from imccircuit.networks.read_table import ReadTable

    cells = tables.cells
    if cells.device_card is not None:
        card = load_cells(tables, file)
        low, high = card.off_conductance.value, card.on_conductance.value
        read = ReadTable.of(card.spread_at(cells.read_time), low, high)
        return CurrentArray(low, high, 0.0, read)
    spread = cast(float, cells.spread)
    if tables.training.mode == "current":
        low, high = cast(float, cells.low_conductance), cast(float, cells.high_conductance)
        return CurrentArray(low, high, spread)
    bits = cast(int, cells.weight_bits), cast(int, cells.input_bits)
    return ChargeArray(*bits, spread)


def _card_hashes(tables: TrainingStudyTables, file: str) -> list[str]:
    """What the files of the cells' card hold."""
    if tables.cells.device_card is None:
        return []
    files = load_cells(tables, file).source_files()
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
