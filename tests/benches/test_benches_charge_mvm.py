"""The charge-domain bench: shapes, patterns, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from driving import measure

from imccircuit.benches.bench import MeasurementError, Variation
from imccircuit.benches.charge_chip import make_chip
from imccircuit.benches.charge_mvm import BENCH
from imccircuit.benches.charge_parameters import ChargeParameters
from imccircuit.devices.draws import Draws
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.errors import InputError
from imccircuit.recipes.load import load_recipe
from imccircuit.validation import validate


def parameters(**tables):
    return validate(ChargeParameters, tables, file="mine.toml")


def chip(given, *, sample=0, quantities=()):
    return make_chip(given, Variation(Draws(1, sample), frozenset(quantities)))


@pytest.mark.ngspice
def test_arrays_are_as_declared():
    weights = [[1, -1], [-1, -1], [1, 1]]
    inputs = [[1, 1, 1], [-1, 1, -1], [1, -1, -1], [-1, -1, 1]]
    given = parameters(circuit={"weights": weights, "product": "xnor"},
                       stimulus={"inputs": inputs, "cost_vectors": 2})  # fmt: skip
    found = measure(BENCH, given, NgspiceEngine())
    np.testing.assert_array_equal(found["weight"], weights)
    np.testing.assert_array_equal(found["input"], inputs)
    # The sum of signed products is twice the products that are one, less the rows.
    signed = np.array(inputs) @ np.array(weights)
    np.testing.assert_array_equal(2 * found["active_products"] - 3, signed)
    step = np.rint(found["output_voltage"] / found["step_voltage"])
    np.testing.assert_array_equal(2 * step - 3, signed)
    # A line through fewer than three different sums is none.
    few = [len(np.unique(column)) < 3 for column in signed.T]
    np.testing.assert_array_equal(np.isnan(found["gain"]), few)
    np.testing.assert_array_equal(np.isnan(found["nonlinearity"]).all(axis=0), few)


@pytest.mark.ngspice
def test_output_that_does_not_settle():
    given = parameters(
        circuit={"rows": 64, "column_segment_resistance": "5 kohm", "weight_pattern": "ones"},
        stimulus={"batch": 3, "pattern": "staircase"},
    )
    with pytest.raises(MeasurementError, match=r"still moves by .* LSB.*share_time"):
        measure(BENCH, given, NgspiceEngine())


@pytest.mark.ngspice
@pytest.mark.parametrize(
    ("circuit", "supply"),
    [
        # 1 Gohm and 1 fF are a microsecond: lines stay where they were, at rest all the time.
        ({"switch_on_resistance": "1 Gohm"}, "0.9 V"),
        # Below the thresholds together the middle of the range does not pass.
        ({"switches": "transmission_gate"}, "0.4 V"),
    ],
)
def test_switches_that_do_not_conduct(circuit, supply):
    given = parameters(
        circuit={"rows": 8, "weight_pattern": "ones", **circuit},
        stimulus={"batch": 3, "pattern": "staircase"},
        conditions={"supply": supply},
    )
    with pytest.raises(MeasurementError, match="hardly conduct"):
        measure(BENCH, given, NgspiceEngine())


def test_staircase():
    given = parameters(circuit={"rows": 10, "weight_pattern": "ones"},
                       stimulus={"pattern": "staircase", "batch": 6})  # fmt: skip
    drawn = chip(given)
    np.testing.assert_array_equal(drawn.bits.sum(axis=1), [0, 2, 4, 6, 8, 10])
    np.testing.assert_array_equal(drawn.products[3, :, 0], [1] * 6 + [0] * 4)
    np.testing.assert_array_equal(BENCH.coordinates(given)["batch"].values, [0, 2, 4, 6, 8, 10])


def test_draws():
    given = parameters(circuit={"rows": 40, "cols": 3}, stimulus={"batch": 12})
    one, other = (chip(given, sample=k, quantities=("unit_capacitor",)) for k in (0, 1))
    # Weights and inputs are the task, the same for all chips; capacitors are each chip's own.
    np.testing.assert_array_equal(one.bits, other.bits)
    np.testing.assert_array_equal(one.array.stored, other.array.stored)
    assert np.all(one.array.capacitors_f != other.array.capacitors_f)
    assert np.std(one.bits.mean(axis=1)) > 0.15
    hot = parameters(circuit={"rows": 40, "cols": 3}, conditions={"temperature": "80 degC"})
    again = chip(hot, quantities=("unit_capacitor",))
    np.testing.assert_array_equal(one.array.capacitors_f, again.array.capacitors_f)
    assert np.ptp(chip(given).array.capacitors_f) == 0


def test_published_defaults():
    given = parameters(circuit={"rows": 128, "unit_capacitor": "1 fF"})
    assert given.line_f == pytest.approx(0.3 * 128e-15 + 2e-15, rel=1e-6, abs=0)
    assert chip(given).step_v == pytest.approx(
        1.2 * 1e-15 / (128e-15 + given.line_f), rel=1e-6, abs=0
    )


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"circuit": {"weights": [[0, 2]]}}, ["circuit.weights", "2", "allowed"]),
        ({"circuit": {"weights": [[0, 0.5]]}}, ["weights holds 0.5", "allowed: 0 or 1"]),
        ({"circuit": {"weights": [[0], [1]], "product": "xnor"}}, ["allowed: -1 or 1"]),
        ({"circuit": {"rows": 0}}, ["circuit.rows = 0", "1"]),
        ({"circuit": {"cols": 0}}, ["circuit.cols = 0", "1"]),
        ({"circuit": {"rows": 3, "weights": [[1, 0]]}}, ["rows = 3", "weights has 1"]),
        ({"circuit": {"storage": "6t"}}, ["6t", "transmission_gate"]),
        ({"circuit": {"unit_capacitor": "0 fF"}}, ["unit_capacitor", "0"]),
        ({"circuit": {"unit_capacitor": "1 ohm"}}, ["unit_capacitor", "dimension"]),
        ({"circuit": {"share_time": "0.5 ns"}}, ["share_time", "too short"]),
        ({"circuit": {"product": "or"}}, ["circuit.product", "or"]),
        ({"stimulus": {"inputs": [[1, -1]]}}, ["stimulus.inputs holds -1", "allowed: 0 or 1"]),
        ({"stimulus": {"inputs": [[1, 0]]}, "circuit": {"rows": 3}}, ["2 bits", "3 rows"]),
        ({"stimulus": {"batch": 1025}}, ["stimulus.batch = 1025", "1024"]),
        ({"stimulus": {"cost_vectors": 0}}, ["cost_vectors = 0"]),
        ({"conditions": {"corner": "ss"}}, ["corner", "no transistor", "allowed"]),
        ({"conditions": {"corner": "sf"}, "circuit": {"switches": "transmission_gate"}},
         ["corner", "sf", "allowed: tt"]),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(tables, words):
    with pytest.raises(InputError) as caught:
        parameters(**tables)
    text = str(caught.value)
    assert text.startswith("mine.toml")
    assert "\n" not in text
    for word in words:
        assert word in text


@pytest.mark.parametrize("name", ["charge_column", "charge_column_sizes", "charge_array"])
def test_shipped_recipes_fit_the_bench(name):
    recipe = load_recipe(name)
    assert recipe.bench is BENCH
    assert {axis for table in recipe.axes for axis in table.values} <= {"circuit.rows"}
