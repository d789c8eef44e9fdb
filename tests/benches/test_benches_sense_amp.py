"""The bench of sense amplifiers: symmetry, directions of physics, what it refuses."""

import numpy as np
import pytest
from driving import measure

from imccircuit.benches.bench import Variation
from imccircuit.benches.irc_column import BENCH as IRC
from imccircuit.benches.sense_amp import BENCH, OUTSIDE, RIGHT, TIE, UNDECIDED
from imccircuit.benches.sense_amplifier import draw_amplifier
from imccircuit.benches.sense_ternary import binary_inputs
from imccircuit.devices.draws import Draws
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.errors import InputError
from imccircuit.recipes.load import load_recipe


def run(circuit=None, stimulus=None, *, quantities=(), entropy=0, **conditions):
    tables = {"circuit": circuit or {}, "stimulus": stimulus or {}, "conditions": conditions}
    parameters = BENCH.parameters.model_validate(tables, context={"trusted": True})
    return measure(BENCH, parameters, NgspiceEngine(), quantities=quantities, entropy=entropy)


@pytest.mark.ngspice
def test_exchanged_inputs_exchange_the_answer():
    pairs = np.array([[24.0, 18], [60, 54], [31, 30], [150, 144], [1.0, 0.5]]) * 1e-6
    found = run(stimulus={"currents": np.vstack([pairs, pairs[:, ::-1]])})
    first, second = np.split(found["decision"], 2)
    np.testing.assert_array_equal(np.choose(first, [1, 0, 2]), second)
    outcome = found["outcome"][:5]
    np.testing.assert_array_equal(outcome[:3], RIGHT)
    # Beyond what the latch can sink, and below what it can charge in time: flagged.
    np.testing.assert_array_equal(outcome[3:], OUTSIDE)
    assert found["decision"][3] == 2
    np.testing.assert_array_equal(found["decision_level"] + found["decision_level"][::-1], 1)


QUICK = {"active_rows": 1, "offset_tolerance": 0.05}


@pytest.mark.ngspice
def test_corner_temperature_and_supply_move_it_as_physics_says():
    nominal = run(stimulus=QUICK)
    # The input's headroom is what ends the range: more supply, or a lower threshold, leaves more.
    assert run(stimulus=QUICK, supply=1.3)["range_high"] > 1.1 * nominal["range_high"]
    assert run(stimulus=QUICK, corner="ss")["range_high"] < 0.98 * nominal["range_high"]
    assert run(stimulus=QUICK, temperature=100.0)["latency"] > nominal["latency"]


@pytest.mark.ngspice
def test_short_phase_raises_the_low_end():
    fast = run(stimulus={"phase_time": 0.3e-9})
    # At 3 uA the outputs' nodes do not reach the latch's threshold within 0.3 ns.
    assert fast["range_low"] > 4e-6
    low = fast["pair_input"].mean(axis=1) < fast["range_low"]
    assert low.any()
    assert np.all(fast["outcome"][low] == OUTSIDE)
    assert np.all(fast["outcome"][~low] != UNDECIDED)


@pytest.mark.ngspice
def test_wider_mirrors_keep_their_place_in_a_narrower_distribution():
    quantities = ("transistor",)
    quick = {"stimulus": {"active_rows": 1}, "quantities": quantities, "entropy": 3}
    one = run({"mirror_widths": 8.0}, **quick)
    wide = run({"mirror_widths": 32.0}, **quick)
    np.testing.assert_allclose(wide["threshold_shift"][:4], one["threshold_shift"][:4] / 2,
                               rtol=1e-12)  # fmt: skip
    assert abs(one["offset_current"]) > abs(0.5 * one["hysteresis"])


REFUSED = [
    ('circuit.range_low="130 uA"', "is not below range_high"),
    ("circuit.bias_rows=65", "bias_rows = 65 is more than rows; allowed: 0 to 64"),
    ("stimulus.active_rows=65", "allowed: 1 to 64"),
    ("stimulus.counts=[[3, 3]]", "no right answer"),
    ("stimulus.counts=[[3, 2, 1]]", "allowed: shape (pair, 2)"),
    ("stimulus.counts=[[99, 2]]", "more active cells than rows"),
    ('stimulus.common_mode="400 uA"', "below largest_common_mode"),
    ("circuit.level=ideal", "transistor"),
    ('circuit.unit_current="6 uV"', "wrong dimension"),
    ('circuit.pair.clamp_resistance="1 ohm"', 'would change nothing with mapping = "counts"'),
    ("stimulus.batch=3", 'would change nothing with mapping = "counts"'),
    ("circuit.mapping=binary", "counts"),
]


@pytest.mark.parametrize(("setting", "message"), REFUSED)
def test_refused_in_one_line(tmp_path, setting, message):
    path = tmp_path / "mine.toml"
    path.write_text('bench = "sense_amp"\n')
    with pytest.raises(InputError) as caught:
        load_recipe(str(path), [setting]).parameters({})
    assert "\n" not in str(caught.value)
    assert message in str(caught.value)


TERNARY = 'bench = "sense_amp"\n[circuit]\nmapping = "ternary"\nrows = 4\n'
REFUSED_TERNARY = [
    ("circuit.pair.weights=[1, 0]", "circuit.pair.weights has 2 entries; allowed: 4"),
    ("circuit.pair.weights=[1, 0, 0.5, 1]", "not ternary; allowed: -1, 0 and 1"),
    ("stimulus.inputs=[[1, 0]]", "allowed: shape (batch, 4)"),
    ("stimulus.inputs=[[1, 0, 0.5, 1]]", "allowed: 0 and 1"),
    ("stimulus.counts=[[1, 0]]", 'would change nothing with mapping = "ternary"'),
    ('stimulus.currents=[["1 uA", "2 uA"]]', 'would change nothing with mapping = "ternary"'),
    ('stimulus.read_voltage="0.4 V"', "allowed: up to 0.3 V"),
    ("circuit.pair.device_card=rram_sinh", "linear"),
    ("circuit.rows=2000", "allowed: 2 to 1024"),
    ('circuit.pair.read_time="1 s"', "no measured spread, so no read time"),
]


@pytest.mark.parametrize(("setting", "message"), REFUSED_TERNARY)
def test_refused_of_a_ternary_pair_in_one_line(tmp_path, setting, message):
    path = tmp_path / "mine.toml"
    path.write_text(TERNARY)
    with pytest.raises(InputError) as caught:
        load_recipe(str(path), [setting]).parameters({})
    assert "\n" not in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.ngspice
def test_negated_weights_exchange_the_columns_and_the_answer():
    weights = np.array([1.0, -1, 1, 0])
    inputs = np.vstack([np.eye(4), np.ones(4)])
    tables = {"mapping": "ternary", "rows": 4, "level": "behavioural", "range_low": 1e-6}

    def answer(signed):
        pair = {"weights": signed, "word_line_voltage": 0.7}
        return run({**tables, "pair": pair}, {"inputs": inputs})

    one, other = answer(weights), answer(-weights)
    np.testing.assert_allclose(one["pair_input"], other["pair_input"][:, ::-1], rtol=1e-9)
    np.testing.assert_array_equal(one["outcome"], [RIGHT, RIGHT, RIGHT, TIE, RIGHT])
    np.testing.assert_array_equal(one["outcome"], other["outcome"])
    answered = one["outcome"] != TIE
    np.testing.assert_array_equal(one["decision"][answered], 1 - other["decision"][answered])


@pytest.mark.ngspice
def test_the_cells_are_those_of_the_column_for_the_same_chip():
    weights, inputs = np.array([1.0, -1, 0]), np.eye(3)
    quantities, cells = ("conductance", "threshold"), {"word_line_voltage": 0.6}
    column = IRC.parameters.model_validate(
        {"circuit": {"rows": 3, "ternary": True, "weights": weights, **cells},
         "stimulus": {"inputs": inputs, "active_rows": 2}}, context={"trusted": True},
    )  # fmt: skip
    there = measure(IRC, column, NgspiceEngine(), quantities=quantities, entropy=7)
    here = run({"mapping": "ternary", "rows": 3, "level": "behavioural",
                "pair": {"weights": weights, **cells}},
               {"inputs": inputs}, quantities=quantities, entropy=7)  # fmt: skip
    np.testing.assert_allclose(here["pair_input"], there["pair_current"], rtol=1e-12)


def test_drawn_inputs_have_evenly_likely_counts_and_no_answer_is_no_share():
    tables = {"circuit": {"mapping": "ternary"}, "stimulus": {"batch": 4000, "active_rows": 8}}
    given = BENCH.parameters.model_validate(tables, context={"trusted": True})
    counts = np.bincount(binary_inputs(given, 3).sum(axis=1).astype(int), minlength=9)
    assert counts[0] == 0
    # 500 of each are expected, with a standard deviation of 21.
    assert np.all(np.abs(counts[1:] - 500) < 5 * 21)


def test_axes_that_are_only_bounds_are_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('bench = "sense_amp"\n')
    axis = "sweep=[{ 'circuit.rows' = [32, 64] }]"
    with pytest.raises(InputError, match=r"sweep.circuit.rows .* only bounds the counts"):
        load_recipe(str(path), ["stimulus.active_rows=4", axis])
    load_recipe(str(path), ["circuit.mapping=ternary", axis])


def test_no_temperature_without_transistors(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('bench = "sense_amp"\n[conditions]\ntemperature = "85 degC"\n')
    with pytest.raises(InputError, match="temperature would change nothing"):
        load_recipe(str(path), ["circuit.level=behavioural"]).parameters({})
    load_recipe(str(path), ["circuit.level=behavioural", "circuit.mapping=ternary"]).parameters({})


def test_supply_of_a_behavioural_amplifier_holds_its_inputs():
    tables = {"circuit": {"level": "behavioural"}, "conditions": {"supply": 1.0}}
    given = BENCH.parameters.model_validate(tables, context={"trusted": True})
    assert draw_amplifier(given, Variation(Draws(0, 0))).circuit.core.input_v == 0.5
    tables["conditions"] = {"corner": "ss"}
    with pytest.raises(ValueError, match="would change nothing"):
        BENCH.parameters.model_validate(tables, context={"trusted": True})
