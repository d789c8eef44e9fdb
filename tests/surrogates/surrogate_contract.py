"""What every kind of surrogate promises; a kind inherits these tests and gives the fixtures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from imccircuit.errors import FileFormatError, ImcError, UsageError
from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.files import SCHEMA, load_model
from imccircuit.surrogates.registry import get_kind, kind_names
from imccircuit.surrogates.verdict import Verdict


class SurrogateContract:
    """Fixtures a kind gives: ``model``, ``inputs`` of `predict`, ``draws`` whether it can draw."""

    @pytest.fixture
    def path(self, model: Surrogate, tmp_path: Path) -> Path:
        file = tmp_path / "model.h5"
        model.save(file)
        return file

    def test_kind_is_registered(self, model: Surrogate) -> None:
        assert model.kind in kind_names()
        assert get_kind(model.kind) is type(model)

    def test_a_loaded_model_is_the_same(
        self, model: Surrogate, path: Path, inputs: dict[str, Any]
    ) -> None:
        loaded = load_model(path)
        assert type(loaded) is type(model)
        for name, array in model.model.arrays.items():
            again = loaded.model.arrays[name]
            np.testing.assert_array_equal(array.values, again.values)
            assert array.values.dtype == again.values.dtype
            assert (array.units, array.dims, array.long_name) == (
                again.units,
                again.dims,
                again.long_name,
            )
        assert repr(loaded.model.parameters) == repr(model.model.parameters)  # holds NaN
        assert str(loaded.verdict) == str(model.verdict)
        for part in ("settings", "gates", "domain", "provenance"):
            assert getattr(loaded.model, part) == getattr(model.model, part)
        for name, values in model.predict(**inputs).items():
            np.testing.assert_array_equal(values, loaded.predict(**inputs)[name])

    def test_file_is_plain_hdf5_with_units(self, path: Path) -> None:
        with h5py.File(path, "r") as file:
            assert file.attrs["schema"] == SCHEMA
            assert {"verdict", "domain", "provenance", "arrays"} <= set(file)
            for dataset in file["arrays"].values():
                assert dataset.attrs["units"]
                assert dataset.dtype.kind in "fi"
            assert len(file["provenance/results_digest"][()]) > 0
            assert len(file["provenance/results_sha256"][()]) == 64

    def test_the_same_model_makes_the_same_file(
        self, model: Surrogate, path: Path, tmp_path: Path
    ) -> None:
        model.save(tmp_path / "again.h5")
        assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()

    def test_it_is_physical(self, model: Surrogate) -> None:
        assert model.admissibility() == ()

    def test_it_says_what_it_is_worth(self, model: Surrogate) -> None:
        verdict = model.verdict
        assert verdict.state in ("pass", "fail", "not judged")
        assert verdict.reason
        assert verdict.domain
        assert verdict.state in str(verdict)
        assert str(Verdict.from_json(verdict.to_json())) == str(verdict)

    def test_draws(self, model: Surrogate, draws: bool) -> None:
        if not draws:
            with pytest.raises(UsageError):
                model.sample_chips(3, seed=1)
            return
        few, many = model.sample_chips(3, seed=7), model.sample_chips(5, seed=7)
        others = model.sample_chips(3, seed=8)
        for name, values in few.items():
            np.testing.assert_array_equal(values, many[name][:3])
            assert np.all(np.isfinite(values))
            assert not np.array_equal(values, others[name])
        with pytest.raises(UsageError):
            model.sample_chips(0, seed=1)

    def test_a_wrong_file_is_refused_in_one_line(self, path: Path, tmp_path: Path) -> None:
        whole = path.read_bytes()
        bad = tmp_path / "bad.h5"
        for content in (b"", b"hello", whole[: len(whole) // 2], whole[:100]):
            bad.write_bytes(content)
            self._refused(bad)
        self._refused(tmp_path / "nowhere.h5")

    def test_a_file_with_a_part_missing_is_refused(self, path: Path) -> None:
        with h5py.File(path, "r") as file:
            parts = [*file, *(f"arrays/{name}" for name in get_kind(file.attrs["kind"]).required)]
        whole = path.read_bytes()
        for part in parts:
            path.write_bytes(whole)
            with h5py.File(path, "a") as file:
                del file[part]
            self._refused(path)

    def test_a_foreign_schema_or_kind_is_refused(self, path: Path) -> None:
        for name, value in (("kind", "toaster"), ("schema", "imccircuit-model-99")):
            with h5py.File(path, "a") as file:
                file.attrs[name] = value
            self._refused(path)

    def test_a_save_that_fails_leaves_the_old_file(
        self, model: Surrogate, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = path.read_bytes()

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("imccircuit.surrogates.files._write_texts", fail)
        with pytest.raises(UsageError, match="No space left"):
            model.save(path)
        assert path.read_bytes() == before
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    @staticmethod
    def _refused(path: Path) -> None:
        with pytest.raises(FileFormatError) as caught:
            load_model(path)
        assert isinstance(caught.value, ImcError)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
