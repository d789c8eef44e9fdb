"""Front ends and digital-to-analog converters keep the contract of all kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic import write
from synthetic_ports import (
    CODES,
    RANGE_A,
    groups,
    ideal_tia,
    pulses,
    strings,
    write_dac,
    write_mirrors,
)

from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.testing import SurrogateContract

CURRENTS = {"current_a": np.linspace(0, RANGE_A, 12).reshape(3, 4)}
COST = {"energy": "J", "latency": "s"}


class FrontEndContract(SurrogateContract):
    @pytest.fixture
    def inputs(self) -> dict[str, Any]:
        return CURRENTS

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"output_voltage_v": (3, 4), "input_voltage_v": (3, 4)}

    def carried(self) -> dict[str, str]:
        return {**COST, "noise": "V", "settling_time": "s"}

    def outside(self) -> dict[str, Any]:
        return {"current_a": 1.5 * RANGE_A}

    def refused(self) -> tuple[dict[str, Any], ...]:
        return (
            {"current_a": 0.0, "chip": 40},
            {"current_a": np.nan},
            {"current_a": 0.0, "output_coefficient_v": np.zeros(3)},
        )

    def spoil(self) -> str:
        return "output_coefficient"


class TestOneFrontEnd(FrontEndContract):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
        cls.results = tmp_path_factory.mktemp("front") / "r.h5"
        return fit_results(write(cls.results, "readout_tia", [], [ideal_tia()]))

    @pytest.fixture
    def draws(self) -> bool:
        return False

    def fitted_results(self, model: Surrogate) -> Path:
        del model
        return self.results

    def other_results(self, folder: Path) -> Path:
        return write(folder / "o.h5", "readout_tia", [], [ideal_tia(gain=1001.0)])


class TestManyFrontEnds(FrontEndContract):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
        cls.results = tmp_path_factory.mktemp("fronts") / "r.h5"
        return fit_results(write_mirrors(cls.results, 20, seed=1))

    @pytest.fixture
    def draws(self) -> bool:
        return True

    def fitted_results(self, model: Surrogate) -> Path:
        del model
        return self.results

    def other_results(self, folder: Path) -> Path:
        return write_mirrors(folder / "o.h5", 8, seed=2)


class DacContract(SurrogateContract):
    results: Path

    def fitted_results(self, model: Surrogate) -> Path:
        del model
        return self.results

    @pytest.fixture
    def inputs(self) -> dict[str, Any]:
        return {"code": CODES.reshape(8, 8)}

    @pytest.fixture
    def draws(self) -> bool:
        return True

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"output_level_v": (8, 8)}

    def carried(self) -> dict[str, str]:
        return {**COST, "area": "m**2"}

    def outside(self) -> None:
        return None  # codes beyond the last one are refused

    def refused(self) -> tuple[dict[str, Any], ...]:
        return (
            {"code": 64},
            {"code": -1},
            {"code": 0.5},
            {"code": 0, "chip": 99},
            {"code": 0, "output_level": np.zeros(5)},
        )

    def spoil(self) -> str:
        return "number"


class TestOneGroup(DacContract):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
        cls.results = tmp_path_factory.mktemp("group") / "r.h5"
        return fit_results(write_dac(cls.results, "capacitor", groups(1, seed=1)))

    def other_results(self, folder: Path) -> Path:
        return write_dac(folder / "o.h5", "capacitor", groups(1, seed=2))

    @pytest.fixture
    def draws(self) -> bool:
        return False


class TestManyGroups(DacContract):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
        cls.results = tmp_path_factory.mktemp("groups") / "r.h5"
        return fit_results(write_dac(cls.results, "capacitor", groups(20, seed=1)))

    def other_results(self, folder: Path) -> Path:
        return write_dac(folder / "o.h5", "capacitor", groups(8, seed=2))


class TestManyStrings(DacContract):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
        cls.results = tmp_path_factory.mktemp("strings") / "r.h5"
        return fit_results(write_dac(cls.results, "string", strings(20, seed=1)))

    def other_results(self, folder: Path) -> Path:
        return write_dac(folder / "o.h5", "string", strings(8, seed=2))


class TestManyPulses(DacContract):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
        cls.results = tmp_path_factory.mktemp("pulses") / "r.h5"
        return fit_results(write_dac(cls.results, "pulse_width", pulses(20, seed=1)))

    def other_results(self, folder: Path) -> Path:
        return write_dac(folder / "o.h5", "pulse_width", pulses(8, seed=2))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"output_level_s": (8, 8)}
