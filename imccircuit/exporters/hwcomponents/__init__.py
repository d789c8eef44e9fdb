"""Target ``hwcomponents``: measured energy, latency and area as a package for AccelForge."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from imccircuit.exporters.content import COST_NUMBERS, Content, Fidelity
from imccircuit.exporters.costs import Costs, costs_fidelity, costs_of, write_costs
from imccircuit.exporters.replay import Replay
from imccircuit.exporters.target import Target
from imccircuit.surrogates.base import Surrogate

PACKAGE = "hwcomponents_imc"
SOURCE = Path(__file__).with_name("package.py")

_USE = {
    "adc": 'hw.get_action_cost("imc_adc", {{"n_bits": {bits}}}, "convert", {{}})',
    "crossbar": 'hw.get_action_cost("imc_array", {{"n_rows": {rows}, "n_cols": {cols}}}, '
    '"compute", {{}})',
}


def _write(content: Content, model: Surrogate, folder: Path) -> None:
    del model
    package = folder / PACKAGE
    package.mkdir()
    write_costs(_costs(content), package)
    shutil.copyfile(SOURCE, package / "__init__.py")


def _costs(content: Content) -> dict[str, Costs]:
    """Costs by part; those of a macro as a whole as those of an array of its size.

    Where a macro has no energy of its own but its converters have, they are a component, too.
    """
    costs = costs_of(content)
    if content.kind != "macro":
        return costs
    whole, size = costs["macro"], costs["array"]
    own = {name: whole[name] for name in COST_NUMBERS.values()}
    found = {"macro": whole, "array": {**own, "rows": size["rows"], "cols": size["cols"]}}
    if own["energy_j"] is None and costs["adc"]["energy_j"] is not None:
        found["adc"] = costs["adc"]
        # The whole's area is that of its converters, which now bring their own.
        found["array"]["area_m2"] = None
    return found


def _usage(content: Content) -> str:
    costs = _costs(content)
    if "adc" in costs:
        line = _USE["adc"].format(bits=costs["adc"]["bits"])
    else:
        array = content.parts["array"] if content.kind == "macro" else content
        rows, cols = array.arrays["conductance"].values.shape[1:]
        line = _USE["crossbar"].format(rows=rows, cols=cols)
    whole = ""
    if content.kind == "macro":
        whole = "`imc_array` is the whole macro, whose product converts too; "
        if "adc" in costs:
            whole += "`imc_adc` is one of its converters; "
    return (
        "`pip install hwcomponents` in Python 3.12 or newer, and this folder on the Python path "
        f"(`PYTHONPATH`): {whole}hwcomponents finds `{PACKAGE}` by its name. What was not measured "
        "raises an error, and hwcomponents goes on with the next model that it knows.\n\n"
        f"```python\nimport hwcomponents as hw\n\ncost = {line}\n"
        "print(cost.energy, cost.latency)        # J, s\n```"
    )


def _fidelity(content: Content) -> tuple[Fidelity, ...]:
    numbers = content.numbers
    alone = (numbers.get("energy_j") is None) != (numbers.get("latency_s") is None)
    lost = "hwcomponents takes energy and latency of an action together, and not both were measured"
    costs = (
        replace(item, treatment="dropped", how=lost)
        if alone and item.quantity in ("energy", "latency") and item.treatment != "dropped"
        else item
        for item in costs_fidelity(content, "the next model that hwcomponents knows is taken")
    )
    leakage = Fidelity(
        "leakage between operations",
        "dropped",
        "not measured; hwcomponents demands a number and gets 0 W",
    )
    return (*costs, leakage)


def _replay(folder: Path) -> Replay:
    from imccircuit.exporters.hwcomponents.replay import replay_hwcomponents

    return replay_hwcomponents(folder)


TARGET = Target(
    "hwcomponents",
    "energy, latency and area for hwcomponents and AccelForge",
    _usage,
    _write,
    replay=_replay,
    fidelity=_fidelity,
    kinds=("adc", "crossbar", "macro"),
    default="the next model that hwcomponents knows is taken",
)
