"""docs/recipes.md and docs/results-file.md name every key and variable, with its default."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from imccircuit import library
from imccircuit.benches.cost import COST_VARIABLES
from imccircuit.benches.registry import bench_names, get_bench
from imccircuit.devices.figure import Card
from imccircuit.recipes.fields import field_keys, field_of, unit_of
from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.model import CommonTables
from imccircuit.recipes.plan import Plan
from imccircuit.units import SI, parse_quantity

DOCS = Path(__file__).parents[2] / "docs"


def is_recipe(name):
    text = library.find("characterize", name, ".toml").read_text()
    return tomllib.loads(text).get("kind") != "study"


def rows(text):
    """Key → (unit, default) of the table rows of a section."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 4:
            found[cells[0].strip("`")] = (cells[1], cells[2].strip("`"))
    return found


def section(text, title):
    return re.split(r"^## ", text.partition(f"## {title}\n")[2], flags=re.MULTILINE)[0]


def page(bench):
    return (DOCS / "benches" / f"{bench}.md").read_text()


def shared():
    return rows(section((DOCS / "recipes.md").read_text(), "Keys of every recipe"))


OF_EVERY_BENCH = (
    "technology",
    "conditions.temperature",
    "conditions.corner",
    "conditions.supply",
)


def default_of(field):
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None:
        return "none"
    if isinstance(value, Card):
        return value.file.stem
    return list(value) if isinstance(value, tuple) else value


def check(table, model, prefix=""):
    for key in field_keys(model):
        field = field_of(model, key)
        unit, written = table.pop(prefix + key)
        default = default_of(field)
        is_quantity = any(isinstance(mark, SI) for mark in field.metadata)
        if default in ("none", "required"):
            assert written == default, key
        elif is_quantity and isinstance(default, float):
            assert unit == unit_of(field), key
            assert parse_quantity(written.strip('"'), unit) == default, key
        else:
            assert written == json.dumps(default), key


@pytest.mark.parametrize("name", bench_names())
def test_every_key_of_a_bench(name):
    bench, keys = get_bench(name), section(page(name), "Keys")
    table = rows(keys) | {key: shared()[key] for key in OF_EVERY_BENCH}
    check(table, bench.parameters)
    check(table, bench.gates, "gates.")
    assert table == {}
    for quantity in bench.quantities:
        assert f"`{quantity}`" in keys


def test_every_common_key():
    table = shared()
    for key in OF_EVERY_BENCH:
        del table[key]
    check(table, CommonTables)
    assert table == {}


ALL_OF_IT = {"crossbar_ir_drop": ["circuit.differential=true", "circuit.readout=tia"]}
"""Settings with which a recipe has variables that it lacks by itself."""


@pytest.mark.parametrize("name", [n for n in library.names("characterize", ".toml")
                                  if is_recipe(n)])  # fmt: skip
def test_every_variable(name):
    recipe = load_recipe(name, ALL_OF_IT.get(name, []))
    text = section(page(recipe.bench.name), "Variables")
    for variable in Plan(recipe).groups[0].variables:
        if variable not in COST_VARIABLES:
            assert f"| `{variable.name}` | {', '.join(variable.dims)}" in text, variable.name
