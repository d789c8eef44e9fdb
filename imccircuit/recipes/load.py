"""From a file, a shipped name or a results file to a checked `Recipe`."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imccircuit import library
from imccircuit.benches.bench import Bench, Parameters, Section
from imccircuit.benches.registry import bench_names, get_bench
from imccircuit.errors import InputError, UsageError
from imccircuit.recipes.model import COMMON_KEYS, CommonTables
from imccircuit.recipes.paths import ARRAY_REFERENCE, FilePolicy
from imccircuit.recipes.settings import apply_settings, parse_setting
from imccircuit.recipes.sweep import Axis, parse_axes
from imccircuit.validation import validate


@dataclass(frozen=True)
class Recipe:
    """A recipe that was read and checked.

    Attributes
    ----------
    name : stem of its file.
    file : what messages call it.
    text : the file as it was read.
    raw : its tables after ``--set``, with arrays loaded; swept keys are not in it.
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

    def parameters(self, values: Mapping[str, Any]) -> Parameters:
        """Parameters of the bench at one point.

        Parameters
        ----------
        values : dotted key → value of every swept key.

        Raises
        ------
        InputError : the point is impossible.
        """
        tables = {key: value for key, value in self.raw.items() if key not in COMMON_KEYS}
        for key, value in values.items():
            tables = _with(tables, key.split("."), value)
        return validate(self.bench.parameters, tables, file=self.file)


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
        if not path.is_file():
            raise UsageError(f"no file {name}")
        return path
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
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except OSError as error:
        raise InputError(shown, "", "", f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(shown, "", "", "is not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(shown, "", "", f"is not TOML: {error}") from None


def load_recipe(name: str, settings: Sequence[str] = (), libraries: Sequence[Path] = ()) -> Recipe:
    """Read and check a recipe.

    Parameters
    ----------
    name : path of a .toml file, or a shipped name.
    settings : texts of ``--set``, applied together before anything is checked.
    libraries : further folders the recipe's own paths may point into.

    Raises
    ------
    InputError, UsageError : one line that says what is wrong and what is allowed.
    """
    path = find_recipe(name)
    text, raw = read_toml(path, name)
    if raw.get("kind") == "study":
        raise UsageError(f"{name} is a study; run it with: imccircuit accuracy {name}")
    _resolve_files(name, raw, FilePolicy.of_recipe(path, libraries))
    set_tables: dict[str, Any] = {}
    parsed = [parse_setting(item) for item in settings]
    apply_settings(set_tables, [item for item in parsed if item[0] != "sweep"])
    _resolve_files("--set", set_tables, FilePolicy.of_user())
    apply_settings(raw, _leaves(set_tables) + [item for item in parsed if item[0] == "sweep"])
    return check_recipe(path.stem, name, text, raw)


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
    gates = _check_gates(bench, raw.get("gates", {}), file)
    for quantity in common.variation.quantities:
        if quantity not in bench.quantities:
            allowed = ", ".join(bench.quantities) or "none"
            key = "variation.quantities"
            raise InputError(file, key, quantity, f"bench {bench_name} does not vary it", allowed)
    axes = parse_axes(file, common.sweep)
    recipe = Recipe(name, file, text, raw, bench, common, gates, axes)
    _check_axes(recipe)
    return recipe


def _check_gates(bench: Bench, table: Any, file: str) -> Section:
    if not isinstance(table, Mapping):
        raise InputError(file, "gates", table, "wrong type", "a table")
    try:
        return validate(bench.gates, table, file=file)
    except InputError as error:
        key = f"gates.{error.key}"
        raise InputError(file, key, error.value, error.problem, error.allowed) from None


def _check_axes(recipe: Recipe) -> None:
    """Check every value of every axis once, the other axes standing at their first value."""
    first = {key: values[0] for axis in recipe.axes for key, values in axis.values.items()}
    for key in first:
        if key.split(".")[0] not in recipe.bench.parameters.model_fields:
            allowed = ", ".join(f"{name}.…" for name in recipe.bench.parameters.model_fields)
            raise InputError(recipe.file, f"sweep.{key}", first[key], "cannot be swept", allowed)
    recipe.parameters(first)
    for axis in recipe.axes:
        for index in range(1, len(axis)):
            step = {key: values[index] for key, values in axis.values.items()}
            recipe.parameters({**first, **step})


def _leaves(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            pairs += _leaves(value, f"{prefix}{key}.")
        else:
            pairs.append((prefix + key, value))
    return pairs


def _resolve_files(shown: str, raw: dict[str, Any], policy: FilePolicy) -> None:
    """Load array references and make card paths absolute, in the tables of a bench and axes."""
    for key, value in raw.items():
        if key in COMMON_KEYS and key != "sweep":
            continue
        raw[key] = _resolve(shown, key, value, policy)


def _resolve(shown: str, key: str, value: Any, policy: FilePolicy) -> Any:
    if isinstance(value, dict):
        return {k: _resolve(shown, f"{key}.{k}", v, policy) for k, v in value.items()}
    if isinstance(value, list):
        if any(isinstance(item, str | dict | list) for item in value):
            return [_resolve(shown, f"{key}[{i}]", v, policy) for i, v in enumerate(value)]
        return value
    if not isinstance(value, str):
        return value
    try:
        if ARRAY_REFERENCE.match(value):
            return policy.load_array(value)
        if key.rstrip("]0123456789[").endswith("_card") and value.endswith(".toml"):
            return str(policy.resolve(value))
    except ValueError as error:
        problem, _, allowed = str(error).partition("; allowed: ")
        raise InputError(shown, key, value, problem, allowed) from None
    return value
