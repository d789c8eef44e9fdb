"""Stored conversions through MICSim's own ADC, and states through its own cells."""

from __future__ import annotations

import csv
import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import FileFormatError, SetupError
from imccircuit.exporters.micsim import ADC, CELL, SCALE, STATES, layer_name
from imccircuit.exporters.replay import (
    Difference,
    Replay,
    compare_codes,
    compare_values,
    stored_vectors,
)

_DRAWS = 20000
# Five standard deviations: one run in a million of what is right is beyond, and the seed is fixed.
_SIGMAS = 5.0


def replay_micsim(folder: Path) -> Replay:
    """What MICSim makes of an export's tables.

    Of an ADC the codes of ``NLinear`` for the stored inputs, none of which may differ. Of cells the
    conductances of ``Digit2Cell`` for both states and the spread that it draws, against the table:
    MICSim has no place for the wires and amplifiers behind the stored currents.

    Raises
    ------
    SetupError : MICSim is not importable.
    FileFormatError : the folder is no whole export.
    """
    if not (folder / ADC).is_file():
        states = _states(folder)
        upstream, torch = _upstream("Digit2Cell")
        found = _cells(upstream, torch, folder / CELL, states)
        return Replay("micsim", "MICSim 1.0, Component/Digit2Cell.py", found)
    try:
        scale = json.loads((folder / SCALE).read_text(encoding="utf-8"))
        lsb = float(scale["lsb_v"])
    except (OSError, ValueError, KeyError, TypeError):
        raise FileFormatError(f"{folder}: no {SCALE} in this export") from None
    upstream, torch = _upstream("ADC.NLinearMode")
    stored = stored_vectors(folder)
    codes = np.empty(len(stored["input"]))
    for chip in np.unique(stored["chip"]):
        adc = upstream.NLinear(str(folder / ADC), 1, layer_name(int(chip)))
        mine = stored["chip"] == chip
        # Where there is a GPU, MICSim puts its table there.
        given = torch.tensor(stored["input"][mine] / lsb).to(adc.centers.device)
        codes[mine] = adc.ADC_compute(given).cpu().numpy()
    found = (compare_codes("code", codes, stored["expected_code"]),)
    return Replay("micsim", "MICSim 1.0, Component/ADC/NLinearMode.py", found)


def _upstream(name: str) -> tuple[Any, Any]:
    try:
        import torch

        # MICSim reads the configuration that this names when it is imported, if only a missing one.
        os.environ.setdefault("CONFIG", "")
        return import_module(f"src.Component.{name}"), torch
    except ImportError:
        raise SetupError(
            "MICSim is not importable; clone https://github.com/MICSim-official/MICSim_V1.0 and "
            "put its folder Accuracy on PYTHONPATH, and install torch"
        ) from None


def _states(folder: Path) -> NDArray[np.float64]:
    """Rows of the table of states: level, resistance in ohm, relative sigma, series resistance."""
    try:
        with (folder / CELL).open(newline="", encoding="utf-8") as file:
            return np.array(list(csv.reader(file)), dtype=np.float64).reshape(STATES, 4)
    except (OSError, ValueError):
        raise FileFormatError(f"{folder}: no table of states, {CELL}") from None


def _cells(
    upstream: Any, torch: Any, path: Path, states: NDArray[np.float64]
) -> tuple[Difference, ...]:
    conductance = 1 / (states[:, 1] + states[:, 3])
    level = torch.arange(STATES, dtype=torch.float64)
    clean = upstream.Digit2Cell(1, str(path), "False")
    answered = (clean.map2G(level) * clean.delta_g).numpy()
    # A difference of the two, added again: a few roundings of the larger.
    bound = 1e-14 * float(np.max(conductance))
    found = [compare_values("conductance", "S", answered, conductance, bound)]
    drawing = upstream.Digit2Cell(1, str(path), "True")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        drawn = drawing.map2G(level.repeat(_DRAWS, 1)) * drawing.delta_g
    # A standard deviation of n normal draws is itself uncertain by σ/√(2n); sums of n are rounded.
    sigma = states[:, 2] * conductance
    bound = _DRAWS * 2.0**-52 * float(np.max(conductance))
    bound += _SIGMAS * float(np.max(sigma)) / float(np.sqrt(2 * _DRAWS))
    found.append(compare_values("spread", "S", drawn.numpy().std(axis=0, ddof=1), sigma, bound))
    return tuple(found)
