"""``imccircuit list``: what there is to run, fit, export and draw."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from imccircuit import library
from imccircuit.cli.output import JsonFlag, Libraries, say_json, say_table
from imccircuit.errors import UsageError

NAME = "list"
_MOST_NAMES = 3
Rows = list[dict[str, str]]


class What(StrEnum):
    """Kinds of things to list."""

    RECIPES = "recipes"
    BENCHES = "benches"
    CARDS = "cards"
    SURROGATES = "surrogates"
    TARGETS = "targets"


def command(
    what: Annotated[What, typer.Argument(help="What to list.")] = What.RECIPES,
    libraries: Libraries = None,
    as_json: JsonFlag = False,
) -> None:
    """List recipes, benches, cards, surrogates or export targets."""
    if libraries and what is not What.CARDS:
        raise UsageError(f"--library holds cards; allowed: list {What.CARDS.value}")
    rows = _cards(libraries or []) if what is What.CARDS else _LISTS[what]()
    if as_json:
        say_json(rows)
        return
    rows = [_in_short(row) for row in rows]
    columns = list(rows[0]) if rows else ["name"]
    say_table(what.value, columns, ([row[column] for column in columns] for row in rows))


def _in_short(row: dict[str, Any]) -> dict[str, Any]:
    """A row for people: of long lists the first few."""
    if "yields" not in row:
        return row
    names = row["yields"].split(", ")
    more = [f"and {len(names) - _MOST_NAMES} more"] if len(names) > _MOST_NAMES else []
    yields = "\n".join([*names[:_MOST_NAMES], *more])
    return {**row, "takes": row["takes"].removesuffix(" on two cores"), "yields": yields}


def _recipes() -> Rows:
    from imccircuit.recipes.load import load_recipe

    rows = []
    for name in library.names("characterize", ".toml"):
        text = library.find("characterize", name, ".toml").read_text(encoding="utf-8")
        tables: dict[str, Any] = tomllib.loads(text)
        takes = tables.get("takes", "")
        if tables.get("kind") == "study":
            yields = "study: imccircuit accuracy " + name
        else:
            recipe = load_recipe(name)
            variables = recipe.bench.variables(recipe.parameters(_first(recipe)))
            yields = ", ".join(variable.name for variable in variables)
        rows.append(
            {"name": name, "what": tables.get("title", ""), "takes": takes, "yields": yields}
        )
    return rows


def _first(recipe: Any) -> dict[str, Any]:
    return {key: values[0] for axis in recipe.axes for key, values in axis.values.items()}


def _benches() -> Rows:
    from imccircuit.benches.registry import bench_names, get_bench

    return [
        {
            "name": name,
            "what": get_bench(name).summary,
            "varies": ", ".join(get_bench(name).quantities),
            "surrogate": get_bench(name).surrogate,
        }
        for name in bench_names()
    ]


def _cards(libraries: Sequence[Path]) -> Rows:
    """Cards by name, each from the folder in which a recipe would find it."""
    from imccircuit.devices.cards import CARDS, list_cards, load_card
    from imccircuit.recipes.paths import library_folders

    found: dict[str, dict[str, str]] = {}
    for folder in (*library_folders(libraries), None):
        for name, kind in list_cards(folder).items():
            is_here = folder is None or (folder / f"{name}.toml").is_file()
            if is_here and kind in CARDS and name not in found:
                card = load_card(name, kind, folder)  # type: ignore[call-overload]
                found[name] = {"name": name, "kind": kind, "what": card.description}
    return list(found.values())


def _surrogates() -> Rows:
    from imccircuit.surrogates.registry import get_kind, kind_names

    return [
        {"name": name, "what": (get_kind(name).__doc__ or "").strip().partition("\n")[0]}
        for name in kind_names()
    ]


def _targets() -> Rows:
    from imccircuit.exporters.registry import get_target, target_names

    return [{"name": name, "what": get_target(name).summary} for name in target_names()]


_LISTS: dict[What, Callable[[], Rows]] = {
    What.RECIPES: _recipes,
    What.BENCHES: _benches,
    What.SURROGATES: _surrogates,
    What.TARGETS: _targets,
}
