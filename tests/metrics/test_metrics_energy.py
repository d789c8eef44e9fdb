"""Energy and settling against integrals done by hand."""

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.metrics.energy import (
    compute_remainder,
    compute_settling_time,
    compute_source_energy,
)


def test_constant_power():
    time = np.array([0.0, 1.0, 4.0])
    # 2 V that deliver 3 A: SPICE counts the current into the plus node.
    found = compute_source_energy(time, np.full((3, 1), 2.0), np.full((3, 1), -3.0), (0.5, 3.5))
    assert found.delivered_j == pytest.approx([18.0], rel=1e-15, abs=0)
    assert found.returned_j == pytest.approx([0.0], abs=1e-15)


def test_what_comes_back_is_not_netted():
    # v = 1 V, i from −1 A to +1 A linearly over 2 s: half a joule out, half a joule back.
    time = np.array([0.0, 2.0])
    found = compute_source_energy(time, np.ones((2, 1)), np.array([[-1.0], [1.0]]), (0.0, 2.0))
    assert found.delivered_j == pytest.approx([0.5], rel=1e-15, abs=0)
    assert found.returned_j == pytest.approx([0.5], rel=1e-15, abs=0)


def test_both_ramp_and_both_change_sign():
    # v = 1 − t, i = −(2 − t) for t in 0 … 3: p = (1 − t)(2 − t), with zeros at 1 and 2.
    time = np.array([0.0, 3.0])
    found = compute_source_energy(
        time, np.array([[1.0], [-2.0]]), np.array([[-2.0], [1.0]]), (0.0, 3.0)
    )
    # ∫ = 2t − 3t²/2 + t³/3: 5/6 up to 1, −1/6 from 1 to 2, 5/6 from 2 to 3.
    assert found.delivered_j == pytest.approx([5 / 3], rel=1e-14, abs=0)
    assert found.returned_j == pytest.approx([1 / 6], rel=1e-14, abs=0)


def test_charging_a_capacitor_costs_cv2():
    # Through a resistor: i = V/R·exp(−t/RC), so the source gives C·V² and half of it is lost.
    r, c, v = 1e3, 1e-12, 0.8
    time = np.linspace(0, 30 * r * c, 20_001)
    current = -v / r * np.exp(-time / (r * c))
    found = compute_source_energy(
        time, np.full((len(time), 1), v), current[:, None], (0.0, float(time[-1]))
    )
    # The trapezoids of an exponential in steps h are 1 + (h/RC)²/12 of it: 1.9e-7.
    assert found.delivered_j == pytest.approx([c * v**2], rel=2.5e-7, abs=0)


def test_sources_do_not_mix():
    time = np.array([0.0, 1.0])
    found = compute_source_energy(
        time, np.array([[1.0, 2.0], [1.0, 2.0]]), np.array([[-1.0, 1.0], [-1.0, 1.0]]), (0.0, 1.0)
    )
    assert found.delivered_j == pytest.approx([1.0, 0.0], abs=1e-15)
    assert found.returned_j == pytest.approx([0.0, 2.0], abs=1e-15)


@pytest.mark.parametrize("window", [(-1.0, 1.0), (0.0, 2.0), (0.5, 0.5), (0.6, 0.4)])
def test_window_outside_the_record(window):
    time, ones = np.array([0.0, 1.0]), np.ones((2, 1))
    with pytest.raises(UsageError, match="window"):
        compute_source_energy(time, ones, ones, window)


def test_settling_of_an_exponential():
    tau = 1e-9
    time = np.linspace(0, 40 * tau, 40_001)
    value = 0.5 * (1 - np.exp(-time / tau))
    # 0.5·exp(−t/τ) = 1e-3 at τ·ln 500; straight lines between points are 1e-6·τ off.
    settled = compute_settling_time(time, value, 1e-3)
    assert settled == pytest.approx(tau * np.log(500), rel=1e-6, abs=0)
    assert compute_settling_time(time, value, 1e-3, start_s=tau) == pytest.approx(
        tau * np.log(500) - tau, rel=1e-6, abs=0
    )


def test_what_was_always_settled_and_what_never_is():
    time = np.linspace(0, 1, 11)
    assert compute_settling_time(time, np.ones(11), 0.1) == 0.0
    assert np.isnan(compute_settling_time(time, time, 0.05))


def test_remainder_of_an_exponential_is_what_is_left():
    time = np.linspace(0, 1, 801)
    for tau in (0.2, 0.5, 3.0):
        value = 1 - np.exp(-time / tau)
        wanted = np.exp(-1 / tau)
        assert compute_remainder(time, value, 1e-4) == pytest.approx(wanted, rel=1e-3, abs=0)
    # At rest, a leak that a tolerance hides, and something that never slows down.
    assert compute_remainder(time, np.ones(801), 1e-3) == 0
    assert compute_remainder(time, 1e-4 * time, 1e-3) == 0
    assert compute_remainder(time, time, 1e-3) == np.inf
