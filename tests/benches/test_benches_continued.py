"""Which operating points may go on from one another: those of linear circuits."""

import pytest

from imccircuit.benches.problem import OperatingPoint
from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan

SMALL = ["circuit.rows=2", "circuit.cols=2", "stimulus.batch=2"]


@pytest.mark.parametrize(
    ("recipe", "settings", "linear"),
    [
        ("crossbar_ir_drop", SMALL, True),
        ("crossbar_ir_drop", [*SMALL, 'circuit.readout="tia"'], True),
        (
            "crossbar_ir_drop",
            [*SMALL, 'circuit.cell="1r_sinh"', 'circuit.device_card="rram_sinh"'],
            False,
        ),
        ("crossbar_ir_drop", [*SMALL, 'circuit.cell="1t1r"'], False),
        ("rram_iv", [], True),
        ("onet1r_iv", [], False),
    ],
)
def test_only_linear_circuits_go_on(recipe, settings, linear):
    # Where Newton's iteration stops depends on where it starts, except in a linear circuit.
    plan = Plan(load_recipe(recipe, settings))
    problem = next(plan.recipe.bench.measure(plan.parameters(0), plan.variation(0, 0)))
    assert problem.analysis == OperatingPoint(continued=linear)
