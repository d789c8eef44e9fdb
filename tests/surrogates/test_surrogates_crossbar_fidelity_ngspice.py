"""Arrays of each kind of cell at the sizes they are used at, against SPICE the fit never saw."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.surrogates.crossbar import CrossbarSurrogate
from imccircuit.surrogates.fit import fit_results
from imccircuit.sweeps.run import RunOptions, run_plan

LINEAR = ("1r", 1e-9, 1e-9)
SINH = ("1r_sinh", 1e-3, 5e-3)
TRANSISTOR = ("1t1r", 1e-3, 5e-3)


@pytest.mark.long
@pytest.mark.ngspice
@pytest.mark.parametrize(
    ("law", "size"),
    [(LINEAR, 128), (SINH, 64), (SINH, 128), (TRANSISTOR, 64), (TRANSISTOR, 128)],
    ids=["1r-128", "1r_sinh-64", "1r_sinh-128", "1t1r-64", "1t1r-128"],
)
def test_a_square_array_is_as_near_to_spice_as_promised(
    tmp_path: Path, law: tuple[str, float, float], size: int
) -> None:
    """Limits: rms error over the output's σ, largest error over full scale, and skill."""
    cell, nrmse, largest = law
    settings = [
        f"circuit.rows={size}", f"circuit.cols={size}", f"circuit.cell={cell}",
        "stimulus.batch=12", "stimulus.cell_voltages=false",
    ]  # fmt: skip
    if cell == "1r_sinh":
        settings.append('circuit.sinh_voltage="100 mV"')
    path = tmp_path / "array.h5"
    summary = run_plan(Plan(load_recipe("crossbar_ir_drop", settings)), path, RunOptions(jobs=1))
    assert summary.failed == 0, summary.reasons
    model = fit_results(path)
    assert isinstance(model, CrossbarSurrogate)
    verdict = model.verdict
    logging.getLogger(__name__).info("%s %d: %s", cell, size, verdict)
    assert verdict.reference.startswith("ngspice")
    (figure,) = verdict.errors
    # Five of the twelve vectors are held out, every column of each.
    assert (figure.quantity, figure.count) == ("output_current", 5 * size)
    found = {gate.name: gate.value for gate in verdict.gates}
    assert found["nrmse of output_current"] <= nrmse
    assert found["max_error of output_current"] <= largest
    assert figure.skill is not None
    assert figure.skill >= 0.9
