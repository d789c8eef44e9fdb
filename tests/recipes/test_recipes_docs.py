"""docs/recipes.md and docs/results-file.md name every key and variable, with its default."""

import json
import re
from pathlib import Path

import pytest

from imccircuit.benches.registry import bench_names, get_bench
from imccircuit.devices.figure import Card
from imccircuit.recipes.fields import field_keys, field_of, unit_of
from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.model import CommonTables
from imccircuit.recipes.plan import Plan
from imccircuit.units import SI, parse_quantity

DOCS = Path(__file__).parents[2] / "docs"


def rows(text):
    """Key → (unit, default) of the table rows of a section."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 4:
            found[cells[0].strip("`")] = (cells[1], cells[2].strip("`"))
    return found


def section(title):
    text = (DOCS / "recipes.md").read_text()
    return re.split(r"^## ", text.partition(f"## {title}\n")[2], flags=re.MULTILINE)[0]


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
    bench, table = get_bench(name), rows(section(f"Bench `{name}`"))
    shared = rows(section("Keys of every recipe"))
    table["conditions.temperature"] = shared["conditions.temperature"]
    check(table, bench.parameters)
    check(table, bench.gates, "gates.")
    assert table == {}
    for quantity in bench.quantities:
        assert f"`{quantity}`" in section(f"Bench `{name}`")


def test_every_common_key():
    table = rows(section("Keys of every recipe"))
    del table["conditions.temperature"]
    check(table, CommonTables)
    assert table == {}


def test_every_variable():
    text = (DOCS / "results-file.md").read_text()
    all_of_it = ["circuit.differential=true", "circuit.readout=tia"]
    for name, settings in (("crossbar_ir_drop", all_of_it), ("adc_sar8", [])):
        for variable in Plan(load_recipe(name, settings)).groups[0].variables:
            assert f"| `{variable.name}` | {', '.join(variable.dims)}" in text
