"""``imccircuit export``: a model to files that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imccircuit.cli.output import JsonFlag, say, say_json

NAME = "export"


def command(
    model: Annotated[Path, typer.Argument(help="A model file.")],
    to: Annotated[str, typer.Option(help="Targets, separated by commas: see list targets.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder; each target gets one inside it.")
    ] = Path("exports"),
    force: Annotated[
        bool, typer.Option("--force", help="Export below its gate; the export says so.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write one folder a target: data, adapter, provenance, verdict and what was lost."""
    from imccircuit.exporters.export import export_model
    from imccircuit.surrogates.files import load_model

    targets = [name.strip() for name in to.split(",") if name.strip()]
    folders = export_model(model, targets, output, force=force)
    verdict = load_model(model).verdict
    if as_json:
        say_json({"folders": folders, "verdict": verdict.state, "headline": verdict.headline()})
    else:
        say(verdict.headline())
        for folder in folders:
            say(f"exported: {folder}")
