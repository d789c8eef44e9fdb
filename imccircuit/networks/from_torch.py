"""A network that was made and trained in PyTorch, as the matrices that tiles hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.networks.chain import Part, chain_parts, refuse
from imccircuit.networks.models import Network, Shape


def from_torch(name: str, module: Any, shape: Shape) -> Network:
    """Turn a ``torch.nn.Sequential`` into a `Network` with the same answers.

    Parameters
    ----------
    name : what the network is called.
    module : ``Sequential`` of ``Linear``, ``Conv2d``, ``ReLU``, ``AvgPool2d(2)``, ``Flatten`` and
        ``Dropout``, as far as `imccircuit.networks.chain` has a place for them; the last layer has
        no activation.
    shape : of the images.

    Raises
    ------
    UsageError : a layer that tiles cannot hold, or layers that do not fit together.
    """
    if type(module).__name__ != "Sequential":
        raise UsageError(f"{name}: a {type(module).__name__}; allowed: torch.nn.Sequential")
    return chain_parts(name, _parts(name, module), shape)


def _parts(name: str, module: Any) -> Iterator[Part]:
    # Not its children(): of a part that stands in it twice these name one.
    for part in module:
        kind, said = type(part).__name__, str(part)
        if kind in ("Flatten", "Dropout", "Identity"):
            continue
        if kind == "ReLU":
            yield Part("relu", said)
        elif kind == "AvgPool2d" and _is_mean_of_four(part):
            yield Part("pool", said)
        elif kind == "Linear" or (kind == "Conv2d" and _is_plain(part)):
            bias = None if part.bias is None else _numbers(part.bias)
            yield Part(
                "dense" if kind == "Linear" else "convolution", said, _numbers(part.weight), bias
            )
        else:
            raise refuse(name, said)


def _is_plain(part: Any) -> bool:
    """Whether a convolution's windows are one step apart, without a border."""
    rest = (part.stride, part.dilation, part.groups)
    return rest == ((1, 1), (1, 1), 1) and part.padding in (0, (0, 0), "valid")


def _is_mean_of_four(part: Any) -> bool:
    sizes = (part.kernel_size, part.stride, part.padding)
    plain = not part.ceil_mode and part.divisor_override is None
    return plain and sizes in ((2, 2, 0), ((2, 2), (2, 2), (0, 0)))


def _numbers(values: Any) -> NDArray[np.float64]:
    return np.asarray(values.detach().cpu().numpy(), dtype=np.float64)
