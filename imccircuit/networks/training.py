"""Training with the periphery: a network learns what its converters and cells do to it.

Three ways to train the same network, after [1]_:

- ``plain``: in float, knowing nothing (the naive network);
- ``population``: every batch runs on a new chip, drawn from the measured population;
- ``chip``: every batch runs on one chip, the one the network is for (chip in the loop).

References
----------
.. [1] "Approximate ADCs for in-memory computing", arXiv 2408.06390.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from imccircuit.devices.draws import Draws
from imccircuit.errors import UsageError
from imccircuit.networks.digits import Digits
from imccircuit.networks.hardware_layer import Array, ImcLinear
from imccircuit.networks.mapping import check_scaling
from imccircuit.networks.models import Layer, Network
from imccircuit.networks.ranges import Rule
from imccircuit.networks.training_chips import Chip, ChipSource

Mode = Literal["plain", "population", "chip"]

_CALIBRATION = 128


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes
    ----------
    epochs, batch : passes over the images, and images of a step.
    rate : of Adam, falling along a line to 0.
    rule : by which every layer's range is calibrated, once an epoch and at the end.
    """

    epochs: int = 40
    batch: int = 64
    rate: float = 1e-2
    rule: Rule = "percentile"

    def __post_init__(self) -> None:
        """Refuse a training of nothing."""
        if self.epochs < 1 or self.batch < 1 or not self.rate > 0:
            raise UsageError(f"{self}; allowed: epochs and batch from 1, a rate above 0")


@dataclass(frozen=True)
class Training:
    """What a training was.

    Attributes
    ----------
    mode : of the training.
    losses : mean cross entropy of each epoch.
    epoch_s : median time of an epoch in s, drawing chips and calibration included.
    """

    mode: Mode
    losses: tuple[float, ...]
    epoch_s: float


class ImcMlp(nn.Module):
    """Dense layers with rectifiers between them, all on arrays of one kind.

    Parameters
    ----------
    sizes : inputs, hidden units, classes.
    array : of every layer.
    bits : of the converters.
    seed : of the first weights.
    """

    def __init__(self, sizes: tuple[int, ...], array: Array, bits: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            pairs = pairwise(sizes)
            self.layers = nn.ModuleList([ImcLinear(i, o, array, bits) for i, o in pairs])

    @property
    def imc_layers(self) -> tuple[ImcLinear, ...]:
        """The layers, first one first."""
        return tuple(layer for layer in self.layers if isinstance(layer, ImcLinear))

    @property
    def conversions(self) -> int:
        """Conversions of one image."""
        return sum(layer.conversions for layer in self.imc_layers)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (image, class) of images (image, pixel) from 0 to 1."""
        *hidden, last = self.imc_layers
        for layer in hidden:
            x = functional.relu(layer(x))
        out: Tensor = last(x)
        return out

    def put_on(self, chip: Chip | None) -> None:
        """Run the next passes on a chip, or in float."""
        for number, layer in enumerate(self.imc_layers):
            layer.chip = None if chip is None else chip[number]

    def calibrate(self, x: Tensor, rule: str) -> None:
        """Set all ranges from calibration images, which pass in float."""
        with torch.no_grad():
            for layer in self.imc_layers:
                layer.calibrate(x, rule)
                chip, layer.chip = layer.chip, None
                x = functional.relu(layer(x))
                layer.chip = chip

    def as_network(self, name: str) -> Network:
        """The trained weights for everything else that takes a network."""
        layers = [
            Layer(_numbers(layer.weight.T), _numbers(layer.bias), relu=layer is not self.layers[-1])
            for layer in self.imc_layers
        ]
        return Network(name, tuple(layers))


def train(
    network: ImcMlp,
    data: Digits,
    mode: Mode,
    seed: int,
    *,
    source: ChipSource | None = None,
    chip: Chip | None = None,
    schedule: Schedule | None = None,
) -> Training:
    """Train in place on the training images, calibrate the ranges, and leave the network in float.

    Parameters
    ----------
    seed : of the order of the images and of the chips of ``population``.
    source : what ``population`` draws from.
    chip : the chip of ``chip``.
    schedule : how long; `Schedule` by default.

    Raises
    ------
    UsageError : an unknown mode, what it needs is missing, or images of another scaling.
    """
    if mode not in get_args(Mode):
        raise UsageError(f"mode {mode!r}; allowed: {', '.join(get_args(Mode))}")
    if (mode == "population") != (source is not None) or (mode == "chip") != (chip is not None):
        raise UsageError(f"mode {mode}: population needs source, chip needs chip, plain neither")
    plan = schedule or Schedule()
    x, y = torch.from_numpy(data.train_x.astype(np.float32)), torch.from_numpy(data.train_y)
    draws = Draws(seed, 0)
    order, seeds = draws.generator("order"), draws.generator("chips_of_epochs")
    optimizer = torch.optim.Adam(network.parameters(), lr=plan.rate)
    losses, seconds = [], []
    for epoch in range(plan.epochs):
        started = time.perf_counter()
        batches = torch.split(torch.from_numpy(order.permutation(len(y))), plan.batch)
        if mode != "plain":
            network.calibrate(x[batches[0]][:_CALIBRATION], plan.rule)
        chips = _chips(network, source, chip, len(batches), int(seeds.integers(2**63)))
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * (1.0 - epoch / plan.epochs)
        total = 0.0
        for batch, now in zip(batches, chips, strict=True):
            network.put_on(now)
            loss = functional.cross_entropy(network(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += float(loss.detach()) * len(batch)
        losses.append(total / len(y))
        seconds.append(time.perf_counter() - started)
    network.put_on(None)
    network.calibrate(x, plan.rule)
    return Training(mode, tuple(losses), float(np.median(seconds)))


def _chips(
    network: ImcMlp, source: ChipSource | None, chip: Chip | None, count: int, seed: int
) -> Iterator[Chip | None]:
    """A chip for each batch."""
    if source is not None:
        yield from source.draw(network.imc_layers, count, seed)
    else:
        yield from [chip] * count


def evaluate(network: ImcMlp, data: Digits, chip: Chip | None) -> float:
    """Share of the test images that a network classifies right, on a chip or in float.

    Raises
    ------
    UsageError : images of another scaling, and there is a chip.
    """
    return float(np.mean(mark(network, data, chip)))


def mark(network: ImcMlp, data: Digits, chip: Chip | None) -> NDArray[np.bool_]:
    """Which test images (image,) a network classifies right; as `evaluate`."""
    if chip is not None:
        check_scaling(data.test_x)
    network.put_on(chip)
    with torch.no_grad():
        logits = network(torch.from_numpy(data.test_x.astype(np.float32)))
    network.put_on(None)
    right: NDArray[np.bool_] = logits.argmax(dim=1).numpy() == data.test_y
    return right


def _numbers(values: Tensor) -> NDArray[np.float64]:
    return values.detach().numpy().astype(np.float64)
