"""Cross-validation of trainings: every image once, and every answer in its place."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not in the test extra")
pytest.importorskip("sklearn", reason="the digits are scikit-learn's")

from sklearn.datasets import load_digits as load_all

from imccircuit.errors import UsageError
from imccircuit.networks.digits import Digits, load_folds
from imccircuit.networks.hardware_layer import CurrentArray
from imccircuit.networks.training_comparison import compare_training


def test_every_image_is_tested_once_by_a_training_that_did_not_see_it() -> None:
    folds = load_folds(5, 1)
    pixels, classes = load_all(return_X_y=True)
    rows = sorted(map(tuple, (pixels / 16.0).tolist()))
    assert sorted(tuple(row) for fold in folds for row in fold.test_x.tolist()) == rows
    for fold in folds:
        whole = [*fold.train_x.tolist(), *fold.test_x.tolist()]
        assert sorted(map(tuple, whole)) == rows
        # As many of each digit as 1797 in five parts can have: off by less than one.
        share = np.bincount(classes) / 5
        assert np.max(np.abs(np.bincount(fold.test_y, minlength=10) - share)) < 1
        assert len(fold.train_y) + len(fold.test_y) == 1797
    with pytest.raises(UsageError, match="1 folds; allowed: 2 to 174"):
        load_folds(1, 1)


def test_answers_of_every_fold_training_and_chip_stand_in_their_place() -> None:
    """Trainings that are already known; none takes place."""
    sizes, names = (3, 2), []
    folds = [Digits(*(np.zeros((n, 4)), np.zeros(n, dtype=np.int64)) * 2) for n in sizes]
    source = SimpleNamespace(adc=SimpleNamespace(bits=4), draw=lambda *_: iter([None] * 2))

    def code(*place: int) -> bool:
        return bool(sum((7, 3, 5, 11)[k] * number for k, number in enumerate(place)) % 4 < 2)

    def kept(name: str, _: object) -> dict[str, np.ndarray]:
        names.append(name)
        mode, seed, fold, *chip = name.split(".")
        told = {
            way: np.array(
                [[code(int(seed), int(fold), k, i) for i in range(sizes[int(fold)])] for k in chips]
            )
            for way, chips in {
                "plain": {"float": [0], "naive": [0, 1]},
                "population": {"population": [0, 1]},
                "chip": {"chip in the loop": [int(number) for number in chip]},
            }[mode].items()
        }
        return {**told, "epoch_s": np.array({"plain": 1.0, "population": 3.0, "chip": 2.0}[mode])}

    ways = ("float", "naive", "population", "chip in the loop")
    found = compare_training(
        folds, CurrentArray(0, 1e-4, 0), source, chips=2, seeds=3, ways=ways, kept=kept
    )
    assert len(names) == len(set(names)) == 3 * 2 * (1 + 1 + 2)
    assert "chip.2.1.0" in names
    for way, chips in zip(ways, (1, 2, 2, 2), strict=True):
        expected = [
            [
                [code(seed, fold, chip, i) for fold in range(2) for i in range(sizes[fold])]
                for chip in range(chips)
            ]
            for seed in range(3)
        ]
        np.testing.assert_array_equal(found.way(way).right, expected)
    assert found.overhead == {"population": 3.0, "chip": 2.0}
