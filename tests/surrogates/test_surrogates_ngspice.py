"""Surrogates of circuits that ngspice simulated: one small converter, one small crossbar."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.surrogates.adc import AdcSurrogate
from imccircuit.surrogates.crossbar import CrossbarSurrogate
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.ramp_adc import RampAdcSurrogate
from imccircuit.sweeps.run import RunOptions, run_plan

pytestmark = pytest.mark.ngspice


def run(path: Path, recipe: str, *settings: str) -> Path:
    file = path / "results.h5"
    summary = run_plan(Plan(load_recipe(recipe, settings)), file, RunOptions(jobs=1))
    assert summary.failed == 0, summary.reasons
    return file


def test_six_bit_converter(tmp_path: Path) -> None:
    caps = np.array([2.0, 4.1, 7.9, 16.2, 31.8, 64.5])
    listed = ", ".join(f'"{c} fF"' for c in caps)
    path = run(tmp_path, "adc_sar8", f"circuit.bit_capacitors=[{listed}]",
               'circuit.dummy_capacitor="2 fF"')  # fmt: skip
    model = fit_results(path)
    assert isinstance(model, AdcSurrogate)
    assert model.verdict.state == "pass", str(model.verdict)
    assert model.verdict.reference.startswith("ngspice")
    # Charge conservation: each weight is its capacitor over the sum; 0.001 LSB of 1/64 V.
    weights = caps / (caps.sum() + 2.0)
    np.testing.assert_allclose(model.array("bit_weight")[0], weights, atol=1e-3 / 64)


def test_eight_by_six_crossbar_with_amplifiers(tmp_path: Path) -> None:
    path = run(
        tmp_path, "crossbar_ir_drop", "circuit.rows=8", "circuit.cols=6", "stimulus.batch=12",
        'circuit.row_segment_resistance="2 ohm"', 'circuit.column_segment_resistance="3 ohm"',
        "circuit.readout=tia", 'circuit.tia_offset="1 mV"',
    )  # fmt: skip
    model = fit_results(path)
    assert isinstance(model, CrossbarSurrogate)
    assert model.verdict.state == "pass", str(model.verdict)
    assert model.value("r_row_ohm") == pytest.approx(2.0, rel=1e-6, abs=0)
    assert model.value("r_col_ohm") == pytest.approx(3.0, rel=1e-6, abs=0)
    # Amplifier of gain 1000 with 5 kohm: 5 kohm/1001 at its input, 1 mV·1000/1001 there.
    assert model.value("r_sense_ohm") == pytest.approx(5e3 / 1001, rel=1e-4, abs=0)
    np.testing.assert_allclose(model.array("input_offset"), 1e-3 / 1.001, rtol=1e-4)
    assert all(figure.max < 1e-9 for figure in model.verdict.errors)


def test_cells_with_transistors_pass_and_leave_the_wires_to_be_found(tmp_path: Path) -> None:
    """A transistor's resistance rises with its current; as a constant it was 0.2 % off."""
    path = run(
        tmp_path, "crossbar_ir_drop", "circuit.rows=12", "circuit.cols=8", "stimulus.batch=12",
        "circuit.cell=1t1r", 'circuit.row_segment_resistance="4 ohm"',
        'circuit.column_segment_resistance="6 ohm"', "stimulus.cell_voltages=false",
    )  # fmt: skip
    model = fit_results(path)
    assert isinstance(model, CrossbarSurrogate)
    assert model.verdict.state == "pass", str(model.verdict)
    assert "v0_v" not in model.model.parameters
    assert model.value("r_row_ohm") == pytest.approx(4.0, rel=0.05, abs=0)
    # A raised bit line also takes gate voltage from the transistors, which looks like more wire.
    assert model.value("r_col_ohm") == pytest.approx(6.0, rel=0.1, abs=0)
    # The gate of 0.1 % with a margin of five.
    assert all(gate.value < 2e-4 for gate in model.verdict.gates if gate.name.startswith("nrmse"))


@pytest.mark.parametrize("temperature", ["27 degC", "125 degC"])
def test_a_ramp_converter_of_transistors_holds_its_gate_with_margin(
    tmp_path: Path, temperature: str
) -> None:
    """The corner and the temperature at which its comparators bend most."""
    path = run(tmp_path, "adc_ramp8_transistor", "sweep=[]", "conditions.corner=ff",
               f'conditions.temperature="{temperature}"')  # fmt: skip
    model = fit_results(path)
    assert isinstance(model, RampAdcSurrogate)
    assert model.verdict.state == "pass", str(model.verdict)
    levels, loop, _ = model.verdict.errors
    # Gate 0.05 LSB. Half of it, and in closed loop the bracket of a conversion beside that.
    assert levels.max < 0.025 * model.lsb_v
    assert loop.max < 0.035 * model.lsb_v
    # A factor e every few tens of millivolts, where there is a bend to be seen.
    assert model.bends.start is not None
    assert 5e-3 < model.bends.start.length_v < 50e-3
