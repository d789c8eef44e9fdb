"""Behavioural read-out front ends in SPICE against formulas by hand and a state-space solution.

The equations below are written from the circuits' description, with voltages counted from the
reference: c is the amplifier's output, v the bit line, o the mirror's output, r the rows.

    amplifier     c' = w·(e − v) − (w/A)·c                  w = 2π·GBW, e offset or noise
    bit line      (C_l + C_f)·v' − C_f·c' = G_s·(r − v) + (c − v)/R + i
    clamp         C_l·v' = G_s·(r − v) + i + I_k − g·(v − c)
    mirror        C_o·o' = (V_t − o)/R_L − M·g·(v − c)
"""

import numpy as np
import pytest
from driving import measure
from scipy.linalg import expm, solve_continuous_lyapunov
from scipy.signal import lsim

from imccircuit.benches.readout_parameters import ReadoutParameters
from imccircuit.benches.readout_transfer import BENCH
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = pytest.mark.ngspice

K_T = 1.380649e-23 * 300.15
W = 2 * np.pi * 500e6
A = 1000.0
R_N = 5e3
G_S, C_L = 400e-6, 100e-15
STEP, EDGE = 30e-9, 0.005 * 30e-9
BITS = 8


FEW = {"levels": 5, "overdrive": 0.0}
"""Where the transfer curve does not matter."""


def run(circuit, stimulus=None):
    given = {"circuit": circuit, "stimulus": stimulus or {}}
    parameters = ReadoutParameters.model_validate(given, context={"trusted": True})
    return measure(BENCH, parameters, NgspiceEngine())


def feedback(r, c_f, c_l=C_L, g_s=G_S):
    """(A, inputs) of x = (c, v) for inputs (e, r, i): TIA, or integrator in one of its phases."""
    core = np.array([-W / A, -W])
    core_in = np.array([W, 0.0, 0.0])
    total = c_l + c_f
    line = (c_f * core + [1 / r, -g_s - 1 / r]) / total
    line_in = (c_f * core_in + [0.0, g_s, 1.0]) / total
    return np.array([core, line]), np.array([core_in, line_in])


def clamp(g=1e-3, r_l=10e3, c_o=50e-15, ratio=1.0):
    """The same of x = (c, v, o)."""
    a = np.array(
        [
            [-W / A, -W, 0.0],
            [g / C_L, -(G_S + g) / C_L, 0.0],
            [ratio * g / c_o, -ratio * g / c_o, -1 / (r_l * c_o)],
        ]
    )
    return a, np.array([[W, 0.0, 0.0], [0.0, G_S / C_L, 1 / C_L], [0.0, 0.0, 0.0]])


def second_operation(a, b, out, amplitude):
    """Change of an output over the second of two operations, the rows stepping by ``amplitude``."""
    time = np.arange(0, 4 * STEP + EDGE / 4, EDGE / 2)
    phase = np.mod(time, 2 * STEP)
    rows = amplitude * np.clip(np.minimum(phase / EDGE, 1 - (phase - STEP) / EDGE), 0, 1)
    drive = np.zeros((len(time), b.shape[1]))
    drive[:, 1] = rows
    _, _, states = lsim((a, b, np.eye(len(a)), np.zeros_like(b)), drive, time)
    # The band is fine enough for an exact answer: inputs are linear between its points.
    second = time >= 2 * STEP - EDGE / 4
    return time[second] - 2 * STEP, states[second, out]


def settling(time, value, start, band):
    part = (time >= start) & (time <= start + STEP)
    t, error = time[part] - start, np.abs(value[part] - value[part][-1])
    last = np.flatnonzero(error > band)[-1]
    share = (error[last] - band) / (error[last] - error[last + 1])
    return t[last] + share * (t[last + 1] - t[last])


def rms_at_rest(a, sources, out):
    """Standard deviation of a state from white sources: [(input column, one-sided density)]."""
    diffusion = sum(density / 2 * np.outer(column, column) for column, density in sources)
    return np.sqrt(solve_continuous_lyapunov(a, -diffusion)[out, out])


def check_step(arrays, time, change):
    lsb = float(arrays["lsb"])
    shown = np.interp(np.linspace(0, 2 * STEP, 401), time, change)
    got = arrays["step_response"] - arrays["output_voltage"][0]
    # The simulated curve has steps of h: trapezoidal steps cost h²/12 of its bend and a time
    # constant's worth of them adds up, straight lines between the points h²/8.
    h = 4 * STEP / 2000
    bend = np.max(np.abs(np.diff(change, 2))) / np.diff(time)[0] ** 2
    assert np.max(np.abs(got - shown)) < h**2 / 4 * bend
    # Where the error falls by e in a few ns, a step is more than an interpolation costs.
    for found, start in zip(arrays["settling_time"], (0, STEP), strict=True):
        assert abs(found - settling(time, change, start, lsb / 2)) < h


def test_tia_transfer_by_hand():
    r_f, offset, r_in = 10e3, 3e-3, 50e3
    arrays = run(
        {"kind": "tia", "amplifier": {"offset": offset, "input_resistance": r_in}},
        {"overdrive": 1.0},
    )
    # out − ref = A·(e − v) and (out − ref − v)/R_f + I = v/R_in, solved for v and out.
    seen = 1 / ((1 + A) / r_f + 1 / r_in)
    at_zero = A * offset / r_f * seen
    np.testing.assert_allclose(arrays["input_resistance"], seen, rtol=1e-8)
    np.testing.assert_allclose(arrays["offset_voltage"], at_zero, rtol=1e-7)
    np.testing.assert_allclose(arrays["gain"], -A * seen, rtol=1e-9)
    current = np.linspace(0, 40e-6, 17)
    np.testing.assert_allclose(
        arrays["output_voltage"], 0.6 + A * (offset - at_zero - seen * current), rtol=1e-9
    )
    np.testing.assert_allclose(
        arrays["offset_current"], A * (offset - at_zero) / (-A * seen), rtol=1e-7
    )
    assert np.max(np.abs(arrays["inl_best_fit"])) < 1e-9
    # With an open input the offset is seen by the bit line whole, and R_f/(1 + A) is all there is.
    plain = run({"kind": "tia", "amplifier": {"offset": offset, "input_resistance": 1e15}})
    np.testing.assert_allclose(plain["input_resistance"], r_f / (1 + A), rtol=1e-8)
    np.testing.assert_allclose(plain["offset_voltage"], offset * A / (1 + A), rtol=1e-7)


def test_swing_is_where_the_output_stops():
    arrays = run({"kind": "tia", "amplifier": {"swing_low": 0.15, "swing_high": 0.9}})
    step = 40e-6 / 16
    gain, lsb = 10e3 * A / (1 + A), float(arrays["lsb"])
    # Beyond the limit the error grows with the gain; between two currents it is interpolated.
    for name, edge in (("linear_high", 0.45), ("linear_low", -0.3)):
        wanted = edge / gain + np.sign(edge) * 0.5 * lsb / gain
        assert abs(arrays[name] - wanted) < step
    assert abs(arrays["swing_low"] - 0.9) < step * gain
    assert abs(arrays["swing_high"] - 0.15) < step * gain


def test_tia_settles_on_its_single_pole():
    r_f = 10e3
    arrays = run({"kind": "tia", "feedback_capacitance": 0.0}, {"line_capacitance": 0.0})
    beta = 1 / (1 + r_f * G_S)
    tau = 1 / (W * (beta + 1 / A))
    # Behind a ramp of length E the error of one pole is FS·(tau/E)·(e^(E/tau) − 1)·e^(−t/tau).
    ahead = tau / EDGE * np.expm1(EDGE / tau)
    wanted = tau * np.log(2 * 2**BITS * ahead)
    # The rows' step is FS/(gain·loading); what is not FS exactly moves the logarithm by 1e-3.
    np.testing.assert_allclose(arrays["settling_time"], wanted, atol=0.01 * tau)
    np.testing.assert_allclose(arrays["latency"], wanted, atol=0.01 * tau)


def test_tia_step_against_state_space():
    a, b = feedback(10e3, 100e-15)
    arrays = run({"kind": "tia"})
    check_step(arrays, *second_operation(a, b, 0, 40e-6 / G_S))


def test_clamp_step_against_state_space():
    a, b = clamp()
    arrays = run({"kind": "clamp_mirror"})
    check_step(arrays, *second_operation(a, b, 2, 40e-6 / G_S))


def test_clamp_mirror_by_hand():
    arrays = run(
        {
            "kind": "clamp_mirror",
            "mirror_ratio": 0.5,
            "load_resistance": 12e3,
            "amplifier": {"offset": -2e-3, "input_resistance": 1e15, "swing_low": 0.85},
        }
    )
    seen = 1 / (1e-3 * (1 + A))
    np.testing.assert_allclose(arrays["input_resistance"], seen, rtol=1e-8)
    np.testing.assert_allclose(
        arrays["offset_voltage"], -2e-3 * A / (1 + A) + 10e-6 * seen, rtol=1e-7
    )
    np.testing.assert_allclose(arrays["gain"], -6e3, rtol=1e-9)
    np.testing.assert_allclose(arrays["output_voltage"][0], 1.2 - 6e3 * 10e-6, rtol=1e-9)
    # Cut-off below −10 uA; the mirror leaves saturation at 0.85 V, 58.3 uA in all.
    lsb_a = 40e-6 / 2**BITS
    assert abs(arrays["linear_low"] + 10e-6 + 0.5 * lsb_a) < 2.5e-6
    assert abs(arrays["linear_high"] - (0.35 / 6e3 - 10e-6) - 0.5 * lsb_a) < 2.5e-6


def test_integrator_transfer_against_matrix_exponential():
    c_f, r_on, time = 2e-12, 200.0, 20e-9
    arrays = run({"kind": "integrator"}, {"overdrive": 0.0})
    reset, drive = feedback(r_on, c_f, g_s=0.0)
    hold, drive_hold = feedback(np.inf, c_f, g_s=0.0)
    lsb = float(arrays["lsb"])
    for current, output, at_input in zip(
        np.linspace(0, 40e-6, 17), arrays["output_voltage"], arrays["input_voltage"], strict=True
    ):
        start = np.linalg.solve(reset, -drive[:, 2] * current)
        # x' = H·x + b·i, with i as a third state that stays.
        block = np.zeros((3, 3))
        block[:2, :2], block[:2, 2] = hold, drive_hold[:, 2]
        end = expm(block * time) @ np.append(start, current)
        # The switch opens on a time point: a few ps of I/C, 0.02 LSB at 1.5 ps.
        assert abs(output - 0.6 - end[0]) < 0.02 * lsb
        assert abs(at_input - 0.6 - end[1]) < 1e-3 * abs(end[1]) + 1e-8
    # By hand: charge I·t on C_f, less what C_l and the amplifier's gain hold back.
    # The input ramps along: I/(w·C_f), and its charge on C_l and C_f is missing from the output.
    wanted = -(time / c_f + r_on) / (1 + (1 + C_L / c_f) / A) + (1 + C_L / c_f) / (W * c_f)
    assert abs(arrays["gain"] / wanted - 1) < 2e-3


def test_noise_of_a_tia():
    r_f, c_f = 10e3, 100e-15
    a, b = feedback(r_f, c_f)
    current = b[:, 2]
    sources = [(b[:, 0], 4 * K_T * R_N), (current, 4 * K_T * (1 / r_f + G_S))]
    arrays = run({"kind": "tia"})
    # The band from 10 kHz leaves out 1e-4 of 100 MHz; the frequency grid costs as much.
    np.testing.assert_allclose(arrays["noise_sigma"], rms_at_rest(a, sources, 0), rtol=1e-3)
    # By hand, a quiet and very fast amplifier: 4kT(1/R_f + G_s) into R_f parallel to C_f.
    ideal = run(
        {
            "kind": "tia",
            "amplifier": {"gain": 1e7, "gain_bandwidth": 1e13, "noise_resistance": 1e-3},
        },
        {"noise_stop": 1e13},
    )
    wanted = np.sqrt(K_T / c_f * (1 + r_f * G_S))
    np.testing.assert_allclose(ideal["noise_sigma"], wanted, rtol=2e-3)
    np.testing.assert_allclose(
        ideal["noise_current"], ideal["noise_sigma"] / abs(ideal["gain"]), rtol=1e-12
    )


def test_noise_of_a_clamp():
    a, b = clamp()
    load = np.array([0, 0, 1 / 50e-15])
    sources = [
        (b[:, 0], 4 * K_T * R_N),
        (b[:, 2], 4 * K_T * G_S),
        (load, 4 * K_T / 10e3),
    ]
    arrays = run({"kind": "clamp_mirror"})
    np.testing.assert_allclose(arrays["noise_sigma"], rms_at_rest(a, sources, 2), rtol=1e-3)


def integrator_noise(c_f, r_on, time):
    """Standard deviation at the end of an integration: covariance carried through both phases."""
    reset, b = feedback(r_on, c_f)
    start = solve_continuous_lyapunov(
        reset,
        -sum(
            d / 2 * np.outer(column, column)
            for column, d in ((b[:, 0], 4 * K_T * R_N), (b[:, 2], 4 * K_T * (G_S + 1 / r_on)))
        ),
    )
    hold, b = feedback(np.inf, c_f)
    diffusion = 2 * K_T * (R_N * np.outer(b[:, 0], b[:, 0]) + G_S * np.outer(b[:, 2], b[:, 2]))
    steps = 4000
    carry = expm(hold * time / steps)
    half = expm(hold * time / steps / 2)
    added = half @ diffusion @ half.T * time / steps
    for _ in range(steps):
        start = carry @ start @ carry.T + added
    return np.sqrt(start[0, 0])


@pytest.mark.parametrize(("c_f", "time"), [(2e-12, 20e-9), (0.5e-12, 5e-9), (2e-12, 80e-9)])
def test_noise_of_an_integrator(c_f, time):
    arrays = run(
        {"kind": "integrator", "feedback_capacitance": c_f, "integration_time": time},
        FEW | {"current_high": 0.3 * c_f / time},
    )
    # The phases are taken as independent: what the amplifier still remembers of the opening, when
    # it is read, and what it has not yet followed, are 1/(w·t) of the variance each, 6 % of it
    # in the shortest case, 3 % of its root.
    np.testing.assert_allclose(arrays["noise_sigma"], integrator_noise(c_f, 200.0, time), rtol=0.03)


def test_noise_of_an_integrator_does_not_depend_on_the_low_end_of_its_range():
    """The circuit is linear; only its output must not stop where the noise is looked at."""
    noise = [
        run({"kind": "integrator"}, FEW | {"current_low": low, "current_high": 44e-6})
        for low in (0.0, 24e-6)
    ]
    np.testing.assert_allclose(noise[1]["noise_part"], noise[0]["noise_part"], rtol=1e-6)


def test_reset_noise_is_kt_over_c():
    arrays = run(
        {"kind": "integrator", "amplifier": {"gain_bandwidth": 1e13, "noise_resistance": 1e-3}},
        FEW | {"cell_conductance": 1e-6, "noise_stop": 1e14, "current_high": 30e-6},
    )
    np.testing.assert_allclose(arrays["noise_part"][0], np.sqrt(K_T / 2e-12), rtol=2e-3)


def test_integrated_current_noise_by_hand():
    arrays = run(
        {
            "kind": "integrator",
            "amplifier": {"gain": 1e6, "gain_bandwidth": 1e11, "noise_resistance": 1e-3},
        },
        FEW | {"cell_conductance": 1e-3},
    )
    # White 4kTG for t on C: variance 2kTG·t/C².
    wanted = np.sqrt(2 * K_T * 1e-3 * 20e-9) / 2e-12
    np.testing.assert_allclose(arrays["noise_part"][1], wanted, rtol=3e-3)
