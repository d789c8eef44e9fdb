"""A charge column of 256 cells that differ, from ngspice through fit to verdict."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.surrogates.charge_column import ChargeColumnSurrogate
from imccircuit.surrogates.fit import fit_results
from imccircuit.sweeps.run import RunOptions, run_plan

CELLS, CHIPS, VECTORS = 256, 5, 640
# Of a step of one product, with ideal switches.
LARGEST_LSB = 0.02

SUPPLY_V = 0.9


@pytest.mark.long
@pytest.mark.ngspice
def test_a_column_of_256_cells_is_as_near_to_spice_as_promised(tmp_path: Path) -> None:
    """Four fifths of the vectors are twice the cells: they determine each cell of each chip."""
    settings = [
        f"sweep=[{{circuit.rows=[{CELLS}]}}]", 'circuit.weight_pattern="drawn"',
        'stimulus.pattern="drawn"', f"stimulus.batch={VECTORS}", f"variation.samples={CHIPS}",
    ]  # fmt: skip
    path = tmp_path / "column.h5"
    plan = Plan(load_recipe("charge_column_sizes", settings))
    summary = run_plan(plan, path, RunOptions(jobs=1))
    assert summary.failed == 0, summary.reasons
    model = fit_results(path)
    assert isinstance(model, ChargeColumnSurrogate)
    verdict = model.verdict
    logging.getLogger(__name__).info("%s", verdict)
    assert verdict.state == "pass", str(verdict)
    assert verdict.reference.startswith("ngspice")
    (figure,) = verdict.errors
    assert (figure.quantity, figure.count) == ("output_voltage", CHIPS * VECTORS // 5)
    # V = VDD·Σ p·C_i/(Σ C_i + C_line): one product of 256 equal ones; C_line by the fit.
    step = SUPPLY_V / (CELLS * (1 + model.value("parasitic_ratio")))
    assert figure.max <= LARGEST_LSB * step
    assert verdict.gates[0].name == "max_error"
    assert verdict.gates[0].limit <= LARGEST_LSB
    # The drawn law is 0.66 % at 1 fF; 1280 cells know σ to 2 %, four times that.
    assert model.value("sigma_capacitor") == pytest.approx(0.0066, rel=0.08, abs=0)
    assert np.count_nonzero(model.array("held_out_vector")) == VECTORS // 5
