"""Bench of grouped-capacitor arrays: products, errors one by one, cost, conditions, bad input."""

import re
import shutil

import numpy as np
import pytest
from driving import measure
from pydantic import ValidationError

from imccircuit.benches.aidac_build import build
from imccircuit.benches.aidac_parameters import AidacParameters
from imccircuit.benches.aidac_vmm import BENCH
from imccircuit.benches.bench import MeasurementError, Variation
from imccircuit.circuits.aidac import aidac
from imccircuit.devices.draws import Draws
from imccircuit.engines.ngspice import NgspiceEngine

needs_ngspice = [
    pytest.mark.ngspice,
    pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed"),
]

SMALL = {"arrays": 2, "rows": 4, "outputs": 4, "built_outputs": 1, "input_bits": 3,
         "weight_bits": 2}  # fmt: skip
TRANSISTORS = {"switches": "transistor", "time_cell": "starved", "dummy_units": 4, "rows": 2,
               "outputs": 2, "input_bits": 2}  # fmt: skip
AMPLIFIER = {"row_drivers": 1, "row_driver": "ota", "precharge_voltage": 0.6}
RAMP = {**TRANSISTORS, "time_cell": "ramp", "dummy_units": 3, "discharge_dummy": 0.63, "arrays": 1}


def parameters(stimulus=(("vectors", 2),), conditions=(), **circuit):
    tables = {
        "circuit": SMALL | circuit,
        "stimulus": dict(stimulus),
        "conditions": dict(conditions),
    }
    return AidacParameters.model_validate(tables, context={"trusted": True})


def result(quantities=(), entropy=0, **keys):
    return measure(
        BENCH, parameters(**keys), NgspiceEngine(), quantities=quantities, entropy=entropy
    )


@pytest.fixture(scope="module")
def plain():
    return result()


class TestIdealSwitches:
    pytestmark = needs_ngspice

    def test_product_is_the_product(self, plain):
        # A hundredth of an output LSB of 8 bits.
        assert np.max(np.abs(plain["product_error"])) < 0.01 / 255
        x, w = plain["input"], plain["weight"]
        expected = np.einsum("nai,aio->no", x, w) / (2 * 4 * 7 * 3)
        assert np.allclose(plain["ideal_product"], expected, rtol=1e-15)
        assert np.array_equal(plain["output_code"], np.rint(expected * 255))

    def test_delays_of_arrays_add(self, plain):
        # a = 1 ns/V, t0 = 0.5 ns an array.
        voltage, edge = plain["output_voltage"], plain["edge_time"]
        steps = 0.5e-9 * np.arange(1, 3) + 1e-9 * np.cumsum(voltage, axis=2)
        assert np.max(np.abs(edge - steps)) < 1e-12

    def test_a_discharged_cell_settles_as_its_rc(self):
        # A plate of 2 fF at V·7/8·C/(C + r) behind 2 kohm, to half an LSB of 8 bits of the output
        # line's full scale (S = 3 cells of C + b, a dummy and its own o); closed at 10 ps.
        c, r, b, o, v = 2e-15, 0.2e-15, 0.2e-15, 2e-15, parameters().precharge_v
        row = v * 7 / 8 * c / (c + r)
        line = row * c / (c + b) * 3 * (c + b) / (3 * (c + b) + c + o)
        expected = 10e-12 + 2e3 * c * np.log(row / (0.5 / 255 * line))
        weights = np.array([[[0], [3], [3], [3]]] * 2)
        found = result(stimulus={"inputs": [np.full((2, 4), 7)], "weights": weights},
                       switch_on_resistance=2e3, unit_capacitor=c, row_line_capacitance=r,
                       bit_line_capacitance=b, output_line_capacitance=o)  # fmt: skip
        # The edge is a tenth of what it is measured in; steps of reltol 1e-6 leave less.
        assert found["phase_settling"][2] == pytest.approx(expected, rel=0.02, abs=0)

    def test_exchanging_rows_changes_nothing(self, plain):
        order = np.array([2, 0, 3, 1])
        stimulus = {"inputs": plain["input"][..., order], "weights": plain["weight"][:, order]}
        other = result(stimulus=stimulus)
        assert np.max(np.abs(other["product"] - plain["product"])) < 0.01 / 255

    def test_lumped_outputs_are_like_built_ones(self, plain):
        weights = np.ones((2, 4, 4)) * plain["weight"]
        every = result(stimulus={"inputs": plain["input"], "weights": weights}, built_outputs=4)
        assert np.max(np.abs(every["product"] - plain["product"])) < 0.01 / 255

    def test_products_superpose(self):
        # Every input is 4·x + y of its bits: linear capacitors add.
        rng = np.random.default_rng(1)
        a, b = rng.integers(0, 4, (2, 1, 2, 4))
        found = result(stimulus={"inputs": np.concatenate([a, b, a + b])}, dummy_units=2)
        assert abs(found["product"][0] + found["product"][1] - found["product"][2]) < 0.02 / 255

    def test_energy_is_that_of_the_charge(self, plain):
        # At the start of the second operation a built plate holds what it shared with its output
        # line if it is one of the first 2^j of its bit column, else what its column held; all
        # others hold the row's voltage. Bits that are 1 charge their group from there to V_DD.
        energy = dict(zip(BENCH.coordinates(parameters())["block"].values, plain["energy"],
                          strict=True))  # fmt: skip
        c, wire, vdd = 2e-15, 0.2e-15, 1.2
        total = 0.0
        for x in plain["input"]:
            for a in range(2):
                row = vdd * x[a] / 8 * c / (c + wire)
                w = plain["weight"][a, :, 0]
                column = [np.mean((w >> j & 1) * row) * c / (c + wire) for j in range(2)]
                units = 3 * (c + wire)
                out = (column[0] + 2 * column[1]) * (c + wire) / (units + c + 2e-15)
                for i in range(4):
                    for unit in range(1, 8):
                        if not x[a, i] >> (unit.bit_length() - 1) & 1:
                            continue
                        before = row[i]
                        if unit < 2:
                            before = out if i < 2**unit else column[unit]
                        total += c * vdd * (vdd - before)
        assert energy["input bits"] == pytest.approx(total / len(plain["input"]), rel=0.01, abs=0)
        assert np.isnan(energy["switch clocks"])
        assert np.isnan(energy["time cells"])

    def test_cost(self, plain):
        assert 0 < plain["latency"] < plain["operation_time"]
        assert np.all(plain["phase_settling"] > 0)
        assert np.isnan(plain["area"])

    @pytest.mark.parametrize(
        ("keys", "expected"),
        [
            # κ·u·(u − 1) of every array.
            ({"time_curvature": 0.1}, lambda u, _: 0.1 * np.mean(u * (u - 1), axis=-1)),
            ({"row_drivers": 2, "driver_offset": 0.01}, lambda _, w: 0.02 / 0.9545 * w),
        ],
    )
    def test_one_error_at_a_time(self, keys, expected):
        found = result(**keys)
        u = np.einsum("nai,aio->noa", found["input"], found["weight"]) / (4 * 7 * 3)
        w = found["weight"].sum() / (2 * 4 * 3) * np.ones(u.shape[:2])
        # Offset over the row's full scale, 1.2 V·(7/8)·C/(C + 0.2 fF) = 0.9545 V; one for a row.
        assert np.allclose(found["product_error"], expected(u, w), atol=0.01 / 255)

    def test_leakage_goes_with_the_conductance(self):
        # A plate of 2 fF loses 8 ns/(R·2 fF) through each open switch: 0.4 % at 1e9 ohm, up to
        # lines at V_DD or down to lines at 0. To first order twice the conductance does twice that.
        one, two = (result(switch_off_resistance=r)["product_error"] for r in (1e9, 5e8))
        assert np.max(np.abs(one)) > 0.1 / 255
        assert two == pytest.approx(2 * one, rel=0.03, abs=0)

    def test_same_chip_at_every_temperature(self):
        keys = {"quantities": ("unit_capacitors", "time_cells"), "time_slope_sigma": 0.01}
        one, two = (result(**keys, conditions={"temperature": t}) for t in (27.0, 85.0))
        assert np.max(np.abs(one["product"] - two["product"])) < 0.01 / 255
        assert np.max(np.abs(one["product_error"])) > 0.02 / 255

    def test_supply_is_what_input_bits_are_precharged_to(self, plain):
        found = result(conditions={"supply": 0.9})
        # Lines without signal hold what leaks, nanovolts.
        assert np.max(np.abs(found["output_voltage"] - 0.75 * plain["output_voltage"])) < 1e-6
        # Charge times voltage, and toggles of the counter: both go with the square.
        ratio = found["energy"] / plain["energy"]
        assert ratio[np.isfinite(ratio)] == pytest.approx(0.75**2, rel=0.005, abs=0)

    def test_a_late_edge_is_no_measurement(self):
        with pytest.raises(MeasurementError, match="did not arrive"):
            result(conversion_time=0.8e-9)


class TestTransistors:
    pytestmark = needs_ngspice

    def test_product_corner_and_supply(self):
        keys = {"stimulus": {"vectors": 1}, "arrays": 1, **TRANSISTORS}
        found = result(**keys)
        # The starved cell is straight to 5 % of full scale, injection takes about 3 %.
        assert np.max(np.abs(found["product_error"])) < 0.10
        assert found["area"] > 0
        assert np.all(np.isfinite(found["energy"]))
        slow = result(**keys, conditions={"corner": "ss"})
        assert slow["full_delay"][0] > 1.02 * found["full_delay"][0]
        low = result(**keys, conditions={"supply": 1.1})
        # Charge goes with the square of the supply.
        assert low["energy"][0] == pytest.approx(
            found["energy"][0] * (1.1 / 1.2) ** 2, rel=0.05, abs=0
        )

    def test_ramps_behind_amplifiers(self):
        near = result(stimulus={"vectors": 1}, **RAMP)
        # A driver in between: its offset and gain error are a percent, and end points take most.
        far = result(stimulus={"vectors": 1}, **RAMP | AMPLIFIER)
        for found in (near, far):
            assert np.max(np.abs(found["product_error"])) < 0.02
            assert np.all(np.isfinite(found["energy"]))
        blocks = list(BENCH.coordinates(parameters(**RAMP | AMPLIFIER))["block"].values)
        # Two rows of 80 uA and their diode at 1.2 V, for an operation.
        energy = far["energy"][blocks.index("row drivers")]
        expected = 3 * 80e-6 * 1.2 * far["operation_time"]
        assert energy == pytest.approx(expected, rel=0.1, abs=0)
        assert far["area"] > near["area"]

    def test_amplifiers_that_saturate_are_refused(self):
        with pytest.raises(MeasurementError, match=r"lower circuit\.precharge_voltage"):
            # 0.68 V of a row at a supply of 0.9 V leave nothing to the pair and its tail.
            result(**RAMP | AMPLIFIER | {"precharge_voltage": 1.0}, conditions={"supply": 0.9})


class TestSwitchMismatch:
    @staticmethod
    def text(width, entropy=0, weight=0, quantities=("switches",)):
        built = parameters(**TRANSISTORS | {"switch_width": width, "arrays": 1})
        variation = Variation(Draws(entropy, 0), frozenset(quantities))
        weights = np.full((1, 2, 1), weight)
        part = build(built, weights, variation)
        return [str(aidac(part)) for _ in range(2)]

    @staticmethod
    def deviations(text):
        """Threshold shifts in the order of the deck, each a gate's or a transistor's."""
        return np.array([float(v) for v in re.findall(r"(?:vt_\w+|delvto)=(-?[\d.e-]+)", text)])

    def test_every_switch_has_its_own_and_keeps_it(self):
        first, again = self.text(1.0)
        assert first == again
        shifts = self.deviations(first)
        shifts = shifts[shifts != 0]
        assert len(set(shifts)) == len(shifts) > 50
        # A weight says which gate is high, not which transistors there are.
        assert np.array_equal(self.deviations(self.text(1.0, weight=3)[0]), self.deviations(first))
        assert not np.array_equal(self.deviations(self.text(1.0, entropy=1)[0]), shifts)

    def test_sigma_goes_with_the_root_of_the_area(self):
        one, four = (self.deviations(self.text(width)[0]) for width in (1.0, 4.0))
        some = one != 0
        assert four[some] == pytest.approx(one[some] / 2, rel=1e-9, abs=0)
        # 2.5 mV*um over the root of 120 nm x 60 nm, wider switches less.
        assert np.max(np.abs(one)) < 5 * 29.5e-3
        assert 10e-3 < np.std(one[some]) < 29.5e-3

    def test_none_without(self):
        shifts = self.deviations(self.text(1.0, quantities=())[0])
        assert not np.any(shifts)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"rows": 4, "weight_bits": 4, "input_bits": 4}, "a bit column has 4 cells; allowed: 8"),
        ({"outputs": 3}, "a row has 3 x 2 unit capacitors; allowed: 8"),
        ({"built_outputs": 5}, "no more built than there"),
        ({"time_cell": "starved"}, 'allowed: switches = "transistor"'),
        ({"time_offset": 1e-10}, "greater than or equal"),
        ({"stimulus": {"inputs": np.full((1, 2, 4), 8.0)}}, "whole numbers from 0 to 7"),
        ({"stimulus": {"inputs": np.full((1, 2, 4), 1.5)}}, "has an entry 1.5"),
        ({"stimulus": {"inputs": np.ones((1, 3, 4))}}, "allowed: 2 x 4 at the end"),
        ({"stimulus": {"weights": np.full((2, 4, 1), 4.0)}}, "whole numbers from 0 to 3"),
        ({"stimulus": {"weights": np.ones((2, 4, 2))}}, "allowed: 2 x 4 x 1"),
        ({"stimulus": {"inputs": np.ones((1, 2, 4)), "vectors": 2}}, "vectors is 2"),
        ({**TRANSISTORS, "stimulus": {"calibration": "nominal"}}, 'allowed: "end-points"'),
        ({"conditions": {"corner": "ss"}}, "would change nothing"),
        ({"driver_gain": 0.9}, "circuit.driver_gain would change nothing with row_drivers = 0"),
        (
            {"switch_width": 2.0},
            'circuit.switch_width would change nothing with switches = "ideal"',
        ),
        ({"junction_potential": 0.7}, "would change nothing with junction_capacitance = 0"),
        ({**TRANSISTORS, "time_slope": 2e-9}, 'would change nothing with time_cell = "starved"'),
        ({**TRANSISTORS, "switch_on_resistance": 1e3}, "circuit.switch_on_resistance would change"),
        ({"discharge_dummy": 0.5}, 'would change nothing with switches = "ideal"'),
        ({"time_cell": "ramp"}, 'time_cell = "ramp" needs a supply'),
        ({"row_driver": "ota", "row_drivers": 1}, 'row_driver = "ota" needs a supply'),
        ({**TRANSISTORS, "row_driver": "ota"}, "row_driver would change nothing with row_drivers"),
        ({**TRANSISTORS, **AMPLIFIER, "driver_gain": 0.9}, 'nothing with row_driver = "ota"'),
        ({**TRANSISTORS, **AMPLIFIER, "driver_low_supply": 0.1}, "less than or equal to 0"),
        ({**TRANSISTORS, "ramp_current": 1e-6}, 'would change nothing with time_cell = "starved"'),
    ],
)
def test_bad_input_is_one_line(keys, message):
    with pytest.raises(ValidationError) as caught:
        parameters(**keys)
    (error,) = caught.value.errors()
    assert message in error["msg"]
    assert "\n" not in error["msg"]


def test_quantities_that_vary_nothing():
    assert set(parameters().idle_quantities()) == {"row_drivers", "time_cells", "switches"}
    varied = {"row_drivers": 1, "driver_gain_sigma": 0.01, "time_slope_sigma": 0.01}
    assert set(parameters(**varied).idle_quantities()) == {"switches"}
    assert not parameters(**TRANSISTORS, row_drivers=1, driver_gain_sigma=0.01).idle_quantities()
