"""Cells of a card in the training layer, against the card's own moments and draws."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not in the test extra")

from imccircuit.devices.cards import load_card  # noqa: E402
from imccircuit.devices.laws import Spread  # noqa: E402
from imccircuit.errors import InputError, UsageError  # noqa: E402
from imccircuit.networks.hardware_layer import (  # noqa: E402
    CurrentArray,
    ImcLinear,
)
from imccircuit.networks.read_table import ReadTable  # noqa: E402
from imccircuit.networks.study import TrainingStudy, load_study  # noqa: E402
from imccircuit.networks.training_chips import ChipSource, uniform_chip  # noqa: E402
from imccircuit.networks.training_study import _array  # noqa: E402
from imccircuit.recipes.load import find_recipe  # noqa: E402

N = 40_000


@pytest.fixture(scope="module")
def card():
    return load_card("rram_techC", "rram")


@pytest.mark.parametrize("share", [0.0, 0.3017, 0.77, 1.0])
@pytest.mark.parametrize("time_s", [1.0, 1e4])
def test_cells_are_read_with_the_moments_that_were_measured(card, share, time_s) -> None:
    low, high = card.off_conductance.value, card.on_conductance.value
    spread = card.spread_at(time_s)
    table = ReadTable.of(spread, low, high)
    # One weight fills the range, so that the others are shares of it.
    weight = np.array([[1.0, share, -share]], dtype=np.float32)
    normal = np.random.default_rng(2).standard_normal((N, 3, 2)).astype(np.float32)
    factors = np.array([table.factors(weight, scores) for scores in normal])
    target = low + (high - low) * np.array([[1.0, 0.0], [share, 0.0], [0.0, share]])
    found = factors * target
    mean, sd = spread.mean_of(target), spread.sd_of(target)
    # Five σ of a mean of so many; of a deviation twice as many, for tails are wider than normal.
    np.testing.assert_allclose(found.mean(axis=0), mean, rtol=0, atol=5 * sd.max() / np.sqrt(N))
    np.testing.assert_allclose(found.std(axis=0) / sd, 1.0, atol=10 / np.sqrt(2 * N))
    # The same law, not only its moments: percentiles of the card's own draws.
    own = spread.draw(np.random.default_rng(3), np.full(N, target[1, 0]))
    at = [5, 16, 50, 84, 95]
    # A percentile of N is known to √(p(1-p)/N) in rank, 0.25 %; at five of them 1.2 % of the cells.
    ranks = [100 * np.mean(own < q) for q in np.percentile(found[:, 1, 0], at)]
    np.testing.assert_allclose(ranks, at, atol=1.8)


def test_a_layer_sums_the_read_conductances(card) -> None:
    low, high = card.off_conductance.value, card.on_conductance.value
    array = CurrentArray(low, high, 0.0, ReadTable.of(card.spread_at(1.0), low, high))
    torch.manual_seed(3)
    layer = ImcLinear(6, 4, array, 14)
    x = torch.rand(9, 6)
    layer.calibrate(x, "maximum")
    layer.full_scale *= 1.5  # what is read above its target still fits
    adc = SimpleNamespace(has_population=True, bits=14, full_scale_v=1.0)
    levels = np.broadcast_to(np.arange(1, 2**14) / 2**14, (1, 8, 2**14 - 1))
    source = ChipSource(adc)
    object.__setattr__(source, "_levels_v", lambda *_: levels)
    (chip,) = next(source.draw([layer], 1, 4))
    assert chip.read is array.read
    layer.chip = chip
    w = layer.weight.detach().numpy().astype(np.float64)
    largest = np.max(np.abs(w))
    u = np.vectorize(_phi)(chip.cells.numpy().astype(np.float64))
    volts = x.numpy() / float(layer.input_range)
    expected = np.zeros((9, 4))
    for out in range(4):
        for sign, column in ((1, out), (-1, 4 + out)):
            target = low + (high - low) * np.maximum(sign * w[out], 0) / largest
            read = card.spread_at(1.0).percentile(u[:, column], target)
            expected[:, out] += sign * volts @ read / (high - low) * largest
    expected *= float(layer.input_range)
    with torch.no_grad():
        found = layer(x).numpy()
        (layer.chip,) = uniform_chip([layer])
        plain = layer(x).numpy()
    # Steps of 2^-14 and the table's own: moments off by some thousandths of a level.
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=0.003 * scale)
    # The spread itself is far more, and uniform chips have none.
    assert np.abs(found - plain).max() > 0.03 * scale
    exact = (x @ layer.weight.T).detach().numpy()
    np.testing.assert_allclose(plain, exact, atol=0.003 * scale)


def _phi(score: float) -> float:
    from math import erf, sqrt

    return 0.5 * (1.0 + erf(score / sqrt(2.0)))


def test_a_relative_law_is_what_typed_numbers_are() -> None:
    table = ReadTable.of(Spread("truncated_normal", 0.05), 5e-6, 1e-4)
    weight = np.random.default_rng(1).standard_normal((4, 6)).astype(np.float32)
    scores = np.random.default_rng(2).standard_normal((6, 8)).astype(np.float32)
    # 1 + σ·score; 20 σ away from where it would be cut. The table is linear in both.
    np.testing.assert_allclose(table.factors(weight, scores), 1 + 0.05 * scores, atol=2e-6)


CARD = 'cells={device_card="rram_techC"}'


def test_a_study_takes_its_cells_from_a_card(card) -> None:
    study = load_study("digits_training", ['cells={device_card="rram_techC", read_time="1e4 s"}'])
    assert isinstance(study, TrainingStudy)
    array = _array(study.tables, study.file)
    assert (array.low_s, array.high_s, array.spread) == (0.74e-6, 39e-6, 0.0)
    middle = array.read.shares[[0, -1]].mean(axis=1) * 39e-6
    spread = card.spread_at(1e4)
    # Symmetric scores, so near the mean of the law, which at 1e4 s has left what was programmed.
    for found, state in zip(middle, (0.74e-6, 39e-6), strict=True):
        assert found == pytest.approx(spread.mean_of(state), abs=4 * spread.sd_of(state))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["cells.device_card=rram_techC"], ["cells.low_conductance = 5e-06", "device_card"]),
        ([CARD, "cells.spread=0.1"], ["cells.spread = 0.1", "does not take it"]),
        (['cells={device_card="rram_techX"}'], ["cells.device_card = 'rram_techX'", "rram_techX"]),
        (['cells={device_card="wire_generic"}'], ["wire_generic", "rram"]),
        ([CARD, "cells.read_time=1e9 s"], ["cells.read_time = 1000000000.0", "allowed: 0 s to"]),
        (
            ['cells={device_card="rram_10k", read_time="1 s"}'],
            ["cells.read_time = 1.0", "no measured spread"],
        ),
        (["cells.read_time=1 s"], ["cells.read_time = 1.0", "none"]),
        (["training.mode=charge", CARD], ["cells", "mode charge"]),
        (
            ["training.mode=charge", "cells={weight_bits=2, input_bits=2, spread=0}",
             "cells.device_card=rram_techC"],
            ["cells.device_card = 'rram_techC'", "mode charge does not take it"],
        ),
    ],
)  # fmt: skip
def test_a_card_and_numbers_exclude_each_other(settings, words) -> None:
    with pytest.raises(InputError) as caught:
        load_study("digits_training", settings)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    with pytest.raises(UsageError, match="one of the two"):
        CurrentArray(1e-6, 1e-4, 0.1, ReadTable.of(Spread("truncated_normal", 0.1), 1e-6, 1e-4))


def test_a_card_whose_cells_deviate_together_is_refused(tmp_path) -> None:
    source = Path(load_card("rram_10k", "rram").file).read_text()
    text = source.split("[spread]")[0] + (
        '[spread]\nlaw = "truncated_normal"\n'
        'relative_sd = { value = "0.1", source = "a test" }\n'
        'correlation = { value = "0.5", source = "a test" }\ngroup = "column"\n'
    )
    (tmp_path / "rows.toml").write_text(text)
    named = tmp_path / "study.toml"
    own = find_recipe("digits_training").read_text()
    start, end = own.index("[cells]"), own.index("[front_end]")
    named.write_text(own[:start] + '[cells]\ndevice_card = "rows.toml"\n\n' + own[end:])
    with pytest.raises(InputError, match=r"deviate together.*without correlation"):
        load_study(str(named))
