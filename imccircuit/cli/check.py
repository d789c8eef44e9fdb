"""``imccircuit check``: a model against SPICE results it was not fitted to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imccircuit.cli.output import JsonFlag, complain_unfinished, figures_of, say, say_json
from imccircuit.errors import ExitCode
from imccircuit.results.read import Results, read_results

if TYPE_CHECKING:
    from imccircuit.surrogates.base import Surrogate
    from imccircuit.surrogates.statistics import StatisticsReport

NAME = "check"


def command(
    model: Annotated[Path, typer.Argument(help="A model file.")],
    against: Annotated[Path, typer.Option(help="A results file of the same bench.")],
    point: Annotated[
        int | None, typer.Option(min=0, help="Sweep point; needed if there are several.")
    ] = None,
    statistics: Annotated[
        bool,
        typer.Option(
            "--statistics",
            help="Also compare σ of INL and DNL of each code, and the population as a whole.",
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Judge a model on new SPICE data; exit 3 if it is below its gate or disagrees there."""
    from imccircuit.cli.model_report import verdict_dict
    from imccircuit.surrogates.data import measured_point
    from imccircuit.surrogates.files import load_model
    from imccircuit.surrogates.fit import check

    loaded, measured = load_model(model), read_results(against)
    with figures_of(against):
        verdict = check(loaded, measured, point)
        report = _statistics(loaded, measured, point) if statistics else None
        complain_unfinished(measured, point)
        chips = measured_point(measured, point)
        mine = loaded.was_fitted_to(chips)
        fresh = not mine and not loaded.seen_again(chips).left_out.any()
    if as_json:
        found = {**verdict_dict(verdict), "fresh": fresh}
        say_json(found if report is None else {**found, "statistics": report.as_dict()})
    else:
        say(str(verdict))
        if mine:
            say("note: these are the results of the fit: nothing is fresh, and what it held out is")
            say("      what the verdict is on")
        if report is not None:
            say(str(report))
    if verdict.state == "fail" or (report is not None and report.state == "disagrees"):
        raise typer.Exit(ExitCode.BELOW_GATE)


def _statistics(model: Surrogate, results: Results, point: int | None) -> StatisticsReport:
    from imccircuit.surrogates.statistics import check_statistics

    return check_statistics(model, results, point)
