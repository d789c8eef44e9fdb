"""Sense amplifier: a stated behaviour by hand, and the transistors' by decks written here."""

import subprocess

import numpy as np
import pytest
from driving import measure

from imccircuit import library
from imccircuit.benches.sense_amp import BENCH, OUTSIDE, RIGHT
from imccircuit.devices.cards import load_card
from imccircuit.engines.ngspice import NgspiceEngine

pytestmark = pytest.mark.ngspice

UNIT = 6e-6


def run(circuit=None, stimulus=None, *, quantities=(), technology=None, entropy=0, **conditions):
    tables = {"circuit": circuit or {}, "stimulus": stimulus or {}, "conditions": conditions}
    if technology is not None:
        tables["technology"] = technology
    parameters = BENCH.parameters.model_validate(tables, context={"trusted": True})
    return measure(BENCH, parameters, NgspiceEngine(), quantities=quantities, entropy=entropy)


def simulate(folder, text):
    """Columns of ``out.txt`` that a hand-written deck writes."""
    (folder / "deck.cir").write_text(text)
    subprocess.run(["ngspice", "-b", "-n", "deck.cir"], cwd=folder, check=True,
                   capture_output=True, timeout=60, stdin=subprocess.DEVNULL)  # fmt: skip
    return np.loadtxt(folder / "out.txt")


def test_behavioural_by_hand():
    low, high = 5e-6, 40e-6
    found = run(
        {"level": "behavioural", "offset": 1e-6, "range_low": low, "range_high": high},
        {"active_rows": 9},
    )
    # The search ends at a thousandth of the 30 uA of the common mode.
    assert found["offset_current"] == pytest.approx(1e-6, abs=0.001 * 30e-6)
    assert found["hysteresis"] == pytest.approx(0, abs=0.002 * 30e-6)
    difference = np.linspace(-UNIT, UNIT, 20)
    np.testing.assert_array_equal(found["decision_level"], (difference + 1e-6 > 0).astype(float))
    # One step of the search is a factor of 100**(1/23), halved six times.
    step = 100 ** (1 / 23 / 64)
    assert low <= found["range_low"] <= low * step
    assert high / step <= found["range_high"] <= high
    # Neighbours m and m + 1: their mean is inside from (0.5 + 1)*6 = 9 uA to 39 uA, m = 1 ... 6.
    inside = np.repeat([3, 9, 15, 21, 27, 33, 39, 45, 51], 2) * 1e-6
    inside = (inside > low) & (inside < high)
    np.testing.assert_array_equal(found["outcome"], np.where(inside, RIGHT, OUTSIDE))
    assert np.all(found["decision"][~inside] == 2)
    assert found["right_share"] == pytest.approx(6 / 9, rel=1e-6, abs=0)
    assert np.isnan(found["energy"]).all()


def test_extra_bias_by_hand():
    # Two always-on rows lift the pairs to 15 ... 39 uA: all within 5 to 40 uA.
    circuit = {"level": "behavioural", "range_low": 5e-6, "range_high": 40e-6, "bias_rows": 2}
    assert run(circuit, {"active_rows": 4})["right_share"] == 1.0
    assert run({**circuit, "bias_rows": 6}, {"active_rows": 4})["right_share"] == 0.25


MIRRORS = """two mirrors with drawn thresholds, both outputs at one voltage
.lib '{library}' tt
vdd vdd 0 1.2
vd d 0 0
bp inp 0 I={common}+v(d)*1e-6/2
bm inm 0 I={common}-v(d)*1e-6/2
mdp inp inp vdd vdd imc_pmos W=3.84u L=240n delvto={dp}
mdm inm inm vdd vdd imc_pmos W=3.84u L=240n delvto={dm}
mmp x inp vdd vdd imc_pmos W=3.84u L=240n delvto={mp}
mmm y inm vdd vdd imc_pmos W=3.84u L=240n delvto={mm}
vx x 0 {end}
vy y 0 {end}
.options gmin=1e-15 abstol=1e-15 reltol=1e-8
.control
set num_threads=1
dc vd -8 8 0.05
wrdata out.txt i(vx)-i(vy)
quit 0
.endc
.end
"""


def test_offset_of_drawn_mirrors(tmp_path):
    """The decision turns where the mirrored currents are equal, if the latch matches."""
    text = (library.path("device_models") / "mos_generic.toml").read_text()
    text = text.replace('library = "', f'library = "{library.path("device_models")}/')
    head, nmos, rest = text.partition("[nmos]")
    nmos_table, pmos, pmos_table = rest.partition("[pmos]")
    none = {'"2.5 mV*um"': '"0 mV*um"', '"0.8 %*um"': '"0 %*um"'}
    for old, new in none.items():
        nmos_table = nmos_table.replace(old, new)
    pmos_table = pmos_table.replace('"0.8 %*um"', '"0 %*um"')
    (tmp_path / "quiet.toml").write_text(head + nmos + nmos_table + pmos + pmos_table)
    card = load_card(str(tmp_path / "quiet.toml"), "mos")
    for entropy in (1, 2):
        found = run(stimulus={"active_rows": 1}, technology=card, quantities=("transistor",),
                    entropy=entropy)  # fmt: skip
        shift = dict(zip(("dp", "dm", "mp", "mm"), found["threshold_shift"][:4], strict=True))
        assert np.all(found["threshold_shift"][4:] == 0)
        turns = []
        for end in (0.05, 0.6):
            table = simulate(tmp_path, MIRRORS.format(library=card.library_path, common=30e-6,
                                                      end=end, **shift))  # fmt: skip
            assert np.all(np.diff(table[:, 1]) < 0) or np.all(np.diff(table[:, 1]) > 0)
            order = np.argsort(table[:, 1])
            turns.append(1e-6 * np.interp(0.0, table[order, 1], table[order, 0]))
        # The outputs pass from 0 to about 0.6 V before the latch decides; the truth lies between
        # the two turns, but for the search's tolerance and for what is remembered.
        assert abs(turns[0]) > 0.2e-6
        slack = abs(turns[1] - turns[0]) + 0.001 * 30e-6 + abs(found["hysteresis"]) / 4
        assert found["offset_current"] == pytest.approx(-np.mean(turns), abs=slack)


DIODE = """the current of an input at the least voltage that a column needs
.lib '{library}' tt
vdd vdd 0 1.2
vin in 0 0.3
md in in vdd vdd imc_pmos W=3.84u L=240n
.control
set num_threads=1
dc vin 0.3 0.31 0.1
wrdata out.txt i(vin)
quit 0
.endc
.end
"""


def test_end_of_range_energy_and_latency_by_hand(tmp_path):
    found = run()
    assert found["offset_current"] == pytest.approx(0, abs=0.001 * 30e-6)
    card = load_card("mos_generic", "mos")
    diode = simulate(tmp_path, DIODE.format(library=card.library_path)).ravel()[1]
    # The larger of the two currents reaches the least input voltage first. The inputs are read at
    # the end of an evaluation, a millivolt from where they come to rest: 0.5 % of a current.
    step = 100 ** (1 / 23 / 64)
    assert found["range_high"] == pytest.approx(diode - UNIT / 2, rel=step - 1 + 0.005, abs=0)
    # Supply: input currents for two phases, mirrored ones through the reset switches for one, and
    # the loser's for the other: (4 + 2 + 1)*30 uA*1 ns*1.2 V; gates and inverters come on top.
    energy = dict(zip(BENCH_BLOCKS, found["energy"], strict=True))
    assert 7 * 30e-15 * 1.2 * 0.97 < energy["supply"] < 7 * 30e-15 * 1.2 * 1.15
    # What goes on into the columns is their current times the input's voltage, two phases long.
    returned = dict(zip(BENCH_BLOCKS, found["energy_returned"], strict=True))
    voltage = np.interp(30e-6, BENCH.parameters().common_modes_a, found["input_voltage"])
    for side in ("column_plus", "column_minus"):
        assert returned[side] == pytest.approx(30e-6 * voltage * 2e-9, rel=0.05, abs=0)
    # The outputs' nodes (drains, a latch gate, an inverter: 3 to 6 fF) charge to about 0.5 V.
    assert 3e-15 * 0.5 / 30e-6 * 0.5 < found["latency"] < 6e-15 * 0.5 / 30e-6 * 3
    layout = card.layout
    sizes = [(3.84e-6, 240e-9)] * 4 + [(480e-9, 120e-9)] * 2 + [(480e-9, 60e-9)] * 2
    sizes += [(120e-9, 60e-9), (240e-9, 60e-9)] * 2
    area = sum((w + 150e-9) * (length + 180e-9) for w, length in sizes)
    assert layout is not None
    assert found["area"] == pytest.approx(area, rel=1e-12, abs=0)


BENCH_BLOCKS = ("supply", "reset", "column_plus", "column_minus")
