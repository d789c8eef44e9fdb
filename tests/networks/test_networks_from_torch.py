"""Networks from PyTorch answer as they do there."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks of PyTorch")

from imccircuit.errors import UsageError  # noqa: E402
from imccircuit.networks.from_torch import from_torch  # noqa: E402
from imccircuit.networks.models import Shape  # noqa: E402

nn = torch.nn


def nets():
    torch.manual_seed(3)
    rectifier = nn.ReLU()
    return {
        "one rectifier": (
            nn.Sequential(nn.Linear(60, 9), rectifier, nn.Linear(9, 8), rectifier,
                          nn.Linear(8, 4)),
            (5, 4, 3),
        ),
        "linear": (nn.Sequential(nn.Flatten(), nn.Linear(60, 4)), (5, 4, 3)),
        "mlp": (
            nn.Sequential(nn.Flatten(), nn.Linear(60, 9, bias=False), nn.ReLU(), nn.Dropout(0.5),
                          nn.Linear(9, 4)),
            (5, 4, 3),
        ),
        "cnn": (
            nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(5, 6, 2),
                          nn.ReLU(), nn.Flatten(), nn.Linear(6 * 2 * 3, 7), nn.ReLU(),
                          nn.Linear(7, 4)),
            (8, 10, 3),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["linear", "mlp", "cnn", "one rectifier"])
def test_answers_are_those_of_pytorch(name) -> None:
    module, (high, wide, deep) = nets()[name]
    module = module.double().eval()
    network = from_torch(name, module, Shape(high, wide, deep))
    x = np.random.default_rng(1).random((11, high, wide, deep))
    given = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        wanted = module(given if name != "one rectifier" else given.flatten(1)).numpy()
    # Sums of at most a hundred products in double precision.
    np.testing.assert_allclose(network.logits(x.reshape(11, -1)), wanted, rtol=0, atol=1e-12)
    assert network.classes == 4


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([nn.Conv2d(3, 5, 3, padding=1)], "Conv2d.*has no place on tiles"),
        ([nn.Conv2d(3, 5, 3, stride=2)], "Conv2d.*has no place on tiles"),
        ([nn.Conv2d(3, 3, 3, groups=3)], "Conv2d.*has no place on tiles"),
        ([nn.Conv2d(3, 5, 3), nn.ReLU(), nn.MaxPool2d(2)], "MaxPool2d.*has no place"),
        ([nn.Conv2d(3, 5, 3), nn.AvgPool2d(2)], "AvgPool2d.*has no place"),
        ([nn.Linear(60, 4), nn.Sigmoid()], "Sigmoid.*has no place"),
        ([nn.Linear(60, 4), nn.Conv2d(3, 5, 3)], "Conv2d.*has no place"),
        ([nn.ReLU()], "ReLU.*has no place"),
        ([nn.Linear(59, 4)], r"in_features=59.*allowed: 60 inputs"),
        ([nn.Linear(60, 5), nn.Linear(4, 4)], "allowed: 5 inputs"),
        ([nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AvgPool2d(2, divisor_override=1)], "AvgPool2d.*has no"),
        ([], "no layer"),
    ],
)
def test_what_tiles_cannot_hold_is_refused(parts, words) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        from_torch("mine", nn.Sequential(*parts), Shape(5, 4, 3))
    assert "\n" not in str(refused.value)


def test_what_is_no_sequence_is_refused() -> None:
    with pytest.raises(UsageError, match=r"mine: a Linear; allowed: torch\.nn\.Sequential"):
        from_torch("mine", nn.Linear(60, 4), Shape(5, 4, 3))
