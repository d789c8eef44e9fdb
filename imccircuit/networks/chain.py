"""Layers that stand one behind the other somewhere else, as the matrices that tiles hold.

Images are rows of (height, width, channel) here and (channel, height, width) in PyTorch and ONNX;
the weights are turned accordingly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from imccircuit.errors import UsageError
from imccircuit.networks.models import Floats, Layer, Network, Patches, Shape

Kind = Literal["dense", "convolution", "relu", "pool"]

_POOLED = 2

ALLOWED = (
    "dense layers, and convolutions of square windows one step apart without a border; ReLU, and "
    "means of 2 x 2 behind the ReLU of a convolution; dropout is left out"
)


@dataclass(frozen=True)
class Part:
    """One part of a network.

    Attributes
    ----------
    kind : ``dense``, ``convolution``, ``relu`` or ``pool`` (means of 2 × 2).
    said : what messages call it.
    weights : (out, in) of ``dense``, (out, channel, row, column) of ``convolution``.
    bias : (out,); None for none.
    """

    kind: Kind
    said: str
    weights: Floats | None = None
    bias: Floats | None = None


def refuse(name: str, said: str) -> UsageError:
    """What to raise of a part that tiles cannot hold."""
    return UsageError(f"{name}: {said} has no place on tiles; allowed: {ALLOWED}")


def chain_parts(name: str, parts: Iterable[Part], shape: Shape) -> Network:
    """The network of these parts.

    Parameters
    ----------
    name : what the network is called.
    shape : of the images.

    Raises
    ------
    UsageError : parts that tiles cannot hold, that do not fit together, or none.
    """
    layers: list[Layer] = []
    maps: Shape | None = shape
    for part in parts:
        last = layers[-1] if layers else None
        if part.kind == "relu" and last is not None and not (last.relu or last.pool):
            layers[-1] = replace(last, relu=True)
        elif part.kind == "pool" and last is not None and _takes_pool(last):
            layers[-1] = replace(last, pool=True)
            maps = _behind(layers[-1])
        elif part.kind == "convolution" and maps is not None and part.weights is not None:
            layers.append(_convolution(name, part, part.weights, maps))
            maps = _behind(layers[-1])
        elif part.kind == "dense" and part.weights is not None:
            before = shape.pixels if last is None else len(last.bias)
            layers.append(_dense(name, part, part.weights, maps, before))
            maps = None
        else:
            raise refuse(name, part.said)
    if not layers:
        raise UsageError(f"{name}: no layer; allowed: {ALLOWED}")
    if maps is not None:
        raise UsageError(f"{name}: it ends in maps; allowed: a dense layer last")
    if not all(np.isfinite(part).all() for layer in layers for part in (layer.weights, layer.bias)):
        raise UsageError(f"{name}: a weight is not a number; allowed: finite weights")
    return Network(name, tuple(layers))


def _takes_pool(last: Layer) -> bool:
    plain = last.relu and not last.pool
    return plain and last.patches is not None and min(last.patches.across) >= _POOLED


def _behind(layer: Layer) -> Shape:
    """Size of what a convolution gives."""
    patches = layer.patches
    if patches is None:
        raise UsageError("not a convolution")
    down, across = patches.across
    parts = 2 if layer.pool else 1
    return Shape(down // parts, across // parts, len(layer.bias))


def _convolution(name: str, part: Part, weights: Floats, maps: Shape) -> Layer:
    out, channels, high, wide = weights.shape
    if high != wide:
        raise refuse(name, part.said)
    if channels != maps.channels or high > min(maps.height, maps.width):
        fits = f"{maps.channels} channels, windows of 1 to {min(maps.height, maps.width)}"
        raise _misfit(name, part, fits)
    # (out, channel, row, column) → ((row, column, channel), out), as patches are cut.
    matrix = weights.transpose(2, 3, 1, 0).reshape(-1, out)
    patches = Patches(maps.height, maps.width, maps.channels, high)
    return Layer(matrix, _bias(name, part, out), False, patches)


def _dense(name: str, part: Part, weights: Floats, maps: Shape | None, before: int) -> Layer:
    most = before if maps is None else maps.pixels
    if weights.shape[1] != most:
        raise _misfit(name, part, f"{most} inputs")
    if maps is not None:
        # (out, (channel, row, column)) → (out, (row, column, channel)).
        turned = weights.reshape(-1, maps.channels, maps.height, maps.width)
        weights = turned.transpose(0, 2, 3, 1).reshape(len(weights), -1)
    return Layer(np.ascontiguousarray(weights.T), _bias(name, part, len(weights)), False)


def _bias(name: str, part: Part, count: int) -> Floats:
    if part.bias is None:
        return np.zeros(count)
    if part.bias.shape != (count,):
        raise _misfit(name, part, f"a bias of {count}")
    return part.bias


def _misfit(name: str, part: Part, fits: str) -> UsageError:
    return UsageError(f"{name}: {part.said} does not fit what is before it; allowed: {fits}")
