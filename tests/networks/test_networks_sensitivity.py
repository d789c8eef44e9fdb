"""Sensitivities: what costs accuracy alone and with all else, over the images of all folds."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from imccircuit.networks.chips import IDEAL
from imccircuit.networks.network_tables import SensitivityTable
from imccircuit.networks.sensitivity import (
    OnImages,
    Point,
    compute_accuracies,
    compute_sensitivity,
    costliest,
    widest,
    write_sensitivity,
)


def test_sensitivities_fall_and_the_costliest_is_named(mlp, digits, tmp_path) -> None:
    _, _, x, y, _ = digits
    table = SensitivityTable(model="mlp", chips=2, wires=(0, 1, 40), spread=(0, 6), bits=(8, 1))
    points = compute_sensitivity(
        [OnImages(mlp, x[:100], y[:100]), OnImages(mlp, x[100:], y[100:])], table, 1
    )
    assert len(points) == 2 * (3 + 2 + 2)
    alone = {(p.axis, p.value): p.mean for p in points if not p.others}
    assert alone["spread", 6.0] < alone["spread", 0.0] - 0.1
    assert alone["bits", 1.0] < alone["bits", 8.0] - 0.1
    assert alone["wires", 0.0] == alone["spread", 0.0] == alone["bits", 8.0]  # all ideal
    path = tmp_path / "s.csv"
    write_sensitivity(points, path)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["accuracy_mean"]) for row in rows] == [p.mean for p in points]
    drawn = [Point("wires", 0.0, False, 0.9, 0), Point("wires", 1.0, False, 0.8, 0),
             Point("spread", 0.0, False, 0.9, 0), Point("spread", 1.0, False, 0.7, 0),
             Point("spread", 1.0, True, 0.1, 0)]  # fmt: skip
    assert costliest(tuple(drawn)) == ("spread", pytest.approx(0.2, abs=1e-12))
    assert costliest(()) is None
    drawn.append(Point("bits", 3.0, False, 0.5, 0))
    assert widest(tuple(drawn)) == ("bits", 3.0, pytest.approx(0.4, abs=1e-12))
    assert widest(()) is None


def test_accuracy_is_over_the_images_of_all_folds(mlp, digits) -> None:
    _, _, x, y, _ = digits
    parts = [(x[:50], y[:50]), (x[50:], y[50:])]
    one, two = (compute_accuracies([OnImages(mlp, *p)], IDEAL, 2, 1) for p in parts)
    both = compute_accuracies([OnImages(mlp, *p) for p in parts], IDEAL, 2, 1)
    np.testing.assert_allclose(both, (50 * one + 150 * two) / 200, atol=1e-12)
