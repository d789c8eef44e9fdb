"""``imccircuit accuracy``: a study from circuits to the accuracy of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imccircuit.cli.output import JsonFlag, Settings, complain, say, say_json, say_table
from imccircuit.cli.study_figures import draw_study
from imccircuit.errors import ExitCode, UsageError
from imccircuit.sweeps.state import Mode

NAME = "accuracy"


def command(
    study: Annotated[str, typer.Argument(help="A shipped study's name or a .toml file.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder; default results/STUDY.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("-j", "--jobs", min=1, help="Default: all cores.")
    ] = None,
    settings: Settings = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with unfinished work.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget unfinished work.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Run a study: circuits in SPICE, surrogates, exports, and a network on all of them."""
    from imccircuit.networks.study import load_study, run_study

    if resume and fresh:
        raise UsageError("--resume and --fresh exclude each other")
    mode: Mode = "resume" if resume else "fresh" if fresh else "new"
    loaded = load_study(study, settings or [])
    folder = output or Path("results") / loaded.name

    def progress(text: str) -> None:
        if not as_json:
            complain(text)

    outcome = run_study(loaded, folder, jobs=jobs or 0, progress=progress, mode=mode)
    pictures = draw_study(outcome, folder)
    if as_json:
        say_json({**outcome.as_dict(), "pictures": pictures})
    else:
        for title, columns, rows in outcome.tables():
            say_table(title, columns, rows)
        for line in outcome.notes():
            say(line)
        for path in pictures:
            say(f"picture: {path}")
    if outcome.below_gate:
        raise typer.Exit(ExitCode.BELOW_GATE)
