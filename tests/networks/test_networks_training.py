"""The training layer against products written out by hand, and what training is worth."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not in the test extra")
pytest.importorskip("sklearn", reason="the digits are scikit-learn's")

# The folder is on the path by itself only when its own tests are collected.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "surrogates"))

from synthetic import adc_chip, adc_population, write  # noqa: E402

from imccircuit.errors import UsageError  # noqa: E402
from imccircuit.exporters.torch.runtime import convert_codes  # noqa: E402
from imccircuit.networks.digits import Digits, load_digits  # noqa: E402
from imccircuit.networks.fused_layer import spread_cells  # noqa: E402
from imccircuit.networks.hardware_layer import (  # noqa: E402
    ChargeArray,
    CurrentArray,
    ImcLinear,
    LayerChip,
)
from imccircuit.networks.level_search import sum_codes  # noqa: E402
from imccircuit.networks.training import ImcMlp, Schedule, evaluate, train  # noqa: E402
from imccircuit.networks.training_chips import (  # noqa: E402
    ChipSource,
    calibrate_converters,
    uniform_chip,
)
from imccircuit.networks.training_comparison import compare_training  # noqa: E402
from imccircuit.surrogates.adc import AdcSurrogate  # noqa: E402
from imccircuit.surrogates.fit import fit_results  # noqa: E402
from imccircuit.surrogates.front_end_law import TransferLaw  # noqa: E402

BITS = 5
CURRENT = CurrentArray(low_s=5e-6, high_s=1e-4, spread=0.2)
CHARGE = ChargeArray(weight_bits=3, input_bits=2, spread=0.05)


@pytest.fixture(scope="module")
def adc(tmp_path_factory: pytest.TempPathFactory) -> AdcSurrogate:
    """Converters whose unit capacitors are off by 40 % and whose offsets are 2 LSB."""
    chips = adc_population(20, 1, bits=BITS, spread=0.4, offset_v=0.06)
    path = tmp_path_factory.mktemp("adc") / "results.h5"
    model = fit_results(write(path, "adc_sar8_mismatch", [f"circuit.bits={BITS}"], chips))
    assert isinstance(model, AdcSurrogate)
    return model


@pytest.fixture(scope="module")
def digits() -> Digits:
    return load_digits(360, 1)


def layer_of(array: CurrentArray | ChargeArray, seed: int = 3) -> ImcLinear:
    torch.manual_seed(seed)
    layer = ImcLinear(6, 4, array, BITS)
    layer.calibrate(torch.rand(50, 6), "maximum")
    return layer


def codes_by_counting(levels: np.ndarray, share: np.ndarray) -> np.ndarray:
    return np.sum(share[..., None] > levels, axis=-1)


def test_current_mode_is_the_sum_written_out(adc: AdcSurrogate) -> None:
    layer = layer_of(CURRENT)
    (chip,) = next(ChipSource(adc).draw([layer], 1, 5))
    layer.chip = chip
    x = torch.rand(7, 6)
    w = layer.weight.detach().numpy().astype(np.float64)
    largest = np.max(np.abs(w))
    volts = x.numpy() / float(layer.input_range)
    expected = np.zeros((7, 4))
    cells, levels = chip.cells.numpy(), chip.levels.numpy()
    for out in range(4):
        for sign, column in ((1, out), (-1, 4 + out)):
            siemens = 5e-6 + (1e-4 - 5e-6) * np.maximum(sign * w[out], 0) / largest
            current = np.minimum(volts, 1) @ (siemens * cells[:, column])
            full = float(layer.full_scale) * 1e-4
            code = codes_by_counting(levels[column], current / full)
            # A code is full/2^bits of current; a weight of 1 is (high - low)/largest of it.
            lsb = full / 2**BITS
            expected[:, out] += sign * code * lsb * largest / 9.5e-5 * float(layer.input_range)
    with torch.no_grad():
        np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_charge_mode_is_the_sum_written_out(adc: AdcSurrogate) -> None:
    layer = layer_of(CHARGE)
    (chip,) = next(ChipSource(adc).draw([layer], 1, 5))
    layer.chip = chip
    x = torch.rand(5, 6)
    w = layer.weight.detach().numpy()
    largest, top = float(np.max(np.abs(w))), float(layer.input_range)
    whole = np.rint(w / largest * 7).astype(int)
    digits = np.rint(np.minimum(x.numpy() / top, 1) * 3).astype(int)
    cells, levels = chip.cells.numpy(), chip.levels.numpy()
    # Σ x·w·C / ΣC, in cells: what shares its charge sums to the number of cells.
    np.testing.assert_allclose(cells.sum(axis=0), 6.0, rtol=1e-6)
    expected = np.zeros((5, 4))
    for out in range(4):
        for sign in (1, -1):
            for part in range(3):
                column = part * 8 + out + (0 if sign == 1 else 4)
                stored = (np.maximum(sign * whole[out], 0) >> part) & 1
                share = stored * cells[:, column]
                for bit in range(2):
                    count = ((digits >> bit) & 1) @ share / float(layer.full_scale)
                    code = codes_by_counting(levels[column], count)
                    expected[:, out] += sign * 2**part * 2**bit * code
    expected *= float(layer.full_scale) / 2**BITS * largest / 7 * top / 3
    with torch.no_grad():
        np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("array", [CURRENT, ChargeArray(8, 8, 0.0)])
def test_many_bits_and_no_spread_are_the_product(array: CurrentArray | ChargeArray) -> None:
    torch.manual_seed(1)
    layer = ImcLinear(6, 4, array, 14)
    x = torch.rand(50, 6)
    layer.calibrate(x, "maximum")
    (layer.chip,) = uniform_chip([layer])
    with torch.no_grad():
        exact = x @ layer.weight.T
        apart = (layer(x) - exact).abs().max()
    # 14 bits: a step of 6e-5 of the range; charge mode also rounds weights and inputs to 1/510 of
    # their range, six of them in a sum.
    assert apart < (0.002 if isinstance(array, CurrentArray) else 0.02) * exact.abs().max() * 2


def test_gradient_is_straight_through_and_that_of_the_filled_range(adc: AdcSurrogate) -> None:
    layer = layer_of(CURRENT)
    (chip,) = next(ChipSource(adc).draw([layer], 1, 5))
    x = torch.rand(7, 6, requires_grad=True)
    up = torch.randn(7, 4)
    layer.chip = chip
    (layer(x) * up).sum().backward()
    found, along_x = layer.weight.grad.clone(), x.grad.clone()
    np.testing.assert_allclose(layer.bias.grad.numpy(), up.sum(dim=0).numpy(), rtol=1e-6)
    x = x.detach()
    with torch.no_grad():
        error = layer(x) - x @ layer.weight.T
    # y + e·s/s₀ written out: s is what a column shows on average, the bottom of the range included.
    w = layer.weight.detach().numpy().astype(np.float64)
    mean = x.numpy().astype(np.float64).mean(axis=0)

    def filled(weights: np.ndarray, mean: np.ndarray = mean) -> float:
        size = np.abs(weights)
        return float(0.95 * np.mean(size @ mean) + 0.05 * np.max(size) * mean.sum())

    pull = float((error * up).sum()) / filled(w)
    straight = (up.T @ x).numpy().astype(np.float64)
    for at in np.ndindex(4, 6):
        step = np.zeros_like(w)
        step[at] = 1e-6
        slope = (filled(w + step) - filled(w - step)) / 2e-6
        # Single precision of a sum of 28 products of order one.
        assert found[at].item() == pytest.approx(straight[at] + pull * slope, abs=1e-4)
    straight = (up @ layer.weight).detach().numpy().astype(np.float64)
    for at in np.ndindex(7, 6):
        step = np.zeros(6)
        step[at[1]] = 1e-6 / 7  # of one vector in a mean of seven
        slope = (filled(w, mean + step) - filled(w, mean - step)) / 2e-6
        assert along_x[at].item() == pytest.approx(straight[at] + pull * slope, abs=1e-4)


@pytest.mark.parametrize("bits", [5, 9])
def test_compiled_codes_equal_their_twin(bits: int) -> None:
    """Counted to 8 bits, searched beyond."""
    rng = np.random.default_rng(2)
    levels = np.sort(rng.random((5, 2**bits - 1)), axis=1).astype(np.float32)
    levels[2, 4:9] = levels[2, 4]  # missing codes
    values = np.concatenate([rng.random((40, 5)), levels.T, [[-1.0] * 5, [2.0] * 5]])
    values = values.astype(np.float32)
    expected = convert_codes(torch.from_numpy(levels), torch.from_numpy(values)).numpy()
    one = np.ones((1, 1), dtype=np.float32)
    np.testing.assert_array_equal(sum_codes(levels, values[None], one), expected)
    both = np.stack([values, values[::-1]])
    found = sum_codes(levels[:4], both[..., :4], np.array([[1, 10], [100, 1000]], np.float32))
    parts = expected[:, :2] + 10 * expected[:, 2:4]
    np.testing.assert_array_equal(found, parts + 100 * parts[::-1])


@pytest.mark.parametrize("fronts", [False, True])
@pytest.mark.parametrize("array", [CURRENT, CHARGE])
def test_compiled_pass_and_slopes_equal_their_twins(
    adc: AdcSurrogate, array: CurrentArray | ChargeArray, fronts: bool
) -> None:
    layer = layer_of(array)
    (chip,) = next(ChipSource(adc).draw([layer], 1, 5))
    if fronts:
        drawn = 0.05 * np.random.default_rng(1).standard_normal((layer.columns, 4))
        chip = replace(chip, front=torch.from_numpy(drawn.astype(np.float32)))
    # A table in which codes stand for themselves: the operations of torch.
    own = torch.arange(2.0**BITS).expand(layer.columns, -1)
    x, up = torch.rand(9, 6), torch.randn(9, 4)
    answers = []
    for tried in (chip, replace(chip, table=own)):
        layer.chip = tried
        with torch.no_grad():
            answers.append(layer(x).numpy())
    # The same codes, so the sums of them are the same.
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-6, atol=1e-6)
    assert len(np.unique(answers[0])) > 20
    found = [_slopes(layer.double() if double else layer, x, up, chip) for double in (False, True)]
    for single, exact in zip(*found, strict=True):
        # Sums of some ten products of order one in single precision.
        np.testing.assert_allclose(single, exact, rtol=1e-5, atol=1e-5)


def test_a_charge_layer_calibrates_on_whole_numbers_of_products() -> None:
    layer, x = layer_of(ChargeArray(3, 2, 0.1)), 1.2 * torch.rand(9, 6)
    with torch.no_grad():
        twin = layer._columns(x, None).flatten().numpy()
        np.testing.assert_array_equal(layer._nominal(x), twin)


@pytest.mark.parametrize("shared", [False, True])
def test_compiled_cells_equal_their_twin(shared: bool) -> None:
    normal = np.random.default_rng(3).standard_normal((50, 7)).astype(np.float32)
    factors = np.maximum(1.0 + 0.5 * normal.astype(np.float64), 0.01)
    assert np.sum(factors == 0.01) > 0
    expected = factors / factors.mean(axis=0) if shared else factors
    spread_cells(normal, np.float32(0.5), np.float32(0.01), shared)
    # A sum of fifty terms in single precision.
    np.testing.assert_allclose(normal, expected, rtol=50 * 2**-24, atol=0)


def _slopes(layer: ImcLinear, x: torch.Tensor, up: torch.Tensor, chip: LayerChip) -> list:
    kind = layer.weight.dtype
    parts = (getattr(chip, field.name) for field in fields(chip))
    layer.chip = LayerChip(*(None if part is None else part.to(kind) for part in parts))
    x = x.detach().to(kind).clone().requires_grad_()
    layer.zero_grad()
    (layer(x) * up.to(kind)).sum().backward()
    return [x.grad.numpy(), layer.weight.grad.numpy()]


def test_front_ends_have_the_spread_of_their_population() -> None:
    half = np.random.default_rng(1).standard_normal((8, 8))
    cov = 1e-4 * half @ half.T
    mean = np.array([0.4, -0.4, 0.01, 0.0, 0.6, 0.0, 0.0, 0.0])
    arrays = {"population_mean": mean, "population_covariance": cov}
    front = SimpleNamespace(has_population=True, array=arrays.get)
    drawn = ChipSource(SimpleNamespace(has_population=True), front)._fronts(40_000, 3).numpy()
    # Over the swing: mean offset and gain taken off, everything over -0.4 V.
    np.testing.assert_allclose(drawn.mean(axis=0), [0, 0, -0.025, 0], atol=5 * 0.1 / 200)
    # An entry of a covariance of 40,000 draws is known to 1/200 of σ², times at most √2.
    largest = np.max(np.diag(cov)[:4]) / 0.16
    np.testing.assert_allclose(np.cov(drawn.T), cov[:4, :4] / 0.16, atol=5 * largest * 1.5 / 200)


def test_front_end_is_the_law_of_its_surrogate() -> None:
    from imccircuit.networks.hardware_layer import _through_front_end

    law = TransferLaw(np.linspace(0.0, 1.0, 5), np.zeros(5))
    numbers = np.array([[0.02, 0.05, 0.03, -0.04], [-0.1, 0.0, 0.0, 0.2]])
    share = np.linspace(-0.3, 1.4, 35)
    found = _through_front_end(torch.from_numpy(share)[:, None], torch.from_numpy(numbers)).numpy()
    for k, (offset, gain, bow, asymmetry) in enumerate(numbers):
        own = np.array([0.5 + offset, 1.0 + gain, bow, asymmetry])
        np.testing.assert_allclose(found[:, k], law.voltage(own, share), atol=1e-12)


def test_chips_are_the_surrogates_and_repeatable(adc: AdcSurrogate) -> None:
    layers = [ImcLinear(30, 20, CURRENT, BITS), ImcLinear(20, 5, CURRENT, BITS)]
    source = ChipSource(adc)
    one, two = list(source.draw(layers, 3, 9)), list(source.draw(layers, 3, 9))
    other = next(source.draw(layers, 1, 10))
    assert torch.equal(one[2][1].levels, two[2][1].levels)
    assert torch.equal(one[2][1].cells, two[2][1].cells)
    assert not torch.equal(one[0][0].levels, other[0].levels)
    assert not torch.equal(one[0][0].levels, one[1][0].levels)
    many = torch.cat([chip[0].cells.flatten() for chip in one]).numpy()
    # 3600 cells: σ of a standard deviation is 0.2/√7200.
    assert many.std() == pytest.approx(0.2, abs=5 * 0.2 / np.sqrt(7200))
    levels = torch.cat([chip[0].levels for chip in source.draw(layers, 20, 1)]).numpy()
    middle = levels[:, 15] - 0.5
    mean, cov = adc.array("population_mean"), adc.array("population_covariance")
    pick = np.array([0, 0, 0, 0, 1, 1])  # the MSB's level is its weight and the offset
    spread = np.sqrt(pick @ cov @ pick)
    assert middle.std() == pytest.approx(spread, abs=5 * spread / np.sqrt(2 * len(middle)))
    assert middle.mean() == pytest.approx(pick @ mean - 0.5, abs=5 * spread / np.sqrt(800))


def test_a_calibrated_converter_knows_where_its_codes_are() -> None:
    levels = torch.tensor([[0.1, 0.5, 0.6]])
    (chip,) = calibrate_converters((LayerChip(levels, torch.ones(1, 1)),), 3)
    # In codes of 1/4: 0.4 2.0 2.4, so half a code below, 1.2, 2.2 and half a code above; eighths.
    assert chip.table.tolist() == [[-0.125, 1.25, 2.25, 2.875]]
    # Beyond the range no input of the staircase shows a level: those at -0.3 and 1.2 pass for 0, 1.
    (chip,) = calibrate_converters(
        (LayerChip(torch.tensor([[-0.3, 0.5, 1.2]]), torch.ones(1, 1)),), 3
    )
    assert chip.table.tolist() == [[-0.5, 1.0, 3.0, 4.5]]


def test_levels_that_all_columns_share_can_be_calibrated() -> None:
    network = ImcMlp((64, 16, 10), CURRENT, BITS, 1)
    chip = uniform_chip(network.imc_layers)
    calibrated = calibrate_converters(chip, 8)
    for part in calibrated:
        # Of equal steps the middle of a code is half a code above its lower level: k + ½.
        middles = torch.arange(2**BITS) + 0.5
        assert part.table.shape == (part.cells.shape[1], 2**BITS)
        assert torch.equal(part.table, middles.expand(len(part.table), -1))
    for layer, part in zip(network.imc_layers, calibrated, strict=True):
        layer.chip = part
    x = torch.rand(3, 64, generator=torch.Generator().manual_seed(1))
    assert network(x).shape == (3, 10)


def test_plain_training_takes_place_in_float(digits: Digits) -> None:
    network = ImcMlp((64, 16, 10), CURRENT, BITS, 1)
    before = evaluate(network, digits, None)
    done = train(network, digits, "plain", 1, schedule=Schedule(epochs=12))
    assert before < 0.4
    assert evaluate(network, digits, None) > 0.9
    assert done.losses[-1] < 0.3 * done.losses[0]
    logits = network.as_network("mlp").logits(digits.test_x)
    assert np.mean(np.argmax(logits, axis=1) == digits.test_y) == pytest.approx(
        evaluate(network, digits, None), abs=1 / 360
    )
    again = ImcMlp((64, 16, 10), CURRENT, BITS, 1)
    assert train(again, digits, "plain", 1, schedule=Schedule(epochs=12)).losses == done.losses


@pytest.mark.parametrize("array", [CURRENT, CHARGE])
def test_what_training_is_worth(
    adc: AdcSurrogate, digits: Digits, array: CurrentArray | ChargeArray
) -> None:
    found = compare_training(
        [digits], array, ChipSource(adc), chips=2, seeds=1, schedule=Schedule(epochs=15),
        conversion_j=2e-15,
    )  # fmt: skip
    naive, aware = found.way("naive").mean, found.way("population").mean
    own = found.way("chip in the loop").mean
    # 720 answers: σ of a share near 0.9 is 0.011. The converters are so bad that much is lost.
    assert found.way("float").mean - naive > 0.06
    assert aware - naive > 0.03
    assert own - naive > 0.05
    assert found.way("uniform converter").mean > naive
    assert [way.accuracy.shape for way in found.ways] == [(1, 1), (1, 1), *[(1, 2)] * 4]
    assert set(found.overhead) == {"population", "chip"}
    passes = 1 if isinstance(array, CurrentArray) else 2 * 3
    assert found.conversions == passes * 2 * (32 + 10)
    assert found.table_bits == 32 * 9
    columns = 2 * (32 + 10) * (1 if isinstance(array, CurrentArray) else 3)
    # A staircase of eighths of 32 codes, each input converted once by every converter.
    assert (found.steps, found.converters) == (256, columns)
    assert found.energy_j == pytest.approx(found.conversions * 2e-15, abs=1e-24)
    assert found.calibration_j == pytest.approx(256 * columns * 2e-15, abs=1e-20)
    assert found.calibration_images == 256 / (1 if isinstance(array, CurrentArray) else 2)


def test_wrong_use_is_one_line(adc: AdcSurrogate, digits: Digits, tmp_path: Path) -> None:
    network, source = ImcMlp((64, 4, 10), CURRENT, BITS, 1), ChipSource(adc)
    one = fit_results(
        write(
            tmp_path / "one.h5",
            "adc_sar8",
            ["circuit.bits=5"],
            [adc_chip(np.array([1.0, 2.0, 4.0, 8.0, 16.0]), 1.0, 0.0)],
        )
    )
    front = SimpleNamespace(has_population=True)
    wrong = ImcMlp((64, 4, 10), CURRENT, 6, 1)
    charge = ImcMlp((64, 4, 10), CHARGE, BITS, 1)
    shifted = replace(digits, train_x=digits.train_x - 0.5, test_x=digits.test_x - 0.5)
    calls = [
        (lambda: ChipSource(one), "one chip"),
        (lambda: next(source.draw(wrong.imc_layers, 1, 1)), "5 bits"),
        (lambda: next(replace(source, front_end=front).draw(charge.imc_layers, 1, 1)), "front end"),
        (lambda: train(network, digits, "population", 1), "needs source"),
        (lambda: train(network, digits, "plain", 1, source=source), "plain neither"),
        (lambda: train(network, digits, "other", 1), "population"),
        (lambda: Schedule(epochs=0), "from 1"),
        (lambda: CurrentArray(1e-5, 1e-6, 0.1), "low_s < high_s"),
        (lambda: ChargeArray(0, 3, 0.1), "1 to 8"),
        (lambda: compare_training([digits], CURRENT, source, chips=0), "from 1"),
        (lambda: compare_training([], CURRENT, source), "folds = 0"),
        (lambda: layer_of(CURRENT).calibrate(torch.rand(5, 6), "best"), "least_error"),
        (lambda: layer_of(CURRENT).calibrate(torch.rand(5, 6) - 0.5, "maximum"), "from -0.4.*ReLU"),
        (lambda: layer_of(CHARGE).calibrate(torch.full((5, 6), torch.nan), "maximum"), "scaling"),
        (lambda: train(network, shifted, "plain", 1, schedule=Schedule(epochs=1)), "to 0.5; allow"),
        (lambda: evaluate(network, shifted, uniform_chip(network.imc_layers)), "another scaling"),
    ]
    for call, word in calls:
        with pytest.raises(UsageError, match=word) as caught:
            call()
        assert "\n" not in str(caught.value)
