"""Cells against answers of other means: Ohm's law, a root of the sinh law, and for 1T1R a table.

The 1T1R cell: the drain current of a single transistor, in a deck written here by hand, is
tabulated over drain and gate voltage; the current of the series of resistive element and
transistor is then a root found by scipy on a spline through that table. The bench solves both
together in one deck of its own.
"""

import subprocess
from functools import partial

import numpy as np
import pytest
from driving import measure
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

from imccircuit.benches.registry import get_bench
from imccircuit.devices.cards import load_card
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.recipes.load import load_recipe

pytestmark = pytest.mark.ngspice

LEVELS = [39e-6, 5e-6, 0.74e-6]
BIT = [0.05, 0.1, 0.2, 0.3]
WORD = [0.3, 0.5, 0.8, 1.2]


def measured(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text('title = "t"\ntakes = "1 s on two cores"\nbench = "cell_iv"\n' + text)
    recipe = load_recipe(str(path), [])
    return measure(get_bench("cell_iv"), recipe.parameters({}), NgspiceEngine())


def test_a_resistor(tmp_path):
    found = measured(
        tmp_path,
        f"""
[circuit]
levels = {LEVELS}
[stimulus]
bit_line_voltages = {BIT}
""",
    )
    # A linear system is exact but for rounding.
    expected = found["conductance"][..., None] * np.array(BIT)
    np.testing.assert_allclose(found["cell_current"], expected, rtol=1e-12)


def test_the_sinh_law(tmp_path):
    found = measured(
        tmp_path,
        f"""
[circuit]
cell = "1r_sinh"
device_card = "rram_sinh"
levels = {LEVELS}
[stimulus]
bit_line_voltages = {[*BIT, 0.6]}
""",
    )["cell_current"][:, 0]
    expected = [[g * 0.3 * np.sinh(v / 0.3) for v in [*BIT, 0.6]] for g in LEVELS]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


GRID = np.linspace(0.0, 0.3, 301)
DECK = """one transistor
.lib '{library}' tt
vd d 0 0
vg g 0 0
m1 d g 0 0 imc_nmos W=120n L=60n
.options gmin=1e-16 abstol=1e-16 reltol=1e-9
.temp {temperature}
.control
{sweeps}
quit 0
.endc
.end
"""


@pytest.fixture(scope="module")
def transistor(tmp_path_factory):
    """Drain current over drain voltage at each gate voltage, as a function of the two."""
    folder = tmp_path_factory.mktemp("transistor")
    card = load_card("mos_generic", "mos")
    sweeps = "\n".join(
        f"alter vg = {gate}\ndc vd 0 0.3 0.001\nset wr_singlescale\nset numdgt=12\n"
        f"wrdata t{index}.txt i(vd)\ndestroy all"
        for index, gate in enumerate(WORD)
    )
    deck = DECK.format(library=card.library_path, temperature=27, sweeps=sweeps)
    (folder / "t.cir").write_text(deck)
    subprocess.run(["ngspice", "-b", "-n", "t.cir"], cwd=folder, check=True, capture_output=True,
                   timeout=60, stdin=subprocess.DEVNULL)  # fmt: skip
    splines = []
    for index in range(len(WORD)):
        table = np.loadtxt(folder / f"t{index}.txt", skiprows=0)
        assert np.allclose(table[:, 0], GRID)
        splines.append(CubicSpline(table[:, 0], -table[:, 1]))
    return splines


def in_series(element, transistor, voltage_v):
    """Current at which both carry the same."""
    drain = brentq(lambda d: element(voltage_v - d) - transistor(d), 0, voltage_v, xtol=1e-14)
    return transistor(drain)


@pytest.mark.parametrize("v0", [None, 0.3])
def test_resistor_and_transistor_in_series(tmp_path, transistor, v0):
    card = "rram_techC" if v0 is None else "rram_sinh"
    found = measured(
        tmp_path,
        f"""
[circuit]
cell = "1t1r"
device_card = "{card}"
levels = {LEVELS}
[stimulus]
bit_line_voltages = {BIT}
word_line_voltages = {WORD}
""",
    )

    def element(g, v):
        return g * v if v0 is None else g * v0 * np.sinh(v / v0)

    expected = np.empty((len(LEVELS), 1, len(WORD), len(BIT)))
    for i, g in enumerate(found["conductance"][:, 0]):
        for w, curve in enumerate(transistor):
            for b, v in enumerate(BIT):
                expected[i, 0, w, b] = in_series(partial(element, g), curve, v)
    # Steps of 1 mV, where currents bend over 26 mV or more: a cubic spline misses by at most
    # 5/384·(1/26)⁴ = 3e-8 of what bends. Measured: 1e-9.
    np.testing.assert_allclose(found["cell_current"], expected, rtol=1e-7)


def test_energy_of_a_read_over_a_line(tmp_path):
    """A line of 2 kohm and 100 fF, half of it at either end, by its differential equation."""
    found = measured(
        tmp_path,
        f"""
[circuit]
levels = [{LEVELS[0]}]
rows = 1000
driver_resistance = "1 ohm"
[stimulus]
bit_line_voltages = ["0.3 V"]
""",
    )
    g, half, ohm = float(found["conductance"][0, 0]), 50e-15, 2001.0
    breaks = [0.0, 0.1e-9, 10e-9, 10.1e-9, 20e-9]
    slopes = [3e9, 0.0, -3e9, 0.0]
    far, given, back, settled = 0.0, 0.0, 0.0, 0.0
    for start, stop, slope in zip(breaks[:-1], breaks[1:], slopes, strict=True):
        time = np.linspace(start, stop, 20_001)
        drive = 0.3 * np.interp(time, breaks, [0, 1, 1, 0, 0])
        solved = solve_ivp(
            lambda t, v: ((np.interp(t, breaks, [0, 0.3, 0.3, 0, 0]) - v) / ohm - g * v) / half,
            (start, stop), [far], t_eval=time, rtol=1e-9, atol=1e-13, max_step=1e-10,
        ).y[0]  # fmt: skip
        power = drive * (half * slope + (drive - solved) / ohm)
        given += np.trapezoid(np.maximum(power, 0), time)
        back += np.trapezoid(np.maximum(-power, 0), time)
        far = solved[-1]
        if slope == 0.0 and settled == 0.0:
            # Half an LSB of 6 bits: 1/128 of the final current, which follows the far voltage.
            outside = np.abs(solved - solved[-1]) > solved[-1] / 128
            settled = time[np.flatnonzero(outside)[-1] + 1]
    # Steps of 10 ps on a time constant of 0.1 ns: second-order integration is off by the square of
    # a tenth in the fast parts, which are a few percent of the energy, and by a tenth of a step in
    # a settling time. Measured: 6e-5, 9e-4 and 3e-3.
    np.testing.assert_allclose(found["energy"][0], given, rtol=1e-3)
    np.testing.assert_allclose(found["energy_returned"][0], back, rtol=1e-2)
    np.testing.assert_allclose(found["latency"], settled, rtol=1e-2)


def test_energy_of_an_ideal_read(tmp_path):
    """Without wires the energy is ∫V²·G, and nothing is returned."""
    (tmp_path / "w.toml").write_text("""
kind = "wire"
description = "ideal wires"
row_resistance = { value = "0 ohm", source = "test" }
column_resistance = { value = "0 ohm", source = "test" }
row_capacitance = { value = "0 fF", source = "test" }
column_capacitance = { value = "0 fF", source = "test" }
""")
    found = measured(
        tmp_path,
        f"""
[circuit]
levels = [39e-6, 5e-6]
driver_resistance = "0 ohm"
wire_card = "{tmp_path}/w.toml"
[stimulus]
bit_line_voltages = ["0.3 V"]
read_bits = 4
""",
    )
    # Trapezoid of voltage: ∫v² = V²·(width − edge + 2·edge/3); the mean over both levels.
    seconds = 10e-9 - 0.1e-9 + 2 * 0.1e-9 / 3
    expected = 0.09 * float(found["conductance"].mean()) * seconds
    np.testing.assert_allclose(found["energy"], expected, rtol=1e-6)
    np.testing.assert_allclose(found["energy_returned"], 0.0, atol=1e-9 * expected)
    # The current follows the edge: within 1/32 of the largest current at 1 − 1/32 of the edge.
    np.testing.assert_allclose(found["latency"], 0.1e-9 * (1 - 1 / 32), rtol=1e-6)
