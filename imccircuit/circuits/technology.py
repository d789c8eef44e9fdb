"""Transistors of a technology in netlists: models, corner, sizes, mismatch.

Cells in ``netlists/`` call their transistors by the model names ``nmos`` and ``pmos``;
`technology_cell` puts the technology's own in their place, as element M, or as element X where
the library gives subcircuits. Mismatch is given as ``delvto`` and ``mulu0``, parameters of BSIM4
instances; a library of subcircuits has its own way, so there mismatch is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from imccircuit.circuits.cells import read_cell
from imccircuit.devices.mos import MosCard, Transistor
from imccircuit.errors import UsageError

_TRANSISTOR = re.compile(r"^M(\S+)((?:\s+\S+){4})\s+(nmos|pmos)\s+(.*)$", re.IGNORECASE)
_MISMATCH = re.compile(r"\s*\b(?:delvto|mulu0)\s*=\s*(?:\{[^}]*\}|\S+)", re.IGNORECASE)


@dataclass(frozen=True)
class Technology:
    """Transistors at one corner and supply, for generators.

    Attributes
    ----------
    card : the technology.
    corner : one of its corners.
    supply_v : supply in V.
    """

    card: MosCard
    corner: str
    supply_v: float

    @property
    def include_line(self) -> str:
        """Deck line that brings in the models; once in a circuit's ``raw_spice``."""
        return self.card.include_line(self.corner)

    def size(self, kind: str, widths: float = 1.0, lengths: float = 1.0) -> tuple[float, float]:
        """Gate width and length in m, in multiples of the card's own."""
        device = self.device(kind)
        return widths * device.width.value, lengths * device.length.value

    def device(self, kind: str) -> Transistor:
        """Card entry of ``nmos`` or ``pmos``."""
        return self.card.nmos if kind == "nmos" else self.card.pmos

    def cell(self, name: str) -> str:
        """Text of ``netlists/<name>.subckt`` with this technology's transistors."""
        return technology_cell(name, self.card)

    def line(
        self, name: str, kind: str, nodes: tuple[str, str, str, str], w_m: float, l_m: float,
        *, delta_vth_v: float = 0.0, mobility: float = 1.0,
    ) -> str:  # fmt: skip
        """Write one transistor, nodes in the order drain, gate, source, bulk.

        Parameters
        ----------
        name : without the leading element letter.
        delta_vth_v : threshold shift in V (``delvto``).
        mobility : factor on the mobility (``mulu0``).

        Raises
        ------
        UsageError : mismatch with a library of subcircuits.
        """
        text = f"M{name} {' '.join(nodes)} {kind} W={w_m!r} L={l_m!r}"
        if delta_vth_v != 0.0 or mobility != 1.0:
            check_mismatch(self.card)
            text += f" delvto={delta_vth_v!r} mulu0={mobility!r}"
        return _bind(text, self.card)


def check_mismatch(card: MosCard) -> None:
    """Refuse mismatch where the transistors are subcircuits.

    Raises
    ------
    UsageError : they are.
    """
    if card.device != "model":
        raise UsageError(
            f"card {card.file.name} gives transistors as subcircuits, which take no mismatch from "
            'outside; allowed: device = "model", or no transistor among variation.quantities'
        )


def technology_cell(name: str, card: MosCard) -> str:
    """Text of ``netlists/<name>.subckt`` with the transistors of ``card``."""
    return "\n".join(_bind(line, card) for line in read_cell(name).splitlines())


def _bind(line: str, card: MosCard) -> str:
    found = _TRANSISTOR.match(line)
    if found is None:
        return line
    name, nodes, kind, rest = found.groups()
    model = (card.nmos if kind.lower() == "nmos" else card.pmos).model
    if card.device == "model":
        return f"M{name}{nodes} {model} {rest}"
    return f"XM{name}{nodes} {model} {_MISMATCH.sub('', rest)}".rstrip()
