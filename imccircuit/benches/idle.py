"""Which keys and quantities change nothing: tables from a choice to what only it uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from imccircuit.devices.mos import Transistor
from imccircuit.devices.rram import RramCard


def keys_of_others(
    used: Mapping[str, Iterable[str]], name: str, chosen: str, prefix: str = "circuit."
) -> dict[str, str]:
    """Keys that other choices use and the chosen one does not, each with what idles it.

    Parameters
    ----------
    used : choice → keys that count with it; a key may belong to several.
    name : key of the choice, for the message.
    chosen : the choice that is made.
    prefix : table of the keys.
    """
    own = set(used.get(chosen, ()))
    why = f'{name} = "{chosen}"'
    return {f"{prefix}{key}": why for keys in used.values() for key in keys if key not in own}


def keys_idle(idle: bool, why: str, *keys: str) -> dict[str, str]:
    """``keys``, dotted, if they are idle, each with why; none else."""
    return dict.fromkeys(keys, why) if idle else {}


def never_mismatched(*devices: Transistor) -> bool:
    """Whether the card gives all these transistors no mismatch."""
    return all(device.a_vt.value == 0 == device.a_beta.value for device in devices)


def never_spread(card: RramCard) -> bool:
    """Whether the card gives neither of its states any spread."""
    states = np.array([card.on_conductance.value, card.off_conductance.value])
    return not np.any(card.spread_at().sd_of(states))
