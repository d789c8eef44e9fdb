"""The error budget against charge conservation in numpy: many chips, where SPICE affords a hundred.

Truth: every step of `test_golden_aidac` for linear capacitors, with all of a chip's deviations at
once; nothing of it is first order.
"""

import numpy as np
import pytest
from test_benches_aidac_budget import machine, parts_of

from imccircuit.benches.aidac_build import draw_inputs, draw_weights
from imccircuit.metrics.error_budget import PARTS, BudgetParts, compute_error_parts
from imccircuit.metrics.grouped import GroupedGains, compute_ideal_product


def exact(parameters, inputs, weights, rng):
    """(vector,) product of one drawn chip of an array behind row drivers."""
    c = parameters.circuit
    shape, unit = (c.arrays, c.rows), c.unit_f
    sigma = float(c.capacitor_card.sigma_f(unit))
    groups = np.concatenate([[1], 2 ** np.arange(c.input_bits)])
    charged = unit * groups + sigma * np.sqrt(groups) * rng.standard_normal((*shape, len(groups)))
    on = inputs[..., None] >> np.arange(c.input_bits) & 1
    total = charged.sum(axis=-1) + c.row_line_capacitance * 2**c.input_bits
    row = parameters.precharge_v * np.einsum("naig,aig->nai", on, charged[..., 1:]) / total
    for _ in range(c.row_drivers):
        gain = c.driver_gain * (1 + c.driver_gain_sigma * rng.standard_normal(shape))
        row = gain * (row + c.driver_offset + c.driver_offset_sigma * rng.standard_normal(shape))
    cell = unit + sigma * rng.standard_normal((*shape, c.weight_bits))
    bit = weights[..., None] >> np.arange(c.weight_bits) & 1
    wire = c.bit_line_capacitance
    column = np.einsum("nai,aij->naj", row, bit * cell) / (cell.sum(axis=1) + wire * c.rows)
    near = np.stack(
        [cell[:, : 2**j, j].sum(axis=1) + wire * 2**j for j in range(c.weight_bits)], -1
    )
    dummies = c.dummy_units * unit + sigma * np.sqrt(c.dummy_units) * rng.standard_normal(c.arrays)
    load = near.sum(axis=-1) + dummies + c.output_line_capacitance
    volt = (column * near).sum(axis=-1) / load
    offset = c.time_offset_sigma * rng.standard_normal((2, c.arrays))
    slope = c.time_slope * (1 + c.time_slope_sigma * rng.standard_normal(c.arrays))
    bent = 1 + c.time_curvature * (volt / parameters.full_scale_v - 1)
    delay = (offset[0] - offset[1] + slope * volt * bent).sum(axis=-1)
    return delay / (c.arrays * c.time_slope * parameters.full_scale_v)


def rms_of(chips, **shape):
    """Rms error of exact chips and of the budget, on the same operands."""
    parameters = machine(**shape)
    parts, circuit = parts_of(parameters), parameters.circuit
    bits = (circuit.input_bits, circuit.weight_bits)
    truth, budget = [], []
    for chip in range(chips):
        inputs, weights = draw_inputs(parameters, chip), draw_weights(parameters, chip)
        product = exact(parameters, inputs, weights[..., 0], np.random.default_rng([chip, 1]))
        truth.append(product - compute_ideal_product(inputs, weights, *bits)[:, 0])
        rng = np.random.default_rng([chip, 2])
        budget.append(compute_error_parts(parts, inputs, weights[..., 0], rng).sum(axis=0))
    return tuple(float(np.sqrt(np.mean(np.square(found)))) for found in (truth, budget))


SHAPES = {
    "2 x 16 rows, 4 bits": {"arrays": 2, "rows": 16, "outputs": 4, "input_bits": 4,
                            "weight_bits": 4},
    "2 x 2 rows, 2 bits": {"arrays": 2, "rows": 2, "outputs": 2, "input_bits": 2,
                           "weight_bits": 2},
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", SHAPES)
def test_the_method_has_no_bias(name):
    # A ratio over 100 chips spreads by 10 and 15 % (measured): over 6000 by 1.3 and 1.9 %, and
    # terms of second order, 2 % each, give some ten-thousandths. Three standard deviations.
    truth, budget = rms_of(6000, built_outputs=1, **SHAPES[name])
    assert budget == pytest.approx(truth, rel=0.04 if "16" in name else 0.057, abs=0)


def test_the_method_on_a_few_chips():
    truth, budget = rms_of(600, built_outputs=1, **SHAPES["2 x 16 rows, 4 bits"])
    assert budget == pytest.approx(truth, rel=0.12, abs=0)


GAINS = GroupedGains(2e-15, 0.0, 0.0, 0.0, 2, 2)


def part_of(name, parts, inputs, weights, seed=0):
    found = compute_error_parts(parts, inputs, weights, np.random.default_rng(seed))
    return found[PARTS.index(name)]


def test_time_noise_adds_by_the_root_of_arrays():
    # Two cascades of A cells, the mean over A arrays: √2·σ/√A.
    for arrays in (1, 8):
        inputs = np.zeros((20_000, arrays, 2), dtype=np.int64)
        weights = np.zeros((arrays, 2), dtype=np.int64)
        found = part_of("time noise", BudgetParts(GAINS, jitter=0.01), inputs, weights)
        # 20 000 values know a standard deviation to 0.5 %.
        assert np.std(found) == pytest.approx(0.01 * np.sqrt(2 / arrays), rel=0.02, abs=0)


def test_a_chain_of_drivers_bends_and_lifts_rows():
    # c(v) = v² of cells with weight 1, −1 % of those with weight 0; rows at 1/3 and 1.
    level = np.linspace(0, 1, 4)
    parts = BudgetParts(GAINS, drivers=3, driver_curve=level**2, driver_zero=-0.01)
    inputs, weights = np.array([[[1, 3]]]), np.array([[3, 0]])
    found = part_of("row drivers", parts, inputs, weights)
    assert found == pytest.approx([(1 / 9 - 1 / 3) / 2 - 0.01 / 2], rel=1e-12, abs=0)
    assert part_of("row drivers", BudgetParts(GAINS), inputs, weights) == pytest.approx(
        0, abs=1e-15
    )


def test_switch_mismatch_averages_over_cells():
    # One array of 2 rows, 2 bits: √((1 + 4)/2)/3 of a cell's, the same for all vectors.
    inputs, weights = np.zeros((2, 1, 2), dtype=np.int64), np.zeros((1, 2), dtype=np.int64)
    parts = BudgetParts(GAINS, switch_sigma=0.01)
    found = np.array([
        part_of("switch mismatch", parts, inputs, weights, seed) for seed in range(2000)
    ])  # fmt: skip
    assert np.array_equal(found[:, 0], found[:, 1])
    assert np.std(found[:, 0]) == pytest.approx(0.01 * np.sqrt(5 / 2) / 3, rel=0.05, abs=0)
