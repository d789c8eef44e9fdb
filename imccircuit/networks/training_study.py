"""The study of training with the periphery: a converter in SPICE, and what training makes of it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from imccircuit.errors import InputError, SetupError
from imccircuit.networks.characterised import measure
from imccircuit.networks.digits import load_digits
from imccircuit.networks.study import Progress, Table, TrainingStudy
from imccircuit.networks.training_tables import TrainingStudyTables
from imccircuit.recipes.load import Recipe, load_recipe
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.verdict import Verdict

if TYPE_CHECKING:
    from imccircuit.networks.hardware_layer import Array
    from imccircuit.networks.training_comparison import Comparison

_KEYS = {
    "current": ("low_conductance", "high_conductance"),
    "charge": ("weight_bits", "input_bits"),
}

_FEWEST = 2


@dataclass(frozen=True)
class TrainingOutcome:
    """What the study found.

    Attributes
    ----------
    mode, bits : of the arrays, and of the converters.
    chips, seeds, epochs : how many.
    comparison : the ways.
    verdict : of the converter's surrogate.
    files : what was written, by name.
    """

    mode: str
    bits: int
    chips: int
    seeds: int
    epochs: int
    comparison: Comparison
    verdict: Verdict
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def below_gate(self) -> bool:
        """The converter's surrogate failed its verdict."""
        return self.verdict.state == "fail"

    def tables(self) -> list[Table]:
        """Tables for a terminal."""
        rows: list[Any] = [
            (
                way.name,
                f"{100 * way.mean:.1f}" + _plus_minus(way.sigma),
                _factor(self.comparison.overhead, way.name),
            )
            for way in self.comparison.ways
        ]
        title = (
            f"{self.mode} mode, converters of {self.bits} bits: {self.chips} chips, {self.seeds} "
            f"trainings of {self.epochs} epochs"
        )
        return [(title, ("way", "accuracy (%)", "time of an epoch"), rows)]

    def notes(self) -> list[str]:
        """Lines below the tables."""
        found = self.comparison
        energy = "not characterised" if found.energy_j is None else f"{found.energy_j:.3g} J"
        lines = [
            f"an image: {found.conversions} conversions, their energy: {energy}",
            f"table of a calibrated converter: {found.table_bits} bits, not in that energy",
            "surrogate of the converter:",
        ]
        return lines + [f"  {line}" for line in str(self.verdict).splitlines()]

    def as_dict(self) -> dict[str, Any]:
        """Everything for JSON."""
        found = self.comparison
        return {
            "mode": self.mode,
            "bits": self.bits,
            "chips": self.chips,
            "seeds": self.seeds,
            "epochs": self.epochs,
            "ways": [
                {
                    "name": way.name,
                    "mean": way.mean,
                    "sd": way.sigma if math.isfinite(way.sigma) else None,
                    "accuracy": way.accuracy.tolist(),
                }
                for way in found.ways
            ],
            "overhead": found.overhead,
            "conversions": found.conversions,
            "energy_j": found.energy_j,
            "table_bits": found.table_bits,
            "verdict": json.loads(self.verdict.to_json()),
            "below_gate": self.below_gate,
            "files": {name: str(path) for name, path in self.files.items()},
        }


def _plus_minus(sigma: float) -> str:
    return f" ± {100 * sigma:.1f}" if math.isfinite(sigma) else ""


def _factor(overhead: dict[str, float], way: str) -> str:
    mode = {"population": "population", "chip in the loop": "chip"}.get(way)
    return f"{overhead[mode]:.1f} times plain" if mode in overhead else ""


def run_training(
    study: TrainingStudy, folder: Path, *, jobs: int, progress: Progress
) -> TrainingOutcome:
    """Measure and fit the converter, train every way, and write ``study.json`` into ``folder``.

    Raises
    ------
    InputError, UsageError : bad tables, in one line.
    SetupError : torch or scikit-learn is not installed.
    EngineError : SPICE did not solve what was asked.
    """
    tables = study.tables
    _check_cells(tables, study.file)
    recipe = _load_converter(tables, study.file)
    if find_spec("torch") is None:
        raise SetupError('torch is missing: pip install "imccircuit[torch,digits]"')
    from imccircuit.networks.training import Schedule
    from imccircuit.networks.training_chips import ChipSource
    from imccircuit.networks.training_comparison import compare_training

    table = tables.training
    data, array = load_digits(table.test_images, table.seed), _array(tables)
    progress("converter: measuring in SPICE, fitting")
    files = {"converter": folder / "converter.h5"}
    measure(recipe, files["converter"], jobs)
    adc = cast(AdcSurrogate, fit_results(files["converter"]))
    files["converter model"] = folder / "converter.model.h5"
    adc.save(files["converter model"])
    comparison = compare_training(
        data,
        array,
        ChipSource(adc),
        chips=table.chips,
        seeds=table.seeds,
        hidden=table.hidden,
        schedule=Schedule(epochs=table.epochs),
        ways=table.ways,
        progress=progress,
    )
    files["table"] = folder / "study.json"
    outcome = TrainingOutcome(
        table.mode, adc.bits, table.chips, table.seeds, table.epochs, comparison, adc.verdict, files
    )
    files["table"].write_text(json.dumps(outcome.as_dict(), indent=1) + "\n", encoding="utf-8")
    return outcome


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


def _load_converter(tables: TrainingStudyTables, file: str) -> Recipe:
    """The recipe of a population of converters.

    Raises
    ------
    InputError : a recipe of another bench, or of one chip only.
    """
    table, bits = tables.converter, tables.training.bits
    settings = [] if table.samples is None else [f"variation.samples={table.samples}"]
    settings += [] if bits is None else [f"circuit.bits={bits}"]
    recipe = load_recipe(table.recipe, settings)
    if recipe.bench.name != "adc_transfer":
        problem = f"its bench is {recipe.bench.name}"
        raise InputError(
            file, "converter.recipe", recipe.name, problem, "a recipe of bench adc_transfer"
        )
    if recipe.common.variation.samples < _FEWEST:
        problem = "it measures one chip, so there is no population"
        allowed = f"at least {_FEWEST} samples"
        raise InputError(file, "converter.recipe", recipe.name, problem, allowed)
    return recipe


def _array(tables: TrainingStudyTables) -> Array:
    from imccircuit.networks.hardware_layer import ChargeArray, CurrentArray

    cells = tables.cells
    if tables.training.mode == "current":
        low, high = cast(float, cells.low_conductance), cast(float, cells.high_conductance)
        return CurrentArray(low, high, cells.spread)
    bits = cast(int, cells.weight_bits), cast(int, cells.input_bits)
    return ChargeArray(*bits, cells.spread)
