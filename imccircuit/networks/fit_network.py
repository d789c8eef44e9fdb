"""Fitting the three small networks in numpy: the same seed gives the same weights.

Adam [1]_ on the cross entropy of the softmax, in batches, with weight decay on the weights.

References
----------
.. [1] D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from imccircuit.devices.draws import Draws
from imccircuit.errors import UsageError
from imccircuit.networks.models import Floats, Layer, Network, Patches

NetworkName = Literal["linear", "mlp", "cnn"]

_HIDDEN = 32
_CHANNELS = 8
_WINDOW = 3
_BATCH = 64
_EPOCHS = {"linear": 60, "mlp": 60, "cnn": 30}
_RATE, _DECAY = 3e-3, 1e-4
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Shape:
    """Size of images: rows of (height, width, channel)."""

    height: int
    width: int
    channels: int = 1

    @property
    def pixels(self) -> int:
        """Numbers of an image."""
        return self.height * self.width * self.channels


def draw_network(name: str, shape: Shape, classes: int, seed: int) -> Network:
    """A network with drawn weights, of variance 2/inputs, and no bias.

    Parameters
    ----------
    name : ``linear`` (one layer), ``mlp`` (32 hidden units) or ``cnn`` (8 windows of 3 × 3, mean of
        2 × 2, one dense layer).

    Raises
    ------
    UsageError : an unknown name, or images too small for a window.
    """
    rng = Draws(seed, 0).generator(f"network/{name}")

    def drawn(inputs: int, outputs: int) -> dict[str, Any]:
        weights = rng.standard_normal((inputs, outputs)) * np.sqrt(2.0 / inputs)
        return {"weights": weights, "bias": np.zeros(outputs)}

    if name == "linear":
        return Network(name, (Layer(**drawn(shape.pixels, classes), relu=False),))
    if name == "mlp":
        first = Layer(**drawn(shape.pixels, _HIDDEN), relu=True)
        return Network(name, (first, Layer(**drawn(_HIDDEN, classes), relu=False)))
    if name != "cnn":
        raise UsageError(f"network {name!r}; allowed: {', '.join(get_args(NetworkName))}")
    patches = Patches(shape.height, shape.width, shape.channels, _WINDOW)
    down, across = patches.across
    if min(down, across) < 2:
        raise UsageError(f"images of {shape.height} x {shape.width} are too small for a cnn")
    window = _WINDOW**2 * shape.channels
    first = Layer(**drawn(window, _CHANNELS), relu=True, patches=patches, pool=True)
    pooled = (down // 2) * (across // 2) * _CHANNELS
    return Network(name, (first, Layer(**drawn(pooled, classes), relu=False)))


def fit_network(
    name: str, shape: Shape, classes: int, x: Floats, y: NDArray[np.int64], seed: int
) -> Network:
    """Fit a network to images (image, pixel) and their classes.

    Raises
    ------
    UsageError : unknown name, or images or classes that do not match.
    """
    network = draw_network(name, shape, classes, seed)
    network.check_classes(y)
    rng = Draws(seed, 0).generator(f"batches/{name}")
    state = [np.zeros_like(p) for layer in network.layers for p in (layer.weights, layer.bias)]
    square = [np.zeros_like(p) for p in state]
    step = 0
    for _ in range(_EPOCHS[name]):
        order = rng.permutation(len(x))
        for start in range(0, len(x), _BATCH):
            chosen = order[start : start + _BATCH]
            step += 1
            slopes = gradient(network, x[chosen], y[chosen])
            network = _adam(network, slopes, state, square, step)
    return network


def gradient(network: Network, x: Floats, y: NDArray[np.int64]) -> list[Floats]:
    """Slopes of the mean cross entropy along weights and bias of each layer, first layer first.

    A convolution must be the first layer: what lies before one is not asked for.
    """
    count, entered, left, a = len(x), [], [], x
    for layer in network.layers:
        rows = layer.enter(a)
        product = rows @ layer.weights + layer.bias
        entered.append(rows)
        left.append(product)
        a = layer.leave(product, count)
    share = np.exp(a - a.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    share[np.arange(count), y] -= 1.0
    slope = share / count
    found: list[Floats] = []
    for layer, rows, product in zip(
        reversed(network.layers), reversed(entered), reversed(left), strict=True
    ):
        slope = _into_layer(layer, slope, product, count)
        found[:0] = [rows.T @ slope, slope.sum(axis=0)]
        if layer.patches is None:
            slope = slope @ layer.weights.T
    return found


def _into_layer(layer: Layer, slope: Floats, product: Floats, count: int) -> Floats:
    """Slopes along the products of a layer from those along its outputs."""
    if layer.patches is not None:
        down, across = layer.patches.across
        channels = product.shape[1]
        maps = np.zeros((count, down, across, channels))
        if layer.pool:
            pooled = slope.reshape(count, down // 2, across // 2, channels) / 4.0
            maps[:, : down // 2 * 2, : across // 2 * 2] = pooled.repeat(2, axis=1).repeat(2, axis=2)
        else:
            maps[:] = slope.reshape(maps.shape)
        slope = maps.reshape(-1, channels)
    return slope * (product > 0) if layer.relu else slope


def _adam(
    network: Network, slopes: list[Floats], mean: list[Floats], square: list[Floats], step: int
) -> Network:
    layers = []
    for number, layer in enumerate(network.layers):
        changed = []
        for part, value in enumerate((layer.weights, layer.bias)):
            k = 2 * number + part
            slope = slopes[k] + (_DECAY * value if part == 0 else 0.0)
            mean[k] = _BETA1 * mean[k] + (1 - _BETA1) * slope
            square[k] = _BETA2 * square[k] + (1 - _BETA2) * slope**2
            move = mean[k] / (1 - _BETA1**step)
            move /= np.sqrt(square[k] / (1 - _BETA2**step)) + _EPSILON
            changed.append(value - _RATE * move)
        layers.append(replace(layer, weights=changed[0], bias=changed[1]))
    return replace(network, layers=tuple(layers))
