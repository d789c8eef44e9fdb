"""The networks that a study names: trained by it, fold by fold, or brought along in a file.

A network that is brought along is the same in every fold; the images are those it never saw, and of
each fold only the ranges are calibrated on the other images.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import FileFormatError, InputError, UsageError
from imccircuit.networks.datasets import Samples
from imccircuit.networks.fit_network import check_network, fit_network
from imccircuit.networks.from_onnx import from_onnx
from imccircuit.networks.models import Floats, Layer, Network
from imccircuit.networks.network_tables import NetworksTable

Maker = Callable[[Floats, NDArray[Any]], Network]
"""Training images (image, pixel) and their classes → the network."""


def load_study_networks(
    table: NetworksTable, samples: Samples, file: str
) -> tuple[dict[str, Maker], list[NDArray[Any]]]:
    """How each network is come by, by name; and what those that are brought along consist of.

    Parameters
    ----------
    table : the study's table ``network``.
    file : what messages call the study.

    Raises
    ------
    InputError : a network that does not fit images or classes, or a file that does not hold one.
    SetupError : torch, or onnx, is not installed.
    """
    makers: dict[str, Maker] = {}
    brought: list[NDArray[Any]] = []
    for name, model in zip(table.names, table.models, strict=True):
        try:
            if name == model:
                check_network(name, samples.shape)
                makers[name] = partial(
                    fit_network, name, samples.shape, samples.classes, seed=table.seed
                )
                continue
            network = from_onnx(Path(model), samples.shape)
            if network.classes != samples.classes:
                problem = f"{network.classes} outputs, and the images are of {samples.classes}"
                raise UsageError(f"{problem} classes; allowed: {samples.classes} outputs")
            _check_inputs(network)
        except (FileFormatError, UsageError) as error:
            problem, _, allowed = str(error).partition("; allowed: ")
            raise InputError(file, "network.models", model, problem, allowed) from None
        makers[name] = partial(_same, network)
        brought += [part for layer in network.layers for part in _identity(layer)]
    return makers, brought


def _check_inputs(network: Network) -> None:
    """Rows are driven to one side only: what enters a layer must not be negative."""
    for number, layer in enumerate(network.layers[:-1], start=1):
        if not layer.relu:
            problem = f"layer {number} of {len(network.layers)} has no ReLU, and rows take nothing"
            raise UsageError(f"{problem} negative; allowed: ReLU behind every layer but the last")


def _identity(layer: Layer) -> tuple[NDArray[Any], ...]:
    """Everything that a layer answers by."""
    p = layer.patches
    windows = (0, 0, 0, 0) if p is None else (p.height, p.width, p.channels, p.size)
    shape = np.array([layer.relu, layer.pool, *windows, *layer.weights.shape], dtype=np.int64)
    return shape, layer.weights, layer.bias


def _same(network: Network, x: Floats, y: NDArray[Any]) -> Network:
    del x, y
    return network
