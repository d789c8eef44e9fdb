"""A network that was made and trained in PyTorch, as the matrices that tiles hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.networks.fit_network import Shape
from imccircuit.networks.models import Layer, Network, Patches

_ALLOWED = (
    "Linear, and Conv2d with a square kernel and nothing else set, each behind Flatten where it is "
    "needed; ReLU, and AvgPool2d(2) behind the ReLU of a Conv2d; Dropout is left out"
)


def from_torch(name: str, module: Any, shape: Shape) -> Network:
    """Turn a ``torch.nn.Sequential`` into a `Network` with the same answers.

    Images are rows of (height, width, channel) here and (channel, height, width) in PyTorch; the
    weights are turned accordingly.

    Parameters
    ----------
    name : what the network is called.
    module : ``Sequential`` of ``Linear`` and ``Conv2d`` layers, see above; the last one has no
        activation.
    shape : of the images.

    Raises
    ------
    UsageError : a layer that tiles cannot hold, or layers that do not fit together.
    """
    layers: list[Layer] = []
    maps: Shape | None = shape
    if type(module).__name__ != "Sequential":
        raise UsageError(f"{name}: a {type(module).__name__}; allowed: torch.nn.Sequential")
    # Not its children(): of a part that stands in it twice these name one.
    for part in module:
        kind = type(part).__name__
        if kind in ("Flatten", "Dropout", "Identity"):
            continue
        last = layers[-1] if layers else None
        if kind == "ReLU" and last is not None and not (last.relu or last.pool):
            layers[-1] = Layer(last.weights, last.bias, True, last.patches)
        elif _is_pool(part) and last is not None and last.relu and last.patches is not None:
            layers[-1] = Layer(last.weights, last.bias, True, last.patches, True)
            maps = _behind(layers[-1])
        elif kind == "Conv2d" and maps is not None and _is_plain(part, maps.channels):
            layers.append(_convolution(part, maps))
            maps = _behind(layers[-1])
        elif kind == "Linear":
            layers.append(_dense(part, maps, last))
            maps = None
        else:
            raise UsageError(f"{name}: {part} has no place on tiles; allowed: {_ALLOWED}")
    if not layers:
        raise UsageError(f"{name}: no layer; allowed: {_ALLOWED}")
    return Network(name, tuple(layers))


def _is_plain(part: Any, channels: int) -> bool:
    """Whether a convolution is one of windows of (size, size), one step apart, without a border."""
    high, wide = part.kernel_size
    rest = (part.stride, part.dilation, part.groups, part.in_channels)
    return (
        high == wide
        and rest == ((1, 1), (1, 1), 1, channels)
        and part.padding in (0, (0, 0), "valid")
    )


def _is_pool(part: Any) -> bool:
    if type(part).__name__ != "AvgPool2d":
        return False
    sizes = (part.kernel_size, part.stride, part.padding)
    plain = not part.ceil_mode and part.divisor_override is None
    return plain and sizes in ((2, 2, 0), ((2, 2), (2, 2), (0, 0)))


def _behind(layer: Layer) -> Shape:
    """Size of what a convolution gives."""
    patches = layer.patches
    if patches is None:
        raise UsageError("not a convolution")
    down, across = patches.across
    parts = 2 if layer.pool else 1
    return Shape(down // parts, across // parts, len(layer.bias))


def _convolution(part: Any, maps: Shape) -> Layer:
    size = int(part.kernel_size[0])
    # (out, channel, row, column) → ((row, column, channel), out), as patches are cut.
    weights = _numbers(part.weight).transpose(2, 3, 1, 0).reshape(-1, part.out_channels)
    patches = Patches(maps.height, maps.width, maps.channels, size)
    return Layer(weights, _bias(part, part.out_channels), False, patches)


def _dense(part: Any, maps: Shape | None, last: Layer | None) -> Layer:
    weights = _numbers(part.weight)
    before = len(last.bias) if maps is None and last is not None else 0
    most = before if maps is None else maps.pixels
    if part.in_features != most:
        raise UsageError(f"{part} does not fit what is before it; allowed: in_features = {most}")
    if maps is not None:
        high, wide, deep = maps.height, maps.width, maps.channels
        # (out, (channel, row, column)) → (out, (row, column, channel)).
        weights = weights.reshape(-1, deep, high, wide).transpose(0, 2, 3, 1)
        weights = weights.reshape(len(weights), -1)
    return Layer(np.ascontiguousarray(weights.T), _bias(part, part.out_features), False)


def _bias(part: Any, count: int) -> NDArray[np.float64]:
    return np.zeros(count) if part.bias is None else _numbers(part.bias)


def _numbers(values: Any) -> NDArray[np.float64]:
    return np.asarray(values.detach().cpu().numpy(), dtype=np.float64)
