"""An exported package asked through hwcomponents' own look-up."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from imccircuit.errors import SetupError, UsageError
from imccircuit.exporters.costs import read_costs
from imccircuit.exporters.hwcomponents import PACKAGE, SOURCE
from imccircuit.exporters.own_code import import_own
from imccircuit.exporters.replay import Difference, Replay, compare_values


def replay_hwcomponents(folder: Path) -> Replay:
    """Energy, latency and area that hwcomponents finds, against those of ``costs.json``.

    Raises
    ------
    SetupError : hwcomponents is not installed.
    UsageError : nothing that it answers was measured.
    FileFormatError : the folder is no whole export.
    """
    if find_spec("hwcomponents") is None:
        raise SetupError(
            "hwcomponents is not installed; pip install hwcomponents in Python 3.12 or newer"
        )
    module = import_own(folder / PACKAGE, "__init__.py", SOURCE)
    costs = read_costs(folder / PACKAGE)
    differences = [
        *_ask(costs.get("adc"), module.ImcAdc, "imc_adc", {"n_bits": "bits"}, "convert"),
        *_ask(
            costs.get("array"),
            module.ImcArray,
            "imc_array",
            {"n_rows": "rows", "n_cols": "cols"},
            "compute",
        ),
    ]
    if not differences:
        raise UsageError(
            f"{folder}: neither energy with latency nor area was measured: nothing to ask"
        )
    return Replay("hwcomponents", f"hwcomponents {version('hwcomponents')}", tuple(differences))


def _ask(
    part: dict[str, Any] | None, model: Any, name: str, keys: dict[str, str], action: str
) -> list[Difference]:
    """Differences of what was measured of a part."""
    import hwcomponents

    if part is None:
        return []
    asked = {key: part[source] for key, source in keys.items()}
    found = []
    if part["energy_j"] is not None and part["latency_s"] is not None:
        cost = hwcomponents.get_action_cost(name, asked, action, {}, models=[model])
        found += [
            _equal(f"energy of {name}", "J", cost.energy, part["energy_j"]),
            _equal(f"latency of {name}", "s", cost.latency, part["latency_s"]),
        ]
    if part["area_m2"] is not None:
        area = hwcomponents.get_area(name, asked, models=[model])
        found.append(_equal(f"area of {name}", "m²", area, part["area_m2"]))
    return found


def _equal(quantity: str, unit: str, answered: float, expected: float) -> Difference:
    return compare_values(quantity, unit, [answered], [expected], 0.0)
