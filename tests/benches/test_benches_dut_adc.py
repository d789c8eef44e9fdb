"""A converter that none of our generators drew, in the fitting bench."""

from pathlib import Path

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

from imccircuit.benches.problem import OperatingPoint, Probe, Problem
from imccircuit.devices.cards import load_card
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine
from imccircuit.errors import InputError
from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.results.read import read_results
from imccircuit.surrogates.fit import fit_results
from imccircuit.sweeps.run import RunOptions, run_plan

FOREIGN = Path(__file__).parent / "foreign"
PORTS = {"VIN": "input", "CK": "clock", "AVDD": "supply", "VREFP": "reference",
         "AVSS": "ground", "B2": "bit_2", "B1": "bit_1", "B0": "bit_0"}  # fmt: skip


def recipe(folder, ports=PORTS, dut="flash3.spice:FLASH3", head="", **circuit):
    keys = {"bits": 3, "reference_voltage": "0.8 V", "conversion_time": "30 ns", **circuit}
    lines = [f"{key} = {value!r}" for key, value in keys.items()]
    lines += ["[circuit.ports]", *(f"{pin} = {role!r}" for pin, role in ports.items())]
    text = f'{head}\nbench = "dut_adc"\n[circuit]\ndut = "{dut}"\n' + "\n".join(lines)
    (folder / "mine.toml").write_text(text)
    return str(folder / "mine.toml")


@pytest.fixture
def folder(tmp_path):
    for file in FOREIGN.iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    return tmp_path


def run(path, settings=()):
    output = Path(path).with_suffix(".h5")
    summary = run_plan(Plan(load_recipe(path, settings)), output, RunOptions(jobs=1, mode="fresh"))
    assert summary.failed == 0, summary.reasons
    return output


@pytest.mark.ngspice
def test_levels_of_a_hand_drawn_flash_converter(folder):
    output = run(recipe(folder))
    data = read_results(output).dataset
    # Taps of the ladder: eight units of resistance, the fourth 10 % more, the fifth 10 % less.
    taps = np.cumsum([1, 1, 1, 1.1, 0.9, 1, 1]) / 8 * 0.8
    # Bisection to 0.01 LSB of 0.1 V, its middle at most that far off.
    np.testing.assert_allclose(data["transition_level"].values[0, 0], taps, atol=1e-3)
    assert np.all(data["loop_difference"].values == 0)
    # The ladder draws 0.8 V / 8 kohm from the reference during a conversion of three clocks.
    energy = dict(zip(data["block"].values, data["energy"].values[0, 0], strict=True))
    assert energy["reference"] == pytest.approx(0.8**2 / 8e3 * 30e-9, rel=1e-6, abs=0)
    assert np.isnan(data["area"].values).all()
    model = fit_results(output)
    assert model.verdict.state == "pass"
    np.testing.assert_array_equal(model.convert(taps - 0.01), np.arange(7))


@pytest.mark.ngspice
def test_a_pin_that_is_held_at_a_voltage_costs_energy_too(folder):
    output = run(recipe(folder, PORTS | {"VREFP": "0.8 V"}))
    data = read_results(output).dataset
    energy = dict(zip(data["block"].values, data["energy"].values[0, 0], strict=True))
    # The ladder of 8 kohm, during a conversion of three clocks.
    assert energy["pin vrefp"] == pytest.approx(0.8**2 / 8e3 * 30e-9, rel=1e-6, abs=0)
    assert energy["reference"] == 0


@pytest.mark.ngspice
def test_a_netlist_that_calls_the_technology_follows_its_corner(folder):
    ports = {"in": "input", "out": "bit_0", "vdd": "supply", "gnd": "ground"}
    path = recipe(folder, ports, "threshold.sp:threshold", bits=1, reference_voltage="1.2 V")

    def level(corner):
        output = run(path, [f"conditions.corner={corner}", "stimulus.search_tolerance=0.001 LSB"])
        return read_results(output).dataset["transition_level"].values.item()

    found = {corner: level(corner) for corner in ("tt", "ff")}
    for corner, value in found.items():
        # Bisection to a thousandth of 0.6 V; the grid of the truth is 1 mV and nearly straight.
        assert value == pytest.approx(threshold(corner), abs=0.6e-3 + 0.1e-3)
    assert found["ff"] < found["tt"] - 0.02  # 30 mV less threshold


def threshold(corner):
    """Input at which the transistor alone takes half of the supply from its resistor."""
    circuit = Circuit("stage")
    include = load_card("mos_generic", "mos").include_line(corner)
    circuit.raw_spice = f"{include}\nMn mid a 0 0 imc_nmos W=240n L=60n\nR1 vdd mid 50k"
    circuit.V("dd", "vdd", circuit.gnd, 1.2)
    circuit.V("in", "a", circuit.gnd, 0)
    grid = np.linspace(0.3, 0.8, 501)
    problem = Problem(circuit, OperatingPoint(), (Probe("mid", ("v(mid)",), (), 5.0),),
                      tuple({"vin": float(v)} for v in grid))  # fmt: skip
    (outcome,) = NgspiceEngine().solve([problem])
    assert outcome.status is Status.GOOD
    return np.interp(-0.6, -outcome.answer.final("mid"), grid)


WRONG = [
    ({k: v for k, v in PORTS.items() if k != "B1"}, {}, "misses the pin(s) b1 of FLASH3"),
    ({**PORTS, "B9": "open"}, {}, "FLASH3 has no pin 'b9'"),
    ({**PORTS, "B1": "bit_2"}, {}, "bit_1 is connected to 0 pins"),
    ({**PORTS, "B1": "bitte"}, {}, "b1 = 'bitte': no such port"),
    (PORTS, {"bits": 4}, "bit_3 is connected to 0 pins"),
    (PORTS, {"dut": "flash3.spice:FLASH4"}, "no subcircuit 'FLASH4'; allowed: FLASH3"),
    (PORTS, {"dut": "flash4.spice:FLASH3"}, "no such file"),
    (PORTS, {"dut": "flash3.spice"}, "not a netlist; allowed: path:SUBCKT"),
    (PORTS, {"dut": "../flash3.spice:FLASH3"}, "outside the recipe's folder"),
]


@pytest.mark.parametrize(("ports", "changed", "words"), WRONG)
def test_ports_and_files_that_do_not_fit(folder, ports, changed, words):
    path = recipe(folder, ports, **changed)
    with pytest.raises(InputError) as caught:
        load_recipe(path)
    assert words in str(caught.value)
    assert "allowed: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (".control", r"line 1: \.control is refused"),
        (".tran 1n 1u", r"line 1: \.tran is refused"),
        ('.model p d_process(process_file="sh")', "kind d_process reads or runs files"),
        ("R1 a b `id`", "a sign that no netlist needs"),
        ("shell rm", None),
        (".include 'nowhere.lib'", "nowhere.lib: No such file"),
        ("!ls", "no element"),
    ],
)
def test_lines_that_describe_no_circuit(folder, line, words):
    netlist = folder / "flash3.spice"
    netlist.write_text(f"{line}\n{netlist.read_text()}")
    path = recipe(folder)
    if words is None:  # an element of kind S whose nodes make no sense: for ngspice to refuse
        assert load_recipe(path)
        return
    with pytest.raises(InputError, match=words) as caught:
        load_recipe(path)
    assert "\n" not in str(caught.value)


def test_a_corner_that_reaches_no_transistor(folder):
    with pytest.raises(InputError, match="calls no model of the technology"):
        load_recipe(recipe(folder, head='conditions.corner = "ff"'))


def test_files_of_a_netlist_are_hashed(folder):
    (folder / "parts.inc").write_text("R9 a b 1k\n")
    netlist = folder / "flash3.spice"
    netlist.write_text(".include 'parts.inc'\n" + netlist.read_text())
    path = recipe(folder)
    before = Plan(load_recipe(path))
    assert {"flash3.spice", "parts.inc"} <= set(before.file_hashes)
    (folder / "parts.inc").write_text("R9 a b 2k\n")
    assert Plan(load_recipe(path)).digest != before.digest


def test_includes_outside_the_folder_are_refused(folder):
    outside = folder.parent / "outside.inc"
    outside.write_text("R9 a b 1k\n")
    netlist = folder / "flash3.spice"
    netlist.write_text(".include '../outside.inc'\n" + netlist.read_text())
    with pytest.raises(InputError, match="outside the recipe's folder"):
        load_recipe(recipe(folder))
