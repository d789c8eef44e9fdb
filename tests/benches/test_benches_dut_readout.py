"""A read-out front end that none of our generators drew, against its formulas."""

from pathlib import Path

import numpy as np
import pytest
from driving import measure

from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.errors import InputError
from imccircuit.recipes.load import load_recipe

FOREIGN = Path(__file__).parent / "foreign"
PORTS = {"IN": "input", "OUT": "output", "VREF": "reference", "VDD": "supply", "VSS": "ground",
         "BIAS": "0.5 V"}  # fmt: skip
# Of the netlist: amplifier, feedback, output resistance, transconductance and its capacitor.
A, RF, RO, GM, RX, CX = 1000.0, 10e3, 100.0, 1e-3, 1e6, 0.2e-12
# Of the bench: reference, cells, line, load.
VREF, G, CL, CO = 0.6, 400e-6, 100e-15, 50e-15
BOLTZMANN = 1.380649e-23


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mytia.sp").write_text((FOREIGN / "mytia.sp").read_text())
    return tmp_path


def recipe(folder, ports=PORTS, head="", **circuit):
    keys = {"dut": "mytia.sp:mytia", "transresistance": "10 kohm", **circuit}
    lines = [f"{key} = {value!r}" for key, value in keys.items()]
    lines += ["[circuit.ports]", *(f"{pin} = {role!r}" for pin, role in ports.items())]
    path = folder / "mine.toml"
    path.write_text(f'{head}\nbench = "dut_readout"\n[circuit]\n' + "\n".join(lines))
    return load_recipe(str(path))


def noise_of_the_output(low_hz, high_hz):
    """Rms noise by nodal analysis at many frequencies: nodes in, out, x."""
    f = np.geomspace(low_hz, high_hz, 20001)
    s = 2j * np.pi * f
    gf, go = 1 / RF, 1 / RO
    y = np.zeros((len(f), 3, 3), dtype=complex)
    y[:, 0, 0], y[:, 0, 1] = G + gf + s * CL, -gf
    y[:, 1, 0], y[:, 1, 1], y[:, 1, 2] = -gf, gf + go + s * CO, -go
    y[:, 2, 0], y[:, 2, 2] = GM, 1 / RX + s * CX
    to_out = np.linalg.inv(y)[:, 1, :]
    sources = [(G, to_out[:, 0]), (gf, to_out[:, 0] - to_out[:, 1]), (go, to_out[:, 1]),
               (1 / RX, to_out[:, 2])]  # fmt: skip
    density = sum(4 * BOLTZMANN * 300.15 * g * np.abs(h) ** 2 for g, h in sources)
    return np.sqrt(np.trapezoid(density, f))


@pytest.mark.ngspice
def test_a_front_end_of_somebody_else(folder):
    found = recipe(folder)
    bench, parameters = found.bench, found.parameters({})
    data = measure(bench, parameters, NgspiceEngine())
    # What flows in goes through Rf and Ro: v_in (1 + A) = A v_ref + (Rf + Ro) i. Linear circuits
    # are solved to rounding; reltol is 1e-6.
    assert data["input_resistance"] == pytest.approx((RF + RO) / (1 + A), rel=1e-5, abs=0)
    slope = -(A * RF - RO) / (1 + A)
    assert data["gain"] == pytest.approx(slope, rel=1e-6, abs=0)
    assert data["gain_error"] == pytest.approx(slope / -RF - 1, rel=1e-3, abs=0)
    assert data["offset_voltage"] == pytest.approx(-VREF / (1 + A), rel=1e-4, abs=0)
    assert data["offset_current"] == pytest.approx(-VREF / (1 + A) / slope, rel=1e-4, abs=0)
    assert np.max(np.abs(data["inl_best_fit"])) < 1e-4
    assert np.isnan([data["linear_high"], data["area"], data["pair_offset_sigma"]]).all()
    # ngspice sums 50 points a decade as trapezoids, the numbers here 1666: 1e-3 apart at most.
    expected = noise_of_the_output(1e4, 1e12)
    assert data["noise_sigma"] == pytest.approx(expected, rel=1e-3, abs=0)
    blocks = bench.coordinates(parameters)["block"].values
    energy = dict(zip(blocks, data["energy"], strict=True))
    # 60 ns of one operation, 1.2 V over 12 kohm, 0.5 V over 5 kohm.
    assert energy["supply"] == pytest.approx(1.2**2 / 12e3 * 60e-9, rel=1e-6, abs=0)
    assert energy["pin bias"] == pytest.approx(0.5**2 / 5e3 * 60e-9, rel=1e-6, abs=0)
    # One pole near GBW/(1 + Rf G), 1 ns, from all of the range to half an LSB of 8 bits; what the
    # formula leaves out is the pole of the line, 0.2 ns, and an edge of 0.15 ns.
    tau = (1 + RF * G) * CX / GM
    assert data["settling_time"] == pytest.approx(tau * np.log(512), rel=0.3, abs=0)


WRONG = [
    ({k: v for k, v in PORTS.items() if k != "IN"}, {}, "misses the pin(s) in of mytia"),
    ({**PORTS, "in": "open"}, {}, "names the pin in twice"),
    ({**PORTS, "B9": "open"}, {}, "mytia has no pin 'b9'"),
    ({**PORTS, "OUT": "open"}, {}, "output is connected to 0 pins"),
    ({**PORTS, "BIAS": "clock"}, {}, "bias = 'clock': no such port"),
    (PORTS, {"transresistance": "0 ohm"}, "no gain"),
    (PORTS, {"transresistance": "1 V"}, "dimension"),
]


@pytest.mark.parametrize(("ports", "changed", "words"), WRONG)
def test_what_does_not_fit(folder, ports, changed, words):
    with pytest.raises(InputError) as caught:
        recipe(folder, ports, **changed)
    assert words in str(caught.value)
    assert "allowed: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_conditions_that_reach_nothing(folder):
    with pytest.raises(InputError, match="calls no model of the technology"):
        recipe(folder, head='conditions.corner = "ff"')
    with pytest.raises(InputError, match=r"conditions\.supply would change nothing"):
        recipe(folder, PORTS | {"VDD": "1.2 V"}, head='conditions.supply = "1.1 V"')
