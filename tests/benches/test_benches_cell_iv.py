"""What the bench of cell I-V curves does to its settings; the numbers are in tests/golden."""

import shutil

import numpy as np
import pytest
from driving import measure

from imccircuit import library
from imccircuit.benches.registry import get_bench
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.errors import InputError
from imccircuit.recipes.load import load_recipe

BENCH = get_bench("cell_iv")
FEW = ['stimulus.bit_line_voltages=["0.1 V", "0.3 V"]', "circuit.cells=1"]


def parameters(name, *settings):
    return load_recipe(name, list(settings)).parameters({})


def run(name, *settings, quantities=(), entropy=1):
    given = parameters(name, *FEW, *settings)
    return measure(BENCH, given, NgspiceEngine(), quantities=quantities, entropy=entropy)


def at_full_word_line(arrays):
    return arrays["cell_current"][..., -1, :]


@pytest.fixture(scope="module")
def usual():
    return run("onet1r_iv")


@pytest.mark.ngspice
def test_the_current_rises_with_both_voltages(usual):
    current = usual["cell_current"]
    assert np.all(np.diff(current, axis=-1) > 0)
    assert np.all(np.diff(current, axis=-2) > 0)
    assert np.all(np.diff(current, axis=0) < 0)  # 39 µS, then 0.74 µS
    np.testing.assert_allclose(usual["level_current"], current[:, 0, -1])
    np.testing.assert_allclose(usual["gated_current"], current[:, 0, :, -1])


@pytest.mark.ngspice
def test_corner_supply_and_temperature_move_the_current(usual):
    slow, fast = (run("onet1r_iv", f"conditions.corner={c}") for c in ("ss", "ff"))
    assert np.all(slow["cell_current"] < usual["cell_current"])
    assert np.all(usual["cell_current"] < fast["cell_current"])
    # The word lines are shares of the supply.
    high = run("onet1r_iv", 'conditions.supply="1.4 V"')
    assert np.all(high["cell_current"] > usual["cell_current"])
    np.testing.assert_allclose(high["word_line_voltage"], usual["word_line_voltage"] * 1.4 / 1.2)
    assert high["energy"][1] > usual["energy"][1]
    # Hot: below threshold more current, well above it less, for the mobility falls.
    hot = run("onet1r_iv", 'conditions.temperature="100 degC"')
    assert np.all(hot["cell_current"][0, 0, 0] > 2 * usual["cell_current"][0, 0, 0])
    assert np.all(at_full_word_line(hot)[0] < at_full_word_line(usual)[0])


@pytest.mark.ngspice
def test_a_wider_transistor_takes_less_of_the_voltage(usual):
    wide = run("onet1r_iv", 'circuit.transistor_width="480 nm"')
    assert np.all(at_full_word_line(wide)[0] > at_full_word_line(usual)[0])
    # It never gives more than the element alone.
    alone = usual["conductance"][0, 0] * np.array([0.1, 0.3])
    assert np.all(at_full_word_line(wide)[0, 0] < alone)
    assert wide["energy"][1] > usual["energy"][1]
    assert wide["area"] == usual["area"]  # still smaller than the layout's cell
    huge = run("onet1r_iv", 'circuit.transistor_width="5 um"', "circuit.cols=8")
    assert huge["area"] > usual["area"]


@pytest.mark.ngspice
def test_cells_side_by_side_do_not_know_of_each_other():
    both = run("rram_iv")["cell_current"]
    turned = run("rram_iv", 'circuit.levels=["39 uS", "20 uS", "8 uS", "0.74 uS"]')["cell_current"]
    np.testing.assert_allclose(turned[::-1], both, rtol=1e-12)


@pytest.mark.ngspice
def test_spread_and_read_time():
    few = "circuit.cells=200"
    early = run("rram_iv", few, quantities=["conductance"])
    late = run("rram_iv", few, 'circuit.read_time="1e5 s"', quantities=["conductance"])
    sd = [x["conductance"][3].std() for x in (early, late)]
    # 1.46 µS at 1 s and 2.95 µS at 1e5 s; 200 cells tell a deviation to 5 %, heavy tails to 15 %.
    np.testing.assert_allclose(sd, [1.46e-6, 2.95e-6], rtol=0.45)
    assert early["conductance"].min() > 0
    # Nominal cells are at the mean of that time.
    nominal = [run("rram_iv", f'circuit.read_time="{t}"')["conductance"] for t in ("0 s", "1e5 s")]
    np.testing.assert_allclose(nominal[0][:, 0], [0.74e-6, 8e-6, 20e-6, 39e-6], rtol=1e-9)
    assert not np.allclose(nominal[0], nominal[1], rtol=1e-3)


@pytest.mark.ngspice
def test_mismatch_is_a_draw_of_its_own(usual):
    varied = run("onet1r_iv", quantities=["transistor"])
    again = run("onet1r_iv", quantities=["transistor", "conductance"])
    np.testing.assert_array_equal(varied["conductance"], usual["conductance"])
    assert not np.allclose(varied["cell_current"], usual["cell_current"], rtol=1e-3)
    assert not np.allclose(again["conductance"], usual["conductance"], rtol=1e-3)


@pytest.mark.ngspice
def test_cells_of_a_row_that_deviate_together(tmp_path):
    shutil.copy(library.path("data") / "rram_relax_stats.csv", tmp_path)
    text = library.find("device_models", "rram_techC", ".toml").read_text()
    card = tmp_path / "mine.toml"
    card.write_text(
        text.replace("../data/", "")
        + 'correlation = { value = "1", source = "test" }\ngroup = "row"\n'
    )
    found = run("rram_iv", f"circuit.device_card={card}", "circuit.cells=5",
                quantities=["conductance"])["conductance"]  # fmt: skip
    np.testing.assert_allclose(found, found[:, :1] * np.ones(5), rtol=1e-9)


@pytest.mark.ngspice
def test_blocks_and_costs(usual):
    assert list(BENCH.coordinates(parameters("onet1r_iv"))["block"].values) == [
        "bit line", "word line",
    ]  # fmt: skip
    assert np.all(usual["energy"] > usual["energy_returned"])
    assert np.all(usual["energy_returned"] > 0)
    # The word line's energy is that of its charge: 128 gates of about 0.2 fF and 12.8 fF of wire.
    assert 0.5 * 1.2**2 * 30e-15 < usual["energy"][1] < 1.2**2 * 60e-15
    assert 1e-10 < usual["latency"] < 1e-9
    slow = run("onet1r_iv", 'circuit.driver_resistance="20 kohm"')
    assert slow["latency"] > 3 * usual["latency"]
    assert np.isnan(run("rram_iv")["area"])


@pytest.mark.ngspice
def test_a_read_that_is_too_short_is_no_measurement():
    from imccircuit.benches.bench import MeasurementError

    with pytest.raises(MeasurementError, match="has not settled"):
        run("onet1r_iv", 'circuit.driver_resistance="300 kohm"')


@pytest.mark.ngspice
def test_another_technology_of_subcircuits(tmp_path):
    from imccircuit.devices.cards import load_card

    folder = library.path("device_models")
    lib = (folder / "mos_generic.lib").read_text()
    wrap = (
        "\n.lib wrapped\n.lib 'mos_generic.lib' tt\n.subckt fet_n d g s b W=1u L=60n\n"
        "M1 d g s b imc_nmos W={W} L={L}\n.ends\n.subckt fet_p d g s b W=1u L=60n\n"
        "M1 d g s b imc_pmos W={W} L={L}\n.ends\n.endl wrapped\n"
    )
    (tmp_path / "mos_generic.lib").write_text(lib + wrap)
    text = (folder / "mos_generic.toml").read_text()
    text = text.replace("imc_nmos", "fet_n").replace("imc_pmos", "fet_p")
    text = text.replace('{ tt = "tt", ff = "ff", ss = "ss" }', '{ tt = "wrapped" }')
    text = text.replace('kind = "mos"', 'kind = "mos"\ndevice = "subcircuit"')
    (tmp_path / "kit.toml").write_text(text)
    load_card(tmp_path / "kit.toml", "mos")
    plain = run("onet1r_iv")["cell_current"]
    wrapped = run("onet1r_iv", f"technology={tmp_path}/kit.toml", "circuit.cols=3",
                  "variation.quantities=[]")["cell_current"]  # fmt: skip
    np.testing.assert_allclose(wrapped, plain, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "setting", "words"),
    [
        ("rram_iv", "circuit.cell=1r_sinh", ["V0", "rram_sinh"]),
        ("rram_iv", "circuit.device_card=rram_sinh", ["sinh law", "1r_sinh"]),
        ("rram_iv", 'circuit.sinh_voltage="0.3 V"', ["sinh_voltage", "1t1r"]),
        ("rram_iv", 'circuit.transistor_width="1 um"', ["transistor_width", "1t1r"]),
        ("rram_iv", "conditions.corner=ss", ["no transistor"]),
        ("rram_iv", 'conditions.supply="1 V"', ["no transistor"]),
        ("rram_iv", 'stimulus.word_line_voltages=["1 V"]', ["word_line_voltages would"]),
        ("rram_iv", 'circuit.levels=["50 uS"]', ["50 µS", "39.31"]),
        ("rram_iv", 'circuit.read_time="1e7 s"', ["read time", "allowed: 0 s to"]),
        ("rram_iv", "circuit.cells=5000", ["4096"]),
        ("rram_iv", 'stimulus.bit_line_voltages=["0.1 V", "0.1 V"]', ["rising"]),
        ("rram_iv", 'stimulus.bit_line_voltages=["0 V"]', ["above 0 V"]),
        ("rram_iv", 'stimulus.bit_line_voltages=["0.4 V"]', ["300 mV", "0.3 V"]),
        ("rram_iv", 'stimulus.edge_time="5 ns"', ["quarter"]),
        ("rram_iv", 'stimulus.bit_line_voltages=["0.1 A"]', ["dimension"]),
        ("onet1r_iv", "conditions.corner=sf", ["tt, ff, ss"]),
    ],
)
def test_bad_input_is_one_line(name, setting, words):
    with pytest.raises(InputError) as caught:
        parameters(name, setting)
    text = str(caught.value)
    assert "\n" not in text
    assert any(word in text for word in words), text


def test_a_supply_beside_given_word_lines():
    with pytest.raises(InputError, match="supply would change nothing"):
        parameters("onet1r_iv", 'stimulus.word_line_voltages=["1 V"]', 'conditions.supply="1 V"')


def hot_card(folder, name):
    text = (library.path("device_models") / f"{name}.toml").read_text()
    line = 'temperature_coefficient = { value = "-0.2 %/K", source = "x" }\n\n[conduction]'
    path = folder / "hot.toml"
    path.write_text(text.replace("[conduction]", line))
    return path


@pytest.mark.ngspice
@pytest.mark.parametrize(
    ("bench", "name", "current"),
    [("cell_iv", "rram_sinh", "cell_current"), ("crossbar_mvm", "rram_10k", "output_current"),
     ("irc_column", "rram_10k", "lrs_current")],
)  # fmt: skip
def test_temperature_reaches_cells_whose_card_knows_it(tmp_path, bench, name, current):
    """-0.2 % a kelvin: 77 degC leaves nine tenths of every conductance, and of a linear current."""
    path = tmp_path / "mine.toml"
    small = {
        "cell_iv": 'cell = "1r_sinh"',
        "crossbar_mvm": 'rows = 3\ncols = 2\nrow_segment_resistance = "0 ohm"\n'
        'column_segment_resistance = "0 ohm"',
        "irc_column": "rows = 2",
    }[bench]
    path.write_text(
        f'bench = "{bench}"\n[circuit]\n{small}\ndevice_card = "{hot_card(tmp_path, name)}"\n'
    )
    found = []
    for temperature in (27, 77):
        given = load_recipe(str(path), [f'conditions.temperature="{temperature} degC"'])
        found.append(measure(get_bench(bench), given.parameters({}), NgspiceEngine()))
    drawn = "low_conductance" if bench == "irc_column" else "conductance"
    np.testing.assert_allclose(found[1][drawn], 0.9 * found[0][drawn], rtol=1e-12)
    if bench == "irc_column":
        # In series with a transistor, which loses some of its own current to heat.
        ratio = found[1][current] / found[0][current]
        assert np.all((ratio < 0.94) & (ratio > 0.85))
    else:
        np.testing.assert_allclose(found[1][current], 0.9 * found[0][current], rtol=1e-6,
                                   atol=1e-15)  # fmt: skip
