"""Target ``mnsim``: the keys of MNSIM's SimConfig.ini that are known from a measured model."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

import numpy as np

from imccircuit.exporters.amounts import neglected_wires, spread_fidelity, state_error
from imccircuit.exporters.content import COST_NUMBERS, Content, Fidelity
from imccircuit.exporters.costs import shared_costs, shared_fidelity, shared_parts, write_costs
from imccircuit.exporters.parts import parts_fidelity
from imccircuit.exporters.replay import Replay
from imccircuit.exporters.states import cell_states
from imccircuit.exporters.target import Target
from imccircuit.surrogates.base import Surrogate

CONFIG = "SimConfig.ini"

# MNSIM counts in µm² and ns.
_UM2, _NS = 1e12, 1e9


def config_of(content: Content) -> dict[str, dict[str, str]]:
    """Sections and keys of the file, what is not known left out.

    MNSIM computes a conversion's latency in ns as (bits + 2) / rate in GS/s, 1 / rate for one bit,
    and its energy as latency times power: rate and power are such that both come out as measured.
    Its ADC reads ``PIM_Type`` and ``Logic_Op`` too; they say that it is analog.
    """
    if content.kind == "macro":
        parts = shared_parts(content)
        return {**_array(parts["array"]), **_adc(parts["adc"])}
    if content.kind == "adc":
        return _adc(content)
    return _array(content)


def _adc(content: Content) -> dict[str, dict[str, str]]:
    bits = int(content.numbers["bits"] or 0)
    energy, latency, area = (content.numbers[name] for name in COST_NUMBERS.values())
    analog = {"Process element level": {"PIM_Type": "0"}}
    # A user-defined ADC must have all three: what is missing would be taken for 0.
    if energy is None or latency is None or area is None:
        return analog
    keys = {
        "ADC_Choice": "-1",
        "ADC_Area": repr(area * _UM2),
        "ADC_Precision": str(bits),
        "ADC_Power": repr(energy / latency),
        "ADC_Sample_Rate": repr((1 if bits == 1 else bits + 2) / (latency * _NS)),
        "ADC_Interval_Thres": "-1",
        "Logic_Op": "-1",
    }
    return {"Interface level": keys, **analog}


def _array(content: Content) -> dict[str, dict[str, str]]:
    rows, cols = content.arrays["conductance"].values.shape[1:]
    states = cell_states(content, 2)
    off, on = states.mean_s
    r_row, r_col = (content.numbers[name] or 0.0 for name in ("r_row_ohm", "r_col_ohm"))
    crossbar = {
        "Xbar_Size": f"{rows},{cols}",
        # The rows are read at once, as they were measured.
        "Subarray_Size": str(rows),
        "Wire_Resistance": repr((r_row + r_col) / 2),
    }
    if off <= 0:
        return {"Crossbar level": crossbar}
    cells = {
        "Device_Type": "NVM",
        "Device_Level": "2",
        # From the high-resistance state to the low one, in ohm.
        "Device_Resistance": f"{float(1 / off)!r},{float(1 / on)!r}",
        "Device_Variation": repr(100 * float(np.max(states.sigma_s / states.mean_s))),
    }
    return {"Device level": cells, "Crossbar level": crossbar}


def _write(content: Content, model: Surrogate, folder: Path) -> None:
    del model
    write_costs(shared_costs(content), folder)
    config = ConfigParser()
    # Keys keep their capitals.
    config.optionxform = str  # type: ignore[assignment,method-assign]
    config.read_dict(config_of(content))
    with (folder / CONFIG).open("w", encoding="utf-8") as file:
        config.write(file)


def _costs_known(content: Content) -> bool:
    return all(content.numbers[name] is not None for name in COST_NUMBERS.values())


def _usage(content: Content) -> str:
    adc = shared_parts(content)["adc"] if content.kind == "macro" else content
    missing = (
        "**Energy, latency or area of this ADC was not measured, so MNSIM's own ADC stays.** "
        if adc.kind == "adc" and not _costs_known(adc)
        else ""
    )
    return (
        f"{missing}`{CONFIG}` holds only what was measured. Put it over MNSIM's own, which has "
        "the rest:\n\n"
        "```python\n"
        "from configparser import ConfigParser\n"
        "\n"
        "config = ConfigParser()\n"
        "config.optionxform = str\n"
        f'config.read(["MNSIM-2.0/SimConfig.ini", "{CONFIG}"])\n'
        'config.write(open("SimConfig_measured.ini", "w"))\n'
        "```\n\n"
        "`python main.py -HWdes SimConfig_measured.ini …`"
    )


def _fidelity(content: Content) -> tuple[Fidelity, ...]:
    if content.kind == "macro":
        return _of_macro(content)
    found = []
    states = cell_states(content, 2) if content.kind == "crossbar" else None
    for item in content.fidelity:
        name = item.quantity
        if name in COST_NUMBERS and content.kind == "adc":
            kept = item.treatment == "exact" and _costs_known(content)
            how = f"{item.how}; MNSIM's latency and energy formulas are inverted"
            lost = "MNSIM takes energy, latency and area together, and not all were measured"
            found.append(Fidelity(name, "exact", how) if kept else Fidelity(name, "dropped", lost))
        elif name == "programmed conductances" and states is not None:
            how = f"lowest and highest: {states.how}; amount: rms difference of a cell and the "
            error = state_error(content, states)
            found.append(Fidelity(name, "approximated", f"{how}nearest of them", error, "S"))
        elif name == "spread of conductances" and states is not None and np.any(states.sigma_s):
            how = "the larger relative spread of the two states, on the resistance"
            sigma = np.max(states.sigma_s / states.mean_s) * states.mean_s
            found.append(spread_fidelity(content, states, how, sigma))
        elif name == "cells and wires":
            how = (
                "mean resistance of a segment; MNSIM solves no network with it; amount: relative "
                "difference of the effective conductance at 0 V, wires included, and that of cells"
            )
            found.append(Fidelity(name, "approximated", how, neglected_wires(content), "1"))
        else:
            found.append(Fidelity(name, "dropped", "MNSIM has no place for it"))
    return tuple(found)


def _of_macro(content: Content) -> tuple[Fidelity, ...]:
    parts = shared_parts(content)
    known, found = _costs_known(parts["adc"]), []
    for item in shared_fidelity(content, parts_fidelity(content, _fidelity)):
        if item.quantity == "codes":
            found.append(Fidelity("codes", "dropped", "MNSIM has no place for it"))
        elif item.quantity in COST_NUMBERS and item.treatment != "dropped" and not known:
            lost = "MNSIM takes energy, latency and area together, and not all were measured"
            found.append(Fidelity(item.quantity, "dropped", lost))
        else:
            found.append(item)
    return tuple(found)


def _replay(folder: Path) -> Replay:
    from imccircuit.exporters.mnsim.replay import replay_mnsim

    return replay_mnsim(folder)


TARGET = Target(
    "mnsim",
    "hardware description for MNSIM 2.0",
    _usage,
    _write,
    replay=_replay,
    fidelity=_fidelity,
    kinds=("adc", "crossbar", "macro"),
    default="what MNSIM's own SimConfig.ini says stays",
)
