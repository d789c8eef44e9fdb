"""The bench of 1T1R columns: symmetries, directions of physics, what it refuses."""

import numpy as np
import pytest
from driving import measure

from imccircuit import library
from imccircuit.benches.bench import Variation
from imccircuit.benches.irc_column import BENCH
from imccircuit.benches.irc_drawn import PATTERNS, draw_cells, position_patterns
from imccircuit.devices.cards import load_card
from imccircuit.devices.draws import Draws
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.errors import InputError
from imccircuit.recipes.load import load_recipe

ROWS = 8


def parameters(circuit=None, stimulus=None, **conditions):
    tables = {
        "circuit": {"rows": ROWS, **(circuit or {})},
        "stimulus": stimulus or {},
        "conditions": conditions,
    }
    return BENCH.parameters.model_validate(tables, context={"trusted": True})


def run(circuit=None, stimulus=None, *, quantities=(), **conditions):
    return measure(BENCH, parameters(circuit, stimulus, **conditions), NgspiceEngine(),
                   quantities=quantities)  # fmt: skip


@pytest.mark.ngspice
def test_ternary_pair():
    rng = np.random.default_rng(5)
    weights = rng.integers(-1, 2, ROWS).astype(float)
    inputs = np.vstack([np.zeros(ROWS), np.eye(ROWS), rng.integers(0, 2, (4, ROWS))])
    tables = {"ternary": True, "weights": weights, "word_line_voltage": 0.6}
    found = run(tables, {"inputs": inputs})
    np.testing.assert_array_equal(found["ideal_sum"], inputs @ weights)
    # Negated weights exchange the columns: the same cells, the same wires.
    negated = run({**tables, "weights": -weights}, {"inputs": inputs})
    np.testing.assert_allclose(negated["pair_current"], found["pair_current"][:, ::-1], rtol=1e-9)
    # One active row: its weight says which column has the larger current.
    np.testing.assert_array_equal(
        np.sign(np.round(found["pair_difference"][1 : 1 + ROWS], 9)), weights
    )
    cell = found["lrs_current"][0].mean() - found["hrs_current"].mean()
    np.testing.assert_allclose(
        found["pair_difference"], cell * found["ideal_sum"], atol=0.15 * cell
    )


@pytest.mark.ngspice
def test_extra_bias_lifts_both_columns_by_its_current():
    tables = {"ternary": True, "word_line_voltage": 0.6}
    inputs = {"inputs": np.eye(ROWS)}
    without, found = run(tables, inputs), run({**tables, "bias_rows": 4}, inputs)
    lift = found["common_mode"] - without["common_mode"]
    # In the bias current three more cells of the same column bend the wires: up to 2 %.
    np.testing.assert_allclose(lift, found["bias_current"], rtol=0.02)
    assert found["bias_current"] == pytest.approx(
        4 * found["lrs_current"][0].mean(), rel=0.06, abs=0
    )
    assert without["bias_current"] == pytest.approx(without["leakage_current"], rel=1e-6, abs=0)
    assert found["energy"].shape == (3,)
    assert found["area"] == pytest.approx(12 / 8 * without["area"], rel=1e-12, abs=0)


@pytest.mark.ngspice
def test_scaling_all_conductances_scales_the_current(tmp_path):
    # Cells, wires and clamp of a tenth of the resistance and transistors ten times as wide: the
    # library has no narrow-width effects, so every current is ten times as large.
    text = (library.path("device_models") / "rram_10k.toml").read_text()
    (tmp_path / "low.toml").write_text(
        text.replace('"100 uS"', '"1 mS"').replace('"10 uS"', '"100 uS"')
    )
    one = run({"word_line_voltage": 0.7, "clamp_resistance": 20.0})
    ten = run(
        {
            "word_line_voltage": 0.7,
            "device_card": load_card(str(tmp_path / "low.toml"), "rram"),
            "transistor_width": 3.6e-6,
            "bit_segment_resistance": 0.2,
            "source_segment_resistance": 0.2,
            "clamp_resistance": 2.0,
        }
    )
    for name in ("sum_current", "position_current", "hrs_current"):
        np.testing.assert_allclose(ten[name], 10 * one[name], rtol=1e-5)
    np.testing.assert_allclose(ten["sum_linearity"], one["sum_linearity"], rtol=1e-5)


@pytest.mark.ngspice
def test_place_does_not_matter_without_wires():
    bare = {"bit_segment_resistance": 0.0, "source_segment_resistance": 0.0}
    found = run({**bare, "word_line_voltage": 0.8})
    np.testing.assert_allclose(found["position_current"], found["position_current"][0], rtol=1e-7)
    np.testing.assert_allclose(found["lrs_current"][0], found["lrs_current"][0, 0], rtol=1e-7)


@pytest.mark.ngspice
def test_corner_temperature_and_supply_move_it_as_physics_says():
    def cell(**more):
        conditions = {key: more.pop(key) for key in ("corner", "temperature", "supply")
                      if key in more}  # fmt: skip
        return run(more, {"active_rows": 2}, **conditions)["lrs_current"][0].mean()

    low = {"word_line_voltage": 0.5}
    assert cell(**low, corner="ff") > cell(**low) > cell(**low, corner="ss")
    # Near the threshold heat lowers the threshold, far above it the mobility.
    assert cell(**low, temperature=85.0) > 1.1 * cell(**low)
    assert cell(temperature=85.0) < cell()
    assert cell(supply=1.3) > cell() > cell(supply=1.1)
    assert cell(supply=0.5) == pytest.approx(cell(**low), rel=1e-12, abs=0)


@pytest.mark.ngspice
def test_energy_and_latency():
    found = run({"rows": 16, "word_line_voltage": 1.2})
    # The bit line feeds 0.2 V times the current for one of two half periods of 0.5 ns. Of 16 rows
    # 2, 6, 10 and 14 are active, half of them low: on average 4 low- and 4 high-resistive cells.
    current = 4 * found["lrs_current"][0].mean() + 4 * found["hrs_current"].mean()
    read, word = found["energy"]
    assert read == pytest.approx(0.2 * current * 0.5e-9, rel=0.06, abs=0)
    # Eight gates of 360 nm x 60 nm with overlaps and wires, charged to 1.2 V: 0.2 to 0.6 fF each.
    assert 8 * 0.2e-15 * 1.2**2 < word < 8 * 0.6e-15 * 1.2**2
    assert 5e-12 < found["latency"] < 200e-12
    more = run({"rows": 16, "word_line_voltage": 0.6})
    assert more["energy"][0] < read
    assert more["energy"][1] < word / 2


def test_draws_do_not_depend_on_bias_rows_voltage_or_ternary():
    def drawn(**circuit):
        return draw_cells(parameters(circuit), Variation(Draws(4, 2), frozenset(BENCH.quantities)))

    first = drawn()
    for other in (drawn(bias_rows=3), drawn(word_line_voltage=0.5), drawn(ternary=True)):
        np.testing.assert_array_equal(first.low_s, other.low_s)
        np.testing.assert_array_equal(first.delta_vth_v, other.delta_vth_v)
    assert np.all(first.high_s > 0)
    # Wider transistors have the same place in a narrower distribution.
    wide = drawn(transistor_width=4 * 360e-9)
    np.testing.assert_allclose(wide.delta_vth_v, first.delta_vth_v / 2, rtol=1e-12)


def test_cells_of_a_row_deviate_together_where_the_card_says_so(tmp_path):
    text = (library.path("device_models") / "rram_10k.toml").read_text()
    together = 'correlation = { value = "1", source = "x" }\ngroup = "row"\n'
    (tmp_path / "rows.toml").write_text(text + together)
    card = load_card(str(tmp_path / "rows.toml"), "rram")
    variation = Variation(Draws(1, 0), frozenset(["conductance"]))
    cells = draw_cells(parameters({"device_card": card}), variation)
    np.testing.assert_allclose(cells.low_s[0], cells.low_s[1], rtol=1e-9)
    assert np.ptp(cells.low_s[0, 0]) > 1e-6


@pytest.mark.parametrize("rows", [7, 8])
def test_patterns_hold_half_of_the_rows(rows):
    patterns = position_patterns(rows, 3)
    assert patterns.shape == (len(PATTERNS), rows)
    np.testing.assert_array_equal(patterns.sum(axis=1), rows // 2)
    assert patterns[0, 0]
    assert not patterns[0, -1]
    assert patterns[1, -1]


REFUSED = [
    ("circuit.bias_rows=65", "bias_rows = 65 is more than rows; allowed: 0 to 64"),
    ("stimulus.active_rows=65", "active_rows = 65 is more than circuit.rows; allowed: 2 to 64"),
    ("circuit.weights=[1, 0]", "weights has 2 entries; allowed: 64"),
    ('stimulus.read_voltage="0.4 V"', "allowed: up to 0.3 V"),
    ("stimulus.batch=3", "would change nothing with ternary = false"),
    ("circuit.device_card=rram_sinh", "linear"),
    ("circuit.rows=1", "allowed: >= 2"),
    ("circuit.sense_end=left", "opposite"),
    ('circuit.word_line_voltage="0 V"', "allowed: > 0 V"),
    ("conditions.corner=fast", "allowed: tt, ff, ss"),
    ('circuit.transistor_width="360"', "no unit"),
]


@pytest.mark.parametrize(("setting", "message"), REFUSED)
def test_refused_in_one_line(tmp_path, setting, message):
    path = tmp_path / "mine.toml"
    path.write_text('bench = "irc_column"\n')
    with pytest.raises(InputError) as caught:
        load_recipe(str(path), [setting]).parameters({})
    assert "\n" not in str(caught.value)
    assert message in str(caught.value)
    assert setting.partition("=")[0].partition(".")[0] in str(caught.value)


def test_more_refused():
    both = {"word_line_voltage": 0.5}
    with pytest.raises(ValueError, match=r"supply would change nothing"):
        parameters(both, supply=1.1)
    ternary = {"ternary": True}
    with pytest.raises(ValueError, match="not ternary; allowed: -1, 0 and 1"):
        parameters({**ternary, "weights": np.full(ROWS, 0.5)})
    with pytest.raises(ValueError, match=r"2 entries; allowed: 8"):
        parameters({**ternary, "weights": np.ones(2)})
    with pytest.raises(ValueError, match=r"allowed: shape \(batch, 8\)"):
        parameters(ternary, {"inputs": np.ones((2, 3))})
    with pytest.raises(ValueError, match="allowed: 0 and 1"):
        parameters(ternary, {"inputs": np.full((2, ROWS), 0.5)})


def test_the_read_time_moves_the_mean_and_needs_a_card_that_knows_time(tmp_path):
    def mean(time_s):
        tables = {"device_card": load_card("rram_techC", "rram"), "read_time": time_s}
        return draw_cells(parameters(tables), Variation(Draws(0, 0))).high_s.mean()

    # Relaxation lifts the high-resistance state, of all cells alike where none is drawn.
    assert mean(1e5) > 1.1 * mean(1.0)
    recipe = tmp_path / "r.toml"
    recipe.write_text('bench = "irc_column"\n[circuit]\nread_time = "1 s"\n')
    with pytest.raises(InputError, match=r"no measured spread, so no read time"):
        load_recipe(str(recipe)).parameters({})


@pytest.mark.ngspice
@pytest.mark.parametrize("rows", [2, 4, 12])
def test_any_number_of_rows_has_a_cost(rows):
    # The rows that are active are spread over the column, also where an eighth of it is no number.
    assert run({"rows": rows}, {"active_rows": 2})["energy"][0] > 0
