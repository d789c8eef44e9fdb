"""States of cells: evenly spaced, and with the spread that the chips were drawn with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imccircuit.exporters.content import Content, content_of
from imccircuit.exporters.states import cell_states, spread_law
from imccircuit.surrogates.base import ModelArray
from imccircuit.surrogates.files import load_model


def content(conductance: np.ndarray) -> Content:
    array = ModelArray(conductance, "S", ("chip", "row", "col"), "conductance")
    return Content("crossbar", {"conductance": array}, {}, (), {})


def test_exact_variances_give_their_law() -> None:
    mean = np.linspace(1e-6, 1e-4, 50)
    fixed, relative = spread_law(mean, 4e-14 + 0.0025 * mean**2)
    assert fixed == pytest.approx(4e-14, abs=1e-20)
    assert relative == pytest.approx(0.0025, abs=1e-9)
    assert spread_law(mean, np.full(50, 9e-14)) == pytest.approx((9e-14, 0.0), abs=1e-20)
    assert spread_law(mean, np.zeros(50)) == (0.0, 0.0)


@pytest.mark.parametrize(("fixed", "relative"), [(0.0, 0.05), (5e-7, 0.0), (3e-7, 0.05)])
def test_drawn_chips_give_the_spread_they_were_drawn_with(fixed: float, relative: float) -> None:
    rng = np.random.default_rng(3)
    target = rng.uniform(1e-6, 1e-4, (40, 40))
    sigma = np.sqrt(fixed**2 + (relative * target) ** 2)
    chips = target + sigma * rng.standard_normal((20, 40, 40))
    states = cell_states(content(chips), 4)
    truth = np.sqrt(fixed**2 + (relative * states.mean_s) ** 2)
    # 1600 cells of 20 chips tell a variance to 0.8 %; the low end, which few cells show, worse.
    np.testing.assert_allclose(states.sigma_s, truth, rtol=0.08)


def test_states_are_evenly_spaced_from_end_to_end(models: dict[str, Path]) -> None:
    found = cell_states(content_of(load_model(models["spread"])), 4)
    mean = load_model(models["spread"]).array("conductance").mean(axis=0)
    low, high = mean.min(), mean.max()
    expected = [low, (2 * low + high) / 3, (low + 2 * high) / 3, high]
    np.testing.assert_allclose(found.mean_s, expected, rtol=1e-12)
    assert "12 chips" in found.how


def test_one_chip_has_no_spread(models: dict[str, Path]) -> None:
    found = cell_states(content_of(load_model(models["linear"])), 2)
    assert np.all(found.sigma_s == 0)
    assert "no spread" in found.how
