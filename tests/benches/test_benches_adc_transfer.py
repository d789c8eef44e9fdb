"""The bench of ADC transition levels: in ngspice against charge conservation, and by hand."""

import os
import shutil

import numpy as np
import pytest
from driving import Synthetic, drive_synthetic, measure
from pydantic import ValidationError

from imccircuit.benches.adc_parameters import AdcParameters, Circuit, Stimulus
from imccircuit.benches.adc_transfer import BENCH, checked_codes
from imccircuit.benches.bench import MeasurementError, Variation
from imccircuit.devices.draws import Draws
from imccircuit.engines.ngspice import NgspiceEngine

needs_ngspice = pytest.mark.skipif(
    shutil.which(os.environ.get("IMCCIRCUIT_NGSPICE", "ngspice")) is None,
    reason="ngspice is not installed",
)


def capacitors(bits, seed, msb=1.0):
    rng = np.random.default_rng(seed)
    found = [float((2e-15 * (1 + 0.02 * rng.standard_normal(2**k))).sum()) for k in range(bits)]
    return np.array([*found[:-1], found[-1] * msb])


def static_levels(caps, dummy, parasitic, v_ref, offset):
    """Charge conservation of the floating top plate, derived in tests/circuits/test_sar_adc.py."""
    total = caps.sum() + dummy
    codes = np.arange(1, 2 ** len(caps))
    bits = codes[:, None] >> np.arange(len(caps)) & 1
    return v_ref * (bits @ caps) / total - offset * (total + parasitic) / total


def code_of(static, bits, voltage):
    code = 0
    for bit in reversed(range(bits)):
        trial = code | 1 << bit
        code = trial if voltage > static[trial - 1] else code
    return code


def tree_levels(static, bits):
    """The input above which the walk ends at k or more: tried in every interval between levels."""
    edges = np.sort(static)
    tried = np.concatenate([[edges[0] - 1], (edges[1:] + edges[:-1]) / 2, [edges[-1] + 1]])
    codes = np.array([code_of(static, bits, v) for v in tried])
    return edges[np.searchsorted(codes, np.arange(1, 2**bits)) - 1]


@pytest.mark.ngspice
@needs_ngspice
@pytest.mark.parametrize(("bits", "msb"), [(6, 1.0), (8, 1.0), (8, 0.98), (10, 1.0)])
def test_levels_and_loop(bits, msb):
    caps, offset, v_ref, parasitic = capacitors(bits, bits, msb), -2e-3, 0.9, 25e-15
    parameters = AdcParameters(
        circuit=Circuit(
            bit_capacitors=caps,
            dummy_capacitor="2.1 fF",
            parasitic_capacitor="25 fF",
            reference_voltage="0.9 V",
            comparator_offset="-2 mV",
        ),
        stimulus=Stimulus(energy_inputs=0),
    )
    found = measure(BENCH, parameters, NgspiceEngine(timeout_s=60))
    lsb = v_ref / 2**bits
    static = static_levels(caps, 2.1e-15, parasitic, v_ref, offset)
    wanted = tree_levels(static, bits)
    # The requirement is 0.001 LSB.
    assert np.max(np.abs(found["forced_level"] - static)) < 0.001 * lsb
    assert np.max(np.abs(found["transition_level"] - wanted)) < 0.001 * lsb
    assert found["null_residual"] < 0.001
    assert found["reference_voltage"] == v_ref
    np.testing.assert_array_equal(found["bit_capacitor"], caps)
    assert found["comparator_offset"] == offset
    assert found["dummy_capacitor"] == 2.1e-15
    # Closed loop: both sides of at least 16 levels, 0.01 LSB away, codes as the walk has them.
    inputs, codes = found["loop_input"] * v_ref, found["loop_code"]
    checked = checked_codes(bits)
    assert len(inputs) == 2 * len(checked)
    assert len(checked) >= 16
    assert [code_of(static, bits, v) for v in inputs] == codes.tolist()
    assert np.all(codes[0::2] < checked)
    assert np.all(codes[1::2] >= checked)
    np.testing.assert_allclose(inputs[0::2], wanted[checked - 1], atol=0.0111 * lsb)
    np.testing.assert_allclose(inputs[1::2], wanted[checked - 1], atol=0.0111 * lsb)
    # An input is never outside the levels of its code by more than the levels' own error.
    assert np.max(found["loop_difference"]) < 0.001
    missing = np.flatnonzero(np.diff(wanted) <= 0) + 1
    assert (len(missing) > 0) == (msb < 1)
    np.testing.assert_allclose(np.diff(found["transition_level"])[missing - 1], 0, atol=1e-12)


@pytest.mark.ngspice
@needs_ngspice
def test_given_loop_inputs_are_converted_as_they_are():
    caps, inputs = capacitors(6, 1), np.array([0.999, 0.0, 0.31, 0.7, -0.1, 1.1])
    parameters = AdcParameters(
        circuit=Circuit(bit_capacitors=caps), stimulus=Stimulus(loop_input=inputs, energy_inputs=0)
    )
    found = measure(BENCH, parameters, NgspiceEngine(timeout_s=60))
    static = static_levels(caps, caps[0], 40e-15, 1.0, 0.0)
    np.testing.assert_array_equal(found["loop_input"], inputs)
    assert found["loop_code"].tolist() == [code_of(static, 6, v) for v in inputs]
    assert np.all(found["loop_difference"] == 0)


BITS = 6
LSB = 1 / 2**BITS
IDEAL = np.arange(1, 2**BITS) * LSB
PARAMETERS = AdcParameters(circuit=Circuit(bits=BITS), stimulus=Stimulus(energy_inputs=0))


def bracket(shift_lsb, tolerance="0.01 LSB"):
    parameters = AdcParameters(
        circuit=Circuit(bits=BITS),
        stimulus=Stimulus(loop_tolerance=tolerance, energy_inputs=0),
    )
    synthetic = Synthetic(BITS, IDEAL, IDEAL + shift_lsb * LSB)
    return drive_synthetic(BENCH, parameters, synthetic), synthetic


@pytest.mark.parametrize("shift_lsb", [0.0, 0.004, -0.009, 0.0105, 0.3, -0.3, 1.7, -2.4, 5.0])
@pytest.mark.parametrize("tolerance_lsb", [0.01, 0.2])
def test_brackets_end_around_the_true_loop_level(shift_lsb, tolerance_lsb):
    found, _ = bracket(shift_lsb, f"{tolerance_lsb} LSB")
    checked = checked_codes(BITS)
    low, high = found["loop_input"][0::2] / LSB, found["loop_input"][1::2] / LSB
    true = checked + shift_lsb
    assert np.all(low <= true)
    assert np.all(true <= high)
    # Two tolerances wide at the most, but for the rounding of a subtraction.
    assert np.all(high - low <= 2.002 * tolerance_lsb)
    low_code, high_code = found["loop_code"][0::2], found["loop_code"][1::2]
    assert np.all(low_code < checked)
    assert np.all(high_code >= checked)
    # The levels that are stored stay the static ones; how far the loop is off is stored beside.
    np.testing.assert_allclose(found["transition_level"], IDEAL, rtol=1e-12)
    wanted = max(0.0, abs(shift_lsb) - 2.002 * tolerance_lsb)
    assert wanted <= np.max(found["loop_difference"]) <= abs(shift_lsb) + 1e-9


def test_no_search_where_loop_and_static_agree():
    _, synthetic = bracket(0.0)
    assert len(synthetic.asked) == 1
    assert len(synthetic.asked[0]) == 2 * len(checked_codes(BITS))


def test_a_search_is_short():
    """Out by factors of eight, in by halves: 0.3 LSB away from 0.01 LSB takes 2 + 6 rounds."""
    _, synthetic = bracket(0.3)
    assert len(synthetic.asked) <= 10


@pytest.mark.parametrize("shift_lsb", [-40.0, 40.0])
def test_a_level_that_is_nowhere_near_fails_in_one_line(shift_lsb):
    with pytest.raises(MeasurementError, match="no level within 16 LSB") as caught:
        bracket(shift_lsb)
    assert "\n" not in str(caught.value)


def test_a_loop_that_never_moves_fails_in_one_line():
    stuck = Synthetic(BITS, IDEAL, np.full(2**BITS - 1, np.inf))
    with pytest.raises(MeasurementError, match="no level within"):
        drive_synthetic(BENCH, PARAMETERS, stuck)


def test_a_comparator_that_does_not_see_the_input_fails_in_one_line():
    for slope in (0.0, -0.9):
        deaf = Synthetic(BITS, IDEAL, IDEAL, slope=slope)
        with pytest.raises(MeasurementError, match="does not rise") as caught:
            drive_synthetic(BENCH, PARAMETERS, deaf)
        assert "\n" not in str(caught.value)


def test_a_bit_between_0_and_1_fails_in_one_line():
    class Tired(Synthetic):
        def answer(self, problem):
            answer = super().answer(problem)
            if [probe.name for probe in problem.probes] == ["bit"]:
                answer.runs[3].values["bit"][0, 2] = 0.4
            return answer

    with pytest.raises(MeasurementError, match="not at rest"):
        drive_synthetic(BENCH, PARAMETERS, Tired(BITS, IDEAL, IDEAL))


def test_null_method_asks_again_where_the_converter_is_not_linear():
    """The decision is a bent function of the input; its zero is the level all the same."""

    class Bent(Synthetic):
        def answer(self, problem):
            answer = super().answer(problem)
            for run in answer.runs:
                if "decision" in run.values:
                    value = run.values["decision"] / LSB
                    run.values["decision"][...] = LSB * (value + 0.05 * value**2 / (1 + value**2))
            return answer

    rng = np.random.default_rng(0)
    levels = IDEAL + LSB * rng.uniform(-1.5, 1.5, len(IDEAL))
    clipped = tree_levels(levels, BITS)
    found = drive_synthetic(BENCH, PARAMETERS, Bent(BITS, levels, clipped))
    # A pass ends when a level moves by less than 0.001 LSB, and what is left is smaller still.
    assert np.max(np.abs(found["forced_level"] - levels)) < 0.001 * LSB
    assert found["null_residual"] <= 0.001


def test_checked_codes():
    assert checked_codes(2).tolist() == [1, 2, 3]
    assert checked_codes(4).tolist() == [1, 2, 3, 4, 6, 7, 8, 12, 14, 15]
    for bits in (6, 8, 10, 14):
        codes = checked_codes(bits)
        assert len(codes) >= 16
        assert {1, 2 ** (bits - 1) - 1, 2 ** (bits - 1), 2**bits - 1} <= set(codes.tolist())


def test_draws_scale_with_the_square_root_and_explicit_capacitors_stay():
    def drawn(quantities, **circuit):
        parameters = AdcParameters(circuit=Circuit(**circuit))
        variation = Variation(Draws(7, 3), frozenset(quantities))
        problem = next(BENCH.measure(parameters, variation))
        return str(problem.circuit)

    plain = drawn((), bits=6)
    assert plain == drawn((), bits=6)
    assert plain != drawn(("bit_capacitors",), bits=6)
    given = {"bit_capacitors": capacitors(6, 2)}
    assert drawn((), **given) == drawn(("bit_capacitors",), **given)
    assert drawn((), bits=6, comparator_offset_sigma="1 mV") == plain
    assert drawn(("comparator_offset",), bits=6, comparator_offset_sigma="1 mV") != plain


def test_resolution_follows_the_capacitors():
    assert Circuit().resolution == 8
    assert Circuit(bits=10).resolution == 10
    assert Circuit(bits=8, bit_capacitors=capacitors(6, 1)).resolution == 6


@pytest.mark.parametrize(
    ("circuit", "words"),
    [
        ({"bit_capacitors": np.array([1e-15, 0.0])}, "bit_capacitors"),
        ({"bit_capacitors": np.array([1e-15, -1e-15])}, "bit_capacitors"),
        ({"bit_capacitors": np.ones(15)}, "2 to 14"),
        ({"bits": 1}, "greater than or equal to 2"),
        ({"reference_voltage": "-1 V"}, "greater than 0"),
    ],
)
def test_impossible_converters_are_refused(circuit, words):
    with pytest.raises(ValidationError, match=words):
        Circuit(**circuit)
