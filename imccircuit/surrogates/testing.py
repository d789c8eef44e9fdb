"""What every kind of surrogate promises, as tests that a kind of one's own inherits.

Subclass `SurrogateContract` in a test module and give it three fixtures: ``model``, a fitted
surrogate, ``inputs`` of its `predict`, and ``draws``, whether it can draw chips. The methods from
`shapes` to `spoil` say more about a kind; a test whose method is not overridden is skipped and
names it, so that a report with ``-rs`` lists what a kind has not been asked. A method that returns
None, or nothing, says that there is nothing to ask. A kind that is not part of imccircuit makes
itself known first, with `imccircuit.surrogates.registry.register_kind`. Nothing here imports
pytest; the methods are called as its tests are, ``tmp_path`` is its fixture.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import SkipTest
from unittest.mock import patch

import h5py
import numpy as np

from imccircuit.errors import FileFormatError, ImcError, UsageError
from imccircuit.results.read import read_results
from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.data import measured_point
from imccircuit.surrogates.domain import DomainWarning
from imccircuit.surrogates.files import SCHEMA, load_model
from imccircuit.surrogates.registry import get_kind, kind_names
from imccircuit.surrogates.verdict import Verdict


class SurrogateContract:
    """Tests of one fitted surrogate; see the module for what a subclass gives."""

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Outputs of `predict` for ``inputs``, each with its shape."""
        raise self._not_given("shapes")

    def carried(self) -> Mapping[str, str]:
        """Figures that were measured and must be parameters of the model: name → SI unit."""
        raise self._not_given("carried")

    def outside(self) -> Mapping[str, Any] | None:
        """Inputs of which one is outside the domain; None if the kind knows no limits."""
        raise self._not_given("outside")

    def refused(self) -> tuple[Mapping[str, Any], ...]:
        """Inputs that `predict` must refuse in one line."""
        raise self._not_given("refused")

    def fitted_results(self, model: Surrogate) -> Path:
        """Results file of the fit."""
        del model
        raise self._not_given("fitted_results")

    def other_results(self, folder: Path) -> Path:
        """Results file of the same bench that the fit never saw, written into ``folder``."""
        del folder
        raise self._not_given("other_results")

    def spoil(self) -> str:
        """Name an array of the model of which one NaN makes it impossible."""
        raise self._not_given("spoil")

    def _not_given(self, method: str) -> SkipTest:
        return SkipTest(f"{type(self).__name__} does not say {method}()")

    def test_kind_is_registered(self, model: Surrogate) -> None:
        """The registry finds the class by its kind; `register_kind` puts it there."""
        _hold(model.kind in kind_names(), f"{model.kind} is not registered; see register_kind")
        _hold(get_kind(model.kind) is type(model), f"{model.kind} is registered as another class")

    def test_prediction_is_finite(self, model: Surrogate, inputs: dict[str, Any]) -> None:
        """Outputs are numbers."""
        found = model.predict(**inputs)
        _hold(bool(found), "nothing is predicted")
        for name, values in found.items():
            _hold(bool(np.all(np.isfinite(values))), f"{name} is not finite")

    def test_prediction_has_its_names_and_shapes(
        self, model: Surrogate, inputs: dict[str, Any]
    ) -> None:
        """Outputs are those that are named, in their shapes."""
        shapes, found = self.shapes(), model.predict(**inputs)
        _same("outputs", sorted(found), sorted(shapes))
        for name, shape in shapes.items():
            _hold(np.shape(found[name]) == shape, f"{name} has shape {np.shape(found[name])}")

    def test_arrays_and_parameters_have_units(self, model: Surrogate) -> None:
        """Every number says what it is measured in; σ is a σ."""
        for name, array in model.model.arrays.items():
            _hold(bool(array.units and array.long_name), f"array {name} has no unit or no name")
            _hold(array.values.ndim == len(array.dims), f"array {name} is not along its axes")
        for name, parameter in model.model.parameters.items():
            _hold(bool(parameter.unit) and parameter.name == name, f"parameter {name}")
            _hold(math.isnan(parameter.sigma) or parameter.sigma >= 0, f"sigma of {name}")

    def test_measured_figures_are_carried(self, model: Surrogate) -> None:
        """Energy, latency, area and noise stand in the model where they were measured."""
        for name, unit in self.carried().items():
            parameter = model.model.parameters[name]
            _hold(parameter.unit == unit, f"{name} is in {parameter.unit}")
            _hold(math.isfinite(parameter.value), f"{name} is {parameter.value!r}")

    def test_a_loaded_model_is_the_same(
        self, model: Surrogate, tmp_path: Path, inputs: dict[str, Any]
    ) -> None:
        """Arrays, parameters, verdict, limits and answers survive the file to the last bit."""
        loaded = load_model(_saved(model, tmp_path))
        _hold(type(loaded) is type(model), f"loaded as {type(loaded).__name__}")
        for name, array in model.model.arrays.items():
            again = loaded.model.arrays[name]
            np.testing.assert_array_equal(array.values, again.values)
            _hold(array.values.dtype == again.values.dtype, f"{name} has another type")
            before = (array.units, array.dims, array.long_name)
            _hold(before == (again.units, again.dims, again.long_name), f"{name} was renamed")
        _same("parameters", repr(loaded.model.parameters), repr(model.model.parameters))
        _same("verdict", str(loaded.verdict), str(model.verdict))
        for part in ("settings", "gates", "domain", "provenance", "limits"):
            _same(part, getattr(loaded.model, part), getattr(model.model, part))
        for name, values in model.predict(**inputs).items():
            np.testing.assert_array_equal(values, loaded.predict(**inputs)[name])

    def test_a_file_without_limits_is_read(self, model: Surrogate, tmp_path: Path) -> None:
        """Files of older versions know no limits."""
        path = _saved(model, tmp_path)
        with h5py.File(path, "a") as file:
            del file["limits"]
        _same("limits", dict(load_model(path).model.limits), {})

    def test_file_is_plain_hdf5_with_units(self, model: Surrogate, tmp_path: Path) -> None:
        """Anybody can read a model: numbers with units, no pickle, where from."""
        with h5py.File(_saved(model, tmp_path), "r") as file:
            _same("schema", file.attrs["schema"], SCHEMA)
            _hold({"verdict", "domain", "provenance", "arrays"} <= set(file), "a part is missing")
            for name, dataset in file["arrays"].items():
                _hold(bool(dataset.attrs["units"]), f"{name} has no unit")
                _hold(dataset.dtype.kind in "fi", f"{name} is of type {dataset.dtype}")
            _hold(len(file["provenance/results_digest"][()]) > 0, "no digest")
            _same("length of the sum", len(file["provenance/results_sha256"][()]), 64)

    def test_the_same_model_makes_the_same_file(self, model: Surrogate, tmp_path: Path) -> None:
        """A model file is a function of the model."""
        path = _saved(model, tmp_path)
        model.save(tmp_path / "again.h5")
        _hold((tmp_path / "again.h5").read_bytes() == path.read_bytes(), "the files differ")

    def test_it_is_physical(self, model: Surrogate) -> None:
        """A fitted model is admissible."""
        _same("admissibility", model.admissibility(), ())

    def test_a_spoiled_model_is_not(self, model: Surrogate) -> None:
        """One NaN in a named array is seen."""
        name = self.spoil()
        array = model.model.arrays[name]
        values = np.array(array.values, dtype=np.float64)
        values.flat[0] = np.nan
        arrays = {**model.model.arrays, name: replace(array, values=values)}
        spoiled = type(model)(replace(model.model, arrays=arrays))
        _hold(bool(spoiled.admissibility()), f"NaN in {name} is let pass")

    def test_it_says_what_it_is_worth(self, model: Surrogate) -> None:
        """The verdict has a state, a reason and a domain, and its text survives JSON."""
        verdict = model.verdict
        _hold(verdict.state in ("pass", "fail", "not judged"), f"state {verdict.state!r}")
        _hold(bool(verdict.reason and verdict.domain), "no reason or no domain")
        _hold(verdict.state in str(verdict), "the print does not say the state")
        _same("verdict", str(Verdict.from_json(verdict.to_json())), str(verdict))

    def test_the_verdict_can_be_repeated(self, model: Surrogate, tmp_path: Path) -> None:
        """A loaded model judges the results of its fit as the fit did."""
        mine = self.fitted_results(model)
        again = _judged(load_model(_saved(model, tmp_path)), mine, model.model.provenance.point)
        _same("verdict", str(again), str(model.verdict))

    def test_it_judges_other_results(self, model: Surrogate, tmp_path: Path) -> None:
        """A loaded model has a verdict on results that its fit never saw."""
        others = self.other_results(tmp_path)
        verdict = _judged(load_model(_saved(model, tmp_path)), others)
        _hold(verdict.points > 0, "nothing was judged on other results")

    def test_draws(self, model: Surrogate, draws: bool) -> None:
        """Chip k depends on the seed and on k alone; without variation drawing is refused."""
        if not draws:
            _refuses(lambda: model.sample_chips(3, seed=1))
            return
        few, many = model.sample_chips(3, seed=7), model.sample_chips(5, seed=7)
        others = model.sample_chips(3, seed=8)
        for name, values in few.items():
            np.testing.assert_array_equal(values, many[name][:3])
            _hold(bool(np.all(np.isfinite(values))), f"{name} is not finite")
            _hold(not np.array_equal(values, others[name]), f"{name} ignores the seed")
        _refuses(lambda: model.sample_chips(0, seed=1))

    def test_outside_its_domain_it_warns_once_or_refuses(
        self, model: Surrogate, inputs: dict[str, Any]
    ) -> None:
        """One warning, or with ``strict`` a refusal; inside it, neither."""
        asked = self.outside()
        if asked is None:
            _same("limits", dict(model.limits), {})
            return
        fresh = type(model)(model.model)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fresh.predict(**inputs, strict=True)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            fresh.predict(**asked)
            fresh.predict(**asked)
        told = [item for item in seen if issubclass(item.category, DomainWarning)]
        _same("number of warnings", len(told), 1)
        _refuses(lambda: fresh.predict(**asked, strict=True))

    def test_unknown_inputs_are_refused(self, model: Surrogate, inputs: dict[str, Any]) -> None:
        """A misspelt input is named, with those that the kind knows."""
        _hold("strict" in model.inputs, "predict takes no strict")
        _hold(set(inputs) <= set(model.inputs), "an input is not among those that are listed")
        _refuses(lambda: model.predict(**inputs, sede=1), "sede")
        _refuses(lambda: model.predict(**inputs, sede=1), ", ".join(model.inputs))

    def test_bad_inputs_are_refused_in_one_line(self, model: Surrogate) -> None:
        """Whatever cannot be predicted is refused, not guessed."""
        refused = self.refused()
        _hold(bool(refused), "nothing is refused")
        for bad in refused:
            _refuses(lambda bad=bad: model.predict(**bad))  # type: ignore[misc]

    def test_which_and_how_many_are_whole(self, model: Surrogate, inputs: dict[str, Any]) -> None:
        """Chips, seeds and counts that are no whole numbers are refused, not rounded."""
        for name in ("chip", "seed", "first_index"):
            if name in model.inputs:
                bad = {**inputs, name: 0.5}
                _refuses(lambda bad=bad: model.predict(**bad), name)  # type: ignore[misc]
        _refuses(lambda: model.sample_chips(2, seed=1.5), "seed")  # type: ignore[arg-type]
        _refuses(lambda: model.sample_chips(2, seed=2**64), "seed")
        _refuses(lambda: model.sample_chips(1.5, seed=1), "number")  # type: ignore[arg-type]

    def test_numbers_are_finite(self, model: Surrogate, inputs: dict[str, Any]) -> None:
        """An input with a NaN or an infinity is named and refused, unless the kind answers it."""
        for name, values in inputs.items():
            table = np.asarray(values)
            if name in model.open_inputs or table.dtype.kind != "f":
                continue
            for wrong in (np.nan, np.inf):
                spoiled = table.copy()
                spoiled.flat[0] = wrong
                bad = {**inputs, name: spoiled}
                _refuses(lambda bad=bad: model.predict(**bad))  # type: ignore[misc]

    def test_a_wrong_file_is_refused_in_one_line(self, model: Surrogate, tmp_path: Path) -> None:
        """Empty, foreign, torn or missing."""
        whole = _saved(model, tmp_path).read_bytes()
        bad = tmp_path / "bad.h5"
        for content in (b"", b"hello", whole[: len(whole) // 2], whole[:100]):
            bad.write_bytes(content)
            _no_model(bad)
        _no_model(tmp_path / "nowhere.h5")

    def test_a_file_with_a_part_missing_is_refused(self, model: Surrogate, tmp_path: Path) -> None:
        """Every group but the limits, every required array and parameter is needed."""
        path = _saved(model, tmp_path)
        with h5py.File(path, "r") as file:
            parts = [name for name in file if name != "limits"]
        parts += [f"arrays/{name}" for name in model.required]
        parts += [f"parameters/{name}" for name in model.required_parameters]
        whole = path.read_bytes()
        for part in parts:
            path.write_bytes(whole)
            with h5py.File(path, "a") as file:
                del file[part]
            _no_model(path)

    def test_a_verdict_that_contradicts_itself_is_refused(
        self, model: Surrogate, tmp_path: Path
    ) -> None:
        """The state stands twice in a file; one of them alone cannot be changed."""
        path = _saved(model, tmp_path)
        with h5py.File(path, "a") as file:
            file["verdict"].attrs["state"] = "fail" if model.verdict.state == "pass" else "pass"
        _no_model(path)

    def test_a_foreign_schema_or_kind_is_refused(self, model: Surrogate, tmp_path: Path) -> None:
        """A kind nobody knows, a schema of the future."""
        path = _saved(model, tmp_path)
        for name, value in (("kind", "toaster"), ("schema", "imccircuit-model-99")):
            with h5py.File(path, "a") as file:
                file.attrs[name] = value
            _no_model(path)

    def test_a_save_that_fails_leaves_the_old_file(self, model: Surrogate, tmp_path: Path) -> None:
        """A full disk costs nothing that was there."""
        path = _saved(model, tmp_path)
        before = path.read_bytes()
        full = OSError(28, "No space left on device")
        with patch("imccircuit.surrogates.files._write_texts", side_effect=full):
            _refuses(lambda: model.save(path), "No space left")
        _hold(path.read_bytes() == before, "the old file was changed")
        _same("files", [file.name for file in path.parent.iterdir()], [path.name])


def _saved(model: Surrogate, folder: Path) -> Path:
    path = folder / "model.h5"
    model.save(path)
    return path


def _judged(model: Surrogate, path: Path, point: int | None = None) -> Verdict:
    return model.judge(measured_point(read_results(path), point))


def _hold(condition: bool, text: str) -> None:
    if not condition:
        raise AssertionError(text)


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{what}: {found!r} is not {expected!r}")


def _refuses(call: Callable[[], object], text: str = "", kind: type[ImcError] = UsageError) -> None:
    try:
        call()
    except kind as error:
        _hold("\n" not in str(error), f"more than one line: {error}")
        _hold(text in str(error), f"{text!r} is not in {error}")
    else:
        raise AssertionError(f"not refused with {kind.__name__}")


def _no_model(path: Path) -> None:
    _refuses(lambda: load_model(path), str(path), FileFormatError)
