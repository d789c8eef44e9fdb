"""The read-out bench: what physics demands of it, its costs, and what it refuses to measure."""

from dataclasses import replace

import numpy as np
import pytest
from driving import measure
from pydantic import ValidationError
from test_benches_technology import write_foundry

from imccircuit.benches.bench import MeasurementError, Variation
from imccircuit.benches.readout_front import draw_front, pair_sigma_v
from imccircuit.benches.readout_parameters import ReadoutParameters
from imccircuit.benches.readout_problems import Fixture
from imccircuit.benches.readout_transfer import BENCH, transfer_figures
from imccircuit.devices.cards import load_card
from imccircuit.devices.draws import Draws
from imccircuit.engines.ngspice import NgspiceEngine

KINDS = ("tia", "integrator", "clamp_mirror")
FEW = {"levels": 5, "overdrive": 0.0}
ngspice = pytest.mark.ngspice


def parameters(circuit, stimulus=None, **conditions):
    given = {"circuit": circuit, "stimulus": stimulus or {}, "conditions": conditions}
    return ReadoutParameters.model_validate(given, context={"trusted": True})


def run(circuit, stimulus=None, **conditions):
    return measure(BENCH, parameters(circuit, stimulus, **conditions), NgspiceEngine())


def transistor(kind, stimulus=None, **conditions):
    return run({"kind": kind, "implementation": "transistor"}, stimulus, **conditions)


def figures(given, front):
    """Figures of the transfer curve alone."""
    fixture = Fixture(given, front)
    (outcome,) = NgspiceEngine().solve([fixture.transfer()])
    curve = fixture.read_transfer(outcome.answer)
    return transfer_figures(given, front, fixture.currents_a(), *curve)


def nominal(given):
    return draw_front(given, Variation(Draws(0, 0)))


@ngspice
@pytest.mark.parametrize("kind", KINDS)
def test_transistors_do_what_they_are_designed_for(kind):
    arrays = transistor(kind, {"overdrive": 0.0})
    # What the page says of the shipped sizes, rounded up.
    assert np.max(np.abs(arrays["inl_end_point"])) < 1.0
    assert abs(arrays["gain_error"]) < 0.05
    assert abs(arrays["offset_voltage"]) < 5e-3
    assert 0 < arrays["input_resistance"] < 250
    assert np.all(arrays["settling_time"] > 0)
    assert 0 < arrays["noise_sigma"] < arrays["lsb"]
    assert np.isfinite(arrays["energy"]).all()
    assert arrays["area"] > 0


@ngspice
def test_impedance_scaling_changes_noise_alone():
    small = run({"kind": "tia"}, FEW)
    large = run(
        {
            "kind": "tia",
            "feedback_resistance": 20e3,
            "feedback_capacitance": 50e-15,
            "amplifier": {"input_resistance": 2e9, "noise_resistance": 10e3},
        },
        FEW | {"current_high": 20e-6, "cell_conductance": 200e-6, "line_capacitance": 50e-15},
    )
    # Twice every impedance, half every current: the same voltages, twice the noise power, and half
    # the power from the rows. Rounding and reltol are all that differ.
    np.testing.assert_allclose(large["step_response"], small["step_response"], atol=1e-6)
    np.testing.assert_allclose(large["settling_time"], small["settling_time"], rtol=1e-4)
    np.testing.assert_allclose(large["noise_sigma"], np.sqrt(2) * small["noise_sigma"], rtol=1e-6)
    np.testing.assert_allclose(2 * large["energy"][0], small["energy"][0], rtol=1e-4)


@ngspice
def test_noise_power_is_proportional_to_temperature():
    cold, hot = (run({"kind": "tia"}, FEW, temperature=t)["noise_sigma"] for t in (-40.0, 125.0))
    np.testing.assert_allclose(hot / cold, np.sqrt(398.15 / 233.15), rtol=1e-4)


@ngspice
def test_corner_temperature_and_supply_of_transistors():
    # A slower corner has a more resistive reset switch, whose voltage adds to the integral.
    gain = [abs(transistor("integrator", FEW, corner=c)["gain"]) for c in ("ff", "tt", "ss")]
    assert gain[0] < gain[1] < gain[2]
    # At a given current transconductance falls with temperature, and the loop gets slower.
    times = [
        transistor("tia", FEW, temperature=t)["settling_time"][0] for t in (-20.0, 27.0, 100.0)
    ]
    assert times[0] < times[1] < times[2]
    # The load ends at the supply, and the bias is a current: power is in proportion.
    low, high = (transistor("clamp_mirror", FEW, supply=v) for v in (1.15, 1.25))
    assert abs(high["output_voltage"][0] - low["output_voltage"][0] - 0.1) < 0.005
    assert high["energy"][2] > low["energy"][2]


@ngspice
def test_threshold_of_the_pair_is_the_offset():
    given = parameters({"kind": "tia", "implementation": "transistor"}, FEW)
    front = nominal(given)
    base = figures(given, front)["offset_voltage"]
    moved = {}
    for name in front.transistors():
        amplifier = replace(front.amplifier, mismatch={name: (1e-3, 1.0)})
        shift = figures(given, replace(front, amplifier=amplifier))["offset_voltage"] - base
        moved[name] = shift / 1e-3
    # One to one but for the mobility, which depends on the threshold too: 4 %.
    np.testing.assert_allclose([moved["p1"], -moved["p2"]], 1.0, atol=0.05)
    # The load counts by its transconductance over the pair's, with no sign left to chance.
    np.testing.assert_allclose(moved["n1"], -moved["n2"], rtol=0.03)
    assert 0.4 < moved["n1"] < 0.8
    for name in ("bias", "tail", "source", "driver"):
        assert abs(moved[name]) < 0.02
    width, length = front.transistors()["p1"][1:]
    by_hand = 2.5e-9 * np.sqrt(2 / (width * length))
    np.testing.assert_allclose(pair_sigma_v(front), by_hand, rtol=1e-12)
    wl = np.prod(front.transistors()["n1"][1:])
    hand = np.hypot(by_hand * moved["p1"], moved["n1"] * 2.5e-9 * np.sqrt(2 / wl))
    chips = [
        figures(given, draw_front(given, Variation(Draws(7, k), frozenset({"transistor"}))))
        for k in range(40)
    ]
    spread = np.std([chip["offset_voltage"] for chip in chips], ddof=1)
    # 99 % of chi-square with 39 degrees of freedom: σ within 0.72 and 1.30 of the hand estimate.
    assert 0.72 < spread / hand < 1.30


@ngspice
def test_energy_and_area_by_hand():
    arrays = run({"kind": "tia"}, FEW)
    shares = np.array([0.25, 0.5, 0.75, 1.0])
    current = 40e-6 * shares
    # Rows at V_ref + I/G_s give I for one step; edges and the input's movement are 1 %.
    wanted = np.mean(current * (0.6 + current / 400e-6)) * 30e-9
    np.testing.assert_allclose(arrays["energy"][0], wanted, rtol=0.03)
    assert np.isnan(arrays["energy"][2])
    assert np.isnan(arrays["area"])
    made = transistor("tia", FEW)
    # Bias diode, tail and second stage: 1 + 2 + 10 times 40 uA, from 1.2 V, over 60 ns; the
    # current of the second stage rises by a tenth with its drain-source voltage.
    np.testing.assert_allclose(made["energy"][2], 13 * 40e-6 * 1.2 * 60e-9, rtol=0.15)
    sizes = [(9.6, 0.12), (19.2, 0.12), (24, 0.12), (24, 0.12), (4.8, 0.36), (4.8, 0.36),
             (96, 0.12), (48, 0.36)]  # fmt: skip
    area = sum((w + 0.15) * (length + 0.18) for w, length in sizes)  # um²
    area += 300 / 2 + (10e3 + 300) / 300 * 0.1  # 300 fF at 2 fF/um², squares of 300 ohm
    np.testing.assert_allclose(made["area"], area * 1e-12, rtol=1e-9)


@ngspice
def test_offset_is_drawn_per_chip_and_moves_nothing_else():
    given = parameters({"kind": "tia", "amplifier": {"offset_sigma": 2e-3}}, FEW)
    drawn = [
        measure(BENCH, given, NgspiceEngine(), entropy=3, quantities=("offset",)) for _ in range(2)
    ]
    still = measure(BENCH, given, NgspiceEngine(), entropy=3)
    assert drawn[0]["offset_voltage"] == drawn[1]["offset_voltage"] != still["offset_voltage"]
    np.testing.assert_allclose(drawn[0]["gain"], still["gain"], rtol=1e-9)


@ngspice
@pytest.mark.parametrize(
    ("circuit", "stimulus", "message"),
    [
        ({"kind": "tia", "reference_voltage": 0.3}, {}, "saturated within the range"),
        ({"kind": "tia"}, {"step_time": 8e-9}, "has not settled|does not recover"),
        # So slow that no step moves it: within its band all the time.
        ({"kind": "tia", "feedback_capacitance": 1e-6}, {}, "where the transfer curve says"),
        ({"kind": "integrator", "reset_time": 1.5e-9}, {}, "has not settled|does not recover"),
        ({"kind": "integrator", "integration_time": 40e-9}, {}, "saturated within the range"),
    ],
)
def test_what_is_no_measurement(circuit, stimulus, message):
    with pytest.raises(MeasurementError, match=message):
        run(circuit, stimulus)


@ngspice
def test_transistors_without_supply_enough_are_no_measurement():
    # An operating point there is, but no current in the input pair for a step.
    with pytest.raises(MeasurementError, match="where the transfer curve says"):
        transistor("tia", FEW, supply=0.7)
    # All of the range beyond the mirror's saturation: no part of it is steeper than the rest.
    with pytest.raises(MeasurementError, match="saturated within the range"):
        transistor("clamp_mirror", FEW | {"current_low": 150e-6, "current_high": 190e-6})


@pytest.mark.parametrize(
    ("circuit", "stimulus", "message"),
    [
        ({"amplifier": {"swing_low": 1.1, "swing_high": 0.1}}, {}, "swing_low < swing_high"),
        ({"amplifier": {"gain": -1000.0}}, {}, "greater than 0"),
        ({"kind": "integrator", "feedback_capacitance": 0.0}, {}, "above 0 F"),
        ({"reference_voltage": 1.15}, {}, "outside the amplifier's swing"),
        ({"implementation": "transistor", "reference_voltage": 1.3}, {}, "outside the supply"),
        ({"kind": "clamp_mirror"}, {"current_low": -20e-6}, "cuts the clamp off"),
        ({}, {"current_low": 50e-6}, "current_low < current_high"),
        ({}, {"cell_conductance": 0.0}, "greater than 0"),
        ({"kind": "tia_"}, {}, "tia"),
    ],
)
def test_bad_input_is_named(circuit, stimulus, message):
    with pytest.raises(ValidationError, match=message):
        parameters(circuit, stimulus)


def test_behavioural_has_no_corner():
    with pytest.raises(ValidationError, match="would change nothing"):
        parameters({"kind": "tia"}, corner="ff")


@ngspice
def test_other_technology_with_the_same_models(tmp_path):
    write_foundry(tmp_path)
    given = parameters({"kind": "clamp_mirror", "implementation": "transistor"}, FEW)
    card = load_card(str(tmp_path / "foundry.toml"), "mos")
    other = given.model_copy(update={"technology": card})
    same = [figures(p, nominal(p))["output_voltage"] for p in (given, other)]
    np.testing.assert_array_equal(*same)


def test_supply_of_a_behavioural_clamp_is_where_its_load_ends():
    def given(**circuit):
        return BENCH.parameters.model_validate(
            {"circuit": {"kind": "clamp_mirror", **circuit}, "conditions": {"supply": 1.0}},
            context={"trusted": True},
        )

    assert given().top_v == 1.0
    for circuit in ({"load_voltage": 1.1}, {"kind": "tia"}):
        with pytest.raises(ValueError, match="supply would change nothing"):
            given(**circuit)


def test_the_current_that_keeps_a_behavioural_clamp_alive_is_not_modelled():
    found = BENCH.parameters.model_validate({"circuit": {"kind": "clamp_mirror"}})
    assert "keep current" in BENCH.coordinates(found)["block"].values
