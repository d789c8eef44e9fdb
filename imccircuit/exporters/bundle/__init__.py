"""Target ``bundle``: JSON and npz that any program can read; see docs/bundle-format.md."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from imccircuit.exporters.content import (
    Content,
    Fidelity,
    flat_arrays,
    flat_numbers,
    plain,
    write_npz,
)
from imccircuit.exporters.curves import linear_error
from imccircuit.exporters.fidelity import stated_fidelity
from imccircuit.exporters.replay import Replay
from imccircuit.exporters.target import Target
from imccircuit.surrogates.base import ModelArray, Surrogate
from imccircuit.surrogates.registry import kind_names

SCHEMA = "imccircuit-bundle-3"

_SOLVE = (
    "the reader solves the network of wires and cells, whose equations docs/bundle-format.md has"
)


def _write(content: Content, model: Surrogate, folder: Path) -> None:
    arrays = flat_arrays(content)
    write_npz(folder / "bundle.npz", plain(arrays))
    text = {
        "schema": SCHEMA,
        "kind": content.kind,
        "numbers": flat_numbers(content),
        "parameters": {
            name: {
                "value": _finite(item.value),
                "sigma": _finite(item.sigma),
                "unit": item.unit,
                "note": item.note,
            }
            for name, item in model.model.parameters.items()
        },
        "arrays": {name: _describe(array) for name, array in arrays.items()},
        "replay": {name: _describe(array) for name, array in content.replay.items()},
        "settings": dict(model.model.settings),
        "domain": dict(model.domain),
        "gates": dict(model.model.gates),
        "verdict": json.loads(model.verdict.to_json()),
        "fidelity": [asdict(item) for item in stated_fidelity(TARGET, content)],
    }
    (folder / "bundle.json").write_text(json.dumps(text, indent=1, allow_nan=False) + "\n", "utf-8")


def _describe(array: ModelArray) -> dict[str, object]:
    return {
        "units": array.units,
        "dims": list(array.dims),
        "shape": list(array.values.shape),
        "dtype": str(array.values.dtype),
        "long_name": array.long_name,
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _usage(content: Content) -> str:
    example = next(iter(flat_arrays(content)))
    return (
        "`bundle.json` describes every array of `bundle.npz` (unit, axes, meaning); all numbers "
        "are in SI.\n\n"
        "```python\n"
        "import json, numpy\n"
        'head = json.load(open("bundle.json"))\n'
        'arrays = numpy.load("bundle.npz")\n'
        f'print(head["arrays"]["{example}"], arrays["{example}"].shape)\n'
        "```"
    )


def _fidelity(content: Content) -> tuple[Fidelity, ...]:
    """As the content has it; where a network is to be solved, its reader must."""
    if not content.needs_solver:
        return content.fidelity
    own = "array: " if content.kind == "macro" else ""
    array = content.parts["array"] if content.kind == "macro" else content
    data = f"data alone; {_SOLVE}"
    found = [
        replace(item, how=data)
        if item.quantity == f"{own}cells and wires"
        else replace(item, how=f"{item.how}; {_SOLVE}")
        if item.quantity == "codes"
        else item
        for item in content.fidelity
    ]
    error = linear_error(array)
    name, amount = f"{own}solver of nonlinear cells", None
    if error is None:
        how = "no code comes along; no vectors are stored to tell what linear cells are off by"
    else:
        amount = error.largest_a
        how = (
            "no code comes along; cells taken as linear (those at 0 V, wires included) are off by "
            f"up to {amount:.3g} A on the stored vectors, {100 * error.share:.2g} % of the largest "
            "current"
        )
    return (*found, Fidelity(name, "dropped", how, amount, "" if error is None else "A"))


def _replay(folder: Path) -> Replay:
    from imccircuit.exporters.bundle.replay import replay_bundle

    return replay_bundle(folder)


TARGET = Target(
    "bundle",
    "neutral bundle of JSON and npz",
    _usage,
    _write,
    replay=_replay,
    fidelity=_fidelity,
    kinds=tuple(kind_names()),
)
