"""Exported modules, compiled by OpenVAF and evaluated by its interpreter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imccircuit.errors import FileFormatError, SetupError

INSTALL = 'pip install "imccircuit[veriloga]"'


def compile_modules(path: Path) -> tuple[dict[str, Any], str]:
    """Modules of a file by name, and the compiler with its version.

    Raises
    ------
    SetupError : there is no compiler.
    FileFormatError : the compiler refuses the file; it says on stderr why.
    """
    from importlib.metadata import version

    try:
        import openvaf_py
    except ModuleNotFoundError:
        text = f"replaying target veriloga needs a compiler, the package openvaf-py; {INSTALL}"
        raise SetupError(text) from None
    if not path.is_file():
        raise FileFormatError(f"{path.parent}: no {path.name} in this export")
    try:
        modules = openvaf_py.compile_va(str(path))
    except (ValueError, OSError) as error:
        raise FileFormatError(f"{path}: OpenVAF refuses it: {error}") from None
    return {module.name: module for module in modules}, f"openvaf-py {version('openvaf-py')}"


def contributions(
    module: Any, voltage_v: Mapping[str, float], parameters: Mapping[str, float]
) -> dict[str, float]:
    """What a module contributes with its ports at these voltages.

    A port with a current contribution answers under its name, in A into the module. One with a
    voltage contribution, whose own voltage must be left at 0, answers under ``flow(name)``, in V.

    Parameters
    ----------
    voltage_v : port → V; others are at 0.
    parameters : name → value; all that the module has.

    Raises
    ------
    FileFormatError : the module has a parameter that is not given, or no such port.
    """
    names = [*module.param_names, *module.init_param_names]
    kinds = [*module.param_kinds, *module.init_param_kinds]
    given = dict.fromkeys(names, 0.0)
    # Of which a simulator puts side by side: without it no current would flow.
    given["mfactor"] = 1.0
    unknown = {
        name
        for name, kind in zip(names, kinds, strict=True)
        if kind == "param" and name not in parameters
    } | {name for name in voltage_v if f"V({name})" not in given}
    if unknown:
        raise FileFormatError(f"module {module.name}: {min(unknown)} is not as exported")
    given |= parameters
    given |= {f"V({name})": float(v) for name, v in voltage_v.items()}
    residuals, _ = module.run_init_eval(given)
    nodes = module.get_dae_system()["nodes"]
    return {node["name"]: float(value) for node, (value, _) in zip(nodes, residuals, strict=True)}
