"""Charge-domain columns with transmission gates: what physics says about their errors."""

from __future__ import annotations

import re

import numpy as np
import pytest
from charge_truth import parameters, run, shared_voltage, step_v
from driving import measure

from imccircuit.benches.bench import Variation
from imccircuit.benches.charge_chip import make_chip
from imccircuit.circuits.charge_column import energy_sources
from imccircuit.devices.cards import load_card
from imccircuit.devices.draws import Draws
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = pytest.mark.ngspice
ROWS = 8


@pytest.fixture(scope="module")
def column():
    engine, known = NgspiceEngine(), {}

    def at(circuit=(), conditions=()):
        key = (tuple(circuit), tuple(conditions))
        if key not in known:
            known[key] = run(
                engine, measure,
                circuit={"rows": ROWS, "weight_pattern": "ones",
                         "switches": "transmission_gate", **dict(circuit)},
                stimulus={"pattern": "staircase", "batch": 5, "cost_vectors": 1},
                conditions=dict(conditions),
            )  # fmt: skip
        return known[key]

    return at


def test_output_is_that_of_the_charge_but_for_injection(column):
    found = column()
    active = (np.arange(ROWS) < np.array([0, 2, 4, 6, 8])[:, None])[:, :, None]
    ideal = shared_voltage(active, np.full((ROWS, 1), 1e-15))
    error = (found.output_voltage - ideal) / step_v(ROWS)
    np.testing.assert_allclose(error, found.charge_error, atol=1e-9)
    assert 0.01 < np.max(np.abs(error)) < 0.5
    assert found.history < 0.01
    assert found.unsettled < 0.01


def test_injection_fades_with_the_capacitor(column):
    """The charge of the gates stays, so in units of a product's charge it goes with 1/C."""
    small = column()
    large = column((("unit_capacitor", "4 fF"), ("line_capacitance", "8 fF")))
    ratio = np.ptp(small.charge_error) / np.ptp(large.charge_error)
    assert 3 < ratio < 5
    np.testing.assert_allclose(small.charge_error[0] / large.charge_error[0], 4, rtol=0.3)


def test_supply(column):
    low, high = column(), column((), (("supply", "1.2 V"),))
    np.testing.assert_allclose(high.output_voltage[-1] / low.output_voltage[-1], 4 / 3, rtol=0.02)
    # More gate voltage: faster, and CV² more of every source.
    assert high.latency < low.latency
    assert np.all(high.energy > 1.5 * low.energy)
    # All gates' charge together, within what their capacitance changes with voltage.
    np.testing.assert_allclose(np.sum(high.energy) / np.sum(low.energy), (4 / 3) ** 2, rtol=0.05)
    assert high.area == low.area


def test_corner(column):
    slow, typical, fast = (column((), (("corner", name),)) for name in ("ss", "tt", "ff"))
    assert slow.latency > typical.latency > fast.latency
    np.testing.assert_array_equal(typical.output_voltage, column().output_voltage)


def test_temperature(column):
    cold, hot = (column((), (("temperature", f"{t} degC"),)) for t in (-40, 125))
    # Leakage of the open switches moves a hot column while it shares.
    assert hot.unsettled > 10 * cold.unsettled
    assert hot.noise_sigma > cold.noise_sigma


def test_stored_bits_in_cells(column):
    """Six transistors hold the level that a fixed voltage has."""
    fixed, cells = column(), column((("storage", "6t"),))
    np.testing.assert_allclose(
        cells.output_voltage, fixed.output_voltage, atol=0.01 * step_v(ROWS), rtol=0
    )
    # Cells that hold cost only leakage: 14 pA each for 10 ns, nothing beside the gates.
    np.testing.assert_allclose(cells.energy[1], fixed.energy[1], rtol=0.05)


def test_stored_bits_in_cells_have_the_technology_s_sizes():
    card = load_card("mos_generic", "mos")
    wide = {"width": card.nmos.width.model_copy(update={"value": 300e-9}),
            "length": card.nmos.length.model_copy(update={"value": 130e-9})}  # fmt: skip
    long = {"length": card.pmos.length.model_copy(update={"value": 180e-9})}
    card = card.model_copy(update={"nmos": card.nmos.model_copy(update=wide),
                                   "pmos": card.pmos.model_copy(update=long)})  # fmt: skip
    given = parameters(
        circuit={"rows": 1, "switches": "transmission_gate", "storage": "6t"}
    ).model_copy(update={"technology": card})
    drawn = make_chip(given, Variation(Draws(0, 0)))
    found = re.search(r"sram_6t wn=(\S+) l=(\S+) lp=(\S+)", str(drawn.operation([0], 1).circuit))
    sizes = [float(found[k]) for k in (1, 2, 3)]
    np.testing.assert_allclose(sizes, [450e-9, 130e-9, 180e-9])


def gate_energy_bounds_j(vdd, widths=4):
    """What the logic's supply gives a row driver whose gates swing once, least and most: V·ΔQ.

    By hand from the models' oxide (2.2 and 2.3 nm) and overlap (0.2 fF/um): overlap of the sources
    once and of the drains, which swing the other way, twice; the channel at most over the whole
    swing and at least over what is above a threshold of 0.44 V.
    """
    wn, wp, length = widths * 120e-9, 2 * widths * 120e-9, 60e-9
    permittivity = 3.9 * 8.854e-12
    channel = permittivity * length * (wn / 2.2e-9 + wp / 2.3e-9)
    overlap = 3 * 0.2e-9 * (wn + wp)
    return vdd * (channel * (vdd - 0.44) + overlap * vdd), vdd * (channel + overlap) * vdd


@pytest.mark.parametrize(("supply", "widths"), [(0.9, 4), (1.2, 4), (0.9, 12)])
def test_energy_of_the_row_drivers_gates(supply, widths):
    """Gates of driven rows swing once and back, and those of the others stand still."""
    found = run(
        NgspiceEngine(), measure,
        circuit={"rows": ROWS, "switches": "transmission_gate", "driver_width": widths},
        stimulus={"inputs": [[1] * 8, [1, 1, 1, 1, 0, 0, 0, 0]], "cost_vectors": 2},
        conditions={"supply": f"{supply} V"},
    )  # fmt: skip
    least, most = gate_energy_bounds_j(supply, widths)
    gates = list(energy_sources("transmission_gate")).index("row_gates")
    assert least < found.energy[gates] / ((8 + 4) / 2) < most
    assert found.energy_returned[gates] < 0.05 * found.energy[gates]
    # The gates before them, counted: two toggles of 1 fJ at 1.2 V a driven row.
    np.testing.assert_allclose(found.energy[-1], (8 + 4) * 1e-15 * (supply / 1.2) ** 2)


def test_nothing_moves_nothing_settles():
    found = run(
        NgspiceEngine(), measure,
        circuit={"rows": ROWS, "switches": "sw"},
        stimulus={"inputs": [[0] * 8], "cost_vectors": 1},
    )  # fmt: skip
    assert np.isnan(found.latency)


def test_xnor_pairs_rows(column):
    """With all bits at +1 an XNOR column is an AND column, at twice the row wires."""
    single, pair = column(), column((("product", "xnor"),))
    np.testing.assert_array_equal(pair.active_products, single.active_products)
    gap = pair.output_voltage - single.output_voltage
    assert np.max(np.abs(gap)) < 0.05 * step_v(ROWS)
    assert pair.energy[0] > single.energy[0]
    assert pair.area > single.area


def test_area_is_counted(column):
    """By hand from the card: minimum transistors of 120 nm by 60 nm, pitches 150 and 180 nm."""
    one = (0.12 + 0.15) * (0.06 + 0.18)
    cell = 0.5 + 7 * one + 1 / 2
    driver = (0.48 + 0.15) * (0.06 + 0.18) + (0.96 + 0.15) * (0.06 + 0.18) + 1.5
    np.testing.assert_allclose(column().area, (ROWS * (cell + driver) + one) * 1e-12)
