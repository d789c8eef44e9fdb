"""Nonlinear arrays as one product, against arrays solved as dense systems."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from synthetic import (
    SINH,
    array_and_drive,
    crossbar_chip,
    crossbar_currents,
    crossbar_settings,
    write,
)

from imccircuit.errors import UsageError
from imccircuit.surrogates.crossbar import CrossbarSurrogate
from imccircuit.surrogates.fit import fit_results

ROWS, COLS, BATCH, V0 = 4, 3, 12, 0.4


@pytest.fixture(scope="module")
def chip() -> tuple[np.ndarray, np.ndarray]:
    g, drive = array_and_drive(ROWS, COLS, BATCH)
    return g, drive * np.where(np.arange(BATCH) % 2, 1.0, -1.0)[:, None]


def fit(path: Path, chip: tuple[np.ndarray, np.ndarray], ohm: float) -> CrossbarSurrogate:
    g, drive = chip
    arrays = crossbar_chip(g, drive, r_row=ohm, r_col=ohm, v0=V0)
    settings = crossbar_settings(ROWS, COLS, BATCH, *SINH)
    model = fit_results(write(path / "r.h5", "crossbar_ir_drop", settings, [arrays]))
    assert isinstance(model, CrossbarSurrogate)
    return model


def test_without_wires_the_cube_is_that_of_sinh(tmp_path: Path, chip) -> None:
    model = fit(tmp_path, chip, 1e-6)
    # V0 sinh(V/V0) = V + V³/(6 V0²) + V⁵/(120 V0⁴): up to 0.2 V of V0 = 0.4 V the last is at most
    # V²/(20 V0²) = 1/80 of the cube, which is all that b and c have to share.
    cube = 1 / (6 * V0**2)
    top = cube * (1 + 1 / 80)
    v = np.array([0.05, 0.1, 0.2])
    found = model.value("product_quadratic") * v**2 + model.value("product_cubic") * v**3
    assert np.all(np.abs(found - cube * v**3) <= cube / 80 * v[-1] ** 3)
    assert model.value("product_cubic") == pytest.approx((cube + top) / 2, abs=0.1 * cube)


def test_the_error_that_is_stated_is_that_of_the_product(tmp_path: Path, chip) -> None:
    model = fit(tmp_path, chip, 20.0)
    notes = [note for note in model.verdict.notes if "one product" in note]
    stated = re.search(r"max ([\d.e-]+) %, rms ([\d.e-]+) %", notes[0])
    assert stated is not None
    g, drive = chip
    held = sorted({tuple(row) for row in model.array("replay_voltage")})
    mask = np.array([tuple(row) in held for row in drive])
    truth = crossbar_currents(g, drive[mask], r_row=20.0, r_col=20.0, v0=V0)
    error = (model.one_product(g, drive[mask]) - truth) / np.abs(truth).max()
    assert float(stated[1]) == pytest.approx(100 * np.abs(error).max(), rel=0.01, abs=0)
    assert float(stated[2]) == pytest.approx(100 * np.sqrt(np.mean(error**2)), rel=0.01, abs=0)
    # Without the correction it is an order of magnitude more.
    plain = drive[mask] @ model.physics.effective_conductance(g)
    assert np.abs(error).max() < 0.1 * np.abs((plain - truth) / np.abs(truth).max()).max()
    # Small drives are exact whatever b and c are.
    small = 1e-4 * drive
    exact = crossbar_currents(g, small, r_row=20.0, r_col=20.0, v0=V0)
    np.testing.assert_allclose(model.one_product(g, small), exact, rtol=1e-4)


def test_linear_cells_have_no_correction_and_need_none(tmp_path: Path, chip) -> None:
    g, drive = chip
    arrays = crossbar_chip(g, drive, r_row=5.0, r_col=5.0)
    settings = crossbar_settings(ROWS, COLS, BATCH)
    model = fit_results(write(tmp_path / "r.h5", "crossbar_ir_drop", settings, [arrays]))
    assert isinstance(model, CrossbarSurrogate)
    assert "product_cubic" not in model.model.parameters
    assert not any("one product" in note for note in model.verdict.notes)
    np.testing.assert_allclose(model.one_product(g, drive), arrays["output_current"], rtol=1e-7)


def test_models_of_before_have_no_product(tmp_path: Path, chip) -> None:
    model = fit(tmp_path, chip, 5.0)
    for name in ("product_quadratic", "product_cubic"):
        del model.model.parameters[name]
    with pytest.raises(UsageError, match="older"):
        model.one_product(*chip)


def test_what_does_not_fit_or_is_outside_is_said(tmp_path: Path, chip) -> None:
    model = fit(tmp_path, chip, 5.0)
    g, drive = chip
    with pytest.raises(UsageError, match="do not fit conductances"):
        model.one_product(g, drive[:, :-1])
    with pytest.raises(UsageError, match=r"voltage_v of .* is outside the model's domain"):
        model.one_product(g, 10 * drive, strict=True)
    with pytest.raises(UsageError, match=r"conductance_s of .* is outside the model's domain"):
        model.one_product(1000 * g, drive, strict=True)
    one, all_of_them = model.one_product(g, drive[0]), model.one_product(g, drive)
    np.testing.assert_allclose(one, all_of_them[:1], rtol=1e-13)
