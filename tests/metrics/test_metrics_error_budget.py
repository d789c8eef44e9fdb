"""The error budget's formulas against charge conservation of drawn chips, in numpy alone."""

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.metrics.error_budget import (
    PARTS,
    BudgetParts,
    compute_error_parts,
    compute_noise_sigma,
)
from imccircuit.metrics.grouped import GroupedGains, compute_crossing, compute_ideal_product

UNIT, WIRE, LOAD = 2e-15, 0.3e-15, 5e-15
GAINS = GroupedGains(UNIT, WIRE, WIRE, LOAD, 4, 3)
ARRAYS, ROWS, VECTORS = 2, 6, 40


def operands(seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 16, (VECTORS, ARRAYS, ROWS)), rng.integers(0, 8, (ARRAYS, ROWS))


def rms(part, chips=300, **known):
    parts = BudgetParts(GAINS, **known)
    found = [
        compute_error_parts(parts, *operands(chip), np.random.default_rng(chip))
        for chip in range(chips)
    ]
    index = list(PARTS).index(part)
    assert np.allclose(np.delete(found, [index, len(PARTS) - 1], axis=1), 0, atol=1e-15)
    return np.sqrt(np.mean(np.square(np.array(found)[:, index])))


def charge(inputs, weights, unit, cell):
    """Product by charge conservation, units (array, row, 16) of the DAC, cells (array, row, 3)."""
    on = np.zeros((*inputs.shape, 16))
    for u in range(1, 16):
        on[..., u] = inputs >> (u.bit_length() - 1) & 1
    row = (on * unit).sum(axis=-1) / (unit.sum(axis=-1) + 16 * WIRE)
    total, held = LOAD * np.ones(ARRAYS), 0.0
    for j in range(3):
        w = weights >> j & 1
        column = (row * w * cell[..., j]).sum(axis=-1)
        column = column / (cell[..., j].sum(axis=-1) + ROWS * WIRE)
        near = cell[:, : 2**j, j].sum(axis=-1) + 2**j * WIRE
        held, total = held + column * near, total + near
    return (held / total).mean(axis=-1) / GAINS.full_scale


@pytest.mark.parametrize("part", ["row DAC", "sum and weigh"])
def test_capacitors(part):
    # First order in 1 %: what is left out is 1 % of the error; 300 chips know an rms to 4 %.
    sigma, exact = 0.01, []
    for chip in range(300):
        rng = np.random.default_rng(10_000 + chip)
        dac = sigma if part == "row DAC" else 0.0
        unit = UNIT * (1 + dac * rng.standard_normal((ARRAYS, ROWS, 16)))
        cell = UNIT * (1 + (sigma - dac) * rng.standard_normal((ARRAYS, ROWS, 3)))
        inputs, weights = operands(chip)
        ideal = compute_ideal_product(inputs, weights[..., None], 4, 3)[:, 0]
        assert charge(inputs, weights, 0 * unit + UNIT, 0 * cell + UNIT) == pytest.approx(
            ideal, abs=1e-12
        )
        exact.append(charge(inputs, weights, unit, cell) - ideal)
    both = BudgetParts(GAINS, unit_sigma=sigma)
    index = list(PARTS).index(part)
    found = [
        compute_error_parts(both, *operands(chip), np.random.default_rng(chip))[index]
        for chip in range(300)
    ]
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(np.std(exact), rel=0.1, abs=0)


def test_errors_of_arrays_add_by_the_root():
    # σ of the mean over A = 2 arrays of independent errors; the offset has a reference as well.
    assert rms("noise", noise_sigma=1e-3) == pytest.approx(1e-3 / np.sqrt(2), rel=0.05, abs=0)
    bent = rms("time mismatch", residual_sigma=np.full(2, 1e-3))
    assert bent == pytest.approx(1e-3 / np.sqrt(2), rel=0.05, abs=0)
    offset = rms("time offset", chips=2000, offset_sigma=1e-3, end_points=False)
    assert offset == pytest.approx(1e-3, rel=0.05, abs=0)
    known = {"drivers": 4, "driver_offset_sigma": 1e-3}
    mean_square_weight = np.mean(np.arange(8) ** 2) / 7**2
    expected = 2e-3 * np.sqrt(mean_square_weight / (ARRAYS * ROWS))
    assert rms("row drivers", **known) == pytest.approx(expected, rel=0.1, abs=0)


def test_measured_curves():
    level = np.linspace(0, 1, 11)
    x, w = operands(1)
    rng = np.random.default_rng(0)
    bent = BudgetParts(GAINS, time_residual=0.1 * level)
    found = compute_error_parts(bent, x, w, rng)[list(PARTS).index("time curvature")]
    ideal = compute_ideal_product(x, w[..., None], 4, 3)[:, 0]
    assert np.allclose(found, 0.1 * ideal)
    path = BudgetParts(GAINS, path_one=0.9 * level, path_zero=0.01)
    found = compute_error_parts(path, x, w, rng)[list(PARTS).index("switches")]
    assert np.allclose(found, -0.1 * ideal + 0.01 * (1 - w.mean() / 7))
    # Array a is read a + ½ stages after the launch.
    leaky = BudgetParts(GAINS, loss=0 * level + 1e-3, end_points=False)
    found = compute_error_parts(leaky, x, w, rng)[list(PARTS).index("leakage")]
    assert np.allclose(found, -1e-3)


def test_noise_is_that_of_every_share():
    # Every capacitor is left with kT·C of charge noise when its switch opens, and what two shares
    # have moved between them is part of that. Walk the steps with drawn charges: kT = 1, C = 1.
    rng, chips = np.random.default_rng(3), 20_000
    rows, near = 4, (1, 2)
    out = np.zeros(chips)
    for units in near:
        total = rng.standard_normal((rows, chips)).sum(axis=0)  # cells, each kT·C
        far = rows - units
        # The join: charge divides by capacitance, plus noise kT·C1·C2/(C1 + C2) that moves across.
        moved = np.sqrt(units * far / rows) * rng.standard_normal(chips)
        out += total * units / rows + moved
    variance = np.var(out / sum(near))
    assert variance == pytest.approx(1 / sum(near), rel=0.05, abs=0)
    gains = GroupedGains(1e-15, 0.0, 0.0, 0.0, 2, 2)
    expected = np.sqrt(1.380649e-23 * 300 / 3e-15)
    assert compute_noise_sigma(gains, 1.0, 300.0) == pytest.approx(expected, rel=1e-9, abs=0)


def test_wrong_shapes_and_crossings():
    with pytest.raises(UsageError, match="allowed"):
        compute_error_parts(BudgetParts(GAINS), np.ones((2, 3), int), np.ones((2, 3), int),
                            np.random.default_rng(0))  # fmt: skip
    time = np.array([0.0, 1.0, 2.0, 3.0])
    assert compute_crossing(time, np.array([-1.0, 1.0, -1.0, 3.0])) == 2.25
    assert np.isnan(compute_crossing(time, np.array([1.0, 0.0, -1.0, -2.0])))
