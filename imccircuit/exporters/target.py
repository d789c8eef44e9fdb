"""What an export target is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imccircuit.exporters.content import Content, Fidelity
from imccircuit.exporters.replay import Difference, Replay
from imccircuit.surrogates.base import Surrogate


@dataclass(frozen=True)
class Chain:
    """How a target runs the exports of a macro's parts as one.

    Attributes
    ----------
    usage : content of the macro → how to use them together, Markdown.
    write : writes what chains them into the folder that holds ``array/`` and ``converters/``.
    replay : drives the stored vectors of the whole through the target's own code.
    """

    usage: Callable[[Content], str]
    write: Callable[[Content, Path], None] | None = None
    replay: Callable[[Path], tuple[Difference, ...]] | None = None


@dataclass(frozen=True)
class Target:
    """One format that models are exported to.

    Attributes
    ----------
    name : what ``imccircuit export`` calls it, and the name of its folder.
    summary : one line.
    usage : content → how to use the export, in about ten lines of Markdown.
    write : writes the target's own files into an empty folder.
    replay : drives the stored vectors of an exported folder through the target's own code;
        `SetupError` where that is not installed.
    fidelity : what becomes of every quantity, where this target keeps less than the content has.
    kinds : kinds of surrogates that it takes.
    default : what stands where an export lacks a part of a system, such as a DAC.
    defaults : the same by part (`imccircuit.exporters.fidelity.PARTS`), where it is another.
    chain : how it runs array and converters of a macro as one, where it takes macros as parts.
    """

    name: str
    summary: str
    usage: Callable[[Content], str]
    write: Callable[[Content, Surrogate, Path], None]
    replay: Callable[[Path], Replay]
    fidelity: Callable[[Content], tuple[Fidelity, ...]] = lambda content: content.fidelity
    kinds: tuple[str, ...] = ("adc", "crossbar")
    default: str = "nothing takes its place: it is for the user to add"
    defaults: Mapping[str, str] = field(default_factory=dict)
    chain: Chain | None = None
