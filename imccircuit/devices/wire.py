"""Wire of an array: resistance and capacitance of one segment, one cell long."""

from __future__ import annotations

from typing import Literal

from imccircuit.devices.figure import Card, Figure
from imccircuit.units import Capacitance, Resistance


class WireCard(Card):
    """Wires of an array.

    Attributes
    ----------
    row_resistance : of one word-line segment in ohm.
    column_resistance : of one bit-line segment in ohm.
    row_capacitance : of one word-line segment to ground in F.
    column_capacitance : of one bit-line segment to ground in F.
    """

    kind: Literal["wire"]
    row_resistance: Figure[Resistance]
    column_resistance: Figure[Resistance]
    row_capacitance: Figure[Capacitance]
    column_capacitance: Figure[Capacitance]
