"""A crossbar's model checks conductances and sizes, and prints the limits that it checks."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import array_and_drive, crossbar_chip, crossbar_settings, write

from imccircuit.errors import UsageError
from imccircuit.surrogates.crossbar import CrossbarSurrogate
from imccircuit.surrogates.domain import DomainWarning
from imccircuit.surrogates.fit import fit_results

ROWS, COLS, BATCH = 5, 3, 12
DRIVE = array_and_drive(ROWS, COLS, 2, seed=8)[1]


def fit(path: Path, conductance_s: np.ndarray, *more: str) -> CrossbarSurrogate:
    drive = array_and_drive(ROWS, COLS, BATCH)[1]
    chip = crossbar_chip(conductance_s, drive, r_row=2.0, r_col=3.0)
    settings = crossbar_settings(ROWS, COLS, BATCH, *more)
    model = fit_results(write(path / "r.h5", "crossbar_ir_drop", settings, [chip]))
    assert isinstance(model, CrossbarSurrogate)
    return model


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> CrossbarSurrogate:
    # Beyond the card's states at one end: its rram_10k has 10 to 100 uS.
    g = 1e-6 * np.random.default_rng(4).uniform(5, 90, (ROWS, COLS))
    g[0, 0] = 5e-6
    return fit(tmp_path_factory.mktemp("domain"), g, 'circuit.device_card="rram_10k"')


@pytest.fixture
def model(fitted: CrossbarSurrogate) -> CrossbarSurrogate:
    return CrossbarSurrogate(fitted.model)


def test_limits_are_what_was_measured_and_what_the_card_programs(model: CrossbarSurrogate) -> None:
    assert model.limits["conductance_s"] == pytest.approx((5e-6, 1e-4), rel=1e-12, abs=0)
    for inside in (5e-6, 1e-4):
        g = np.full((ROWS, COLS), inside)
        model.predict(voltage_v=DRIVE, conductance_s=g, strict=True)


def test_a_varied_card_has_the_margin_of_its_spread(tmp_path: Path) -> None:
    varied = 'variation.quantities=["conductance"]', 'circuit.device_card="rram_10k"'
    model = fit(tmp_path, np.full((ROWS, COLS), 50e-6), *varied)
    # Four times 4 uS above 100 uS; below 10 uS there is no conductance left.
    assert model.limits["conductance_s"] == pytest.approx((0.0, 116e-6), rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("factor", "shape", "name"),
    [
        (1000.0, (ROWS, COLS), "conductance_s of 0.05 is outside"),
        (0.01, (ROWS, COLS), "conductance_s of 5e-07 is outside"),
        (1.0, (ROWS, COLS + 1), "columns of 4 is outside the model's domain; allowed: 3"),
        (1.0, (ROWS - 1, COLS), "rows of 4 is outside the model's domain; allowed: 5"),
    ],
)
def test_another_array_warns_once_or_is_refused(
    model: CrossbarSurrogate, factor: float, shape: tuple[int, int], name: str
) -> None:
    g, drive = np.full(shape, factor * 50e-6), DRIVE[:, : shape[0]]
    with pytest.warns(DomainWarning) as seen:
        model.predict(voltage_v=drive, conductance_s=g)
    model.predict(voltage_v=drive, conductance_s=g)  # a second warning would be an error
    assert [name in str(item.message) for item in seen] == [True]
    assert seen[0].filename == __file__
    with pytest.raises(UsageError, match=name.partition(" ")[0]):
        model.predict(voltage_v=drive, conductance_s=g, strict=True)


def test_a_model_without_these_limits_does_not_check_them(model: CrossbarSurrogate) -> None:
    limits = {"voltage_v": model.limits["voltage_v"]}
    older = CrossbarSurrogate(replace(model.model, limits=limits))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        older.predict(voltage_v=DRIVE, conductance_s=np.full((ROWS, COLS + 1), 1.0), strict=True)


def test_the_domain_prints_what_is_checked(model: CrossbarSurrogate) -> None:
    assert model.domain["drive voltage"] == "0 V to 200 mV, at rest"
    assert model.domain["cell conductance"] == "5 µS to 100 µS"
    assert model.domain["array"] == "5 rows x 3 columns"
    model.predict(voltage_v=np.full((1, ROWS), 0.2), strict=True)
    with pytest.raises(UsageError, match=r"voltage_v of 0\.201 .*; allowed: 0 to 0\.2"):
        model.predict(voltage_v=np.full((1, ROWS), 0.201), strict=True)
