"""A kind that is not part of imccircuit keeps the contract, and one that does not is caught."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import SkipTest

import numpy as np
import pytest
from numpy.typing import ArrayLike
from synthetic import adc_population, write

from imccircuit.errors import UsageError
from imccircuit.results.read import read_results
from imccircuit.surrogates import registry
from imccircuit.surrogates.base import Model, ModelArray, Surrogate, check_count, provenance_of
from imccircuit.surrogates.data import Measured, measured_point
from imccircuit.surrogates.registry import get_kind, kind_names, register_kind
from imccircuit.surrogates.testing import SurrogateContract
from imccircuit.surrogates.verdict import Verdict

FULL_SCALE_V = 1.0


class MeanOffset(Surrogate):
    """Codes of a converter that has an offset and nothing else."""

    kind = "mean_offset"
    required = ("offset",)

    @classmethod
    def fit(cls, measured: Measured) -> MeanOffset:
        levels = measured.arrays["transition_level"]
        ideal = FULL_SCALE_V * np.arange(1, levels.shape[1] + 1) / (levels.shape[1] + 1)
        offset = ModelArray((levels - ideal).mean(axis=1), "V", ("chip",), "offset")
        model = Model(
            arrays={"offset": offset},
            parameters={},
            settings={"codes": str(levels.shape[1] + 1)},
            gates={},
            domain={"input": "0 V to 1 V"},
            provenance=provenance_of(measured),
            limits={"voltage_v": (0.0, FULL_SCALE_V)},
        )
        return cls(model).judged(measured)

    def judge(self, measured: Measured) -> Verdict:
        return Verdict("not judged", "an example", points=measured.chips, domain=self.domain)

    def predict(
        self, *, voltage_v: ArrayLike, chip: int = 0, strict: bool = False
    ) -> dict[str, np.ndarray]:
        self.check_domain("voltage_v", voltage_v, strict=strict)
        if not 0 <= chip < len(self.array("offset")):
            raise UsageError(f"the model has no chip {chip}")
        codes = int(self.model.settings["codes"])
        moved = np.asarray(voltage_v) - self.array("offset")[chip]
        return {"code": np.clip(np.floor(codes * moved / FULL_SCALE_V), 0, codes - 1)}

    def sample_chips(self, n: int, seed: int) -> dict[str, np.ndarray]:
        check_count(n)
        offset = self.array("offset")
        drawn = [np.random.default_rng([seed, k]).standard_normal() for k in range(n)]
        return {"offset": offset.mean() + offset.std() * np.array(drawn)}

    def admissibility(self) -> tuple[str, ...]:
        finite = np.all(np.isfinite(self.array("offset")))
        return () if finite else ("an offset is not finite",)


SURROGATE = MeanOffset


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "my_kinds", sys.modules[__name__])
    register_kind("mean_offset", "my_kinds")
    yield
    registry._MODULES.pop("mean_offset")


class TestMeanOffset(SurrogateContract):
    results: Path

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
        cls.results = cls.write(tmp_path_factory.mktemp("own") / "r.h5", 1)
        return MeanOffset.fit(measured_point(read_results(cls.results)))

    @staticmethod
    def write(path: Path, seed: int) -> Path:
        chips = adc_population(4, seed=seed, bits=4)
        return write(path, "adc_sar8_mismatch", ["circuit.bits=4"], chips)

    @pytest.fixture
    def inputs(self) -> dict[str, Any]:
        return {"voltage_v": np.linspace(0, 1, 9), "chip": 2}

    @pytest.fixture
    def draws(self) -> bool:
        return True

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"code": (9,)}

    def carried(self) -> dict[str, str]:
        return {}

    def outside(self) -> dict[str, Any]:
        return {"voltage_v": 1.2}

    def refused(self) -> tuple[dict[str, Any], ...]:
        return ({}, {"voltage_v": 0.5, "chip": 4})

    def fitted_results(self, model: Surrogate) -> Path:
        return self.results

    def other_results(self, folder: Path) -> Path:
        return self.write(folder / "o.h5", 2)

    def spoil(self) -> str:
        return "offset"


class SaysNothing(SurrogateContract):
    """Collected by its name only where that begins with Test."""


def test_what_a_kind_does_not_say_is_skipped_by_name() -> None:
    with pytest.raises(SkipTest, match=r"SaysNothing does not say carried\(\)"):
        SaysNothing().carried()


def test_a_kind_that_ignores_its_limits_does_not_keep_the_contract() -> None:
    model: Any = type("Model", (), {"limits": {"voltage_v": (0.0, 1.0)}})()

    class Silent(SurrogateContract):
        def outside(self) -> None:
            return None

    with pytest.raises(AssertionError, match="limits"):
        Silent().test_outside_its_domain_it_warns_once_or_refuses(model, {})


def test_a_name_that_is_taken_is_refused() -> None:
    register_kind("mean_offset", "my_kinds")  # again is no conflict
    with pytest.raises(UsageError, match=r"'adc' is in imccircuit\.surrogates\.adc already"):
        register_kind("adc", "my_kinds")


def test_every_kind_of_the_registry_is_the_class_of_its_name() -> None:
    for kind in kind_names():
        assert get_kind(kind).kind == kind
