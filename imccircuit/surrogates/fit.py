"""From a results file to a surrogate, and from a surrogate and new results to a verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from imccircuit.benches.bench import Bench
from imccircuit.errors import UsageError
from imccircuit.recipes.fields import unit_of
from imccircuit.results.read import Results, read_results
from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.conditions import check_conditions, with_conditions
from imccircuit.surrogates.data import measured_point
from imccircuit.surrogates.registry import get_kind
from imccircuit.surrogates.verdict import Verdict
from imccircuit.units import format_quantity


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
    model = get_kind(bench.surrogate).fit(measured)
    verdict = with_open_gates(model.verdict, model, bench)
    return with_conditions(type(model)(replace(model.model, verdict=verdict)), measured)


def check(model: Surrogate, results: Results, point: int | None = None) -> Verdict:
    """Verdict of a model on results, against the gates that the model carries.

    Results that the model was fitted to are split as the fit did. Of others all counts as held out
    but what the fit saw already, such as the first chips of the same seed with more samples.

    Raises
    ------
    UsageError : the results are of a bench whose surrogate is of another kind, were measured under
        other conditions or on another circuit than those of the fit, or do not fit.
    """
    measured = measured_point(results, point)
    if measured.recipe.bench.surrogate != model.kind:
        raise UsageError(
            f"{results.path} is of bench {measured.recipe.bench.name}, "
            f"which a surrogate of kind {model.kind} does not describe"
        )
    if model.was_fitted_to(measured):
        return with_open_gates(model.judge(measured), model, measured.recipe.bench)
    unknown = check_conditions(model, measured)
    verdict = with_open_gates(model.judge(measured), model, measured.recipe.bench)
    check_conditions(model, measured, varied=True)
    notes = (model.seen_again(measured).note(), *verdict.notes, unknown)
    return replace(verdict, notes=tuple(note for note in notes if note))


def with_open_gates(verdict: Verdict, model: Surrogate, bench: Bench) -> Verdict:
    """The same verdict, with a note of the gates of ``model`` where nothing was judged by any."""
    if verdict.state != "not judged" or verdict.gates:
        return verdict
    limits = [
        f"{name} <= {format_quantity(model.model.gates[name], unit_of(field))}"
        for name, field in bench.gates.model_fields.items()
        if name in model.model.gates
    ]
    note = f"gates that were not judged: {', '.join(limits)}"
    return replace(verdict, notes=(*verdict.notes, note)) if limits else verdict
