"""Networks: convolution against scipy, training, folds and paired tests."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import correlate2d

from imccircuit.errors import UsageError
from imccircuit.networks.datasets import load_digit_samples
from imccircuit.networks.fit_network import fit_network, make_module
from imccircuit.networks.from_torch import from_torch
from imccircuit.networks.models import Layer, Network, Patches, Shape
from imccircuit.networks.paired import compute_logit_snr, compute_mcnemar, split_folds

RNG = np.random.default_rng(2)


def test_convolution_is_that_of_scipy() -> None:
    images, kernel = RNG.random((3, 6, 7, 2)), RNG.standard_normal((3, 3, 2, 4))
    layer = Layer(kernel.reshape(18, 4), np.array([0.1, -0.2, 0.0, 0.3]), True,
                  Patches(6, 7, 2, 3), pool=True)  # fmt: skip
    found = Network("c", (layer,)).logits(images.reshape(3, -1))
    for image in range(3):
        for k in range(4):
            full = sum(
                correlate2d(images[image, :, :, c], kernel[:, :, c, k], "valid") for c in range(2)
            )
            full = np.maximum(full + layer.bias[k], 0.0)
            mean = [[full[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean() for j in range(2)]
                    for i in range(2)]  # fmt: skip
            np.testing.assert_allclose(
                found[image].reshape(2, 2, 4)[:, :, k], mean, rtol=0, atol=1e-13
            )


@pytest.mark.parametrize(("name", "least"), [("linear", 0.93), ("mlp", 0.95), ("cnn", 0.93)])
def test_networks_learn_and_repeat(name, least) -> None:
    samples = load_digit_samples()
    train, test = next(split_folds(samples.y, 5, 1))
    one, two = (
        fit_network(name, samples.shape, 10, samples.x[train], samples.y[train], 1)
        for _ in range(2)
    )
    for a, b in zip(one.layers, two.layers, strict=True):
        np.testing.assert_array_equal(a.weights, b.weights)
    right = np.argmax(one.logits(samples.x[test]), axis=1) == samples.y[test]
    assert right.mean() > least  # chance is 0.1


def test_classes_and_pixels_that_do_not_match_are_one_line() -> None:
    network = from_torch("mlp", make_module("mlp", Shape(8, 8), 10, 1), Shape(8, 8))
    with pytest.raises(UsageError, match=r"classes 0 to 10 do not match network mlp.*0 to 9"):
        network.check_classes([0, 10])
    with pytest.raises(UsageError, match="takes 64"):
        network.logits(np.zeros((2, 65)))
    with pytest.raises(UsageError, match="linear, mlp, cnn"):
        make_module("vit", Shape(8, 8), 10, 1)
    with pytest.raises(UsageError, match="too small"):
        make_module("cnn", Shape(3, 8), 10, 1)


def test_folds_test_each_image_once_and_are_balanced() -> None:
    classes = load_digit_samples().y
    tested = []
    for train, test in split_folds(classes, 5, 1):
        assert not set(train) & set(test)
        assert len(train) + len(test) == 1797
        counts = np.bincount(classes[test], minlength=10)
        everything = np.bincount(classes, minlength=10) / 5
        assert np.all(np.abs(counts - everything) <= 1)
        tested.append(test)
    np.testing.assert_array_equal(np.sort(np.concatenate(tested)), np.arange(1797))
    with pytest.raises(UsageError, match="2 to 3"):
        next(split_folds(np.array([0, 0, 0, 1, 1, 1, 1]), 4, 1))


def test_mcnemar_is_the_binomial_law_by_hand() -> None:
    # 12 images that only one has right, 10 against 2: 2 (1 + 12 + 66) / 4096.
    a = np.array([True] * 10 + [False] * 2 + [True] * 50)
    b = np.array([False] * 10 + [True] * 2 + [True] * 50)
    assert compute_mcnemar(a, b) == pytest.approx(2 * 79 / 4096, abs=1e-15)
    assert compute_mcnemar(a, a) == 1.0
    with pytest.raises(UsageError, match="same images"):
        compute_mcnemar(a, b[1:])


def test_logit_snr_by_hand() -> None:
    # Differences between classes 2, noise between them 0.2: amplitudes 10 : 1.
    assert compute_logit_snr([[1.0, -1.0]], [[6.1, 3.9]]) == pytest.approx(20.0, abs=1e-9)
    assert compute_logit_snr([[1.0, 0.0]], [[3.0, 2.0]]) == np.inf
