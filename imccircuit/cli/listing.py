"""``imccircuit list``: what there is to run, fit, export and draw."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer

from imccircuit import library
from imccircuit.cli.output import JsonFlag, say_json, say_table

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
    as_json: JsonFlag = False,
) -> None:
    """List recipes, benches, cards, surrogates or export targets."""
    rows = _LISTS[what]()
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


def _cards() -> Rows:
    from imccircuit.devices.cards import list_cards, load_card

    return [
        {"name": name, "kind": kind, "what": load_card(name, kind).description}  # type: ignore[call-overload]
        for name, kind in list_cards().items()
    ]


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
    What.CARDS: _cards,
    What.SURROGATES: _surrogates,
    What.TARGETS: _targets,
}
