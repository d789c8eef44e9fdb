"""Every kind of surrogate keeps the contract, fitted to files of known origin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from synthetic import (
    SINH,
    adc_chip,
    adc_population,
    array_and_drive,
    crossbar_chip,
    crossbar_settings,
    write,
)

from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.testing import SurrogateContract


class TestOneConverter(SurrogateContract):
    results: Path

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
        cls.results = write_converter(tmp_path_factory.mktemp("one") / "r.h5", 8.05)
        return fit_results(cls.results)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"code": (97,)}

    def carried(self) -> dict[str, str]:
        return {}  # these results have no costs

    def outside(self) -> dict[str, Any]:
        return {"voltage_v": -0.1}

    def refused(self) -> tuple[dict[str, Any], ...]:
        return ({"voltage_v": 0.5, "seed": 1}, {"voltage_v": 0.5, "chip": 1})

    def fitted_results(self, model: Surrogate) -> Path:
        return self.results

    def other_results(self, folder: Path) -> Path:
        return write_converter(folder / "o.h5", 7.97)

    def spoil(self) -> str:
        return "transition_level"

    @pytest.fixture
    def inputs(self) -> dict[str, Any]:
        return {"voltage_v": np.linspace(0, 1, 97)}

    @pytest.fixture
    def draws(self) -> bool:
        return False


class TestManyConverters(SurrogateContract):
    results: Path

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
        cls.results = tmp_path_factory.mktemp("many") / "r.h5"
        known = {"noise_sigma": np.asarray(1e-4), "latency": np.asarray(1e-7)}
        chips = [{**chip, **known} for chip in adc_population(20, seed=1, bits=5)]
        return fit_results(write(cls.results, "adc_sar8_mismatch", ["circuit.bits=5"], chips))

    def fitted_results(self, model: Surrogate) -> Path:
        return self.results

    def carried(self) -> dict[str, str]:
        return {"latency": "s", "noise_sampled": "V", "noise_decision": "V"}

    @pytest.fixture
    def inputs(self) -> dict[str, Any]:
        return {"voltage_v": np.linspace(0, 1, 97), "chip": 3}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"code": (97,)}

    def outside(self) -> dict[str, Any]:
        return {"voltage_v": np.array([0.5, 1.1])}

    def refused(self) -> tuple[dict[str, Any], ...]:
        return ({"voltage_v": 0.5, "chip": 20}, {"voltage_v": 0.5, "chip": -1},
                {"voltage_v": 0.5, "seed": -1}, {})  # fmt: skip

    def other_results(self, folder: Path) -> Path:
        chips = adc_population(8, seed=2, bits=5)
        return write(folder / "o.h5", "adc_sar8_mismatch", ["circuit.bits=5"], chips)

    def spoil(self) -> str:
        return "transition_level"

    @pytest.fixture
    def draws(self) -> bool:
        return True


class PlainCrossbar(SurrogateContract):
    """One chip without amplifiers: a subclass has its size and its cells."""

    rows: int
    cols: int
    more: tuple[str, ...] = ()
    v0: Mapping[str, float] = MappingProxyType({})
    results: Path

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
        cls.results = cls.write(tmp_path_factory.mktemp("plain") / "r.h5", 5)
        return fit_results(cls.results)

    @classmethod
    def write(cls, path: Path, seed: int) -> Path:
        g, drive = array_and_drive(cls.rows, cls.cols, 12, seed=seed)
        chip = crossbar_chip(g, drive, r_row=20.0, r_col=30.0, **cls.v0)
        settings = crossbar_settings(cls.rows, cls.cols, 12, *cls.more)
        return write(path, "crossbar_ir_drop", settings, [chip])

    @pytest.fixture
    def inputs(self) -> dict[str, Any]:
        return {"voltage_v": array_and_drive(self.rows, self.cols, 9, seed=8)[1]}

    @pytest.fixture
    def draws(self) -> bool:
        return False

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"output_current_a": (9, self.cols)}

    def carried(self) -> dict[str, str]:
        return {}  # the recipe measures no power

    def outside(self) -> dict[str, Any]:
        g = np.full((self.rows, self.cols), 1.0)
        return {"voltage_v": np.full((1, self.rows), 0.1), "conductance_s": g}

    def refused(self) -> tuple[dict[str, Any], ...]:
        return ({"voltage_v": np.zeros((2, self.rows + 1))}, {})

    def fitted_results(self, model: Surrogate) -> Path:
        return self.results

    def other_results(self, folder: Path) -> Path:
        return self.write(folder / "o.h5", 6)

    def spoil(self) -> str:
        return "conductance"


class TestLinearCrossbar(PlainCrossbar):
    rows, cols = 6, 4


class TestSinhCrossbar(PlainCrossbar):
    rows, cols, more = 4, 3, tuple(SINH)
    v0 = MappingProxyType({"v0": 0.25})


class TestAmplifiedCrossbar(SurrogateContract):
    results: Path

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
        cls.results = tmp_path_factory.mktemp("amplified") / "r.h5"
        return fit_results(write_amplified(cls.results, chips=12))

    def fitted_results(self, model: Surrogate) -> Path:
        return self.results

    def carried(self) -> dict[str, str]:
        return {}  # the recipe measures no power

    @pytest.fixture
    def inputs(self) -> dict[str, Any]:
        return {"voltage_v": array_and_drive(6, 4, 9, seed=8)[1], "chip": 2}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"output_current_a": (9, 4), "output_voltage_v": (9, 4)}

    def outside(self) -> dict[str, Any]:
        return {"voltage_v": np.full((1, 6), 0.3)}

    def refused(self) -> tuple[dict[str, Any], ...]:
        return ({"voltage_v": np.zeros((2, 5))}, {"voltage_v": np.zeros((2, 6)), "chip": 12})

    def other_results(self, folder: Path) -> Path:
        return write_amplified(folder / "o.h5", chips=6, seed=4)

    def spoil(self) -> str:
        return "conductance"

    @pytest.fixture
    def draws(self) -> bool:
        return True


def write_converter(path: Path, largest: float) -> Path:
    """One converter of four bits with its largest capacitor in units."""
    chip = adc_chip(np.array([1.0, 2.02, 3.99, largest]), 1.0, 2e-3)
    return write(path, "adc_sar8", ["circuit.bits=4"], [chip])


def write_amplified(path: Path, chips: int, seed: int = 3) -> Path:
    """Chips with their own conductances and amplifier offsets of 2 mV."""
    rng = np.random.default_rng(seed)
    drive = array_and_drive(6, 4, 12)[1]
    table = [
        crossbar_chip(
            1e-6 * rng.uniform(1, 100, (6, 4)),
            drive,
            amplifier_offset=2e-3 * rng.standard_normal(4),
            r_row=2.0,
            r_col=3.0,
        )
        for _ in range(chips)
    ]
    settings = crossbar_settings(6, 4, 12, "circuit.readout=tia")
    return write(path, "crossbar_ir_drop", settings, table)
