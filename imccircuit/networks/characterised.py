"""From the recipes of a study to what chips are drawn from: measured in SPICE, fitted, judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from imccircuit.benches.adc_parameters import AdcParameters
from imccircuit.benches.crossbar_parameters import CrossbarParameters
from imccircuit.errors import EngineError, InputError
from imccircuit.networks.chips import FrontEnd, Population
from imccircuit.recipes.load import Recipe, load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.results.read import read_results
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.crossbar import CrossbarSurrogate
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.verdict import Verdict
from imccircuit.sweeps.run import RunOptions, run_plan


@dataclass(frozen=True)
class Characterised:
    """Recipes, what was fitted to their results, and the population.

    Attributes
    ----------
    array, converter : recipes.
    array_model, converter_model : fitted and judged.
    population : what chips are drawn from.
    files : what was written, by name.
    """

    array: Recipe
    converter: Recipe
    array_model: CrossbarSurrogate
    converter_model: AdcSurrogate
    population: Population
    files: dict[str, Path]

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """Verdicts of both models: ``array`` and ``converter``."""
        return {"array": self.array_model.verdict, "converter": self.converter_model.verdict}


def load_parts(
    array: str, converter: str, samples: int | None, read_voltage_v: float, file: str
) -> tuple[Recipe, Recipe]:
    """Recipes of array and converter, checked against what a tile is here.

    Raises
    ------
    InputError : a recipe of another bench, cell or read-out, or a read voltage that the cells'
        card does not hold for.
    """
    settings = [] if samples is None else [f"variation.samples={samples}"]
    parts = (load_recipe(array), load_recipe(converter, settings))
    for key, recipe, bench in zip(
        ("array.recipe", "converter.recipe"), parts, ("crossbar_mvm", "adc_transfer"), strict=True
    ):
        if recipe.bench.name != bench:
            problem = f"its bench is {recipe.bench.name}"
            raise InputError(file, key, recipe.name, problem, f"a recipe of bench {bench}")
    circuit = cast(CrossbarParameters, parts[0].parameters({})).circuit
    wanted = {"cell": "1r", "readout": "tia"}
    for key, value in wanted.items():
        if getattr(circuit, key) != value:
            problem = f"its {key} is {getattr(circuit, key)}"
            raise InputError(file, "array.recipe", parts[0].name, problem, f'{key} = "{value}"')
    most = circuit.device_card.max_voltage.value
    if read_voltage_v > most:
        problem = f"the cells' card holds to {most:g} V"
        raise InputError(file, "array.read_voltage", f"{read_voltage_v:g} V", problem)
    split = cast(AdcParameters, parts[1].parameters({})).circuit.lower_bits
    if split:
        problem = "its capacitor array is split"
        raise InputError(file, "converter.recipe", parts[1].name, problem, "one without a bridge")
    return parts


def check_bits(asked: Sequence[int], converter: Recipe, file: str) -> None:
    """Refuse a sensitivity to more bits than the converter has.

    Raises
    ------
    InputError : there is one.
    """
    most = cast(AdcParameters, converter.parameters({})).circuit.resolution
    if any(bits > most for bits in asked):
        problem = f"the converter has {most}"
        raise InputError(file, "sensitivity.bits", list(asked), problem, f"1 to {most}")


def characterise(
    array: Recipe, converter: Recipe, read_voltage_v: float, folder: Path, jobs: int
) -> Characterised:
    """Measure both recipes in SPICE (but for what the cache knows), fit, and save the models.

    Raises
    ------
    EngineError : a point is not good.
    """
    files = {"array": folder / "array.h5", "converter": folder / "converter.h5"}
    for recipe, output in ((array, files["array"]), (converter, files["converter"])):
        measure(recipe, output, jobs)
    array_model = cast(CrossbarSurrogate, fit_results(files["array"]))
    converter_model = cast(AdcSurrogate, fit_results(files["converter"]))
    for name, model in (("array", array_model), ("converter", converter_model)):
        files[f"{name} model"] = folder / f"{name}.model.h5"
        model.save(files[f"{name} model"])
    parameters = cast(CrossbarParameters, array.parameters({}))
    circuit = parameters.circuit
    physics = array_model.physics
    population = Population(
        card=circuit.device_card,
        temperature_factor=circuit.device_card.temperature_factor(
            parameters.conditions.temperature
        ),
        read_time_s=circuit.read_time,
        physics=replace(physics, r_sense_ohm=circuit.sense_resistance),
        front_end=_front_end(array_model, circuit, files["array"]),
        converter=converter_model,
        read_voltage_v=read_voltage_v,
    )
    return Characterised(array, converter, array_model, converter_model, population, files)


def measure(recipe: Recipe, output: Path, jobs: int) -> None:
    """Run a recipe in SPICE, but for what the cache knows.

    Raises
    ------
    EngineError : a point is not good.
    """
    summary = run_plan(Plan(recipe), output, RunOptions(jobs=jobs, mode="fresh"))
    if summary.failed or not summary.complete:
        reason = next(iter(summary.reasons), "not complete")
        raise EngineError(f"{output}: {summary.failed} point(s) failed: {reason}")


def _front_end(model: CrossbarSurrogate, circuit: Any, results: Path) -> FrontEnd:
    """Amplifiers as ratios, from fitted numbers and the offsets that the results hold."""
    feedback = circuit.tia_feedback_resistance
    drawn = np.asarray(read_results(results).dataset["tia_offset"].values[0])
    used = drawn[: len(model.array("input_offset"))].ravel()
    power = float(used @ used)
    at = [
        float(model.array(name).ravel() @ used) / power if power > 0 else 1.0
        for name in ("input_offset", "output_offset")
    ]
    return FrontEnd(
        gain_ratio=model.value("transresistance") / feedback,
        sense_ratio=(model.physics.r_sense_ohm - circuit.sense_resistance) / feedback,
        at_input=at[0],
        at_output=at[1],
        offset_v=circuit.tia_offset,
        offset_sigma_v=circuit.tia_offset_sigma,
    )
