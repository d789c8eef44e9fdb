"""Target ``crosssim``: converters and crossbars as devices of CrossSim 3.2."""

from __future__ import annotations

import shutil
from pathlib import Path

from imccircuit.exporters.adapters import adapter_fidelity, write_model
from imccircuit.exporters.amounts import crosssim_solver_bound
from imccircuit.exporters.chained import adapter_chain
from imccircuit.exporters.content import Content, Fidelity
from imccircuit.exporters.crosssim.replay import ADAPTER, SOURCE, replay_crosssim
from imccircuit.exporters.target import Target
from imccircuit.surrogates.base import Surrogate

SCHEMA = "imccircuit-crosssim-1"

_ADC_USE = """\
from simulator import AnalogCore, CrossSimParameters
import imc_crosssim                             # in this folder

params = CrossSimParameters()
# I/(V_max*G_max) of the columns that meets 0 V and full scale of the converters:
imc_crosssim.configure_adc(params, [-4.0, 4.0])  # column j has chip j mod the number of chips
outputs = AnalogCore(matrix, params) @ inputs"""

_ARRAY_USE = """\
import imc_crosssim                             # in this folder

core = imc_crosssim.measured_core(v_max=0.2, chip=0)   # an AnalogCore of CrossSim
outputs = core @ inputs                         # 1 is v_max, outputs are I/(v_max*G_max)
currents = imc_crosssim.currents_a(core, voltages, v_max=0.2)   # V in, A out"""

_FASTER = """
core = imc_crosssim.measured_core(v_max=0.2, wires="effective")  # no solver"""


def _write(content: Content, model: Surrogate, folder: Path) -> None:
    del model
    write_model(content, folder, SCHEMA)
    shutil.copyfile(SOURCE, folder / ADAPTER)


def _usage(content: Content) -> str:
    use = _ADC_USE if content.kind == "adc" else _ARRAY_USE
    if "effective_conductance" in content.arrays:
        use += _FASTER
    return (
        "CrossSim is not on PyPI: clone https://github.com/sandialabs/cross-sim and put the clone "
        "on the Python path. This adapter was tried with release 3.2.0.\n\n"
        f"```python\n{use}\n```"
    )


def fidelity(content: Content) -> tuple[Fidelity, ...]:
    """What CrossSim keeps of every quantity of ``content``."""
    solver = "by CrossSim's own solver, to 2·v_error·v_max·Σ G of a column"
    offsets = content.numbers.get("offset_error_a") or 0.0
    if offsets:
        solver += ", with input offsets as the constant currents that they cause at 0 V drive"
    wires = (
        Fidelity("cells and wires", "exact", f'with wires="effective"; else {solver}')
        if "effective_conductance" in content.arrays
        else Fidelity(
            "cells and wires",
            "approximated",
            f"{solver}, G being their largest slope; amount: at the largest stored drive",
            crosssim_solver_bound(content) + offsets if content.kind == "crossbar" else None,
            "A",
        )
    )
    return adapter_fidelity(content, "CrossSim", (wires,))


_MACRO = Path(__file__).with_name("macro.py")

TARGET = Target(
    "crosssim",
    "converters and crossbars for CrossSim",
    _usage,
    _write,
    replay=replay_crosssim,
    fidelity=fidelity,
    chain=adapter_chain(
        _MACRO, {ADAPTER: SOURCE}, fidelity, "core       # an AnalogCore of CrossSim"
    ),
    default="CrossSim's default stays: none",
    defaults={
        "cells": "CrossSim's default stays: ideal devices",
        "wires": "CrossSim's default stays: parasitics off",
        "front end": "CrossSim's default stays: ideal, the currents themselves",
        "converter": "CrossSim's default stays: 0 bits, which is no ADC",
        "DAC": "CrossSim's default stays: 0 bits, which is no DAC",
    },
)
