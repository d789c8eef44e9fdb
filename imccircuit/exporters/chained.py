"""Macros in simulators whose adapters chain array and converters: the module ``imc_macro.py``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import FileFormatError
from imccircuit.exporters.content import Content, Fidelity
from imccircuit.exporters.macro_parts import CONVERTERS, stated_codes
from imccircuit.exporters.own_code import import_own, reading_own
from imccircuit.exporters.replay import Difference, compare_values, stored_vectors
from imccircuit.exporters.target import Chain
from imccircuit.surrogates.macro_parts import ARRAY

MODULE = "imc_macro.py"
FACTS = "macro.json"
SCHEMA = "imccircuit-macro-1"


def adapter_chain(
    source: Path,
    parts: Mapping[str, Path],
    of_part: Callable[[Content], tuple[Fidelity, ...]],
    result: str,
) -> Chain:
    """Chain by a module of ours over the adapters of both parts.

    Parameters
    ----------
    source : the module, with a class ``Macro(chip)`` whose ``codes`` takes voltages of the rows.
    parts : name of a file in the folders of the parts that it runs → what it must equal.
    of_part : what the target keeps of an array or of converters.
    result : the attribute of a ``Macro`` that belongs to the simulator, and what it is.
    """

    def usage(content: Content) -> str:
        del content
        return (
            "```python\n"
            f"import imc_macro                         # {MODULE}, in this folder\n"
            "macro = imc_macro.Macro(chip=0)\n"
            "codes = macro.codes(voltages)            # (batch, row) V in, (batch, converter) out\n"
            f"macro.{result}\n"
            "```"
        )

    def write(content: Content, folder: Path) -> None:
        shutil.copyfile(source, folder / MODULE)
        names = ("converters", "bias_voltage_v", "read_voltage_v")
        facts = {name: content.numbers[name] for name in names}
        apart = stated_codes(content, of_part)
        text = {"schema": SCHEMA, **facts, "stated_error_codes": apart}
        (folder / FACTS).write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")

    def replay(folder: Path) -> tuple[Difference, ...]:
        beside = {
            f"{part}/{name}": own for part in (ARRAY, CONVERTERS) for name, own in parts.items()
        }
        module = import_own(folder, MODULE, source, beside)
        stored = stored_vectors(folder)

        def codes(chip: int, voltage_v: NDArray[np.float64]) -> NDArray[np.int64]:
            with reading_own(folder):
                return np.asarray(module.Macro(chip).codes(voltage_v))

        return compare_macro(codes, stored, float(module.FACTS["stated_error_codes"]))

    return Chain(usage, write, replay)


def compare_macro(
    codes_of: Callable[[int, NDArray[np.float64]], NDArray[Any]],
    stored: Any,
    bound: float,
) -> tuple[Difference, ...]:
    """Codes of the whole for the stored vectors, chip by chip.

    Raises
    ------
    FileFormatError : the vectors are not those of a macro.
    """
    if "expected_code" not in stored or stored["expected_code"].ndim != 2:
        raise FileFormatError("replay.npz: no vectors of a macro")
    found = np.full(stored["expected_code"].shape, np.nan)
    for chip in np.unique(stored["chip"]):
        own = stored["chip"] == chip
        found[own] = codes_of(int(chip), stored["voltage"][own])
    return (compare_values("code of the whole", "1", found, stored["expected_code"], bound),)
