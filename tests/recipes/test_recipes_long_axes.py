"""An axis of very many values: each is checked, a few are tried with all keys together."""

import numpy as np
import pytest

from imccircuit.errors import InputError
from imccircuit.recipes import sweep
from imccircuit.recipes.load import Recipe, load_recipe
from imccircuit.recipes.plan import Plan

KEY = "circuit.driver_resistance"


def plan(values, **other):
    axis = f"sweep=[{{{KEY!r}={values!r}}}]".replace("'", '"')
    sets = ["engine=nodal", "circuit.rows=2", "circuit.cols=2", axis]
    return Plan(load_recipe("crossbar_ir_drop", [*sets, *other.get("sets", ())]))


def test_a_long_axis_is_the_same_plan_as_if_every_value_were_tried(monkeypatch):
    values = [f"{1 + k / 1000:.3f} ohm" for k in range(300)]
    few = plan(values)
    monkeypatch.setattr(sweep, "MOST_TRIED", 1000)
    monkeypatch.setattr("imccircuit.recipes.plan.MOST_TRIED", 1000)
    every = plan(values)
    assert few.digest == every.digest
    assert few.points == every.points == 300
    (a,), (b,) = few.groups, every.groups
    np.testing.assert_array_equal(a.swept[KEY].values, b.swept[KEY].values)
    assert a.swept[KEY].unit == b.swept[KEY].unit == "ohm"
    np.testing.assert_array_equal(a.points, np.arange(300))


def test_few_values_are_tried(monkeypatch):
    tried = []
    real = Recipe.parameters

    def parameters(self, values):
        tried.append(values.get(KEY))
        return real(self, values)

    monkeypatch.setattr(Recipe, "parameters", parameters)
    found = plan([f"{k} ohm" for k in range(1, 20_001)])
    _ = found.groups
    different = {value for value in tried if value is not None}
    assert len(different) <= sweep.MOST_TRIED
    assert {"1 ohm", "20000 ohm"} <= different


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ("12", "no unit"),
        ("12 V", "wrong dimension"),
        ("-1 ohm", "greater than or equal to 0"),
        (12, "not a quantity with a unit"),
    ],
)
def test_a_wrong_value_between_those_that_are_tried_is_found(wrong, problem):
    values = ["1 ohm"] * 1000
    values[502] = wrong
    assert 502 not in sweep.Axis({KEY: values}).tried()
    with pytest.raises(InputError, match=rf"sweep\.{KEY} = .*{problem}") as refused:
        plan(values)
    assert "\n" not in str(refused.value)


def test_a_size_swept_far_makes_groups():
    sets = ["engine=nodal", "circuit.cols=1", 'sweep=[{"circuit.rows"={from=1,to=300,steps=300}}]']
    found = Plan(load_recipe("crossbar_ir_drop", sets))
    assert [group.sizes["row"] for group in found.groups] == list(range(1, 301))
