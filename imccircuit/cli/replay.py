"""``imccircuit replay``: an export's stored vectors through the target's own code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imccircuit.cli.output import JsonFlag, say_json, say_table
from imccircuit.errors import ExitCode

if TYPE_CHECKING:
    from imccircuit.exporters.replay import Replay

NAME = "replay"


def command(
    folder: Annotated[Path, typer.Argument(help="A folder that export wrote: DIR/<target>.")],
    as_json: JsonFlag = False,
) -> None:
    """Drive the stored SPICE vectors through the target's own code; exit 3 above its bound."""
    from imccircuit.exporters.export import replay_export

    found = replay_export(folder)
    if as_json:
        say_json(_as_dict(found))
    else:
        say_table(
            f"{folder}: target {found.target}, answered by {found.program}",
            ("output", "compared", "apart", "largest difference", "bound", ""),
            [
                (
                    item.quantity,
                    item.compared,
                    item.apart,
                    f"{item.largest:.3g} {item.unit}".removesuffix(" 1"),
                    f"{item.bound:.3g} {item.unit}".removesuffix(" 1"),
                    "good" if item.good else "OFF",
                )
                for item in found.differences
            ],
        )
    if not found.good:
        raise typer.Exit(ExitCode.BELOW_GATE)


def _as_dict(found: Replay) -> dict[str, object]:
    return {
        "target": found.target,
        "program": found.program,
        "good": found.good,
        "differences": [
            {
                "quantity": item.quantity,
                "unit": item.unit,
                "compared": item.compared,
                "apart": item.apart,
                "largest": item.largest,
                "bound": item.bound,
                "good": item.good,
            }
            for item in found.differences
        ],
    }
