"""The three small networks of a study, in PyTorch: the same seed gives the same weights.

Adam [1]_ on the cross entropy of the softmax, in batches, with weight decay on the weights, in
double precision.

References
----------
.. [1] D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from imccircuit.devices.draws import Draws
from imccircuit.errors import SetupError, UsageError
from imccircuit.networks.from_torch import from_torch
from imccircuit.networks.models import Floats, Network, Shape

NetworkName = Literal["linear", "mlp", "cnn"]

_HIDDEN = 32
_CHANNELS = 8
_WINDOW = 3
_BATCH = 64
_EPOCHS = 60
_RATE, _DECAY = 3e-3, 1e-4


def check_network(name: str, shape: Shape) -> None:
    """Refuse a network that cannot be made for images of this shape.

    Raises
    ------
    UsageError : an unknown name, or images too small for a window and its pooling.
    SetupError : torch is not installed.
    """
    if name not in get_args(NetworkName):
        raise UsageError(f"network {name!r}; allowed: {', '.join(get_args(NetworkName))}")
    if name == "cnn" and min(shape.height, shape.width) <= _WINDOW:
        problem = f"images of {shape.height} x {shape.width} are too small for a cnn"
        raise UsageError(f"{problem}; allowed: from {_WINDOW + 1} x {_WINDOW + 1}")
    if find_spec("torch") is None:
        raise SetupError('torch is missing: pip install "imccircuit[torch,digits]"')


def make_module(name: str, shape: Shape, classes: int, seed: int) -> Any:
    """A ``torch.nn.Sequential`` of images (image, channel, row, column), with drawn weights.

    Weights are normal, of variance 2/inputs (He), and biases 0.

    Parameters
    ----------
    name : ``linear`` (one layer), ``mlp`` (32 hidden units) or ``cnn`` (8 windows of 3 × 3, mean of
        2 × 2, one dense layer).

    Raises
    ------
    UsageError, SetupError : as of `check_network`.
    """
    check_network(name, shape)
    import torch
    from torch import nn

    down, across = ((size - _WINDOW + 1) // 2 for size in (shape.height, shape.width))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == "linear":
            parts = [nn.Flatten(), nn.Linear(shape.pixels, classes)]
        elif name == "mlp":
            parts = [nn.Flatten(), nn.Linear(shape.pixels, _HIDDEN), nn.ReLU(),
                     nn.Linear(_HIDDEN, classes)]  # fmt: skip
        else:
            parts = [nn.Conv2d(shape.channels, _CHANNELS, _WINDOW), nn.ReLU(), nn.AvgPool2d(2),
                     nn.Flatten(), nn.Linear(_CHANNELS * down * across, classes)]  # fmt: skip
        module = nn.Sequential(*parts).double()
        for values in module.parameters():
            if values.ndim > 1:
                nn.init.kaiming_normal_(values)
            else:
                nn.init.zeros_(values)
    return module


def fit_network(
    name: str, shape: Shape, classes: int, x: Floats, y: NDArray[np.int64], seed: int
) -> Network:
    """Fit a network to images (image, pixel), pixels as rows of (height, width, channel).

    Raises
    ------
    UsageError, SetupError : as of `check_network`; or classes that do not match.
    """
    module = make_module(name, shape, classes, seed)
    from_torch(name, module, shape).check_classes(y)
    import torch

    images = np.ascontiguousarray(
        x.reshape(-1, shape.height, shape.width, shape.channels).transpose(0, 3, 1, 2)
    )
    _descend(module, torch.from_numpy(images), torch.from_numpy(y), seed)
    return from_torch(name, module, shape)


def _descend(module: Any, x: Any, y: Any, seed: int) -> None:
    import torch

    groups: list[dict[str, Any]] = [
        {"params": [p for p in module.parameters() if p.ndim > 1], "weight_decay": _DECAY},
        {"params": [p for p in module.parameters() if p.ndim == 1]},
    ]
    optimizer = torch.optim.Adam(groups, lr=_RATE)
    order = Draws(seed, 0).generator("batches")
    for _ in range(_EPOCHS):
        for chosen in torch.split(torch.from_numpy(order.permutation(len(y))), _BATCH):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(module(x[chosen]), y[chosen]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
