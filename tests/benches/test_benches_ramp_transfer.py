"""The ramp bench with transistors: headroom, corners, mismatch, columns, cost, bad input."""

import re
from dataclasses import replace

import numpy as np
import pytest
from driving import measure
from pydantic import ValidationError
from scipy.integrate import solve_ivp

from imccircuit import library
from imccircuit.benches.bench import MeasurementError, Variation
from imccircuit.benches.problem import OperatingPoint, Probe, Problem
from imccircuit.benches.ramp_converter import RampConverter
from imccircuit.benches.ramp_design import area_m2, draw_adc, logic_energy_j, nominal_adc
from imccircuit.benches.ramp_parameters import RampParameters
from imccircuit.benches.ramp_transfer import BENCH
from imccircuit.circuits.ramp_adc import ramp_adc
from imccircuit.circuits.technology import Technology
from imccircuit.devices.cards import load_card
from imccircuit.devices.draws import Draws
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = pytest.mark.ngspice


def parameters(conditions=None, stimulus=None, **circuit):
    tables = {"circuit": circuit, "conditions": conditions or {}, "stimulus": stimulus or {}}
    return RampParameters.model_validate(tables, context={"trusted": True})


def run(quantities=(), entropy=0, conditions=None, stimulus=None, **circuit):
    found = parameters(conditions, stimulus, **circuit)
    return measure(BENCH, found, NgspiceEngine(), quantities=quantities, entropy=entropy)


def inl(levels):
    q = (levels[-1] - levels[0]) / (len(levels) - 1)
    return float(np.max(np.abs((levels - levels[0]) / q - np.arange(len(levels)))))


def mirror_currents(cell, voltages, current, size="w=1e-6 l=1e-6"):
    """Output current of a mirror cell at DC, in a deck of its own."""
    from PySpice.Spice.Netlist import Circuit

    technology = Technology(parameters().technology, "tt", 1.2)
    circuit = Circuit("mirror at DC")
    circuit.raw_spice = "\n".join([
        technology.include_line, technology.cell(cell), "Vdd vdd 0 1.2", "Vout out 0 0",
        f"Xdut bias out vdd {cell} i={current!r} {size}",
    ])  # fmt: skip
    problem = Problem(
        circuit, OperatingPoint(), (Probe("i", ("i(vout)",), (), 1e-3),),
        alterations=tuple({"vout": float(v)} for v in voltages),
    )  # fmt: skip
    (outcome,) = NgspiceEngine().solve([problem])
    return outcome.answer.final("i")


@pytest.mark.parametrize(("cell", "kind"), [("ramp_mirror", "mirror"), ("ramp_cascode", "cascode")])
def test_ramp_is_the_integral_of_the_current_at_dc(cell, kind):
    found = run(ramp=kind, columns=1, mirror_width=1e-6, mirror_length=1e-6)
    voltages = np.linspace(0, 0.7, 71)
    currents = mirror_currents(cell, voltages, 0.6e-12 / 1.024e-6)
    edges = 4e-9 * np.arange(1, 256)
    # The output transistor's own junction and overlap, 1 to 2 fF of 1 pF, are a gain, not a shape.
    solved = solve_ivp(lambda _, v: np.interp(v, voltages, currents) / 1e-12, (0, edges[-1]),
                       found["ramp_level"][:1] * 0, t_eval=edges, rtol=1e-9, atol=1e-9)  # fmt: skip
    assert inl(found["ramp_level"]) == pytest.approx(inl(solved.y[0]), abs=0.01)
    assert found["ramp_level"][-1] == pytest.approx(solved.y[0][-1], rel=0.005, abs=0)


def by_hand(cell, full, size):
    """INL in LSB from 2^B·T/(8·r·C): r from end to end of the ramp, and r in its middle."""
    ramp_s, cap = 1.024e-6, 1e-12
    voltages = np.array([0, 0.49 * full, 0.51 * full, full])
    currents = mirror_currents(cell, voltages, full * cap / ramp_s, size)
    ends = full / (currents[0] - currents[3])
    middle = 0.02 * full / (currents[1] - currents[2])
    return tuple(256 * ramp_s / (8 * r * cap) for r in (ends, middle))


@pytest.mark.parametrize(
    ("kind", "full", "width", "length", "inl_lsb"),
    [
        ("mirror", 0.6, 1e-6, 1e-6, 0.36),
        ("mirror", 0.6, 1e-6, 60e-9, 2.20),
        ("mirror", 1.0, 120e-9, 60e-9, 4.34),
        ("cascode", 0.7, 1e-6, 1e-6, 0.03),
    ],
)
def test_inl_of_a_mirror_by_hand(kind, full, width, length, inl_lsb):
    """The technology's smallest transistor at 1 V gives 4.3 LSB, a cascode of 1 um 0.03."""
    found = run(ramp=kind, columns=1, reference_voltage=full, mirror_width=width,
                mirror_length=length)  # fmt: skip
    measured = inl(found["transition_level"])
    ends, middle = by_hand(f"ramp_{kind}", full, f"w={width!r} l={length!r}")
    # A reltol of 1e-5 leaves 0.005 LSB; the other percent is the rounding of what is quoted.
    assert measured == pytest.approx(inl_lsb, rel=0.01, abs=0.005)
    # Were the output resistance the same all along, or linear in the voltage, both would be exact.
    # It falls towards the end, faster and faster: one resistance is too large, the other too small.
    assert middle - 0.005 < measured < ends + 0.005
    # With half a volt left to the transistor that hardly matters; with 0.2 V it is a quarter.
    spread = ends / middle - 1
    assert spread < 0.05 + 0.005 / inl_lsb if full < 0.8 else 0.2 < spread < 0.4


def test_cascode_is_straighter_until_there_is_no_headroom():
    simple = run(ramp="mirror", columns=1, bits=6)
    cascode = run(ramp="cascode", columns=1, bits=6)
    low = run(ramp="cascode", columns=1, bits=6, conditions={"supply": 0.95})
    assert inl(simple["transition_level"]) > 5 * inl(cascode["transition_level"])
    assert inl(low["transition_level"]) > 3 * inl(cascode["transition_level"])
    with pytest.raises(MeasurementError, match="headroom"):
        run(ramp="cascode", columns=1, bits=6, conditions={"supply": 0.65})


def test_noise_grows_with_time_and_with_temperature():
    cold = run(ramp="mirror", columns=1, bits=5)
    hot = run(ramp="mirror", columns=1, bits=5, conditions={"temperature": 100.0})
    assert np.all(np.diff(cold["ramp_noise"]) > 0)
    assert hot["noise_sigma"] > cold["noise_sigma"]
    late = cold["ramp_noise"][-1] ** 2 - cold["ramp_noise"][0] ** 2
    middle = cold["ramp_noise"][15] ** 2 - cold["ramp_noise"][0] ** 2
    # 30 clocks against 15: twice if the current's noise is white, four times if it is drift.
    assert 2 < late / middle < 4
    more = run(ramp="mirror", columns=1, bits=5, stimulus={"noise_conversions": 10**6})
    assert more["noise_sigma"] > cold["noise_sigma"]


def test_mismatch_of_the_mirror_is_common_and_offsets_are_not():
    both = ("ramp_transistors", "comparator_offset")
    found = run(both, 3, ramp="mirror", columns=3, bits=5, comparator_offset_sigma=0.005)
    offset, levels = found["comparator_offset"], found["column_level"]
    assert len(set(offset)) == 3
    ramp = levels + offset[:, None]
    # 0.001 LSB, what a reltol of 1e-5 leaves.
    np.testing.assert_allclose(ramp, np.broadcast_to(ramp[0], ramp.shape), atol=2e-5)
    assert np.max(found["column_difference"]) < 0.02
    alone = run(both[:1], 3, ramp="mirror", columns=1, bits=5)
    assert found["ramp_slope"] == pytest.approx(float(alone["ramp_slope"]), rel=1e-5, abs=0)


def test_mismatch_of_the_pair_follows_the_card():
    """Threshold and mobility of the pair: σ = A/√(W·L), A as the card states it."""

    values = np.array([
        draw_adc(parameters(ramp="mirror", mirror_width=1e-6, mirror_length=1e-6),
                 Variation(Draws(0, k), frozenset({"ramp_transistors"}))).source.mismatch
        for k in range(400)
    ])  # fmt: skip
    # A sample's sd of 800 is within 4/√1600 = 10 % of the law's.
    assert np.std(values[..., 0]) == pytest.approx(2.5e-3, rel=0.1, abs=0)
    assert np.std(values[..., 1]) == pytest.approx(0.008, rel=0.1, abs=0)


def test_comparators_of_transistors_close_the_loop():
    common = {"ramp": "cascode", "reset_switch": "transmission_gate", "comparator": "transistor",
              "columns": 1, "bits": 4, "clock_period": 20e-9, "count_start": 16e-9}  # fmt: skip
    slow = run(conditions={"corner": "ss"}, **common)
    fast = run(conditions={"corner": "ff"}, **common, comparator_noise=1e-3)
    assert np.max(slow["loop_difference"]) < 0.1
    assert slow["comparator_delay"] > fast["comparator_delay"]
    assert np.all(np.isfinite(slow["energy"]))
    assert np.all(slow["energy"] > 0)
    assert slow["area"] > 0
    assert np.isnan(slow["comparator_offset"]).all()
    # Noise of the transistors is not simulated: none is claimed unless it is given.
    assert np.isnan([slow["noise_sigma"], slow["static_enob"]]).all()
    power = np.mean(fast["ramp_noise"] ** 2) + 1e-6
    assert fast["noise_sigma"] == pytest.approx(np.sqrt(power), rel=1e-9, abs=0)
    assert 2 < fast["static_enob"] < 4
    missing = {v.name: v.missing for v in BENCH.variables(parameters())}
    assert "not modelled" in missing["noise_sigma"]
    assert missing["noise_sigma"] == missing["static_enob"]


@pytest.fixture
def larger(tmp_path):
    """Card of another technology: 0.9 V, gates of 200 nm / 100 nm, the same models."""
    folder = library.path("device_models")
    text = (folder / "mos_generic.toml").read_text().replace('"1.2 V"', '"0.9 V"', 1)
    text = text.replace('"120 nm"', '"200 nm"').replace('"60 nm"', '"100 nm"')
    (tmp_path / "larger.toml").write_text(text)
    (tmp_path / "mos_generic.lib").write_text((folder / "mos_generic.lib").read_text())
    return load_card(tmp_path / "larger.toml", "mos")


def test_all_gates_are_those_of_the_technology(larger):
    whole = {"ramp": "cascode", "reset_switch": "transmission_gate", "comparator": "transistor",
             "columns": 1, "bits": 4, "clock_period": 20e-9, "count_start": 16e-9,
             "reference_voltage": 0.25}  # fmt: skip
    found = RampParameters.model_validate({"circuit": whole, "technology": larger},
                                          context={"trusted": True})  # fmt: skip
    text = str(ramp_adc(nominal_adc(found), [0.1]))
    lines = {line.split()[0].lower(): line for line in text.splitlines() if line}

    def sizes(name):
        words = re.findall(r"\b(w\w*|l\w*)=([\d.e-]+)", lines[name], re.IGNORECASE)
        return {key.lower(): round(float(value) / (2e-7 if key.lower()[0] == "w" else 1e-7), 6)
                for key, value in words}  # fmt: skip

    assert sizes("xreset") == {"wn": 2, "l": 1, "wp": 4, "lp": 1}
    assert sizes("mtail") == {"w": 64, "l": 8}
    assert sizes("xsource") == {"w": 8, "l": 16, "lc": 8}
    assert sizes("xcompare_0") == {"w": 32, "l": 3, "wt": 64, "lt": 8, "wload": 32, "lload": 3,
                                   "w_n": 8, "l_n": 1, "w_p": 1, "l_p": 1}  # fmt: skip
    # Mirror pair, cascodes and their bias; gate; tail twice, pair and load; inverter.
    gates = [(8, 16)] * 2 + [(8, 8)] * 2 + [(8, 64), (2, 1), (4, 1)]
    gates += [(64, 8)] * 2 + [(32, 3)] * 4 + [(8, 1), (1, 1)]
    transistors = sum((200e-9 * w + 150e-9) * (100e-9 * length + 180e-9) for w, length in gates)
    logic, capacitor = 4 * (9 + 4) * 1.5e-12, 1e-12 / 2e-3
    area = area_m2(nominal_adc(found))
    assert area == pytest.approx(transistors + logic + capacitor, rel=1e-9, abs=0)
    result = measure(BENCH, found, NgspiceEngine())
    assert np.max(result["loop_difference"]) < 0.1


def test_a_column_is_the_same_device_whatever_their_number():
    varied = frozenset({"comparator_transistors"})
    few, many = (
        draw_adc(parameters(comparator="transistor", columns=columns),
                 Variation(Draws(4, 2), varied)).comparator.mismatch
        for columns in (2, 5)
    )  # fmt: skip
    np.testing.assert_array_equal(many[:2], few)
    assert len(np.unique(many[..., 0])) == 5 * 4


def test_conversions_that_contradict_the_levels_are_no_measurement():
    # The comparator's pole remembers e^−4 of the conversion before: 256·e^−4 = 4.7 LSB.
    with pytest.raises(MeasurementError, match=r"LSB outside the levels.*reset_time"):
        run(columns=1, comparator_delay=10e-9, reset_time=40e-9)
    assert np.max(run(columns=1, comparator_delay=10e-9, reset_time=100e-9)["loop_difference"]) < 1


def test_logic_is_counted_toggles():
    adc = nominal_adc(parameters(bits=3, columns=1))
    # Codes 0 … 7 once each: k toggles up, and the ones of gray(k) = 0 1 2 1 2 3 2 1 back.
    energy = logic_energy_j(adc, np.arange(8)[:, None])
    assert energy["counter"] == pytest.approx(8e-15, rel=1e-6, abs=0)
    assert energy["column_latches"] == pytest.approx((28 + 12) / 8 * 1e-15, rel=1e-6, abs=0)


@pytest.mark.parametrize(
    ("circuit", "message"),
    [
        ({"clock_period": 0.0}, "greater than 0"),
        ({"current": 1e-7}, "reaches"),
        ({"output_resistance": 1e6}, "reaches"),
        ({"ramp": "cdac", "line_capacitor": 1e-12}, "reaches"),
        ({"ramp": "ladder", "comparator": "transistor"}, "staircase"),
        ({"comparator": "transistor", "comparator_offset": 0.001}, "would change nothing"),
        ({"ramp": "mirror", "reference_voltage": 1.3}, "supply"),
        ({"columns": 0}, "greater than or equal to 1"),
    ],
)
def test_bad_input(circuit, message):
    with pytest.raises(ValidationError, match=message):
        parameters(**circuit)


def test_a_corner_without_transistors_is_refused():
    with pytest.raises(ValidationError, match="no transistor"):
        parameters({"corner": "ss"}, ramp="ideal")


@pytest.mark.parametrize("wrong", [{"count_start": 2e-7}, {"comparator_offset": 1.0}])
def test_levels_beyond_full_scale_are_no_converter(wrong):
    # Its levels agree with the loop and are even, and yet every input gives the same code.
    with pytest.raises(MeasurementError, match="outside the full scale"):
        run(bits=4, columns=1, **wrong)


def run_of_levels(converter, solved):
    """What `RampConverter.levels` returns, its problems solved."""
    measurement = converter.levels()
    problem = next(measurement)
    while True:
        try:
            problem = measurement.send(solved(problem))
        except StopIteration as stop:
            return stop.value


def test_first_levels_are_those_of_a_dense_search():
    """Behind the reset the firing time stands still, then turns: inputs a fifth of an LSB apart."""
    whole = {"ramp": "cascode", "reset_switch": "transmission_gate", "comparator": "transistor",
             "columns": 1, "count_start": 16e-9}  # fmt: skip
    found = parameters({"corner": "ff"}, **whole)
    adc = nominal_adc(found)
    converter = RampConverter(adc, 27.0)

    def solved(problem, **options):
        (outcome,) = NgspiceEngine().solve(
            [replace(problem, options={**problem.options, **options})]
        )
        return outcome.answer

    inputs = adc.lsb_v * np.arange(0.0, 14.0, 0.2)
    run = solved(converter.conversions(np.append(adc.full_scale_v, inputs)), reltol=1e-7).runs[0]
    since = [converter.fire_times(run, i + 1)[0] - adc.release_s(i + 1) for i in range(len(inputs))]
    truth = np.interp(adc.edges_s(0)[:12] - adc.release_s(0), since, inputs)
    levels = run_of_levels(converter, solved)[0][0]
    # A straight line over 0.2 LSB where the slope changes by a third is off by 0.2/4·0.3 at most.
    np.testing.assert_allclose(levels[:12], truth, rtol=0, atol=0.015 * adc.lsb_v)
