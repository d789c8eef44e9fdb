"""What an export target is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from imccircuit.exporters.content import Content
from imccircuit.surrogates.base import Surrogate


@dataclass(frozen=True)
class Target:
    """One format that models are exported to.

    Attributes
    ----------
    name : what ``imccircuit export`` calls it, and the name of its folder.
    summary : one line.
    usage : content → how to use the export, in about ten lines of Markdown.
    write : writes the target's own files into an empty folder.
    """

    name: str
    summary: str
    usage: Callable[[Content], str]
    write: Callable[[Content, Surrogate, Path], None]
