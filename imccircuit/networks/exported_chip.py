"""A chip as the export of target ``numpy`` carries it: written, imported again, and asked."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.exporters.content import write_npz
from imccircuit.exporters.licence import LICENCE
from imccircuit.exporters.numpy import runtime
from imccircuit.exporters.numpy.load import MODULE, load_exported
from imccircuit.networks.hardware import LayerChip
from imccircuit.surrogates.kernels.noise import ConversionNoise


def export_layer(layer: LayerChip, folder: Path) -> None:
    """Write each tile of a layer as ``folder/tile_K/array`` and ``folder/tile_K/converter``.

    Both are folders as target ``numpy`` writes them; a column's converter is a chip of the model.
    """
    for index, tile in enumerate(layer.tiles):
        arrays = {
            "array": {
                "kind": np.asarray("crossbar"),
                "conductance": tile.conductance_s[None],
                "effective_conductance": tile.effective_s[None],
                "offset_current": tile.offset_current_a[None],
                "output_offset": tile.output_offset_v[None],
                "transresistance_ohm": np.asarray(tile.transresistance_ohm),
            },
            "converter": {
                "kind": np.asarray("adc"),
                "transition_level": tile.levels_v,
                "full_scale_v": np.asarray(layer.full_scale_v),
            },
        }
        for name, found in arrays.items():
            place = folder / f"tile_{index}" / name
            place.mkdir(parents=True, exist_ok=True)
            write_npz(place / "model.npz", {"schema": np.asarray(runtime.SCHEMA), **found})
            shutil.copyfile(runtime.__file__, place / MODULE)
            (place / "LICENSE").write_text(LICENCE, encoding="utf-8")


class ExportedLayer(LayerChip):
    """A layer whose codes come from the exported modules in ``folder``, without noise."""

    def __init__(self, layer: LayerChip, folder: Path) -> None:
        vars(self).update(vars(layer))
        places = [folder / f"tile_{index}" for index in range(len(layer.tiles))]
        self._models = [
            (load_exported(place / "array"), load_exported(place / "converter")) for place in places
        ]

    def codes(
        self, tile: int, digits: NDArray[np.float32], noise: ConversionNoise | None = None
    ) -> NDArray[Any]:
        """Codes (vector, col) of the exported array and converters; noise is not in an export."""
        del noise
        array, converter = self._models[tile]
        voltage = array.outputs_v(-self.digit_v * np.asarray(digits, dtype=np.float64))
        columns = [converter.convert(voltage[:, j], chip=j) for j in range(voltage.shape[1])]
        return np.stack(columns, axis=1).astype(np.int32)


def export_chip(layers: Sequence[LayerChip], folder: Path) -> tuple[ExportedLayer, ...]:
    """Write a programmed chip to ``folder/layer_K`` and import it again."""
    for number, layer in enumerate(layers):
        export_layer(layer, folder / f"layer_{number}")
    return tuple(
        ExportedLayer(layer, folder / f"layer_{number}") for number, layer in enumerate(layers)
    )
