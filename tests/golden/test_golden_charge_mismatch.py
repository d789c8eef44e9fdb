"""Transistor mismatch of charge-domain columns against the models' own parameters and by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from charge_truth import UNIT_F, line_f, parameters, step_v
from scipy import stats

from imccircuit.benches.bench import Variation
from imccircuit.benches.charge_chip import make_chip
from imccircuit.circuits.charge_mismatch import ChargeMismatch
from imccircuit.devices.draws import Draws
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = pytest.mark.ngspice
CELL = {
    "and": ("pass_n", "pass_p", "zero_n", "sample_n", "sample_p", "share_n", "share_p"),
    "xnor": ("pass_n", "pass_p", "passb_n", "passb_p", "sample_n", "sample_p", "share_n",
             "share_p"),
}  # fmt: skip


def chip(rows, active, *, cols=1, product="and", corner="tt", quantities=()):
    """Columns whose first ``active`` rows are 1; stored bits are all 1."""
    bits = [[1.0] * k + [0.0 if product == "and" else -1.0] * (rows - k) for k in active]
    circuit = {"cols": cols, "product": product, "switches": "transmission_gate",
               "weight_pattern": "ones", "row_segment_resistance": "0 ohm",
               "column_segment_resistance": "0 ohm"}  # fmt: skip
    given = parameters(circuit=circuit, stimulus={"inputs": bits}, conditions={"corner": corner})
    return make_chip(given, Variation(Draws(0, 0), frozenset(quantities)))


def nominal(rows, cols, product="and"):
    names = CELL[product]
    return ChargeMismatch(
        {name: np.zeros((rows, cols)) for name in names},
        {name: np.ones((rows, cols)) for name in names},
        np.zeros(cols),
        np.ones(cols),
    )


def outputs_lsb(drawn, mismatch=None):
    """(batch, col) in LSB."""
    if mismatch is not None:
        drawn = replace(drawn, array=replace(drawn.array, mismatch=mismatch))
    (outcome,) = NgspiceEngine().solve([drawn.operation(range(len(drawn.bits)), 1)])
    assert outcome.status is Status.GOOD, outcome.reason
    return outcome.answer.final("output") / drawn.step_v


@pytest.mark.parametrize("product", ["and", "xnor"])
def test_a_corner_is_a_mismatch_that_all_share(product):
    """The fast section of the library is 30 mV less of both thresholds and 6 % more mobility.

    The models write their p threshold negative, and delvto is added to it as it stands.
    """
    fast = outputs_lsb(chip(8, (0, 4, 8), product=product, corner="ff"))[:, 0]
    typical = chip(8, (0, 4, 8), product=product)
    before = outputs_lsb(typical)[:, 0]
    shared = nominal(8, 1, product)
    for name in CELL[product]:
        shared.cell_vth_v[name][:] = -0.03 if name.endswith("_n") else 0.03
        shared.cell_mobility[name][:] = 1.06
    shared.reset_vth_v[:], shared.reset_mobility[:] = -0.03, 1.06
    found = outputs_lsb(typical, shared)[:, 0]
    # Row drivers are in the corner too, and time steps fall elsewhere, which moves what the
    # switches inject by up to 1 %.
    injected = np.max(np.abs(before - np.array([0, 4, 8])))
    assert np.max(np.abs(found - fast)) < 0.01 * injected
    assert np.max(np.abs(found - before)) > 0.1 * injected


def test_a_threshold_moves_the_charge_of_its_channel():
    """Shares that conduct 30 mV later take W·L·C_ox·30 mV less of electrons from a low line.

    That is the most, for the oxide is not all of the gate's capacitance: the channel's own depth
    and the depletion below it are in series with it, together thinner than 2.2 nm of oxide.
    """
    column = chip(8, (0,))
    shifted = nominal(8, 1)
    shifted.cell_vth_v["share_n"][:] = 0.03
    lost = (outputs_lsb(column) - outputs_lsb(column, shifted))[0, 0] * step_v(8)
    oxide = 3.9 * 8.854e-12 / 2.2e-9 * 120e-9 * 60e-9
    most = 8 * oxide * 0.03 / (8 * UNIT_F + line_f(8))
    assert most / 2 < lost < most


def test_spread_is_that_of_single_transistors():
    """40 drawn columns of 4 cells against the squares of what each transistor does alone.

    σ of a threshold is 2.5 mV·um/√(W·L), by hand from the card.
    """
    names, sigma = CELL["and"], 2.5e-9 / np.sqrt(120e-9 * 60e-9)
    # One column for each transistor of a cell whose product is one and of one whose is not, one
    # for the reset switch, and one without mismatch.
    single = nominal(4, 2 * len(names) + 2)
    for place, name in enumerate(names):
        single.cell_vth_v[name][0, 2 * place] = sigma
        single.cell_vth_v[name][3, 2 * place + 1] = sigma
    single.reset_vth_v[-2] = sigma
    (found,) = outputs_lsb(chip(4, (2,), cols=2 * len(names) + 2), single)
    squares = (found[:-1] - found[-1]) ** 2
    expected = 2 * np.sum(squares[:-1]) + squares[-1]
    (drawn,) = outputs_lsb(chip(4, (2,), cols=40, quantities=("transistor",)))
    # 99.9 % of all sets of 40 chips lie between these; mobilities leave outputs as they are.
    low, high = stats.chi2.ppf([0.0005, 0.9995], 39) / 39
    assert low < np.var(drawn, ddof=1) / expected < high
