"""A chip as exports carry it: written by a target, loaded again from its files alone, and asked.

The answers come from the target's own code and program: numpy's module, layers of PyTorch,
onnxruntime on the graphs, analog layers of aihwkit, or cores of CrossSim, each a whole tile: cells
with wires, amplifiers and converters. Sums of passes, slices and tiles are the digital side's, as
on the chip.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from imccircuit.exporters.aihwkit import replay as aihwkit
from imccircuit.exporters.content import Content
from imccircuit.exporters.crosssim import replay as crosssim
from imccircuit.exporters.licence import LICENCE
from imccircuit.exporters.numpy.load import load_exported
from imccircuit.exporters.onnx.load import open_session
from imccircuit.exporters.own_code import import_own
from imccircuit.exporters.registry import get_target
from imccircuit.exporters.torch.load import load_layers
from imccircuit.networks.chip_file import read_chip, write_chip
from imccircuit.networks.chips import TileChip
from imccircuit.networks.digital_side import Digital, DigitalSide, run_network
from imccircuit.networks.hardware import LayerChip
from imccircuit.networks.models import Network
from imccircuit.surrogates.base import ModelArray, Surrogate
from imccircuit.surrogates.kernels.noise import ConversionNoise
from imccircuit.surrogates.verdict import Verdict

Codes = Callable[[NDArray[np.float64]], NDArray[Any]]
"""Voltages (vector, row) that drive a tile, in V → codes (vector, col)."""

PACKAGES: dict[str, tuple[str, ...]] = {
    "numpy": (),
    "torch": ("torch",),
    "onnx": ("onnx", "onnxruntime"),
    "aihwkit": ("torch", "aihwkit"),
    "crosssim": ("simulator.cores",),
}
"""Target that a chip can be exported to → packages that this needs."""

_INSTALL = {
    "torch": 'pip install "imccircuit[torch]"',
    "onnx": 'pip install "imccircuit[onnx]"',
    "aihwkit": "see docs/exports/aihwkit.md",
    "crosssim": "see docs/exports/crosssim.md",
}

_NO_PLACE = {
    "bundle": "data alone; its code is target numpy",
    "hwcomponents": "computes what operations cost, not their values",
    "micsim": "has a place for a chip's levels, but for two states of a cell and for no wires",
    "mnsim": "has no place for a chip's levels and wires",
    "neurosim": "draws every output anew, so that no chip stays itself, and needs a GPU",
    "spice": "runs a deck for each vector; SPICE itself answers in the spot check",
    "veriloga": "modules for a circuit simulator, which runs a deck for each vector",
    "zigzag": "computes what operations cost, not their values",
}

# Drive in V of an input of 1 of the analog tiles; any does.
_V_MAX = 1.0

# A graph compares each voltage with all levels at once, 16 bytes each: 64 MiB of 8 bits.
_CONVERSIONS = 1 << 14


def missing_packages(target: str) -> tuple[str, ...]:
    """Packages that a target needs here and that are not installed."""
    return tuple(name for name in PACKAGES[target] if not _is_there(name))


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def targets_not_run() -> dict[str, str]:
    """Every target that does not run a chip here, and why, in words."""
    found = dict(_NO_PLACE)
    for target in PACKAGES:
        names = missing_packages(target)
        if names:
            found[target] = f"not installed: {', '.join(names)}; {_INSTALL[target]}"
    return dict(sorted(found.items()))


def export_layer(layer: LayerChip, folder: Path, target: str = "numpy") -> None:
    """Write each tile of a layer as ``folder/tile_K/array`` and ``folder/tile_K/converter``.

    Both are folders as the target writes them; a column's converter is a chip of the model.

    Raises
    ------
    SetupError : the target needs a package that is not installed.
    """
    for index, tile in enumerate(layer.tiles):
        for name, content in _contents(layer, tile).items():
            place = folder / f"tile_{index}" / name
            place.mkdir(parents=True, exist_ok=True)
            # These targets take everything from the content: a drawn chip is no fitted model.
            get_target(target).write(content, cast(Surrogate, None), place)
            (place / "LICENSE").write_text(LICENCE, encoding="utf-8")


def _contents(layer: LayerChip, tile: TileChip) -> dict[str, Content]:
    """A tile as the content of two exports, one chip of cells and a converter for each column."""
    cells, columns = ("chip", "row", "col"), ("chip", "col")
    array = {
        "conductance": ModelArray(tile.conductance_s[None], "S", cells, "of the cells"),
        "effective_conductance": ModelArray(
            tile.effective_s[None], "S", cells, "current = voltage @ matrix, wires included"
        ),
        "offset_current": ModelArray(tile.offset_current_a[None], "A", columns, "at 0 V drive"),
        "output_offset": ModelArray(tile.output_offset_v[None], "V", columns, "of the amplifiers"),
    }
    levels = ModelArray(tile.levels_v, "V", ("chip", "code"), "of each column's converter")
    gain: dict[str, float | None] = {"transresistance_ohm": tile.transresistance_ohm}
    scale: dict[str, float | None] = {"full_scale_v": layer.full_scale_v}
    return {
        "array": Content("crossbar", array, {}, (), gain),
        "converter": Content("adc", {"transition_level": levels}, {}, (), scale),
    }


class ExportedLayer(DigitalSide):
    """A layer whose codes come from the exports in ``folder``, without noise.

    Parameters
    ----------
    digital : what its digital side knows.
    folder : that `export_layer` wrote.
    target : as which.

    Raises
    ------
    FileFormatError : the exports are not there, or their code is not ours.
    SetupError : the target needs a package that is not installed.
    """

    def __init__(self, digital: Digital, folder: Path, target: str = "numpy") -> None:
        super().__init__(digital)
        self._models = [
            _LOADERS[target](folder / f"tile_{index}", len(tile.combine))
            for index, tile in enumerate(digital.tiles)
        ]

    def codes(
        self, tile: int, digits: NDArray[np.uint8], noise: ConversionNoise | None = None
    ) -> NDArray[Any]:
        """Codes (vector, col) of the exported array and converters; noise is not in an export."""
        del noise
        drive = -self.digit_v * np.asarray(digits, dtype=np.float64)
        return np.asarray(self._models[tile](drive), dtype=np.int32)


def _numpy_codes(folder: Path, columns: int) -> Codes:
    array, converter = load_exported(folder / "array"), load_exported(folder / "converter")

    def codes(drive: NDArray[np.float64]) -> NDArray[Any]:
        voltage = array.outputs_v(drive)
        return np.stack([converter.convert(voltage[:, j], chip=j) for j in range(columns)], axis=1)

    return codes


def _torch_codes(folder: Path, columns: int) -> Codes:
    array = load_layers(folder / "array").load(folder / "array", chip=0)
    own = load_layers(folder / "converter")
    converter = own.load(folder / "converter", chip=list(range(columns)))
    import torch

    def codes(drive: NDArray[np.float64]) -> NDArray[Any]:
        with torch.no_grad():
            found: NDArray[Any] = converter.convert(array(torch.from_numpy(drive))).numpy()
        return found

    return codes


def _onnx_codes(folder: Path, columns: int) -> Codes:
    array, _ = open_session(folder / "array" / "crossbar.onnx")
    converter, _ = open_session(folder / "converter" / "adc.onnx")
    every = np.arange(columns)

    def codes(drive: NDArray[np.float64]) -> NDArray[Any]:
        parts = np.array_split(drive, max(1, -(-len(drive) * columns // _CONVERSIONS)))
        found = []
        for part in parts:
            feeds = {"voltage": part, "chip": np.array(0)}
            (voltage,) = array.run(["output_voltage"], feeds)
            feeds = {"voltage": voltage.ravel(), "chip": np.tile(every, len(part))}
            found.append(converter.run(["code"], feeds)[0].reshape(len(part), columns))
        return np.concatenate(found)

    return codes


def _aihwkit_codes(folder: Path, columns: int) -> Codes:
    array = import_own(folder / "array", aihwkit.ADAPTER, aihwkit.SOURCE)
    own = import_own(folder / "converter", aihwkit.ADAPTER, aihwkit.SOURCE)
    del columns
    cells = array.Array(v_max=_V_MAX)
    limits, offset_v = _amplifiers(array.MODEL, own.MODEL)
    converters = own.Converters(limits, offset_v=tuple(offset_v))
    config = array.configure(converters=converters, array=cells, ideal=True, double=True)
    layer = array.measured_layer(config).eval()
    torch = array.torch

    def codes(drive: NDArray[np.float64]) -> NDArray[Any]:
        with torch.no_grad():
            values = layer(torch.from_numpy(drive / _V_MAX)).numpy()
        return _codes_of(values, limits, converters.steps)

    return codes


def _amplifiers(
    array: Mapping[str, NDArray[Any]], converter: Mapping[str, NDArray[Any]]
) -> tuple[tuple[float, float], NDArray[np.float64]]:
    """Limits, in outputs of a tile, that meet the converters' ends, and output offsets in V.

    The amplifiers invert, V = offset - R·I, so the limits fall.
    """
    largest = float(np.max(array["conductance"])) * _V_MAX
    gain = float(array["transresistance_ohm"]) * largest
    return (0.0, -float(converter["full_scale_v"]) / gain), array["output_offset"][0]


def _codes_of(
    values: NDArray[np.float64], limits: tuple[float, float], steps: int
) -> NDArray[np.int64]:
    """Codes of middles of steps."""
    low, high = limits
    return np.asarray(np.floor((values - low) / (high - low) * steps), dtype=np.int64)


def _crosssim_codes(folder: Path, columns: int) -> Codes:
    array = import_own(folder / "array", crosssim.ADAPTER, crosssim.SOURCE)
    own = import_own(folder / "converter", crosssim.ADAPTER, crosssim.SOURCE)
    del columns
    limits, offset_v = _amplifiers(array.MODEL, own.MODEL)
    # Converters take the place of what would add the offsets of the currents.
    shift = float(array.MODEL["transresistance_ohm"]) * array.MODEL["offset_current"][0]

    def converters(params: Any) -> None:
        own.configure_adc(params, limits, offset_v=offset_v - shift)

    core = array.measured_core(v_max=_V_MAX, wires="effective", converters=converters)

    def codes(drive: NDArray[np.float64]) -> NDArray[Any]:
        values = np.asarray(core @ (drive.T / _V_MAX)).T
        return np.asarray(own.codes_of(values, limits))

    return codes


_LOADERS: dict[str, Callable[[Path, int], Codes]] = {
    "numpy": _numpy_codes,
    "torch": _torch_codes,
    "onnx": _onnx_codes,
    "aihwkit": _aihwkit_codes,
    "crosssim": _crosssim_codes,
}


@dataclass(frozen=True)
class ExportedChip:
    """A network on the chip of an export.

    Attributes
    ----------
    network : its structure; weights in float are not in an export.
    layers : in order.
    """

    network: Network
    layers: tuple[ExportedLayer, ...]

    def logits(self, images: NDArray[np.float64]) -> NDArray[np.float64]:
        """Outputs (image, class) for images (image, pixel)."""
        return run_network(self.network, self.layers, images)


def export_chip(
    network: Network,
    layers: Sequence[LayerChip],
    folder: Path,
    target: str = "numpy",
    verdicts: Mapping[str, Verdict] | None = None,
) -> None:
    """Write a programmed chip: ``folder/layer_K`` and what the digital side knows.

    Parameters
    ----------
    verdicts : of the models that the chip was drawn from, by name. They stand in ``network.json``,
        and its README says which of them is not ``pass``.

    Raises
    ------
    SetupError : the target needs a package that is not installed; `PACKAGES` names it.
    """
    for number, layer in enumerate(layers):
        export_layer(layer, folder / f"layer_{number}", target)
    write_chip(network, layers, target, folder, verdicts)


def load_chip(folder: Path, target: str = "numpy") -> ExportedChip:
    """Read an exported chip from its files alone.

    Raises
    ------
    FileFormatError : they are not there, or not ours.
    SetupError : the target needs a package that is not installed.
    """
    network, known = read_chip(folder)
    return ExportedChip(
        network,
        tuple(
            ExportedLayer(digital, folder / f"layer_{number}", target)
            for number, digital in enumerate(known)
        ),
    )
