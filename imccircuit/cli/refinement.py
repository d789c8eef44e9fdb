"""Rounds of ``imccircuit fit --refine``: fit, ask where the surrogate is unsure, measure there."""

from __future__ import annotations

import copy
from pathlib import Path

import typer

from imccircuit.cli.output import complain
from imccircuit.cli.progress import interrupts, progress_of
from imccircuit.errors import ExitCode, UsageError
from imccircuit.recipes.load import Recipe, check_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.recipes.settings import apply_settings
from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.data import Measured
from imccircuit.surrogates.refine import Proposal, fit_refined, measured_once, merge
from imccircuit.sweeps.run import RunOptions, Stopper, run_plan

# What more points can mend; a spread takes more chips.
_ERRORS = ("nrmse", "max_error")


def refine(path: Path, budget: int, *, jobs: int = 0, as_json: bool = False) -> Surrogate:
    """Fit to a results file and up to ``budget`` further values of one axis.

    Each is measured on the same chips in a file beside: ``NAME.refine1.h5``, ``NAME.refine2.h5``
    and so on. Files that are there already are used, so an interrupted refinement goes on with the
    same command. It ends when the gates ``nrmse`` and ``max_error`` hold and the surrogate's
    own doubt is within the latter; a gate on a spread takes more chips, not more points.

    Raises
    ------
    UsageError : nothing can be refined, or a point beside holds something else.
    typer.Exit : interrupted, or some chips could not be measured.
    """
    first = measured_once(path)
    merged, others = first, list[Measured]()
    while True:
        model = fit_refined(merged, others)
        proposal = model.propose(merged, 1)
        limit = model.model.gates["max_error"]
        errors = [gate for gate in model.verdict.gates if gate.name in _ERRORS]
        held = bool(errors) and all(gate.holds for gate in errors)
        complain(
            f"refinement: {len(others)} of {budget} points, verdict {model.verdict.state}, own "
            f"doubt {_shown(proposal.doubt, proposal)} (gate {_shown(limit, proposal)})"
        )
        if len(others) == budget or not proposal.values or (held and proposal.doubt <= limit):
            return model
        target = path.with_name(f"{path.stem}.refine{len(others) + 1}.h5")
        _measure(refined_recipe(first, proposal), target, jobs, as_json=as_json)
        others.append(measured_once(target))
        merged = merge(first, others, proposal)


def _shown(value: float, proposal: Proposal) -> str:
    return f"{value:.2%} of full scale" if proposal.doubt_unit == "1" else f"{value:.3g} LSB"


def refined_recipe(measured: Measured, proposal: Proposal) -> Recipe:
    """Recipe of the results with the proposed values alone on the axis they belong to."""
    raw = copy.deepcopy(dict(measured.recipe.raw))
    values = [f"{value!r} {proposal.unit}" for value in proposal.values]
    apply_settings(raw, [(proposal.key, values)])
    recipe = measured.recipe
    return check_recipe(recipe.name, str(measured.results.path), recipe.text, raw)


def _measure(recipe: Recipe, target: Path, jobs: int, *, as_json: bool) -> None:
    plan, stopper = Plan(recipe), Stopper()
    options = RunOptions(jobs=jobs, mode="resume")
    with interrupts(stopper), progress_of(plan.tasks, as_json=as_json) as progress:
        summary = run_plan(plan, target, options, progress=progress, stopper=stopper)
    if summary.interrupted:
        complain("unfinished; go on with the same command")
        raise typer.Exit(ExitCode.INTERRUPTED)
    if summary.failed:
        raise UsageError(f"{target}: {summary.failed} chips could not be measured")
