"""``--unset``: keys, tables and axes are taken out before ``--set`` is applied."""

import pytest

from imccircuit.cli.main import run_command
from imccircuit.errors import ExitCode, InputError
from imccircuit.recipes.load import load_recipe

TEXT = """
bench = "crossbar_mvm"
engine = "nodal"

[circuit]
rows = 4
cols = 3
driver_resistance = "2 ohm"

[variation]
samples = 3
quantities = ["conductance"]

[[sweep]]
circuit.row_segment_resistance = ["1 ohm", "2 ohm"]
circuit.column_segment_resistance = ["1 ohm", "2 ohm"]

[[sweep]]
circuit.driver_resistance = ["3 ohm", "5 ohm"]
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(TEXT)
    return str(file)


def axes(recipe):
    return [list(axis.values) for axis in recipe.axes]


def test_a_key_goes_back_to_its_default_and_loses_its_axis(path):
    recipe = load_recipe(path, unset=["circuit.driver_resistance"])
    default = type(recipe.parameters({}).circuit).model_fields["driver_resistance"].default
    assert recipe.parameters({}).circuit.driver_resistance == default
    assert axes(recipe) == [["circuit.row_segment_resistance", "circuit.column_segment_resistance"]]


def test_one_of_the_keys_of_an_axis(path):
    recipe = load_recipe(path, unset=["circuit.row_segment_resistance"])
    assert axes(recipe) == [["circuit.column_segment_resistance"], ["circuit.driver_resistance"]]


def test_a_whole_table_and_all_axes(path):
    assert load_recipe(path, unset=["variation"]).common.variation.samples == 1
    assert axes(load_recipe(path, unset=["sweep"])) == []
    assert axes(load_recipe(path, unset=["circuit"])) == []


def test_it_comes_before_set(path):
    recipe = load_recipe(path, ["circuit.rows=8"], unset=["circuit.rows"])
    assert recipe.parameters({}).circuit.rows == 8


@pytest.mark.parametrize("key", ["circuit.row", "circuit.rows.more", "circ", "", "circuit."])
def test_what_the_recipe_does_not_give(path, key):
    with pytest.raises(InputError, match="the recipe does not give") as caught:
        load_recipe(path, unset=[key])
    assert "--unset" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_verbs_take_it(path, tmp_path, capsys):
    words = [path, "--unset", "sweep", "--unset", "variation"]
    assert run_command(["run", *words, "-o", str(tmp_path / "x.h5"), "--dry-run"]) == ExitCode.GOOD
    assert "axis" not in capsys.readouterr().out
    assert run_command(["netlist", *words, "--point", "1"]) == ExitCode.USAGE
    assert "has 1 point(s) and 1 sample(s)" in capsys.readouterr().err
