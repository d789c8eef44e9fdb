"""``imccircuit cache``: what was simulated before, and how much room it takes."""

from __future__ import annotations

from typing import Annotated

import typer

from imccircuit.cli.output import JsonFlag, say, say_json
from imccircuit.engines.store import AnswerStore
from imccircuit.errors import UsageError
from imccircuit.units import parse_bytes

NAME = "cache"


def command(
    clear: Annotated[bool, typer.Option("--clear", help="Forget all answers.")] = False,
    limit: Annotated[
        str, typer.Option(metavar="BYTES", help='Room it may take from now on, such as "2 GB".')
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Show, limit or clear the answers of simulations that later runs take from the cache."""
    store = AnswerStore.of_user()
    if clear:
        store.clear()
    if limit:
        try:
            store.set_limit(parse_bytes(limit))
        except ValueError as error:
            raise UsageError(f"--limit {limit}: {error}") from None
    answers, used, most = store.usage()
    if as_json:
        say_json({"path": store.path, "answers": answers, "bytes": used, "limit_bytes": most})
        return
    say(f"{store.path}: {answers} answers, {used / 1e6:.1f} MB of at most {most / 1e9:.4g} GB")
