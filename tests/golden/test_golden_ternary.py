"""Ternary weights on differential pairs: LRS/HRS, HRS/HRS, HRS/LRS, and their currents by hand."""

import numpy as np
import pytest
from driving import measure

from imccircuit.benches.registry import get_bench
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.recipes.load import load_recipe

pytestmark = pytest.mark.ngspice

WEIGHTS = [[1, 0], [-1, 1], [1, -1], [0, 0]]
VOLTS = [[0.2, 0.1, 0.05, 0.2], [0.0, 0.2, 0.2, 0.1]]
LRS, HRS = 39e-6, 0.74e-6


def test_pair_currents_of_ternary_weights(tmp_path):
    path = tmp_path / "ternary.toml"
    path.write_text(f"""
title = "t"
takes = "1 s on two cores"
bench = "crossbar_mvm"
[circuit]
weights = {WEIGHTS}
differential = true
row_segment_resistance = "0 ohm"
column_segment_resistance = "0 ohm"
[stimulus]
voltages = {VOLTS}
""")
    parameters = load_recipe(str(path), []).parameters({})
    found = measure(get_bench("crossbar_mvm"), parameters, NgspiceEngine())
    expected = {1: (LRS, HRS), 0: (HRS, HRS), -1: (HRS, LRS)}
    for row, weights in enumerate(WEIGHTS):
        for pair, weight in enumerate(weights):
            halves = found["conductance"][row, 2 * pair : 2 * pair + 2]
            np.testing.assert_allclose(halves, expected[weight], rtol=1e-12)
    # Without wires a pair gives (LRS − HRS)·Σ w·v: the states cancel where the weight is 0.
    by_hand = (LRS - HRS) * np.array(VOLTS) @ np.array(WEIGHTS)
    np.testing.assert_allclose(found["pair_current"], by_hand, rtol=1e-9, atol=1e-15)
