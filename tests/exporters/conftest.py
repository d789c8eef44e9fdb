"""Models of known origin, fitted once; the synthetic results come from tests/surrogates."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

# The folder is on the path by itself only when its own tests are collected.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "surrogates"))

from synthetic import (
    SINH,
    adc_chip,
    adc_population,
    array_and_drive,
    crossbar_chip,
    crossbar_settings,
    write,
)
from synthetic_macro import SETTINGS as MACRO
from synthetic_macro import results

from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.fit import fit_results

MACRO_SINH = ("circuit.array.cell=1r_sinh", "circuit.array.sinh_voltage=1 V")
KINDS = ("adc", "adcs", "linear", "amplified", "sinh")


def costs(chip: int) -> dict[str, np.ndarray]:
    """Costs of a conversion: 3 pJ and 10 fJ more from chip to chip; the comparator has none."""
    energy = np.array([2e-12 + 1e-14 * chip, 1e-13, 4e-13, 2e-13, np.nan, 1e-13, 2e-13])
    return {
        "energy": energy,
        "energy_returned": 0.1 * energy,
        "latency": np.asarray(60e-9),
        "area": np.asarray(2.5e-9),
    }


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Model files by name: one and many converters, crossbars of all sorts, one that failed."""
    folder = tmp_path_factory.mktemp("models")

    def fit(name: str, recipe: str, settings: list[str], chips: list) -> Path:
        model = fit_results(write(folder / f"{name}.results.h5", recipe, settings, chips))
        model.save(folder / f"{name}.h5")
        return folder / f"{name}.h5"

    caps = np.array([1.0, 2.02, 3.99, 8.05, 15.9])
    one = adc_chip(caps, 1.0, 2e-3)
    g, drive = array_and_drive(6, 4, 12)
    wires = {"r_row": 20.0, "r_col": 30.0}
    offset = np.array([3e-3, -2e-3, 1e-3, 0.0])
    shape = crossbar_settings(6, 4, 12)
    chips = adc_population(20, 1, bits=5)
    rng = np.random.default_rng(8)
    spread = [g * (1 + 0.05 * rng.standard_normal(g.shape)) for _ in range(12)]
    bad = {**one, "transition_level": one["transition_level"] + 0.5 / 32}
    return {
        "adc": fit("adc", "adc_sar8", ["circuit.bits=5"], [one]),
        "adcs": fit("adcs", "adc_sar8_mismatch", ["circuit.bits=5"], adc_population(20, 1, bits=5)),
        "linear": fit("linear", "crossbar_ir_drop", shape, [crossbar_chip(g, drive, **wires)]),
        "amplified": fit(
            "amplified",
            "crossbar_ir_drop",
            [*shape, "circuit.readout=tia"],
            [crossbar_chip(g, drive, amplifier_offset=offset, **wires)],
        ),
        "sinh": fit(
            "sinh",
            "crossbar_ir_drop",
            [*shape, *SINH],
            [crossbar_chip(g, drive, v0=0.25, **wires)],
        ),
        "costed": fit("costed", "adc_sar8", ["circuit.bits=5"], [{**one, **costs(0)}]),
        "costeds": fit(
            "costeds",
            "adc_sar8_mismatch",
            ["circuit.bits=5"],
            [{**chip, **costs(k)} for k, chip in enumerate(chips)],
        ),
        "spread": fit(
            "spread", "crossbar_ir_drop", shape, [crossbar_chip(x, drive, **wires) for x in spread]
        ),
        "failed": fit("failed", "adc_sar8", ["circuit.bits=5"], [bad]),
        "few": fit("few", "adc_sar8_mismatch", ["circuit.bits=5"], adc_population(4, 1, bits=5)),
    }


@pytest.fixture(scope="session")
def macros(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Model files: twelve chips, one chip, one chip of nonlinear cells, one without vectors."""
    folder = tmp_path_factory.mktemp("macros")

    def save(name: str, model: Surrogate) -> Path:
        model.save(folder / f"{name}.h5")
        return folder / f"{name}.h5"

    many = fit_results(results(folder / "many.results.h5"))
    one = fit_results(results(folder / "one.results.h5", chips=1))
    sinh = results(folder / "sinh.results.h5", chips=1, settings=(*MACRO, *MACRO_SINH), v0=0.1)
    arrays = {n: a for n, a in one.model.arrays.items() if not n.startswith("replay_")}
    return {
        "macros": save("macros", many),
        "macro": save("macro", one),
        "sinh": save("sinh", fit_results(sinh)),
        "old": save("old", type(one)(replace(one.model, arrays=arrays))),
    }
