"""Target ``aihwkit``: converters and crossbars in the pure-torch tile of aihwkit 1.1.0."""

from __future__ import annotations

import shutil
from pathlib import Path

from imccircuit.exporters.adapters import adapter_fidelity, write_model
from imccircuit.exporters.aihwkit.replay import ADAPTER, SOLVER, SOURCE, replay_aihwkit
from imccircuit.exporters.chained import adapter_chain
from imccircuit.exporters.content import Content, Fidelity
from imccircuit.exporters.target import Target
from imccircuit.surrogates.base import Surrogate

SCHEMA = "imccircuit-aihwkit-1"

_USE = {
    "adc": """\
from aihwkit.nn.conversion import convert_to_analog
import imc_aihwkit                              # in this folder

# I/(V_max*G_max) of a column that meets 0 V and full scale of the converters:
converters = imc_aihwkit.Converters((-4.0, 4.0))  # column j has chip j mod the number of chips
analog = convert_to_analog(network, imc_aihwkit.configure(converters=converters))""",
    "crossbar": """\
import torch
import imc_aihwkit                              # in this folder

array = imc_aihwkit.Array(v_max=0.2, chip=0)
layer = imc_aihwkit.measured_layer(imc_aihwkit.configure(array=array, ideal=True))
currents = layer(torch.rand(8, layer.in_features)) * array.scale_a   # 1 is v_max; A""",
}


def _write(content: Content, model: Surrogate, folder: Path) -> None:
    del model
    write_model(content, folder, SCHEMA)
    shutil.copyfile(SOURCE, folder / ADAPTER)
    if content.needs_solver:
        shutil.copyfile(SOLVER, folder / "lines.py")


def _usage(content: Content) -> str:
    return (
        "With Python 3.10 to 3.12: `pip install torch`, then `pip install aihwkit==1.1.0`. Only "
        "aihwkit's pure-torch tile is used.\n\n"
        f"```python\n{_USE[content.kind]}\n```\n\n"
        "What was not measured keeps aihwkit's defaults; `ideal=True` turns those off."
    )


def fidelity(content: Content) -> tuple[Fidelity, ...]:
    """What aihwkit keeps of every quantity of ``content``."""
    how = "a table in double; a layer in float32 rounds what it converts, to 6e-8 of it"
    levels = Fidelity("transition levels", "exact", how)
    return adapter_fidelity(content, "aihwkit", (levels,))


_MACRO = Path(__file__).with_name("macro.py")

TARGET = Target(
    "aihwkit",
    "converters and crossbars for aihwkit's pure-torch tile",
    _usage,
    _write,
    replay=replay_aihwkit,
    fidelity=fidelity,
    chain=adapter_chain(
        _MACRO,
        {ADAPTER: SOURCE, "lines.py": SOLVER},
        fidelity,
        "layer      # an AnalogLinear of aihwkit",
    ),
    default="aihwkit's default stays; ideal=True turns it off",
    defaults={
        "cells": "aihwkit's default stays: weights as they are in training, PCM when programmed",
        "wires": "aihwkit's default stays: IR drop 0",
        "front end": "aihwkit's default stays: output noise 0.06, which ideal=True turns off",
        "converter": "aihwkit's default stays: out_res 1/510, which ideal=True turns off",
        "DAC": "aihwkit's default stays: inp_res 1/126, which ideal=True turns off",
        "drift": "aihwkit's default stays: that of its PCM noise model, with compensation",
    },
)
