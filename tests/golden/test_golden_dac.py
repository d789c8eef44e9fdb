"""DACs against voltage dividers, a ladder solved by numpy, charge conservation and one pole."""

import numpy as np
import pytest
from driving import measure

from imccircuit.benches.bench import Variation
from imccircuit.benches.dac_build import draw_parts
from imccircuit.benches.dac_ladder import BENCH, energy_codes
from imccircuit.benches.dac_parameters import DacParameters
from imccircuit.devices.draws import Draws
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = pytest.mark.ngspice

REFERENCE = 0.5


def run(quantities=(), entropy=0, energy=2, **circuit):
    parameters = DacParameters(circuit=circuit, stimulus={"energy_codes": energy})
    arrays = measure(BENCH, parameters, NgspiceEngine(), quantities=quantities, entropy=entropy)
    return parameters, arrays


def test_loaded_string_is_a_divider():
    # Tap d of equal resistors: V·d/2^B behind R·d·(2^B − d)/2^B; switches and row in series.
    bits, unit, on, row, load = 4, 1e3, 100.0, 200.0, 50e-6
    _, arrays = run(kind="string", bits=bits, load_conductance="50 uS")
    d = np.arange(2**bits)
    source = unit * d * (2**bits - d) / 2**bits + bits * on + row
    expected = REFERENCE * d / 2**bits / (1 + load * source)
    # Off switches of 1 Tohm across taps of kohm: 2^B times 1e-9 of full scale at most.
    assert arrays["output_level"] == pytest.approx(expected, abs=1e-8 * REFERENCE)


def test_drawn_string_is_its_running_sum():
    _, arrays = run(["resistors"], 5, kind="string", bits=5)
    drawn = arrays["part_value"]
    expected = REFERENCE * np.append(0, np.cumsum(drawn)[:-1]) / drawn.sum()
    assert arrays["output_level"] == pytest.approx(expected, abs=1e-8 * REFERENCE)
    assert np.std(drawn) > 0


def test_spread_of_a_strings_inl_is_that_of_a_bridge():
    # Node d of n independent resistors, ends held: σ(INL) = σ_R·√(d(n − d)/n) LSB, so in the
    # middle σ_R·√n/2: 0.04 LSB of 6 bits at 1 %. The end-point line ends at code 2^B − 1, so n is
    # 63, not 64. 1000 chips know a sigma to 2.2 %: four of them, for there are 62 codes.
    parameters = DacParameters(circuit={"bits": 6})
    n = 63
    parts = np.array(
        [
            draw_parts(parameters, Variation(Draws(2, sample), frozenset({"resistors"})))
            for sample in range(1000)
        ]
    )
    sums = np.cumsum(parts, axis=1)
    level = np.concatenate([np.zeros((1000, 1)), sums[:, :-1]], axis=1)
    q = level[:, -1:] / n
    inl = level / q - np.arange(n + 1)
    sigma = np.std(inl, axis=0)
    assert sigma[32] == pytest.approx(0.01 * np.sqrt(64) / 2, rel=0.07, abs=0)
    d = np.arange(1, n)
    assert sigma[1:n] == pytest.approx(0.01 * np.sqrt(d * (n - d) / n), rel=0.09, abs=0)


@pytest.mark.parametrize("on", [100.0, 1.0])
def test_drawn_r2r_ladder_solved_by_numpy(on):
    bits, load = 5, 20e-6
    _, arrays = run(
        ["resistors"], 3, kind="r2r", bits=bits, load_conductance="20 uS",
        switch_on_resistance=f"{on} ohm",
    )  # fmt: skip
    part = arrays["part_value"]
    legs, end, rungs = part[:bits] + on, part[bits], part[bits + 1 :]
    matrix = np.diag(1 / legs)
    matrix[0, 0] += 1 / end
    for k, value in enumerate(rungs):
        matrix[[k, k + 1], [k, k + 1]] += 1 / value
        matrix[[k, k + 1], [k + 1, k]] -= 1 / value
    matrix[-1, -1] += 1 / (1 / load + 200.0)
    code = np.arange(2**bits)
    drive = REFERENCE * ((code[:, None] >> np.arange(bits)) & 1) / legs
    node = np.linalg.solve(matrix, drive.T)[-1]
    expected = node * (1 / load) / (1 / load + 200.0)
    assert arrays["output_level"] == pytest.approx(expected, abs=1e-8 * REFERENCE)


def test_capacitor_group_conserves_charge_and_costs_what_it_must():
    bits, parasitic, row = 4, 5e-15, 20e-15
    parameters, arrays = run(
        ["capacitors"], 1, energy=16, kind="capacitor", bits=bits, parasitic_capacitor="5 fF",
        row_capacitance="20 fF", unit_capacitor="2 fF",
    )  # fmt: skip
    part = arrays["part_value"]
    code = np.arange(2**bits)
    on = ((code[:, None] >> np.arange(bits)) & 1) @ part[:bits]
    total = part.sum() + parasitic + row
    # Gear at tolerances of 1e-4 a step, on steps that only decay: 1e-4 LSB.
    lsb = REFERENCE / 2**bits
    assert arrays["output_level"] == pytest.approx(REFERENCE * on / total, abs=1e-3 * lsb)
    # The reference charges C_on in series with all the rest from 0 to V: Q·V = V²·C_on·C_rest/C.
    chosen = energy_codes(parameters)
    expected = np.mean(REFERENCE**2 * on[chosen] * (total - on[chosen]) / total)
    assert arrays["energy"][0] == pytest.approx(expected, rel=0.01, abs=0)


def test_pulse_through_one_pole():
    # A pulse of width w on one pole: up to half scale after τ·ln 2; it has reached 1 − e^(−w/τ)
    # when it ends and falls to half of full scale τ·ln(2(1 − e^(−w/τ))) later.
    tau, clock = 0.5e-9, 1e-9
    _, arrays = run(
        kind="pulse_width", bits=4, driver_resistance="1 kohm", row_resistance="0.01 ohm",
        row_capacitance="500 fF", fall_delay="30 ps", rise_delay="10 ps", edge_time="20 ps",
    )  # fmt: skip
    w = np.arange(1, 16) * clock + 20e-12
    expected = w + tau * np.log(1 - np.exp(-w / tau))
    # Edges of 20 ps move both crossings alike, by (edge/τ)²/24 of τ or 0.03 ps; the rest is what a
    # tolerance of 1e-5 a step leaves of 1 ns: 0.001 LSB.
    assert arrays["output_level"][1:] == pytest.approx(expected, abs=1e-12)
    assert arrays["output_level"][0] == 0
    # A short pulse that never reaches half scale is lost: w < τ·ln 2.
    _, lost = run(
        kind="pulse_width", bits=3, driver_resistance="4 kohm", row_resistance="0.01 ohm",
        row_capacitance="500 fF",
    )  # fmt: skip
    assert lost["output_level"][:2].tolist() == [0, 0]
    assert lost["output_level"][2] > 0
