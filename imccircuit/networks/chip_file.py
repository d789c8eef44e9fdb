"""What the digital side of an exported network knows, as files: ``network.json`` and ``.npz``.

The JSON holds numbers of each layer, the npz its arrays: ``layer_K/bias`` (out,) and for each tile
``layer_K/tile_I/combine`` (col, out). Beside them a folder ``layer_K/tile_I`` holds array and
converters as the target writes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.devices.npz import read_npz
from imccircuit.errors import FileFormatError
from imccircuit.exporters.content import write_npz
from imccircuit.networks.digital_side import Digital, DigitalSide, TileSums
from imccircuit.networks.models import Layer, Network, Patches
from imccircuit.networks.ranges import LayerRange
from imccircuit.surrogates.macro_compose import Composition
from imccircuit.surrogates.verdict import Verdict

SCHEMA = "imccircuit-network-1"
_JSON, _ARRAYS = "network.json", "network.npz"

_README = """\
# {name}, a network on one chip, target {target}

{warning}\
`layer_K/tile_I/array` and `layer_K/tile_I/converter` are exports of target {target}: cells, wires
and amplifiers of a tile, and the converter of each of its columns. `network.json` and `network.npz`
are the digital side: bits, calibrated range and gain of each layer, weights of the columns in the
sums, biases.

```python
from pathlib import Path
from imccircuit.networks.exported_chip import load_chip

chip = load_chip(Path("."), "{target}")
logits = chip.logits(images)          # (image, class) for images (image, pixel) from 0 to 1
```

In words, for inputs x of a layer: X = round(x / input_full_scale * (2^input_bits - 1)), at most
2^input_bits - 1, is cut into digits of pass_bits, lowest first. Row i of a tile is driven with
-digit_v * digit (V); its columns answer codes. A tile, whose rows are first_row, first_row + 1 ...
of the layer, adds 2^(pass_bits * pass) * (code + 1/2) * worth @ combine to the raw sums S. Then

    y = (gain * S - C) * weight_step * input_full_scale / (2^input_bits - 1) + bias

where each pass and tile adds 2^(pass_bits * pass) * off * (sum of its digits) * (sum of combine
over columns) to C, and the layer offset * (sum of X). Last comes the rectifier, and behind a
convolution the mean of squares of 2 x 2.
"""


def write_chip(
    network: Network,
    layers: Sequence[DigitalSide],
    target: str,
    folder: Path,
    verdicts: Mapping[str, Verdict] | None = None,
) -> None:
    """Write the digital side of a network's layers, and a README.

    Parameters
    ----------
    verdicts : of the models that the chip was drawn from, by name; None if nobody judged any.

    Raises
    ------
    OSError : it cannot be written.
    """
    arrays: dict[str, NDArray[np.float64]] = {}
    told = []
    for k, (layer, side) in enumerate(zip(network.layers, layers, strict=True)):
        known = side.digital
        arrays[f"layer_{k}/bias"] = layer.bias
        for i, tile in enumerate(known.tiles):
            arrays[f"layer_{k}/tile_{i}/combine"] = tile.combine
        tiles = [
            {"first_row": t.rows.start, "rows": t.rows.stop - t.rows.start, "worth": t.worth}
            for t in known.tiles
        ]
        told.append(
            {
                "relu": layer.relu,
                "pool": layer.pool,
                "patches": None if layer.patches is None else asdict(layer.patches),
                **asdict(known.composition),
                "offset": known.composition.offset,
                "range": asdict(known.found),
                "weight_step": known.weight_step,
                "off": known.off,
                "digit_v": known.digit_v,
                "tiles": tiles,
            }
        )
    known_verdicts = verdicts or {}
    text = {
        "schema": SCHEMA,
        "name": network.name,
        "target": target,
        "verdicts": {
            name: {"state": found.state, "reason": found.reason}
            for name, found in known_verdicts.items()
        },
        "layers": told,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _JSON).write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    write_npz(folder / _ARRAYS, arrays)
    warning = "".join(
        f"**The model of the {name} that this chip was drawn from: {found.state} "
        f"({found.reason}).**\n\n"
        for name, found in known_verdicts.items()
        if found.state != "pass"
    )
    readme = _README.format(name=network.name, target=target, warning=warning)
    (folder / "README.md").write_text(readme, encoding="utf-8")


def read_chip(folder: Path) -> tuple[Network, tuple[Digital, ...]]:
    """Read what `write_chip` wrote: the network, without its weights in float, and its layers.

    Raises
    ------
    FileFormatError : the files are not there, of another schema, or do not fit together.
    """
    try:
        told = json.loads((folder / _JSON).read_text(encoding="utf-8"))
        if told["schema"] != SCHEMA:
            raise FileFormatError(f"{folder / _JSON}: schema {told['schema']!r}, not {SCHEMA}")
        arrays = read_npz(folder / _ARRAYS)
        both = [_layer(k, item, arrays) for k, item in enumerate(told["layers"])]
        name = str(told["name"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise FileFormatError(f"{folder}: no exported network: {error}") from None
    return Network(name, tuple(one for one, _ in both)), tuple(known for _, known in both)


def _layer(
    k: int, told: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> tuple[Layer, Digital]:
    names = ("input_bits", "weight_bits", "pass_bits", "slice_bits", "signed")
    tiles = tuple(
        TileSums(
            slice(item["first_row"], item["first_row"] + item["rows"]),
            arrays[f"layer_{k}/tile_{i}/combine"],
            float(item["worth"]),
        )
        for i, item in enumerate(told["tiles"])
    )
    known = Digital(
        composition=Composition(**{name: told[name] for name in names}),
        found=LayerRange(**told["range"]),
        weight_step=float(told["weight_step"]),
        off=float(told["off"]),
        digit_v=float(told["digit_v"]),
        tiles=tiles,
    )
    patches = None if told["patches"] is None else Patches(**told["patches"])
    rows = max(tile.rows.stop for tile in tiles)
    shape = np.zeros((rows, known.outputs))
    layer = Layer(shape, arrays[f"layer_{k}/bias"], told["relu"], patches, told["pool"])
    return layer, known
