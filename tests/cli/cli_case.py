from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str


Cli = Callable[..., Ended]
