"""The latch of a SAR converter: mismatch that is drawn, found in place, and in every level."""

import os
import shutil

import numpy as np
import pytest
from driving import measure

from imccircuit.benches.adc_latch import latch_offset
from imccircuit.benches.adc_null import static_against_loop
from imccircuit.benches.adc_parameters import AdcParameters, Circuit, Stimulus
from imccircuit.benches.adc_sar import SarConverter, draw_adc
from imccircuit.benches.adc_transfer import BENCH
from imccircuit.benches.bench import MeasurementError, Variation
from imccircuit.devices.draws import Draws
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.recipes.load import load_recipe

needs_ngspice = pytest.mark.skipif(
    shutil.which(os.environ.get("IMCCIRCUIT_NGSPICE", "ngspice")) is None,
    reason="ngspice is not installed",
)

# Few bits with units of 32 fF: the array loads as that of the shipped recipe.
CIRCUIT = {
    "bits": 3,
    "unit_capacitor": "32 fF",
    "switches": "transmission_gate",
    "comparator": "strongarm",
    "common_mode_voltage": "0.6 V",
}
VARIED = frozenset(["comparator_transistors"])


def drawn(seed=1, sample=0, quantities=VARIED, **circuit):
    parameters = AdcParameters(circuit=Circuit(**CIRCUIT, **circuit))
    return draw_adc(parameters, Variation(Draws(seed, sample), quantities))


class Stub:
    """A converter whose latch turns at an input; what its inputs differ by is a line."""

    bits, lsb_v = 6, 1 / 64

    def __init__(self, turns_v):
        self.turns_v, self.asked = turns_v, 0

    def decide(self, code, input_v):
        self.asked += 1
        return ("decide", input_v)

    def decided(self, answer):
        return answer > self.turns_v

    def forced(self, codes, inputs_v):
        return ("forced", inputs_v[0])

    def decisions(self, answer):
        return np.array([0.8 * (answer - 0.5)])


def drive(converter, tolerance_lsb):
    asking = latch_offset(converter, tolerance_lsb)
    _, value = next(asking)
    while True:
        try:
            _, value = asking.send(value)
        except StopIteration as stop:
            return stop.value


@pytest.mark.parametrize("turns_v", [0.5, 0.5001, 0.31, 0.77, 0.02, 0.98])
def test_the_offset_is_what_the_inputs_differ_by_where_the_latch_turns(turns_v):
    found = drive(Stub(turns_v), 0.001)
    # The input is known to half the tolerance, and attenuated by 0.8.
    assert found == pytest.approx(-0.8 * (turns_v - 0.5), rel=0, abs=0.8 * 0.0005 / 64 + 1e-12)


@pytest.mark.parametrize("turns_v", [-1.0, 2.0])
def test_a_latch_that_says_the_same_at_any_input_is_no_measurement(turns_v):
    with pytest.raises(MeasurementError, match="says the same at any input"):
        drive(Stub(turns_v), 0.001)


def test_static_against_loop_is_the_largest_distance_of_a_middle():
    levels = np.array([1.0, 2.0, 3.0])
    inputs = np.array([0.9, 1.1, 2.0, 2.2, 2.8, 3.1])
    assert static_against_loop(levels, inputs) == pytest.approx(0.1, rel=1e-12, abs=0)


@pytest.mark.ngspice
@needs_ngspice
def test_a_threshold_shift_is_an_offset_of_its_own_size():
    """10 mV on one input transistor are 9.9 to 10.4 mV at its gate (one transistor at DC).

    A larger threshold at the plus input makes its yes come later: a negative offset.
    """
    offsets = []
    for name in ("dvt_inp", "dvt_inn"):
        adc = drawn(quantities=frozenset())
        adc.latch.mismatch[name] = 10e-3
        converter = SarConverter(adc, 27.0)
        asking = latch_offset(converter, 0.001)
        problem = next(asking)
        while True:
            (outcome,) = NgspiceEngine(timeout_s=60).solve([problem])
            try:
                problem = asking.send(outcome.answer)
            except StopIteration as stop:
                offsets.append(stop.value)
                break
    # Half of the difference: what the kick leaves without mismatch, 0.1 mV, is in both alike.
    assert 9.9e-3 < (offsets[1] - offsets[0]) / 2 < 10.7e-3
    assert abs(offsets[1] + offsets[0]) / 2 < 0.3e-3


@pytest.mark.ngspice
@needs_ngspice
def test_levels_of_a_mismatched_chip_agree_with_whole_conversions():
    """To 0.1 LSB of 8 bits, though the offset is some 10 mV: 2.6 of these LSB."""
    stimulus = Stimulus(energy_inputs=0, null_tolerance="0.001 LSB", loop_tolerance="0.0015625 LSB")
    parameters = AdcParameters(circuit=Circuit(**CIRCUIT), stimulus=stimulus)
    engine = NgspiceEngine(timeout_s=120)
    found = measure(BENCH, parameters, engine, entropy=1, quantities=VARIED)
    assert abs(found["latch_offset"]) > 5e-3
    assert found["static_against_loop"] <= 0.1 / 32
    # All levels are moved alike, by more than the offset: the array attenuates the input.
    moved = found["transition_level"] - np.arange(1, 8) / 8
    np.testing.assert_allclose(moved, moved.mean(), rtol=0, atol=0.3 / 256)
    assert 1.0 < -moved.mean() / found["latch_offset"] < 1.5
    assert found["comparator_offset"] == 0


def test_mismatch_is_drawn_per_column_and_for_itself():
    assert drawn(quantities=frozenset()).latch.mismatch == {}
    chip = drawn()
    assert set(chip.latch.mismatch) == {
        "dvt_inp", "dvt_inn", "beta_inp", "beta_inn", "dvt_nlp", "dvt_nln", "dvt_plp", "dvt_pln",
    }  # fmt: skip
    array = {"columns": 4, "group_size": 4}
    assert drawn(**array, column=0) == chip
    assert drawn(**array, column=1).latch.mismatch != chip.latch.mismatch
    both = drawn(quantities=VARIED | {"bit_capacitors"})
    assert both.latch.mismatch == chip.latch.mismatch
    # σ = A_VT/√(W·L) of the pair: 4 × 120 nm by 60 nm at scale 1.
    shifts = [drawn(sample=k).latch.mismatch["dvt_inp"] for k in range(400)]
    sigma = 2.5e-9 / np.sqrt(4 * 120e-9 * 60e-9)
    # 400 chips know a sigma to 3.5 %.
    assert np.std(shifts) == pytest.approx(sigma, rel=0.12, abs=0)


def test_mismatch_that_would_change_nothing_is_refused():
    sets = ["variation.quantities=['comparator_transistors']", "variation.samples=2"]
    load_recipe("adc_sar8_transistor", sets)
    with pytest.raises(Exception, match=r"comparator_transistors.*comparator = .behavioural"):
        load_recipe("adc_sar8_transistor", [*sets, "circuit.comparator=behavioural"])
    assert "comparator_transistors" in AdcParameters().idle_quantities()
