"""Where a converter is driven too hard: acquisition that does not settle, fast cycles, ties."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from imccircuit.benches.problem import Probe, Problem, Transient
from imccircuit.circuits.sar_adc import SarAdc, sar_adc
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = pytest.mark.ngspice


def converter(bits: int, *, r_on: float = 100.0, cycle: float = 10e-9) -> SarAdc:
    return SarAdc([2e-15 * 2**k for k in range(bits)], 2e-15, 40e-15, 1.0, 0.5, 0.0, cycle, r_on,
                  1e12)  # fmt: skip


def solve(problem: Problem) -> np.ndarray:
    (outcome,) = NgspiceEngine().solve([problem])
    assert outcome.status is Status.GOOD, outcome.reason
    return outcome.answer.final(problem.probes[0].name)


def loop_codes(adc: SarAdc, inputs: list[float]) -> np.ndarray:
    step = adc.cycle_s / 40
    probe = Probe("bit", tuple(f"v(bit_{k})" for k in range(adc.bits)), (adc.bits,), 10.0)
    bits = solve(
        Problem(
            sar_adc(adc, "loop"),
            Transient(adc.loop_stop_s, step, step),
            (probe,),
            tuple({"vin": value} for value in inputs),
            {"method": "gear"},
        )
    )
    assert np.all(np.minimum(np.abs(bits), np.abs(bits - 1)) < 0.01)
    return (bits > 0.5) @ (1 << np.arange(adc.bits))


def acquired_decision(adc: SarAdc, level: float, before: float, seconds: float) -> float:
    """V_cm − V_top for forced code 2^(bits−1), from the charge that a sampling of ``seconds`` left.

    Capacitor k carries u_k = top − bottom_k and is charged through its own switch, the top plate
    through one more: C_k du_k/dt = (top − in − u_k)/R and
    C_p dtop/dt = (V_cm − top)/R − Σ (top − in − u_k)/R. All are at rest at the input before.
    When the top switch opens, the charge Q = Σ C_k u_k + C_p top stays for good.
    """
    capacitors = np.array([*adc.bit_capacitors_f, adc.dummy_f])
    n, r = len(capacitors), adc.r_on_ohm
    matrix = np.zeros((n + 2, n + 2))  # u_k, top, and a constant 1 for the sources
    matrix[:n, :n] = -np.diag(1 / (r * capacitors))
    matrix[:n, n] = 1 / (r * capacitors)
    matrix[:n, n + 1] = -level / (r * capacitors)
    matrix[n, :n] = 1 / (r * adc.parasitic_f)
    matrix[n, n] = -(1 + n) / (r * adc.parasitic_f)
    matrix[n, n + 1] = (adc.v_cm + n * level) / (r * adc.parasitic_f)
    start = np.append(np.full(n, adc.v_cm - before), [adc.v_cm, 1.0])
    end = expm(matrix * seconds) @ start
    charge = capacitors @ end[:n] + adc.parasitic_f * end[n]
    bottoms = np.zeros(n)
    bottoms[adc.bits - 1] = adc.v_ref
    top = (charge + capacitors @ bottoms) / (capacitors.sum() + adc.parasitic_f)
    return float(adc.v_cm - top)


@pytest.mark.parametrize(("r_on", "least"), [(5e3, 5.0), (3e3, 0.3)])
def test_acquisition_that_does_not_settle_is_seen(r_on: float, least: float) -> None:
    adc = converter(8, r_on=r_on)
    step = adc.cycle_s / 40
    forced = {f"vbit_{k}": float(k == 7) for k in range(8)}
    problem = Problem(
        sar_adc(adc, "forced"),
        Transient(adc.forced_stop_s, step, step),
        (Probe("decision", ("v(decision)",), (), 10.0),),
        ({**forced, "vin": 0.5},),
        {"method": "gear"},
    )
    measured = float(solve(problem)[0])
    # The input crosses its middle at 0.015 cycles, the top switch opens at 1.005.
    expected = acquired_decision(adc, 0.5, 0.0, 0.99 * adc.cycle_s)
    lsb = adc.v_ref / 256
    assert abs(expected) > least * lsb
    # The hold phase settles as slowly; at 5 kΩ what it leaves is some 2 % of the acquisition's.
    assert measured == pytest.approx(expected, rel=0.05, abs=0)


@pytest.mark.parametrize("cycle", [1e-9, 3e-9])
def test_logic_follows_a_fast_cycle(cycle: float) -> None:
    """τ of the largest capacitor is 0.6 ps at 10 Ω: only the logic could be late."""
    adc = converter(6, r_on=10.0, cycle=cycle)
    codes = np.array([1, 2, 16, 31, 32, 33, 48, 63])
    inputs = [(k + s * 0.01) / 64 for k in codes for s in (-1, 1)]
    expected = [k - (s < 0) for k in codes for s in (-1, 1)]
    np.testing.assert_array_equal(loop_codes(adc, inputs), expected)


def test_an_input_on_a_level_is_converted() -> None:
    """Which of the two codes is a matter of rounding; that there is one is not."""
    codes = loop_codes(converter(4), [0.5, 0.0, 0.25, 1.0])
    assert codes[0] in (7, 8)
    assert codes[1] == 0
    assert codes[2] in (3, 4)
    assert codes[3] == 15
