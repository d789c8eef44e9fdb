"""Spread and noise of charge-domain columns: ngspice and closed forms against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from charge_truth import BOLTZMANN, UNIT_F, VDD, line_f, parameters, run, shared_voltage, step_v
from driving import measure
from scipy import stats
from scipy.linalg import solve_continuous_lyapunov

from imccircuit.benches.bench import Variation
from imccircuit.benches.charge_chip import make_chip
from imccircuit.devices.draws import Draws
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.metrics.charge import compute_charge_mismatch, compute_charge_noise

KT = BOLTZMANN * 300.15
LUMPED = {"row_segment_resistance": "0 ohm", "column_segment_resistance": "0 ohm"}
# Published 28 nm law.
SIGMA_F = 2.1 * 10**-2.5 * 1e-15


def formula(active, rows):
    """σ_V of the closed form, written out again."""
    c = line_f(rows) / UNIT_F
    squares = active * (rows - active + c) ** 2 + (rows - active) * active**2
    return VDD * SIGMA_F * np.sqrt(squares) / (UNIT_F * (rows + c) ** 2)


@pytest.mark.parametrize(("rows", "active"), [(128, 64), (64, 64), (64, 5), (16, 12)])
def test_mismatch_formula_against_monte_carlo(rows, active):
    chips = 20_000
    drawn = UNIT_F + SIGMA_F * np.random.default_rng(1).standard_normal((rows, chips))
    products = (np.arange(rows) < active).astype(float)[None, :, None]
    spread = np.std(shared_voltage(products, drawn)[0])
    found = compute_charge_mismatch(active, rows, UNIT_F, SIGMA_F, line_f(rows), VDD)
    np.testing.assert_allclose(found, formula(active, rows), rtol=1e-12)
    # σ of a σ from n chips is 1/√(2n): 0.5 %, of which four.
    assert abs(spread / found - 1) < 4 / np.sqrt(2 * chips)


def test_mismatch_at_the_published_size():
    full_scale = VDD * 128 / (128 + line_f(128) / UNIT_F)
    found = compute_charge_mismatch(64, 128, UNIT_F, SIGMA_F, line_f(128), VDD) / full_scale
    assert round(100 * float(found), 2) == 0.03


@pytest.mark.ngspice
def test_mismatch_of_spice_chips():
    """100 columns of 64 cells are 100 chips: same inputs, capacitors of their own."""
    drawn = make_chip(
        parameters(
            circuit={"rows": 64, "cols": 100, "weight_pattern": "ones", **LUMPED},
            stimulus={"inputs": [[1] * 32 + [0] * 32]},
        ),
        Variation(Draws(0, 0), frozenset({"unit_capacitor"})),
    )
    (outcome,) = NgspiceEngine().solve([drawn.operation([0], 1)])
    assert outcome.status is Status.GOOD, outcome.reason
    output = outcome.answer.final("output")[0]
    ratio = np.var(output, ddof=1) / formula(32, 64) ** 2
    # 99.9 % of all sets of 100 chips lie between these.
    low, high = stats.chi2.ppf([0.0005, 0.9995], 99) / 99
    assert low < ratio < high
    own = shared_voltage(drawn.bits[:, :, None], drawn.array.capacitors_f)[0]
    assert np.max(np.abs(output - own)) < 0.01 * step_v(64)


def equilibrium_variance(rows, resistance=1e3):
    """Variance on the line of what sharing adds, from the network's own differential equations.

    State: the line's voltage and the cells'. C·dv/dt = −G·v + currents of spectral density
    2·kT·G each way. The common charge neither decays nor is driven, so the covariance P is found
    in the space of the differences: with A = −C⁻¹G, A·P + P·Aᵀ + 2·kT·C⁻¹·G·C⁻¹ = 0.
    """
    capacitors = np.append(line_f(rows), np.full(rows, UNIT_F))
    conductance = np.zeros((rows + 1, rows + 1))
    for cell in range(1, rows + 1):
        conductance[np.ix_([0, cell], [0, cell])] += np.array([[1, -1], [-1, 1]]) / resistance
    # Scaled by √C the operator is symmetric and its null space is √C itself.
    root = np.sqrt(capacitors)
    operator = conductance / np.outer(root, root)
    _, vectors = np.linalg.eigh(operator)
    differences = vectors[:, 1:]
    inside = differences.T @ operator @ differences
    covariance = solve_continuous_lyapunov(-inside, -2 * KT * inside)
    voltages = (differences @ covariance @ differences.T) / np.outer(root, root)
    return voltages[0, 0]


@pytest.mark.parametrize("rows", [1, 8, 128])
def test_noise_by_phase(rows):
    line, total = line_f(rows), rows * UNIT_F
    sampling, sharing = compute_charge_noise(total, line, 27.0)
    np.testing.assert_allclose(sharing**2, equilibrium_variance(rows), rtol=1e-9)
    # Charges that switches freeze, drawn: kT·C on each capacitor, then shared.
    rng = np.random.default_rng(5)
    charges = np.sqrt(KT * total) * rng.standard_normal(100_000)
    charges += np.sqrt(KT * line) * rng.standard_normal(100_000)
    assert abs(np.std(charges / (total + line)) / sampling - 1) < 0.01
    np.testing.assert_allclose(np.hypot(sampling, sharing), np.sqrt(KT / line), rtol=1e-12)


@pytest.mark.ngspice
@pytest.mark.parametrize("temperature", [27.0, 125.0])
def test_noise_of_spice(temperature):
    found = run(
        NgspiceEngine(), measure,
        circuit={"rows": 128}, stimulus={"batch": 1},
        conditions={"temperature": f"{temperature} degC"},
    )  # fmt: skip
    kt = BOLTZMANN * (temperature + 273.15)
    line, whole = line_f(128), 128 * UNIT_F + line_f(128)
    # The band ends miss 1e-5 of it, and 100 points a decade another 1e-5.
    np.testing.assert_allclose(found.noise_sampling, np.sqrt(kt / whole), rtol=1e-4)
    both = np.sqrt(kt * 128 * UNIT_F / (line * whole))
    np.testing.assert_allclose(found.noise_sharing, both, rtol=1e-4)
    np.testing.assert_allclose(found.noise_sigma, np.sqrt(kt / line), rtol=1e-4)
    if temperature == 27.0:
        assert round(1e3 * float(found.noise_sigma), 2) == 0.32


def gates_capacitance_f(rows, unit_f, line):
    """Least and most capacitance of a line alone and with its plates, by hand from the models.

    Overlaps of 0.2 fF/um on each side of every gate; half the channel of both share transistors at
    the line, the other half at the plate, if they conduct; junctions of 0.1 fF/um beside the gate,
    a wall of at most three gate widths.
    """
    overlap, junction = 0.2e-9 * 120e-9, 3 * 0.1e-9 * 120e-9
    reset = max(1, rows / 16)
    oxide = 3.9 * 8.854e-12 * 120e-9 * 60e-9 * (1 / 2.2e-9 + 1 / 2.3e-9)
    least = line + (2 * rows + reset) * overlap
    most = least + rows * oxide / 2 + (2 * rows + reset) * junction
    plates = rows * (unit_f + 4 * overlap)
    return (least, most), (least + plates, most + plates + rows * (oxide / 2 + 4 * junction))


@pytest.mark.ngspice
@pytest.mark.parametrize("product", ["and", "xnor"])
@pytest.mark.parametrize(("rows", "unit_f"), [(8, 1e-15), (64, 1e-15), (64, 1e-13)])
def test_noise_with_transistors(product, rows, unit_f):
    """Equipartition: kT over what the line has, with the transistors' capacitances."""
    drawn = make_chip(
        parameters(circuit={"rows": rows, "product": product, "unit_capacitor": f"{unit_f} F",
                            "switches": "transmission_gate"}),
        Variation(Draws(0, 0)),
    )  # fmt: skip
    outcomes = [NgspiceEngine().solve([problem])[0] for problem in drawn.noise()]
    assert [outcome.status for outcome in outcomes] == [Status.GOOD] * 2
    found = [float(outcome.answer.final("noise")[0]) for outcome in outcomes]
    sampling, sharing = drawn.noise_by_phase(*found)
    alone, whole = gates_capacitance_f(rows, unit_f, 0.3 * rows * unit_f + 2e-15)
    # The band ends miss 1e-5 of it, and the share switches pass less than a thousandth.
    assert np.sqrt(KT / alone[1]) < np.hypot(sampling, sharing) < np.sqrt(KT / alone[0])
    assert np.sqrt(KT / whole[1]) < sampling < np.sqrt(KT / whole[0])
    if unit_f > 10e-15:
        # Beside large capacitors those of the transistors vanish: less than 1 % by the bounds.
        plain = compute_charge_noise(rows * unit_f, 0.3 * rows * unit_f + 2e-15, 27.0)
        np.testing.assert_allclose([sampling, sharing], plain, rtol=0.01)
