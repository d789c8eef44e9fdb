"""The contract of all surrogates, and what a model is made of."""

from __future__ import annotations

import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.errors import UsageError
from imccircuit.surrogates.data import Measured, file_sha256
from imccircuit.surrogates.domain import DomainWarning, callers_level, outside_text
from imccircuit.surrogates.inputs import input_names, named_inputs, whole_draws
from imccircuit.surrogates.physical import with_the_impossible
from imccircuit.surrogates.verdict import Verdict
from imccircuit.versions import library_versions

if TYPE_CHECKING:
    from imccircuit.surrogates.refine import Proposal
    from imccircuit.surrogates.seen import Again

REFINED = "refined_with"
"""Setting of a model that lists, as JSON, the results files it was fitted to beside the first."""


@dataclass(frozen=True)
class ModelArray:
    """One array of a model.

    Attributes
    ----------
    values : numbers in SI.
    units : their unit, ``1`` for pure numbers.
    dims : names of the axes.
    long_name : what it is.
    """

    values: NDArray[Any]
    units: str
    dims: tuple[str, ...]
    long_name: str


@dataclass(frozen=True)
class Parameter:
    """One fitted number.

    Attributes
    ----------
    name, value, unit : SI.
    sigma : standard deviation in ``unit``; NaN where the data do not identify it, 0 where it was
        not fitted.
    note : what the data could not tell, empty if nothing.
    """

    name: str
    value: float
    unit: str
    sigma: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class ModelProvenance:
    """Where a model comes from.

    Attributes
    ----------
    recipe_name, title, bench : as in the results file.
    results_digest : SHA-256 of all that decides the results' numbers but the engine.
    results_sha256 : SHA-256 of the results file itself.
    seed : entropy of the results' draws.
    point : sweep point the model was fitted to.
    reference : who measured, such as ``ngspice 46``.
    versions : of what measured and what fitted, by name.
    """

    recipe_name: str
    title: str
    bench: str
    results_digest: str
    results_sha256: str
    seed: int
    point: int
    reference: str
    versions: Mapping[str, str]


def provenance_of(measured: Measured) -> ModelProvenance:
    """Provenance of a model that is fitted to ``measured`` here and now."""
    stored = measured.results.provenance
    return ModelProvenance(
        recipe_name=stored.recipe_name,
        title=stored.title,
        bench=stored.bench,
        results_digest=stored.digest,
        results_sha256=file_sha256(measured.results.path),
        seed=stored.seed,
        point=measured.point,
        reference=measured.reference,
        versions={
            **{f"measured_{name}": value for name, value in stored.versions.items()},
            **{f"fitted_{name}": value for name, value in library_versions().items()},
        },
    )


@dataclass(frozen=True)
class Model:
    """Everything a model file holds, whatever its kind.

    Attributes
    ----------
    arrays, parameters : what predicts.
    settings : facts of the recipe that the model needs, as text.
    gates : limits by name, from the recipe.
    domain : where the model holds, name → value with unit.
    provenance, verdict : see there.
    limits : name of an input of `Surrogate.predict`, or of what is counted in its inputs (rows,
        columns) → (low, high) in SI between which the model holds, ends included. Files of older
        versions lack some or all, and what has no limits is not checked.
    """

    arrays: Mapping[str, ModelArray]
    parameters: Mapping[str, Parameter]
    settings: Mapping[str, str]
    gates: Mapping[str, float]
    domain: Mapping[str, str]
    provenance: ModelProvenance
    verdict: Verdict = field(default_factory=lambda: Verdict("not judged", "not judged yet"))
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def check_count(n: int) -> None:
    """Refuse to draw fewer than one chip.

    Raises
    ------
    UsageError : ``n`` is below 1.
    """
    if n < 1:
        raise UsageError(f"at least one chip must be drawn, not {n}")


class Surrogate(ABC):
    """A behavioural model fitted to a results file.

    A kind is a subclass with ``kind``, ``fit``, ``judge``, ``predict`` and ``admissibility``, and
    one line in the registry. Everything it needs stands in ``model``, so saving and loading are
    the same for all kinds.
    """

    kind: ClassVar[str]
    required: ClassVar[tuple[str, ...]] = ()
    """Arrays without which a file is no model of this kind."""
    required_parameters: ClassVar[tuple[str, ...]] = ()
    inputs: ClassVar[tuple[str, ...]] = ()
    """Names of the inputs of `predict`, read off its signature."""
    open_inputs: ClassVar[tuple[str, ...]] = ()
    """Inputs that may hold NaN or infinities, to which the kind has an answer of its own."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Let a kind refuse inputs that its signature does not name, and what is no number.

        Raises
        ------
        TypeError : the signature hides inputs behind ``*`` or ``**``.
        """
        super().__init_subclass__(**options)
        if "predict" in vars(cls):
            cls.inputs = input_names(cls.predict, cls.__name__)
            cls.predict = named_inputs(cls.predict, cls.__name__)  # type: ignore[method-assign]
        if callable(vars(cls).get("sample_chips")):
            cls.sample_chips = whole_draws(cls.sample_chips)  # type: ignore[method-assign]
        if callable(vars(cls).get("admissibility")):
            checked = with_the_impossible(cls.admissibility)
            cls.admissibility = checked  # type: ignore[assignment, method-assign]

    def __init__(self, model: Model) -> None:
        self.model = model
        self._warned: set[str] = set()

    @classmethod
    @abstractmethod
    def fit(cls, measured: Measured) -> Self:
        """Model of what was measured, with its verdict on the part that the fit did not see.

        Raises
        ------
        UsageError : there is nothing to fit.
        """

    @abstractmethod
    def judge(self, measured: Measured) -> Verdict:
        """Verdict on measured data.

        Data that the model was fitted to (same digest and point) are split as the fit did; all
        others count as held out.
        """

    @abstractmethod
    def predict(self, *args: Any, **kwargs: Any) -> dict[str, NDArray[Any]]:
        """Named outputs for named inputs; each kind names and documents its own.

        A kind's own signature lists its inputs one by one, by keyword. All take ``strict``.

        Raises
        ------
        UsageError : an input is unknown to the kind, or one that it needs is missing.
        """

    @abstractmethod
    def admissibility(self) -> tuple[str, ...]:
        """Everything about the model that physics does not allow, one line each.

        What no kind may have, such as a negative noise, is added; see `physical.impossible`.
        """

    @abstractmethod
    def sample_chips(self, n: int, seed: int) -> dict[str, NDArray[np.float64]]:
        """Draw chips of the fitted population: named arrays (chip, …).

        Chip k depends on the seed and on k, not on ``n``.

        Raises
        ------
        UsageError : no variation was measured.
        """

    @property
    def verdict(self) -> Verdict:
        """Verdict of the fit."""
        return self.model.verdict

    @property
    def domain(self) -> Mapping[str, str]:
        """Where the model holds."""
        return self.model.domain

    @property
    def limits(self) -> Mapping[str, tuple[float, float]]:
        """Where the inputs of `predict` may be: name → (low, high) in SI, ends included."""
        return self.model.limits

    def check_domain(self, name: str, values: ArrayLike, *, strict: bool = False) -> None:
        """Warn once about inputs outside the domain, or refuse them.

        Parameters
        ----------
        name : one of `limits`; others have none.
        values : any shape, SI.
        strict : refuse instead of warning.

        Raises
        ------
        UsageError : ``strict``, and a value is outside.
        """
        text = outside_text(self.limits, name, values)
        if not text:
            return
        if strict:
            raise UsageError(text)
        if name not in self._warned:
            self._warned.add(name)
            warnings.warn(text, DomainWarning, stacklevel=callers_level())

    def array(self, name: str) -> NDArray[Any]:
        """Values of one of the model's arrays."""
        return self.model.arrays[name].values

    def value(self, name: str) -> float:
        """Value of one of the model's parameters, in SI."""
        return self.model.parameters[name].value

    def was_fitted_to(self, measured: Measured) -> bool:
        """Whether these are the results and the point of the fit."""
        mine, theirs = self.model.provenance, measured.results.provenance
        refined = json.loads(self.model.settings.get(REFINED, "[]"))
        digests = [mine.results_digest, *(source["results_digest"] for source in refined)]
        return theirs.digest in digests and mine.point == measured.point

    def seen_again(self, measured: Measured) -> Again:
        """What the fit saw of results that are not its own; a kind says how it knows it again."""
        from imccircuit.surrogates.seen import Again

        return Again.of_chips(np.zeros(measured.chips, dtype=bool))

    def propose(self, measured: Measured, count: int) -> Proposal:  # noqa: ARG002 - for kinds
        """Where further measurements of the same chips would help most; see `Proposal`.

        Raises
        ------
        UsageError : this kind, or this model, has nothing to ask for.
        """
        raise UsageError(
            f"a surrogate of kind {self.kind} cannot be refined; allowed: cell, front_end"
        )

    def judged(self, measured: Measured) -> Self:
        """Return the same model with its verdict on ``measured``."""
        return type(self)(replace(self.model, verdict=self.judge(measured)))

    def save(self, path: Path) -> None:
        """Write the model, whole or not at all; see `imccircuit.surrogates.files.save_model`."""
        from imccircuit.surrogates.files import save_model

        save_model(self, path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a model of this kind.

        Raises
        ------
        FileFormatError : it is torn, foreign, or of another kind.
        """
        from imccircuit.errors import FileFormatError
        from imccircuit.surrogates.files import load_model

        model = load_model(path)
        if not isinstance(model, cls):
            text = f"{path}: a surrogate of kind {model.kind}, not {cls.kind}"
            raise FileFormatError(text)
        return model
