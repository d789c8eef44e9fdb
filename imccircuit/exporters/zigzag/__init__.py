"""Target ``zigzag``: measured energy, delay and area in ZigZag's in-memory computing model."""

from __future__ import annotations

import shutil
from pathlib import Path

from imccircuit.exporters.content import Content, Fidelity
from imccircuit.exporters.costs import (
    costs_fidelity,
    shared_costs,
    shared_fidelity,
    write_costs,
)
from imccircuit.exporters.replay import Replay
from imccircuit.exporters.target import Target
from imccircuit.surrogates.base import Surrogate

ADAPTER = "adapter.py"
SOURCE = Path(__file__).with_name(ADAPTER)


def _write(content: Content, model: Surrogate, folder: Path) -> None:
    del model
    write_costs(shared_costs(content), folder)
    shutil.copyfile(SOURCE, folder / ADAPTER)


def _usage(content: Content) -> str:
    adc = content.parts["converter_0"] if content.kind == "macro" else content
    bits = (
        f"`adc_resolution` of the accelerator must be {int(adc.numbers['bits'] or 0)}."
        if adc.kind == "adc"
        else "Cells cost what was measured; ZigZag's own `mults` and precharging become 0 then."
    )
    return (
        "`pip install zigzag-dse six`, and this folder on the Python path. What was not measured "
        f"(`null` in `costs.json`) stays ZigZag's own. {bits}\n\n"
        "```python\n"
        "import adapter                                # in this folder\n"
        "from zigzag.api import get_hardware_performance_zigzag\n"
        "\n"
        "with adapter.use(adapter.load()):\n"
        "    energy_pj, latency, tclk_ns, area_mm2, layers = get_hardware_performance_zigzag(\n"
        '        "workload.onnx", "accelerator.yaml", "mapping.yaml", in_memory_compute=True)\n'
        "```"
    )


def _fidelity(content: Content) -> tuple[Fidelity, ...]:
    return shared_fidelity(content, costs_fidelity(content, "ZigZag's own formula stays"))


def _replay(folder: Path) -> Replay:
    from imccircuit.exporters.zigzag.replay import replay_zigzag

    return replay_zigzag(folder)


TARGET = Target(
    "zigzag",
    "energy, delay and area for ZigZag",
    _usage,
    _write,
    replay=_replay,
    fidelity=_fidelity,
    kinds=("adc", "crossbar", "macro"),
    default="ZigZag's own formula stays, where it counts it",
)
