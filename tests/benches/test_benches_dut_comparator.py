"""A comparator that none of our generators drew, against its differential equation."""

from pathlib import Path

import numpy as np
import pytest
from driving import measure
from scipy.integrate import solve_ivp

from imccircuit.benches.bench import MeasurementError
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.errors import InputError
from imccircuit.recipes.load import load_recipe

FOREIGN = Path(__file__).parent / "foreign"
PORTS = {
    "QN": "output_minus", "Q": "output_plus", "CK": "clock", "VP": "input_plus",
    "VN": "input_minus", "VDD": "supply", "VSS": "ground", "BIAS": "0.5 V",
}  # fmt: skip
# Of the netlist and of the bench.
C, GM, GI, GR, V, OFFSET = 10e-15, 200e-6, 100e-6, 2e-3, 1.2, 3e-3
EDGE, CYCLE, SOURCE, KICK_C = 20e-12, 4e-9, 1e3, 0.5e-15
DRIVES = [1e-3, 10e-3, 100e-3]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "cubic.sp").write_text((FOREIGN / "cubic.sp").read_text())
    return tmp_path


def recipe(folder, ports=PORTS, stimulus="", **circuit):
    keys = {"dut": "cubic.sp:Cubic", **circuit}
    lines = ['bench = "dut_comparator"', "[circuit]"]
    lines += [f"{key} = {value!r}" for key, value in keys.items()]
    lines += ["[circuit.ports]", *(f"{pin} = {role!r}" for pin, role in ports.items())]
    lines += ["[stimulus]", 'overdrives = ["1 mV", "10 mV", "100 mV"]', stimulus]
    path = folder / "mine.toml"
    path.write_text("\n".join(lines))
    return load_recipe(str(path))


def decision(drive):
    """Time and output from the middle of the edge on, by an independent integrator."""

    def rate(t, d):
        ck = np.clip(t / EDGE, 0.0, 1.0)
        grow = GM * d * (1 - (d / V) ** 2) + 2 * GI * drive
        return (ck * grow - GR * (1 - ck) * d) / C

    found = solve_ivp(rate, (0, CYCLE / 2), [0.0], "LSODA", rtol=1e-10, atol=1e-13,
                      dense_output=True)  # fmt: skip
    time = np.linspace(EDGE / 2, 1e-9, 200_001)
    return time - EDGE / 2, found.sol(time)[0]


@pytest.mark.ngspice
def test_a_comparator_of_somebody_else(folder):
    found = recipe(folder)
    data = measure(found.bench, found.parameters({}), NgspiceEngine())
    # A bisection to 1 uV; nothing is remembered, for the reset takes 100 of its time constants.
    assert data["offset"] == pytest.approx(OFFSET, abs=1e-6)
    assert data["hysteresis"] == pytest.approx(0.0, abs=2e-6)
    for drive, seen in zip(DRIVES, data["decision_time"], strict=True):
        time, output = decision(drive)
        wanted = np.interp(V / 2, output, time)
        # The threshold is known to 1 uV of the drive; the growth is wanted to 1 %, and with it
        # the time to 1 % of the time constant (7 % where steps are as for transistors).
        assert seen == pytest.approx(wanted, abs=C / GM * (1e-6 / drive + 1e-2))
    time, output = decision(DRIVES[0])
    rise = (output >= 0.03 * V) & (output <= 0.2 * V)
    slope, _ = np.polyfit(time[rise], np.log(output[rise]), 1)
    assert data["regeneration_time"] == pytest.approx(1 / slope, abs=2e-3 / slope)


@pytest.mark.ngspice
def test_its_kicks_and_energies_are_those_of_its_parts(folder):
    found = recipe(folder)
    data = measure(found.bench, found.parameters({}), NgspiceEngine())
    # A ramp through the capacitor onto the source: R·C·V/edge, after 40 time constants; both
    # inputs alike. The charge is that of the capacitor.
    kick = SOURCE * KICK_C * V / EDGE
    assert data["kickback_common"] == pytest.approx(kick, abs=1e-2 * kick)
    assert data["kickback_differential"] == pytest.approx(0.0, abs=1e-3 * kick)
    assert data["kickback_charge"] == pytest.approx(KICK_C * V, abs=1e-2 * KICK_C * V)
    blocks = ("supply", "clock", "input_plus", "input_minus", "pin bias")
    energy = dict(zip(blocks, data["energy"], strict=True))
    assert energy["supply"] == pytest.approx(V**2 / 100e3 * CYCLE, abs=1e-4 * V**2 / 1e5 * CYCLE)
    assert energy["pin bias"] == pytest.approx(0.25 / 50e3 * CYCLE, abs=1e-4 * 5e-6 * CYCLE)
    # Lossless on 2 fF, and lossy where the kick falls across the sources:
    # C·V²/2 and half the kick's voltage times its charge, each input.
    clock = 2e-15 * V**2 / 2 + 2 * KICK_C * V**2 / 2 + 2 * kick * KICK_C * V
    assert energy["clock"] == pytest.approx(clock, abs=2e-2 * clock)
    assert data["latency"] == data["decision_time"][0]
    assert np.isnan(data["area"])


@pytest.mark.ngspice
def test_one_that_is_too_slow_says_so(folder):
    # A half cycle of one time constant.
    found = recipe(folder, cycle_time="100 ps", clock_edge="2 ps")
    with pytest.raises(MeasurementError, match=r"no decision within 5e-11 s at an input of 0\.1 V"):
        measure(found.bench, found.parameters({}), NgspiceEngine())


@pytest.mark.parametrize(
    ("changed", "stimulus", "words"),
    [
        ({"BIAS": None}, "", r"misses the pin\(s\) bias of Cubic"),
        ({"QN": "open"}, "", "output_minus is connected to 0 pins"),
        ({"Q": "output"}, "", "q = 'output': no such port"),
        ({}, "noise_decisions = 2000", "noise_decisions = 2000: unknown key"),
        ({}, 'common_mode = "2 V"', "above the supply"),
    ],
)
def test_refused_in_one_line(folder, changed, stimulus, words):
    ports = {pin: role for pin, role in (PORTS | changed).items() if role is not None}
    with pytest.raises(InputError, match=words) as refused:
        recipe(folder, ports, stimulus).parameters({})
    assert "\n" not in str(refused.value)


def test_a_clock_that_is_all_edge_is_refused(folder):
    with pytest.raises(InputError, match="clock_edge = 1e-09 s is too long"):
        recipe(folder, clock_edge="1 ns")
