"""From a file, a shipped name or a results file to a checked `Recipe`."""

from __future__ import annotations

import copy
import difflib
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imccircuit import library
from imccircuit.benches.bench import Bench, Parameters, Section
from imccircuit.benches.registry import bench_names, get_bench
from imccircuit.devices.text_file import parse_toml, read_text
from imccircuit.errors import FileFormatError, InputError, UsageError
from imccircuit.recipes.fields import card_keys, check_each, costly_keys, field_keys, value_of
from imccircuit.recipes.files import (
    check_card_files,
    check_depth,
    named_cards,
    resolve_files,
    resolve_value,
)
from imccircuit.recipes.model import COMMON_KEYS, CommonTables
from imccircuit.recipes.native import check_native
from imccircuit.recipes.paths import FilePolicy
from imccircuit.recipes.settings import (
    apply_settings,
    flatten_axes,
    parse_setting,
    remove_keys,
)
from imccircuit.recipes.sweep import MOST_TRIED, Axis, parse_axes
from imccircuit.validation import validate

if TYPE_CHECKING:
    from imccircuit.results.read import Results

MOST_TASKS = 10_000_000


@dataclass(frozen=True)
class Recipe:
    """A recipe that was read and checked.

    Attributes
    ----------
    name : stem of its file.
    file : what messages call it.
    text : the file as it was read.
    raw : its tables after ``--set``, with arrays loaded; swept keys may be in it but do not count.
    bench : the bench it names.
    common : tables that belong to no bench.
    gates : table ``gates`` of the bench.
    axes : axes of the sweep.
    """

    name: str
    file: str
    text: str
    raw: Mapping[str, Any]
    bench: Bench
    common: CommonTables
    gates: Section
    axes: tuple[Axis, ...]

    _kept: dict[str, Any] = field(init=False, default_factory=dict, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        # Cards cannot be pickled; a worker process reads its own.
        return {**self.__dict__, "_kept": {}}

    def steps(self, keys: Collection[str] | None = None) -> Iterator[dict[str, Any]]:
        """The first point, and the other values of every axis, the others at their first.

        Of an axis longer than `MOST_TRIED` only as many values.

        Parameters
        ----------
        keys : only the axes of one of these keys; default: all.
        """
        first = {key: values[0] for axis in self.axes for key, values in axis.values.items()}
        yield first
        for axis in self.axes:
            if keys is None or any(key in keys for key in axis.values):
                for index in axis.tried()[1:]:
                    yield {**first, **axis.step(index)}

    def parameters(self, values: Mapping[str, Any]) -> Parameters:
        """Parameters of the bench at one point.

        Cards and arrays are read at the first call and kept: they cost much, and a card that
        somebody edits during a run must not change half of its numbers.

        Parameters
        ----------
        values : dotted key → value of every swept key.

        Raises
        ------
        InputError : the point is impossible.
        """
        tables = {key: value for key, value in self.raw.items() if key not in COMMON_KEYS}
        for key, value in values.items():
            tables = _with(tables, key.split("."), self._kept.get(_kept_name(key, values), value))
        for key, value in self._kept.items():
            if "=" not in key and key not in values:
                tables = _with(tables, key.split("."), value)
        context = {"of_sweep": bool(self.axes)}
        found = validate(self.bench.parameters, tables, file=self.file, context=context)
        for key in costly_keys(self.bench.parameters):
            name = _kept_name(key, values)
            if name and name not in self._kept and (value := value_of(found, key)) is not None:
                self._kept[name] = value
        return found


def _kept_name(key: str, values: Mapping[str, Any]) -> str:
    """Name under which a costly value is kept; empty where it is swept and no text."""
    if key not in values:
        return key
    return f"{key}={values[key]}" if isinstance(values[key], str) else ""


def _with(table: Mapping[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    """Copy of ``table`` with one value set, sharing everything else."""
    head, *rest = path
    inner = table.get(head, {})
    if rest and not isinstance(inner, Mapping):
        inner = {}
    return {**table, head: _with(inner, rest, value) if rest else value}


def find_recipe(name: str) -> Path:
    """Path of a recipe or study given by path or by shipped name.

    Raises
    ------
    UsageError : there is neither.
    """
    path = Path(name)
    if path.suffix == ".toml":
        try:
            if path.is_file():
                return path
        except OSError as error:
            raise UsageError(f"no file {name[:80]!r}: {error.strerror}") from None
        raise UsageError(f"no file {name}")
    if name in library.names("characterize", ".toml"):
        return library.find("characterize", name, ".toml")
    shipped = ", ".join(library.names("characterize", ".toml"))
    raise UsageError(f"no recipe {name!r}; allowed: a path to a .toml file, or one of {shipped}")


def read_toml(path: Path, shown: str) -> tuple[str, dict[str, Any]]:
    """Text and tables of a TOML file.

    Raises
    ------
    InputError : it is not TOML, not UTF-8, or cannot be read.
    """
    try:
        text = read_text(path)
        return text, parse_toml(text)
    except OSError as error:
        raise InputError(shown, "", "", f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(shown, "", "", "is not UTF-8 text") from None
    except (ValueError, RecursionError) as error:  # TOML, or a number of 5000 digits
        raise InputError(shown, "", "", f"is not TOML: {str(error)[:200]}") from None


def load_recipe(
    name: str,
    settings: Sequence[str] = (),
    libraries: Sequence[Path] = (),
    *,
    unset: Sequence[str] = (),
    allow_native: bool = False,
) -> Recipe:
    """Read and check a recipe.

    Parameters
    ----------
    name : path of a .toml file, or a shipped name.
    settings : texts of ``--set``, applied together before anything is checked.
    libraries : further folders the recipe's own paths may point into.
    unset : keys that are taken out of the recipe before ``settings`` are applied.
    allow_native : let ngspice load compiled models, which are programs, for this recipe.

    Raises
    ------
    InputError, UsageError : one line that says what is wrong and what is allowed.
    """
    path = find_recipe(name)
    text, raw = read_toml(path, name)
    if raw.get("kind") == "study":
        raise UsageError(f"{name} is a study; run it with: imccircuit accuracy {name}")
    policy = FilePolicy.of_recipe(path, libraries)
    resolve_files(name, raw, policy)
    own_cards = named_cards(raw)
    flatten_axes(raw, name)
    remove_keys(raw, unset)
    apply_settings(raw, _resolve_settings(settings, libraries))
    flatten_axes(raw, "--set")
    recipe = check_recipe(path.stem, name, text, raw)
    _check_own_cards(recipe, policy, own_cards)
    if not allow_native:
        check_native(recipe)
    return recipe


def _check_own_cards(recipe: Recipe, policy: FilePolicy, own_cards: Collection[str]) -> None:
    """Refuse cards that the recipe itself names and whose own files it may not read."""
    keys = card_keys(recipe.bench.parameters)
    for values in recipe.steps(keys) if own_cards else ():
        found = recipe.parameters(values)
        cards = {key: value_of(found, key) for key in keys}
        check_card_files(recipe.file, cards, policy, own_cards)


def _resolve_settings(settings: Sequence[str], libraries: Sequence[Path]) -> list[tuple[str, Any]]:
    """Keys and values of ``--set``, with the files that they name."""
    policy = FilePolicy.of_user(libraries)
    resolved = []
    for key, value in map(parse_setting, settings):
        if key.split(".")[0] in COMMON_KEYS and key != "sweep":
            check_depth("--set", key, value)
            resolved.append((key, value))
        else:
            resolved.append((key, resolve_value("--set", key, value, policy)))
    return resolved


def check_recipe(name: str, file: str, text: str, raw: Mapping[str, Any]) -> Recipe:
    """Check tables whose files are loaded already (from a recipe or from a results file)."""
    raw = copy.copy(dict(raw))
    bench_name = raw.get("bench")
    if not isinstance(bench_name, str) or bench_name not in bench_names():
        allowed = ", ".join(bench_names())
        raise InputError(file, "bench", bench_name, "not a bench", allowed)
    bench = get_bench(bench_name)
    known = [*COMMON_KEYS, *bench.parameters.model_fields]
    for key in raw:
        if key not in known:
            raise InputError(file, key, raw[key], "unknown key", ", ".join(known))
    common = validate(
        CommonTables, {k: v for k, v in raw.items() if k in COMMON_KEYS and k != "gates"}, file=file
    )
    if common.engine not in bench.engines:
        problem, allowed = f"bench {bench_name} is not for it", ", ".join(bench.engines)
        raise InputError(file, "engine", common.engine, problem, allowed)
    gates = _check_gates(bench, raw.get("gates", {}), file)
    for quantity in common.variation.quantities:
        if quantity not in bench.quantities:
            allowed = ", ".join(bench.quantities) or "none"
            key = "variation.quantities"
            raise InputError(file, key, quantity, f"bench {bench_name} does not vary it", allowed)
    axes = parse_axes(file, common.sweep)
    recipe = Recipe(name, file, text, raw, bench, common, gates, axes)
    _check_axes(recipe)
    _check_engine(recipe)
    _check_quantities(recipe)
    return recipe


def recipe_of_results(results: Results) -> Recipe:
    """Recipe that a results file stores, checked again as if it were read now.

    Raises
    ------
    InputError, UsageError : it names a card or library that is not on this machine, is not the one
        that was measured with and lies elsewhere, or was written by a version whose keys differ.
    FileFormatError : there is no recipe in it.
    """
    from imccircuit.recipes.resolve import restore

    stored = results.provenance
    shown = str(results.path)
    try:
        tables = dict(restore(stored.recipe_resolved, stored.inputs))
    except (ValueError, LookupError, TypeError, RecursionError):
        raise FileFormatError(f"{shown}: no whole recipe is in it") from None
    hashes = [str(value) for value in dict(stored.file_hashes).values()]
    policy = FilePolicy.of_results(results.path, hashes)
    resolve_files(shown, tables, policy)
    recipe = check_recipe(stored.recipe_name, shown, stored.recipe_text, tables)
    _check_own_cards(recipe, policy, named_cards(tables))
    return recipe


def _check_gates(bench: Bench, table: Any, file: str) -> Section:
    if not isinstance(table, Mapping):
        raise InputError(file, "gates", table, "wrong type", "a table")
    try:
        return validate(bench.gates, table, file=file)
    except InputError as error:
        key = f"gates.{error.key}"
        raise InputError(file, key, error.value, error.problem, error.allowed) from None


def _check_engine(recipe: Recipe) -> None:
    """Refuse an engine that cannot solve the circuit at a point that is looked at."""
    engine, usual = recipe.common.engine, recipe.bench.engines[0]
    for values in recipe.steps() if engine != usual else ():
        unfit = recipe.parameters(values).unfit_engines()
        if engine in unfit:
            problem = f"it cannot solve {unfit[engine]}"
            raise InputError(recipe.file, "engine", engine, problem, usual)


def _check_quantities(recipe: Recipe) -> None:
    """Refuse a quantity that varies nothing at any of the points that are looked at.

    Nor may transistors be mismatched that are subcircuits at any of them.
    """
    named = recipe.common.variation.quantities
    idle = dict.fromkeys(named, "")
    for values in recipe.steps() if named else ():
        at = recipe.parameters(values)
        found = at.idle_quantities()
        idle = {name: found[name] for name in idle if name in found}
        drawn = [n for n in named if n in at.transistor_quantities() and n not in found]
        if drawn and at.technology.device != "model":
            card = at.technology.file.name
            problem = f"{card} gives transistors as subcircuits, which take no mismatch"
            allowed = 'leave it out, or a technology with device = "model"'
            raise InputError(recipe.file, "variation.quantities", drawn[0], problem, allowed)
    for name, why in idle.items():
        problem = f"varies nothing with {why}"
        raise InputError(recipe.file, "variation.quantities", name, problem, "leave it out")


def _check_axes(recipe: Recipe) -> None:
    """Check every value of every axis once, the other axes standing at their first value."""
    first = {key: values[0] for axis in recipe.axes for key, values in axis.values.items()}
    known = field_keys(recipe.bench.parameters)
    for key in first:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            problem = "cannot be swept" + (f", perhaps {near[0]!r} is meant" if near else "")
            allowed = ", ".join(sorted(known))
            raise InputError(recipe.file, f"sweep.{key}", first[key], problem, allowed)
    points = math.prod(len(axis) for axis in recipe.axes)
    tasks = points * recipe.common.variation.samples
    if tasks > MOST_TASKS:
        problem = f"{points} points with {recipe.common.variation.samples} samples each"
        raise InputError(recipe.file, "sweep", tasks, problem, f"at most {MOST_TASKS} measurements")
    for axis in recipe.axes:
        if len(axis) > MOST_TRIED:
            for key, values in axis.values.items():
                check_each(recipe.bench.parameters, key, values, file=recipe.file)
    _check_idle(recipe, first)


def _check_idle(recipe: Recipe, first: Mapping[str, Any]) -> None:
    """Refuse keys that change nothing at any of the points that are looked at."""
    varied = recipe.common.variation.quantities
    swept = [key for axis in recipe.axes for key in axis.values]
    alive: set[str] = set()
    idle: dict[str, str] | None = None
    for values in recipe.steps():
        found = recipe.parameters(values)
        spread, all_idle = found.spread_keys(), found.idle_keys()
        # A swept key may stand at its default at some points, and is no less idle there.
        swept_idle = {key: all_idle[key] for key in swept if key in all_idle}
        given = {**found.idle_given, **swept_idle}
        idle = given if idle is None else {key: idle[key] for key in idle if key in given}
        alive |= {key for key in swept if key not in spread or {*_names(spread[key])} & {*varied}}
        bounds = found.bound_keys()
        for key in swept:
            if key in bounds:
                problem = f"changes nothing, it only bounds {bounds[key]}"
                raise InputError(recipe.file, f"sweep.{key}", first[key], problem, "no such axis")
    for key, why in (idle or {}).items():
        problem = f"{key} would change nothing with {why}"
        raise InputError(recipe.file, "", "", problem, "leave it out")
    for key in swept:
        if key not in alive:
            problem = "changes nothing while its quantity does not vary"
            names = " or ".join(repr(name) for name in _names(spread[key]))
            allowed = f"variation.quantities with {names}, or no such axis"
            raise InputError(recipe.file, f"sweep.{key}", first[key], problem, allowed)


def _names(quantities: str | tuple[str, ...]) -> tuple[str, ...]:
    return (quantities,) if isinstance(quantities, str) else quantities
