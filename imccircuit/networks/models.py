"""Small networks as matrices: what a layer multiplies, and what is done between the products.

A layer is a matrix (in, out), a bias that is added digitally, and an activation. A convolution is
the same with its input cut into patches (im2col): each patch is one vector of the product. Pooling
is the mean of squares of 2 × 2. Every product is asked from a function, so the same network runs in
float, on ideal tiles or on a drawn chip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError

Floats = NDArray[np.float64]
Product = Callable[[int, Floats], Floats]
"""Number of a layer and its inputs (vector, in) → products (vector, out)."""


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


@dataclass(frozen=True)
class Patches:
    """Windows of ``size`` × ``size`` of images, one step apart, without a border.

    Attributes
    ----------
    height, width, channels : of the images, which are rows of (height, width, channel).
    size : of a window.
    """

    height: int
    width: int
    channels: int
    size: int

    @property
    def across(self) -> tuple[int, int]:
        """Windows down and across."""
        return self.height - self.size + 1, self.width - self.size + 1

    def cut(self, images: Floats) -> Floats:
        """Patches (image · window, size · size · channel) of images (image, pixel)."""
        down, across = self.across
        maps = images.reshape(-1, self.height, self.width, self.channels)
        parts = [
            maps[:, i : i + down, j : j + across]
            for i in range(self.size)
            for j in range(self.size)
        ]
        return np.concatenate(parts, axis=3).reshape(-1, self.size**2 * self.channels)


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes
    ----------
    weights : (in, out).
    bias : (out,) added digitally.
    relu : whether negative results become 0.
    patches : of a convolution; None for a dense layer.
    pool : whether squares of 2 × 2 windows are averaged behind the activation.
    """

    weights: Floats
    bias: Floats
    relu: bool
    patches: Patches | None = None
    pool: bool = False

    def enter(self, x: Floats) -> Floats:
        """Vectors of the product for inputs (image, …)."""
        return x if self.patches is None else self.patches.cut(x)

    def leave(self, y: Floats, images: int) -> Floats:
        """Outputs (image, …) of the layer from products with bias (vector, out)."""
        y = np.maximum(y, 0.0) if self.relu else y
        if self.patches is None:
            return y
        down, across = self.patches.across
        maps = y.reshape(images, down, across, -1)
        if self.pool:
            maps = maps[:, : down // 2 * 2, : across // 2 * 2]
            maps = maps.reshape(images, down // 2, 2, across // 2, 2, -1).mean(axis=(2, 4))
        return maps.reshape(images, -1)


@dataclass(frozen=True)
class Network:
    """Layers, one behind the other.

    Attributes
    ----------
    name : what it is called.
    layers : the first takes the images.
    """

    name: str
    layers: tuple[Layer, ...]

    @property
    def classes(self) -> int:
        """Number of outputs of the last layer."""
        return len(self.layers[-1].bias)

    def logits(self, images: ArrayLike, product: Product | None = None) -> Floats:
        """Outputs (image, class) for images (image, pixel), in float unless ``product`` is given.

        Raises
        ------
        UsageError : the images have another number of pixels than the first layer takes.
        """
        x = np.asarray(images, dtype=np.float64)
        count, takes = len(x), self.pixels
        if x.ndim != 2 or x.shape[1] != takes:
            raise UsageError(f"images of {x.shape[1:]} pixels; the network takes {takes}")
        for number, layer in enumerate(self.layers):
            rows = layer.enter(x)
            y = rows @ layer.weights if product is None else product(number, rows)
            x = layer.leave(y + layer.bias, count)
        return x

    @property
    def pixels(self) -> int:
        """Number of pixels of an image that the first layer takes."""
        first = self.layers[0]
        if first.patches is None:
            return int(first.weights.shape[0])
        return first.patches.height * first.patches.width * first.patches.channels

    def check_classes(self, classes: ArrayLike) -> None:
        """Refuse labels that the network has no output for.

        Raises
        ------
        UsageError : a label is negative or beyond the last output.
        """
        y = np.asarray(classes)
        if y.size and (np.min(y) < 0 or np.max(y) >= self.classes):
            raise UsageError(
                f"classes {np.min(y)} to {np.max(y)} do not match network {self.name}, which has "
                f"{self.classes} outputs; allowed: 0 to {self.classes - 1}"
            )
