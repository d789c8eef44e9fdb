"""Target ``micsim``: MICSim's tables of an ADC and of a cell."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from imccircuit.exporters.amounts import lsb_v, spread_fidelity, state_error
from imccircuit.exporters.content import Content, Fidelity
from imccircuit.exporters.replay import Replay
from imccircuit.exporters.states import cell_states
from imccircuit.exporters.target import Target
from imccircuit.surrogates.base import Surrogate

ADC = "adc.csv"
CELL = "cell.csv"
SCALE = "scale.json"

STATES = 2
"""States of a cell: MICSim takes its range from the first two rows, whatever their number."""


def layer_name(chip: int) -> str:
    """Name under which the ADC of a chip stands in the table."""
    return f"chip{chip}"


def adc_table(content: Content) -> list[list[str]]:
    """For each chip three rows: its name, 2^bits centers, 2^bits edges (the last one not used).

    In LSB (full scale / 2^bits): center k is code k, edge k the level above which the code is more
    than k. MICSim takes an input at an edge for the code above it, a converter of ours for the
    code below, so an edge is the next double above the level.
    """
    codes, lsb = 2 ** int(content.numbers["bits"] or 0), lsb_v(content)
    rows = []
    for chip, levels in enumerate(content.arrays["transition_level"].values):
        edges = [*np.nextafter(levels / lsb, np.inf), float(codes)]
        centers = [repr(float(code)) for code in range(codes)]
        rows += [[layer_name(chip)], centers, [repr(float(edge)) for edge in edges]]
    return rows


def cell_table(content: Content) -> list[list[str]]:
    """Rows ``level,R_ohm,rel_sigma,Rtx``, high resistance first.

    The resistance of a cell in series with its transistor is in R_ohm, so Rtx is 0.

    A conductance that is not above 0 has an infinite resistance, ``inf``.
    """
    states = cell_states(content, STATES)
    rows = []
    for level, (mean, sigma) in enumerate(zip(states.mean_s, states.sigma_s, strict=True)):
        ohm, relative = (1 / mean, sigma / mean) if mean > 0 else (np.inf, 0.0)
        rows.append([str(level), repr(float(ohm)), repr(float(relative)), "0"])
    return rows


def _write(content: Content, model: Surrogate, folder: Path) -> None:
    del model
    name, rows = (ADC, adc_table(content)) if content.kind == "adc" else (CELL, cell_table(content))
    with (folder / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    if content.kind == "adc":
        text = json.dumps({"lsb_v": lsb_v(content)})
        (folder / SCALE).write_text(f"{text}\n", encoding="utf-8")


def _usage(content: Content) -> str:
    if content.kind == "crossbar":
        return (
            f"`{CELL}` has the two states of a cell, for `cell_precision = 1`: put its path where "
            "MICSim's configuration names the file of the cells (`Accuracy/src/Component/"
            "cell_files` has MICSim's own)."
        )
    return (
        f"`{ADC}` has three rows for each chip, `chip0` first: its name, the centers and the edges "
        "of its codes, both in LSB, which is one unit of the partial sum where the range of the "
        "sum is that of the codes (`scale.json` has it in V); multiply both rows by (range of the "
        "sum) / 2^bits elsewhere. "
        "MICSim looks its layers up by name: rename a chip to the layer that it converts.\n\n"
        "```python\n"
        "from src.Component.ADC.NLinearMode import NLinear      # MICSim, in folder Accuracy\n"
        "\n"
        f'adc = NLinear("{ADC}", share_column=1, name="chip0")\n'
        "codes = adc.ADC_compute(partial_sums)                  # a torch tensor, float64\n"
        "```"
    )


def _fidelity(content: Content) -> tuple[Fidelity, ...]:
    spread = len(content.arrays["conductance"].values) > 1 if content.kind == "crossbar" else False
    how = "no place in MICSim's tables"
    found = []
    for item in content.fidelity:
        if item.quantity == "transition levels":
            text = "every level of every chip, in LSB; float32 on a GPU"
            found.append(Fidelity(item.quantity, "exact", text))
        elif item.quantity == "programmed conductances":
            states = cell_states(content, STATES)
            text = f"the lowest and the highest: {states.how}; amount: rms difference of a cell "
            text += "and the nearest of them"
            error = state_error(content, states)
            found.append(Fidelity(item.quantity, "approximated", text, error, "S"))
        elif item.quantity == "spread of conductances" and spread:
            text = "one normal law for each state, relative to its conductance"
            found.append(spread_fidelity(content, cell_states(content, STATES), text))
        else:
            found.append(Fidelity(item.quantity, "dropped", how))
    return tuple(found)


def _replay(folder: Path) -> Replay:
    from imccircuit.exporters.micsim.replay import replay_micsim

    return replay_micsim(folder)


TARGET = Target(
    "micsim",
    "tables of ADC and cell for MICSim 1.0",
    _usage,
    _write,
    replay=_replay,
    fidelity=_fidelity,
    default="what MICSim's own configuration says stays",
)
