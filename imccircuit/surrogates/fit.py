"""From a results file to a surrogate, and from a surrogate and new results to a verdict."""

from __future__ import annotations

from pathlib import Path

from imccircuit.errors import UsageError
from imccircuit.results.read import Results, read_results
from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.data import measured_point
from imccircuit.surrogates.registry import get_kind
from imccircuit.surrogates.verdict import Verdict


def fit_results(path: Path, point: int | None = None) -> Surrogate:
    """Fit the surrogate that the bench of a results file names.

    Parameters
    ----------
    path : results file.
    point : sweep point; may be left out where there is only one.

    Raises
    ------
    FileFormatError : it is no whole results file.
    UsageError, InputError : nothing can be fitted to it; one line that says why.
    """
    measured = measured_point(read_results(Path(path)), point)
    bench = measured.recipe.bench
    if not bench.surrogate:
        raise UsageError(f"{path} is of bench {bench.name}, which no surrogate describes")
    return get_kind(bench.surrogate).fit(measured)


def check(model: Surrogate, results: Results, point: int | None = None) -> Verdict:
    """Verdict of a model on results, against the gates that the model carries.

    Results that the model was fitted to are split as the fit did; all others count as held out.

    Raises
    ------
    UsageError : the results are of a bench whose surrogate is of another kind, or do not fit.
    """
    measured = measured_point(results, point)
    if measured.recipe.bench.surrogate != model.kind:
        raise UsageError(
            f"{results.path} is of bench {measured.recipe.bench.name}, "
            f"which a surrogate of kind {model.kind} does not describe"
        )
    return model.judge(measured)
