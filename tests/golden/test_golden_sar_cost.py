"""Energy, noise and split levels of a SAR ADC in ngspice against charges written down by hand.

Energy. The second of two conversions of an input V: before it all bottom plates are at V and the
top plate at V_cm. Each clock cycle puts the bottom plates to b_k·V_ref of a trial code; the top
plate's charge stays, so its voltage is X = V_cm + (V_ref Σ C_k b_k − C_a V)/(C_a + C_p). What the
reference gives in a step, less what returns, is the change of charge on the bottom plates that are
then connected to it, Σ C_k [(V_ref − X') − (u_k − X)] with u_k where the plate was before, times
V_ref. Gross of what returns it takes the currents within a step, from the plates' RC network.

Noise. The charge that an opening switch leaves on a plate of capacitance C has the variance kTC.

Split array. Two plates with charges Q_x and Q_y; the two equations are solved as they stand.
"""

import os
import shutil

import numpy as np
import pytest
from driving import measure

from imccircuit.benches.adc_parameters import AdcParameters, Circuit, Split, Stimulus
from imccircuit.benches.adc_transfer import BENCH
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = [
    pytest.mark.ngspice,
    pytest.mark.skipif(
        shutil.which(os.environ.get("IMCCIRCUIT_NGSPICE", "ngspice")) is None,
        reason="ngspice is not installed",
    ),
]

KT = 1.380649e-23 * 300.15
CAPS = np.array([2.1e-15, 3.9e-15, 8.3e-15, 15.8e-15, 32.5e-15, 63e-15])
DUMMY, PARASITIC, V_REF, V_CM = 2.2e-15, 25e-15, 0.9, 0.5
R_ON = 100.0


def found(energy_inputs=4, **circuit):
    parameters = AdcParameters(
        circuit=Circuit(
            bit_capacitors=CAPS,
            dummy_capacitor="2.2 fF",
            parasitic_capacitor="25 fF",
            reference_voltage="0.9 V",
            **circuit,
        ),
        stimulus=Stimulus(energy_inputs=energy_inputs, loop_input=np.array([0.3])),
    )
    return measure(BENCH, parameters, NgspiceEngine(timeout_s=60))


def conversion(voltage):
    """Codes that the array is given one after the other in a conversion of an input in V."""
    bits, total = len(CAPS), CAPS.sum() + DUMMY
    code, trials = 0, []
    for bit in reversed(range(bits)):
        trials.append(code | 1 << bit)
        level = V_REF * sum(CAPS[k] for k in range(bits) if trials[-1] >> k & 1) / total
        code = trials[-1] if voltage > level else code
    return [*trials, code]


def reference_energy_by_steps(voltage):
    """Energy in J that the reference gives in one conversion, from whole steps: net."""
    bits, total = len(CAPS), CAPS.sum() + DUMMY
    at, top, given = np.full(bits, voltage), V_CM, 0.0
    for trial in conversion(voltage):
        on = np.array([trial >> k & 1 == 1 for k in range(bits)])
        after = np.where(on, V_REF, 0.0)
        x = V_CM + (CAPS @ after - total * voltage) / (total + PARASITIC)
        given += V_REF * np.sum(np.where(on, CAPS * ((after - x) - (at - top)), 0.0))
        at, top = after, x
    return given


def reference_energy(voltage):
    """Energy in J that the reference gives, and what returns to it, current by current.

    Every bottom plate is behind R: i_k = (s_k − u_k)/R = C_k·d(u_k − x)/dt, and the top plate's
    charge stays, x = (Q + Σ C_k u_k)/(C_a + C_p). So with M = diag(C) − C·Cᵀ/(C_a + C_p) the
    deviations e = s − u fall as M·de/dt = −e/R, from what each step leaves them to begin with. The
    reference's current is the sum of i_k over the plates at it. It is integrated where it is
    positive, and where it is negative, on 4000 times from 1 fs to 1 ns, spaced by ratios.
    """
    bits, caps = len(CAPS), np.append(CAPS, DUMMY)
    matrix = np.diag(caps) - np.outer(caps, caps) / (caps.sum() + PARASITIC)
    rates, modes = np.linalg.eig(-np.linalg.inv(matrix) / R_ON)
    times = np.concatenate([[0.0], np.geomspace(1e-15, 1e-9, 4000)])
    at = np.full(bits + 1, voltage)
    given = back = 0.0
    for trial in conversion(voltage):
        on = np.append([trial >> k & 1 == 1 for k in range(bits)], False)
        after = np.where(on, V_REF, 0.0)
        error = (modes * np.linalg.solve(modes, after - at)) @ np.exp(np.outer(rates, times))
        power = V_REF * np.real(on @ error) / R_ON
        pieces = np.diff(times) * (power[1:] + power[:-1]) / 2
        given += pieces[pieces > 0].sum()
        back -= pieces[pieces < 0].sum()
        at = after
    return given, back


def test_energy_of_the_reference_is_that_of_the_charges():
    inputs = (np.arange(4) + 0.5) / 4 * V_REF
    given, back = np.mean([reference_energy(v) for v in inputs], axis=0)
    # The two calculations by hand agree on what is left when the currents have died away; what
    # whole steps cannot show is that 2 % go to and fro within a step, when plates that stay at the
    # reference follow the top plate's first jump. (abs=0: pytest's own 1e-12 is above all this.)
    net = np.mean([reference_energy_by_steps(v) for v in inputs])
    assert given - back == pytest.approx(net, rel=1e-4, abs=0)
    assert 0.01 < back / given < 0.03
    arrays = found()
    delivered, returned = arrays["energy"][0], arrays["energy_returned"][0]
    # 1 % is what is asked for, gross and net. What is found is 0.2 %, from the time points of
    # picosecond spikes: at a tenth of the simulator's tolerance it is 0.05 %.
    assert delivered == pytest.approx(given, rel=0.01, abs=0)
    assert delivered - returned == pytest.approx(given - back, rel=0.01, abs=0)
    # The same absolute error, on what returns.
    assert returned == pytest.approx(back, rel=0, abs=0.005 * given)


def test_blocks_that_are_ideal_have_no_energy():
    arrays = found(energy_inputs=1)
    reference, common_mode, source, drivers, comparator, outputs, logic = arrays["energy"]
    assert reference > 0
    assert common_mode > 0
    assert source > 0
    assert np.isnan(drivers)
    assert np.isnan(comparator)
    assert np.isnan(outputs)
    assert logic > 0
    assert arrays["latency"] == pytest.approx(7 * 10e-9, rel=1e-6, abs=0)
    assert np.isnan(arrays["area"])


@pytest.mark.parametrize("temperature", [27.0, 127.0])
def test_sampling_noise_is_kt_over_c(temperature):
    parameters = AdcParameters(
        circuit=Circuit(bits=6, unit_capacitor="1 fF", parasitic_capacitor="10 fF"),
        stimulus=Stimulus(energy_inputs=0, loop_input=np.array([0.3])),
        conditions={"temperature": f"{temperature} degC"},
    )
    arrays = measure(BENCH, parameters, NgspiceEngine(timeout_s=60))
    kt = 1.380649e-23 * (temperature + 273.15)
    # 64 fF to the input, 74 fF on the plate. The band that is integrated leaves out some 1e-4.
    assert arrays["noise_sigma"] == pytest.approx(np.sqrt(kt * 74e-15) / 64e-15, rel=1e-3, abs=0)


def test_comparator_noise_adds_as_a_power():
    arrays = found(energy_inputs=0, comparator_noise="1 mV")
    total = CAPS.sum() + DUMMY
    sampling = np.sqrt(KT * (total + PARASITIC)) / total
    behind = 1e-3 * (total + PARASITIC) / total
    assert arrays["noise_sigma"] == pytest.approx(np.hypot(sampling, behind), rel=1e-3, abs=0)


def split_levels(caps, dummy, bridge, lower, px, py, offset):
    """Level of every code: two charge balances, and V_x at the comparator's threshold."""
    bits = len(caps)
    low, high = caps[:lower], caps[lower:]
    matrix = np.array(
        [
            [high.sum() + px + bridge, -bridge],
            [-bridge, low.sum() + dummy + py + bridge],
        ]
    )
    levels = []
    for code in range(1, 2**bits):
        on = np.array([code >> k & 1 for k in range(bits)], dtype=float)
        # ΔV_x is linear in the input: two inputs give the line, the level is where it is V_os.
        moved = []
        for voltage in (0.0, 1.0):
            u = V_REF * on - voltage
            right = np.array([high @ u[lower:], low @ u[:lower] - dummy * voltage])
            moved.append(np.linalg.solve(matrix, right)[0])
        levels.append((offset - moved[0]) / (moved[1] - moved[0]))
    return np.array(levels)


@pytest.mark.parametrize("parasitic_fF", [0.0, 3.0])
def test_split_levels_are_those_of_two_charge_balances(parasitic_fF):
    caps = np.array([2.1e-15, 3.9e-15, 8.3e-15, 2.02e-15, 4.1e-15, 7.9e-15])
    parameters = AdcParameters(
        circuit=Circuit(
            bit_capacitors=caps,
            dummy_capacitor="2.2 fF",
            parasitic_capacitor="12 fF",
            reference_voltage="0.9 V",
            comparator_offset="3 mV",
            split=Split(
                lower_bits=3, bridge_capacitor="2.4 fF", bridge_parasitic=f"{parasitic_fF} fF"
            ),
        ),
        stimulus=Stimulus(energy_inputs=1),
    )
    arrays = measure(BENCH, parameters, NgspiceEngine(timeout_s=60))
    wanted = split_levels(caps, 2.2e-15, 2.4e-15, 3, 12e-15, parasitic_fF * 1e-15, 3e-3)
    lsb = V_REF / 64
    assert np.max(np.abs(arrays["forced_level"] - wanted)) < 0.001 * lsb
    # Whole conversions 0.01 LSB beside the levels give the codes that the levels say.
    assert np.max(arrays["loop_difference"]) < 0.001
    low = caps[:3].sum() + 2.2e-15 + parasitic_fF * 1e-15
    matrix = np.array([[caps[3:].sum() + 12e-15 + 2.4e-15, -2.4e-15], [-2.4e-15, low + 2.4e-15]])
    # kTC of two coupled plates: the covariance of their charges is kT times the matrix itself.
    row = np.linalg.inv(matrix)[0]
    gain = row @ [caps[3:].sum(), caps[:3].sum() + 2.2e-15]
    assert arrays["noise_sigma"] == pytest.approx(
        np.sqrt(KT * row @ matrix @ row) / gain, rel=1e-3, abs=0
    )


def test_exact_bridges():
    """A fraction above a unit with a dummy unit, exactly a unit without: levels are binary."""
    for dummy, bridge in (("2 fF", 2e-15 * 8 / 7), ("0 fF", 2e-15)):
        circuit = Circuit(
            bits=6, unit_capacitor="2 fF", dummy_capacitor=dummy, parasitic_capacitor="5 fF",
            split=Split(lower_bits=3),
        )  # fmt: skip
        assert circuit.bridge_f == pytest.approx(bridge, rel=1e-12, abs=0)
        parameters = AdcParameters(
            circuit=circuit, stimulus=Stimulus(energy_inputs=0, loop_input=np.array([0.5]))
        )
        levels = measure(BENCH, parameters, NgspiceEngine(timeout_s=60))["forced_level"]
        np.testing.assert_allclose(np.diff(levels), np.diff(levels).mean(), rtol=1e-4)
