"""Stored conversions through MICSim's own ADC with an exported table."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import numpy as np

from imccircuit.errors import FileFormatError, SetupError, UsageError
from imccircuit.exporters.micsim import ADC, SCALE, layer_name
from imccircuit.exporters.replay import Replay, compare_codes, stored_vectors


def replay_micsim(folder: Path) -> Replay:
    """Codes of MICSim's ``NLinear`` for the stored inputs; none may differ.

    Raises
    ------
    UsageError : the export holds no ADC.
    SetupError : MICSim is not importable.
    FileFormatError : the folder is no whole export.
    """
    if not (folder / ADC).is_file():
        raise UsageError(f"{folder}: no ADC in this export: nothing that MICSim computes with")
    try:
        scale = json.loads((folder / SCALE).read_text(encoding="utf-8"))
        lsb = float(scale["lsb_v"])
    except (OSError, ValueError, KeyError, TypeError):
        raise FileFormatError(f"{folder}: no {SCALE} in this export") from None
    try:
        import torch

        upstream = import_module("src.Component.ADC.NLinearMode")
    except ImportError:
        raise SetupError(
            "MICSim is not importable; clone https://github.com/MICSim-official/MICSim_V1.0 and "
            "put its folder Accuracy on PYTHONPATH, and install torch"
        ) from None
    stored = stored_vectors(folder)
    codes = np.empty(len(stored["input"]))
    for chip in np.unique(stored["chip"]):
        adc = upstream.NLinear(str(folder / ADC), 1, layer_name(int(chip)))
        mine = stored["chip"] == chip
        # Where there is a GPU, MICSim puts its table there.
        given = torch.tensor(stored["input"][mine] / lsb).to(adc.centers.device)
        codes[mine] = adc.ADC_compute(given).cpu().numpy()
    found = compare_codes("code", codes, stored["expected_code"])
    return Replay("micsim", "MICSim 1.0, Component/ADC/NLinearMode.py", (found,))
