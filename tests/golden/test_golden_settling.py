"""How a line with wire capacitance settles: SPICE, Elmore's bound, and the matrix exponential.

The conductance and capacitance matrices are built here from the drawing of the line, not by the
generator. Elmore's delay is the first moment of the impulse response; in an RC tree half of a step
has arrived by then (Gupta, Tutuianu, Pileggi, IEEE TCAD 16(1), 1997).
"""

import numpy as np
import pytest
from scipy.linalg import expm

from imccircuit.benches.problem import Probe, Problem, Transient
from imccircuit.circuits.crossbar import crossbar
from imccircuit.circuits.crossbar_parts import ClampMirrorReadout, IntegratorReadout
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.nodal import ResistiveArray, solve_array

pytestmark = pytest.mark.ngspice

STEPS = 4000
HALF_LSB = 1 / 512  # of 8 bits


def stepped(circuit, stop, edge):
    """The deck's text with every row stepping from 0 to its voltage."""
    lines = []
    for line in str(circuit).splitlines():
        if line.startswith("Vin_"):
            name, plus, minus, value = line.split()
            times = f"0 {edge!r} {edge!r} {stop!r} {2 * stop!r}"
            lines.append(f"{name} {plus} {minus} pulse(0 {value} {times})")
        else:
            lines.append(line)
    return "\n".join(lines)


def simulate(circuit, vector, stop, options=None):
    step = stop / STEPS
    problem = Problem(
        circuit=circuit,
        analysis=Transient(stop, step, step),
        probes=(Probe("out", (vector,), (), 10.0),),
        options={"reltol": 1e-6} if options is None else options,
    )
    (outcome,) = NgspiceEngine().solve([problem])
    assert outcome.status is Status.GOOD, outcome.reason
    (run,) = outcome.answer.runs
    return run.axis, run.values["out"]


def exact(conductance, capacitance, drive, out, time, edge):
    """Answer ``out``·x of C·x' = −G·x + drive·u to a ramp of length ``edge`` to 1, at ``time``."""
    inverse = np.linalg.inv(conductance)
    a = -np.linalg.solve(capacitance, conductance)
    rest = inverse @ drive
    # x of a ramp u = t/edge from rest: (t·rest − K·(rest − e^(At)·rest))/edge with K = G⁻¹C.
    moment = inverse @ capacitance
    values = []
    for t in time:

        def ramp(s):
            return s * rest - moment @ (rest - expm(a * s) @ rest) if s > 0 else 0 * rest

        values.append(out @ (ramp(t) - ramp(t - edge)) / edge)
    return np.array(values)


def first_moment(conductance, capacitance, drive, out):
    """Elmore's delay: ∫ (1 − y(t)/y(∞)) dt."""
    rest = np.linalg.solve(conductance, drive)
    return out @ np.linalg.solve(conductance, capacitance @ rest) / (out @ rest)


def last_outside(time, error, band):
    last = np.flatnonzero(error > band)[-1]
    share = (error[last] - band) / (error[last] - error[last + 1])
    return time[last] + share * (time[last + 1] - time[last])


def check(time, value, delay, slowest, edge, system):
    """Half of the step has arrived after ``delay``, and it settles no slower than ``slowest``."""
    final = value[-1]
    got = value / final
    half = time[np.argmax(got >= 0.5)]
    settled = last_outside(time, np.abs(got - 1), HALF_LSB)
    # Elmore's bound is of a step at the middle of the edge.
    assert half - edge / 2 <= delay
    assert settled - edge / 2 <= np.log(1 / HALF_LSB) * slowest
    grid = np.linspace(0, time[-1], 161)
    wanted = exact(*system, grid, edge)
    # Trapezoidal steps h and straight lines between them cost up to (1/12 + 1/8)·h² of the bend,
    # which for a ramp of length E into a time constant τ is 1/(τ·E) at most.
    h = time[-1] / STEPS
    assert np.max(np.abs(np.interp(grid, time, value) - wanted)) < (
        h**2 * (1 / 12 + 1 / 8) / (delay * edge) * abs(final)
    )
    fine = np.linspace(settled - 40 * h, settled + 40 * h, 81)
    curve = np.abs(exact(*system, fine, edge) / wanted[-1] - 1)
    assert abs(last_outside(fine, curve, HALF_LSB) - settled) < h
    return half, settled


def test_word_line_against_elmore_and_matrix_exponential():
    n, r, c, r_driver = 24, 40.0, 2e-15, 300.0
    array = ResistiveArray(np.zeros((1, n)), r_row_ohm=r, r_driver_ohm=r_driver)
    upstream = r_driver + r * np.arange(1, n + 1)
    elmore = float(np.sum(upstream * c))  # of the far end, by hand
    edge, stop = elmore / 100, 12 * elmore
    circuit = stepped(crossbar(array, [1.0], c_row_f=c), stop, edge)
    time, value = simulate(circuit, f"v(w_0_{n - 1})", stop)

    conductance = np.zeros((n, n))
    for k in range(n):
        g = 1 / (r + (r_driver if k == 0 else 0.0))
        conductance[k, k] += g
        if k > 0:
            conductance[k - 1, k - 1] += g
            conductance[k - 1, k] = conductance[k, k - 1] = -g
    drive = np.zeros(n)
    drive[0] = 1 / (r + r_driver)
    far = np.eye(n)[-1]
    system = (conductance, c * np.eye(n), drive, far)
    np.testing.assert_allclose(first_moment(*system), elmore, rtol=1e-9)
    half, settled = check(time, value, elmore, elmore, edge, system)
    assert 0.6 * elmore < half < elmore
    # The slowest pole of a uniform line driven without resistance is 8/π² of Elmore's delay, and a
    # driver brings it nearer: the bound on settling is within a fifth.
    assert settled > 8 / np.pi**2 * np.log(1 / HALF_LSB) * elmore


def test_column_current_against_elmore_and_matrix_exponential():
    n, r, c, r_sense = 24, 30.0, 4e-15, 200.0
    rng = np.random.default_rng(3)
    g = rng.uniform(1e-6, 40e-6, n)
    volts = rng.uniform(0.05, 0.2, n)
    array = ResistiveArray(g[:, None], r_col_ohm=r, r_sense_ohm=r_sense)

    conductance = np.diag(g)
    for k in range(n):
        link = 1 / (r + (r_sense if k == n - 1 else 0.0))
        conductance[k, k] += link
        if k + 1 < n:
            conductance[k + 1, k + 1] += link
            conductance[k, k + 1] = conductance[k + 1, k] = -link
    out = np.eye(n)[-1] / (r + r_sense)
    system = (conductance, c * np.eye(n), g * volts, out)
    elmore = float(first_moment(*system))
    edge, stop = elmore / 50, 12 * elmore
    circuit = stepped(crossbar(array, volts, c_col_f=c), stop, edge)
    time, value = simulate(circuit, "i(vsense_0)", stop)
    np.testing.assert_allclose(
        value[-1], solve_array(array, volts).output_current_a[0, 0], rtol=1e-4
    )
    # Cells near the end answer at once, those far from it late: half of the sum comes within the
    # first moment of the whole, but it settles as the farthest cell does. Alone, that one sees no
    # zero, so its Elmore delay is the sum of all time constants and bounds the slowest.
    farthest = float(first_moment(conductance, system[1], g[0] * np.eye(n)[0], out))
    np.testing.assert_allclose(
        farthest, np.trace(np.linalg.solve(conductance, system[1])), rtol=1e-9
    )
    _, settled = check(time, value, elmore, farthest, edge, system)
    assert elmore < 0.8 * farthest
    assert settled > np.log(1 / HALF_LSB) * elmore  # the first moment is no bound of the tail


def test_clamp_of_a_column_is_a_sense_resistance_at_a_voltage():
    rng = np.random.default_rng(5)
    g, volts = rng.uniform(1e-6, 40e-6, (6, 1)), 0.65 + rng.uniform(0, 0.2, 6)
    readout = ClampMirrorReadout(0.652, 50.0, 0.5, 8e3, 1.2, 10e-6)
    circuit = crossbar(ResistiveArray(g, r_col_ohm=5.0), volts, readout=readout)
    _, output = simulate(circuit, "v(out_0)", 1e-9)
    seen = ResistiveArray(g, r_col_ohm=5.0, r_sense_ohm=50.0)
    current = solve_array(seen, volts - 0.652).output_current_a[0, 0]
    np.testing.assert_allclose(output[-1], 1.2 - 0.5 * 8e3 * (current + 10e-6), rtol=1e-9)


def test_integrator_of_a_column_by_matrix_exponential():
    a, w, c_f, r_on, c_l = 1000.0, 2 * np.pi * 500e6, 2e-12, 200.0, 30e-15
    g, volts = np.array([10e-6, 25e-6, 40e-6]), np.array([0.1, 0.2, 0.05])
    readout = IntegratorReadout(a, 500e6, c_f, r_on, 2e-3, 10e-9, 20e-9)
    circuit = crossbar(ResistiveArray(g[:, None]), volts, readout=readout, c_col_f=c_l / 3)
    _, output = simulate(circuit, "v(out_0)", readout.stop_s, {"reltol": 1e-6, "method": "gear"})

    # x = (amplifier's output, bit line); c' = w·(e − v) − (w/A)·c, and Kirchhoff at the bit line.
    def system(leak):
        core, source = np.array([-w / a, -w]), w * 2e-3
        line = (c_f * core + [leak, -leak - g.sum()]) / (c_l + c_f)
        return np.array([core, line]), np.array([source, (c_f * source + g @ volts) / (c_l + c_f)])

    closed, drive = system(1 / r_on)
    start = np.linalg.solve(closed, -drive)
    opened, drive = system(0.0)
    rest = np.linalg.solve(opened, -drive)
    end = rest + expm(opened * 20e-9) @ (start - rest)
    # The switch opens on a time point, 7.5 ps apart: I/C times that.
    slope = (g @ volts) / c_f
    assert abs(output[-1] - end[0]) < 7.5e-12 * slope + 1e-6
