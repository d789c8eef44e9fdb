"""Export targets by name. A new target is one folder with a ``TARGET`` and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imccircuit.registry import Registry

if TYPE_CHECKING:
    from imccircuit.exporters.target import Target

_TARGETS = Registry(
    "export target",
    "TARGET",
    {
        "aihwkit": "imccircuit.exporters.aihwkit",
        "bundle": "imccircuit.exporters.bundle",
        "crosssim": "imccircuit.exporters.crosssim",
        "hwcomponents": "imccircuit.exporters.hwcomponents",
        "micsim": "imccircuit.exporters.micsim",
        "mnsim": "imccircuit.exporters.mnsim",
        "neurosim": "imccircuit.exporters.neurosim",
        "numpy": "imccircuit.exporters.numpy",
        "onnx": "imccircuit.exporters.onnx",
        "spice": "imccircuit.exporters.spice",
        "torch": "imccircuit.exporters.torch",
        "veriloga": "imccircuit.exporters.veriloga",
        "zigzag": "imccircuit.exporters.zigzag",
    },
)


def target_names() -> list[str]:
    """Names that ``imccircuit export`` takes."""
    return _TARGETS.names()


def get_target(name: str) -> Target:
    """The target of that name; `UsageError` if there is none."""
    target: Target = _TARGETS.get(name)
    return target
