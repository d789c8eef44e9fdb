"""A subcircuit that somebody else drew, and how it stands in a circuit around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Foreign:
    """What a generator needs to know of the subcircuit.

    Attributes
    ----------
    text : the netlist with the subcircuit in it.
    subcircuit : its name.
    pins : its pins in order.
    nodes : pin → role, ``open``, ``ground``, or a voltage in V to be held there.
    include_line : line that brings in a technology's models, empty for none.
    """

    text: str
    subcircuit: str
    pins: tuple[str, ...]
    nodes: Mapping[str, str | float]
    include_line: str

    @property
    def held(self) -> dict[str, float]:
        """Pins that are held at a voltage of their own, in V, each by ``vbias_<pin>``."""
        return {pin: v for pin in self.pins if isinstance(v := self.nodes[pin], float)}

    @property
    def meters(self) -> dict[str, tuple[str, str]]:
        """Block ``pin NAME`` of each held pin → its source and that source's plus node."""
        return {f"pin {pin}": (f"vbias_{pin}", f"bias_{pin}") for pin in self.held}

    @property
    def library(self) -> str:
        """Lines that define the subcircuit."""
        return "\n".join(filter(None, (self.include_line, self.text)))

    def instance(self, node_of: Mapping[str, str] | None = None) -> list[str]:
        """Lines of the sources of held pins, and of the instance ``xdut``.

        Parameters
        ----------
        node_of : role → node of the circuit around it; a role that is not in it is its node.
        """
        known = {"ground": "0", **(node_of or {})}
        lines = [f"vbias_{pin} bias_{pin} 0 {volts!r}" for pin, volts in self.held.items()]
        nodes = []
        for pin in self.pins:
            role = self.nodes[pin]
            if isinstance(role, float):
                nodes.append(f"bias_{pin}")
            else:
                nodes.append(f"open_{pin}" if role == "open" else known.get(role, role))
        return [*lines, f"xdut {' '.join(nodes)} {self.subcircuit}"]
