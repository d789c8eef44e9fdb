"""Recipes of a study of training: which fit together, and what is measured and fitted of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from imccircuit.benches.adc_parameters import AdcParameters
from imccircuit.errors import InputError
from imccircuit.networks.characterised import measure
from imccircuit.networks.training_tables import TrainingStudyTables
from imccircuit.recipes.load import Recipe, load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.front_end import FrontEndSurrogate
from imccircuit.surrogates.ramp_adc import RampAdcSurrogate

_FEWEST = 2


@dataclass(frozen=True)
class Recipes:
    """What is measured for one training.

    Attributes
    ----------
    converter : population of converters.
    cost : one converter whose energy and area count; None: those of ``converter``.
    front_end : population of front ends; None: ideal ones.
    """

    converter: Recipe
    cost: Recipe | None
    front_end: Recipe | None

    @property
    def all(self) -> tuple[Recipe, ...]:
        """Those that there are."""
        return tuple(r for r in (self.converter, self.cost, self.front_end) if r is not None)


@dataclass(frozen=True)
class Parts:
    """What was fitted.

    Attributes
    ----------
    adc, front_end : populations.
    conversion_j, area_m2 : energy of a conversion and area of a converter; None if not known.
    files : what was written, by name.
    """

    adc: AdcSurrogate | RampAdcSurrogate
    front_end: FrontEndSurrogate | None
    conversion_j: float | None
    area_m2: float | None
    files: dict[str, Path]


def load_recipes(tables: TrainingStudyTables, file: str, unit_f: float | None = None) -> Recipes:
    """Recipes of a study, for the capacitors they have or for other ones.

    Parameters
    ----------
    unit_f : unit capacitor in F of all converters; what loads them stays in proportion.

    Raises
    ------
    InputError : a recipe of another bench, of one chip only, of many points, or without a unit
        capacitor.
    """
    table, bits = tables.converter, tables.training.bits
    settings = [] if table.samples is None else [f"variation.samples={table.samples}"]
    settings += [] if bits is None else [f"circuit.bits={bits}"]
    key = "converter.recipe"
    converter = _load(table.recipe, settings, file, key, ("adc_transfer", "ramp_transfer"))
    if unit_f is not None:
        if converter.bench.name != "adc_transfer":
            problem = "it has no unit capacitors to change"
            allowed = "a recipe of bench adc_transfer, or no table capacitors"
            raise InputError(file, key, converter.name, problem, allowed)
        own = cast(AdcParameters, converter.parameters({})).circuit
        load_f = own.parasitic_capacitor * unit_f / own.unit_f
        settings += _capacitors(unit_f, load_f)
        converter = load_recipe(table.recipe, settings)
    _check_population(converter, file, key)
    return Recipes(converter, _cost(tables, converter, file), _front_end(tables, file))


def _capacitors(unit_f: float, load_f: float) -> list[str]:
    return [f"circuit.unit_capacitor={unit_f!r} F", f"circuit.parasitic_capacitor={load_f!r} F"]


def _load(name: str, settings: list[str], file: str, key: str, benches: tuple[str, ...]) -> Recipe:
    recipe = load_recipe(name)
    if recipe.bench.name not in benches:
        problem, allowed = f"its bench is {recipe.bench.name}", " or ".join(benches)
        raise InputError(file, key, recipe.name, problem, f"a recipe of bench {allowed}")
    found = load_recipe(name, settings)
    if (points := Plan(found).points) > 1:
        problem = f"it sweeps {points} points, and one is fitted"
        raise InputError(file, key, recipe.name, problem, "a recipe without a sweep")
    return found


def _check_population(recipe: Recipe, file: str, key: str) -> None:
    if recipe.common.variation.samples < _FEWEST:
        problem = "it measures one chip, so there is no population"
        raise InputError(file, key, recipe.name, problem, f"at least {_FEWEST} samples")


def _cost(tables: TrainingStudyTables, converter: Recipe, file: str) -> Recipe | None:
    """The recipe of the cost, with bits and capacitors of the converter."""
    name = tables.converter.cost
    if name is None:
        return None
    if converter.bench.name != "adc_transfer":
        problem = f"the converter's bench is {converter.bench.name}, which knows its own cost"
        raise InputError(file, "converter.cost", name, problem, "none")
    own = cast(AdcParameters, converter.parameters({})).circuit
    settings = [
        f"circuit.bits={own.resolution}",
        *_capacitors(own.unit_f, own.parasitic_capacitor),
    ]
    return _load(name, settings, file, "converter.cost", ("adc_transfer",))


def _front_end(tables: TrainingStudyTables, file: str) -> Recipe | None:
    if tables.front_end is None:
        return None
    key = "front_end.recipe"
    if tables.training.mode == "charge":
        problem = "mode charge has no front end"
        raise InputError(file, key, tables.front_end.recipe, problem, "none")
    samples = tables.front_end.samples
    settings = [] if samples is None else [f"variation.samples={samples}"]
    recipe = _load(tables.front_end.recipe, settings, file, key, ("readout_transfer",))
    _check_population(recipe, file, key)
    return recipe


def characterise_parts(recipes: Recipes, folder: Path, jobs: int) -> Parts:
    """Measure the recipes in SPICE (but for what the cache knows), fit, and save the models.

    Raises
    ------
    EngineError : a point is not good.
    """
    files: dict[str, Path] = {}

    def fitted(name: str, recipe: Recipe) -> Any:
        files[name] = folder / f"{name.replace(' ', '_')}.h5"
        measure(recipe, files[name], jobs)
        model = fit_results(files[name])
        files[f"{name} model"] = files[name].with_suffix(".model.h5")
        model.save(files[f"{name} model"])
        return model

    adc = fitted("converter", recipes.converter)
    front_end = None if recipes.front_end is None else fitted("front end", recipes.front_end)
    costly = adc if recipes.cost is None else fitted("cost", recipes.cost)
    share = adc.columns if isinstance(adc, RampAdcSurrogate) else 1
    energy, area = (costly.model.parameters.get(name) for name in ("energy", "area"))
    return Parts(
        adc,
        front_end,
        # A ramp's are those of all its columns.
        None if energy is None else energy.value / share,
        None if area is None else area.value / share,
        files,
    )
