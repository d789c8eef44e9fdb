"""The port map of a circuit that somebody else drew: its pins and what a bench connects to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pydantic_core import PydanticCustomError

from imccircuit.benches.bench import Parameters
from imccircuit.devices.netlist import NetlistCard
from imccircuit.units import parse_quantity

Nodes = dict[str, str | float]


def connect(
    dut: NetlistCard, ports: Mapping[str, str], roles: Collection[str], once: Collection[str],
    shown: str,
) -> Nodes:  # fmt: skip
    """Pin, in lower case → the role it plays, or a voltage in V to be held there.

    Parameters
    ----------
    ports : the map as a recipe gives it.
    roles : what a pin may be connected to.
    once : roles that exactly one pin must play.
    shown : what messages call the roles.

    Raises
    ------
    PydanticCustomError : the map misses a pin, names one twice or one that is not there, or gives a
        pin no role.
    """
    nodes: Nodes = {}
    why = _connect(dut, ports, roles, once, f"{shown}, or a voltage", nodes)
    if why:
        raise PydanticCustomError("ports", "{why}", {"why": f"circuit.ports: {why}"})
    return nodes


def _connect(
    dut: NetlistCard, ports: Mapping[str, str], roles: Collection[str], once: Collection[str],
    allowed: str, nodes: Nodes,
) -> str:  # fmt: skip
    names = [pin.lower() for pin in ports]
    for pin in names:
        # TOML sees two keys, ngspice one pin.
        if names.count(pin) > 1:
            return f"names the pin {pin} twice; allowed: every pin once"
    missing = ", ".join(pin for pin in dut.pins if pin not in names)
    if missing:
        return (
            f"misses the pin(s) {missing} of {dut.subcircuit}; allowed: every pin to one of "
            f"{allowed}"
        )
    for pin, role in zip(names, ports.values(), strict=True):
        if pin not in dut.pins:
            return f"{dut.subcircuit} has no pin {pin!r}; allowed: {', '.join(dut.pins)}"
        try:
            nodes[pin] = role if role in roles else parse_quantity(role, "V")
        except ValueError:
            return f"{pin} = {role!r}: no such port; allowed: {allowed}"
    for role in once:
        count = list(nodes.values()).count(role)
        if count != 1:
            return f"{role} is connected to {count} pins; allowed: to exactly one"
    return ""


def calls_technology(parameters: Parameters, dut: NetlistCard) -> bool:
    """Whether the netlist calls the technology's transistors, which are then brought in."""
    card = parameters.technology
    return any(dut.uses(device.model) for device in (card.nmos, card.pmos))


def check_corner(parameters: Parameters, dut: NetlistCard) -> None:
    """Refuse a corner that reaches no transistor.

    Raises
    ------
    PydanticCustomError : there is one.
    """
    if parameters.conditions.corner is not None and not calls_technology(parameters, dut):
        why = (
            "conditions.corner would change nothing, the netlist calls no model of the "
            "technology; allowed: leave it out, or name its card as technology"
        )
        raise PydanticCustomError("technology", "{why}", {"why": why})
