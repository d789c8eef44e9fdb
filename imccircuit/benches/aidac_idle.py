"""What the choices of a grouped-capacitor circuit leave nothing to: its keys and its spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imccircuit.benches.idle import keys_idle, keys_of_others, never_mismatched
from imccircuit.devices.mos import MosCard

if TYPE_CHECKING:
    from imccircuit.benches.aidac_parameters import Circuit

_SWITCH_KEYS = {
    "ideal": ("switch_on_resistance", "switch_off_resistance"),
    "transistor": ("switch_width", "discharge_dummy"),
}
_TIME_KEYS = {
    "behavioural": ("time_offset", "time_slope", "time_curvature", "time_offset_sigma",
                    "time_slope_sigma"),
    "starved": ("starved_load", "starved_width", "starved_length", "constant_width",
                "constant_length"),
    "ramp": ("ramp_current", "ramp_capacitor", "ramp_source_width", "ramp_pair_width",
             "ramp_load_width"),
}  # fmt: skip
DRIVER_KEYS = {
    "behavioural": ("driver_gain", "driver_gain_sigma", "driver_offset", "driver_offset_sigma",
                    "driver_resistance"),
    "ota": ("driver_current", "driver_width", "driver_load_width", "driver_length",
            "driver_low_supply"),
}  # fmt: skip


def idle_circuit_keys(circuit: Circuit) -> dict[str, str]:
    """Keys of other switches, cells and drivers, of drivers that are not there, of no junction."""
    drivers = [f"circuit.{key}" for keys in DRIVER_KEYS.values() for key in keys]
    return {
        **keys_of_others(_SWITCH_KEYS, "switches", circuit.switches),
        **keys_of_others(_TIME_KEYS, "time_cell", circuit.time_cell),
        **keys_of_others(DRIVER_KEYS, "row_driver", circuit.row_driver),
        **keys_idle(circuit.row_drivers == 0, "row_drivers = 0", "circuit.row_driver", *drivers),
        **keys_idle(circuit.junction_capacitance == 0, "junction_capacitance = 0",
                    "circuit.junction_potential"),
    }  # fmt: skip


def idle_circuit_quantities(circuit: Circuit, technology: MosCard) -> dict[str, str]:
    """Spread of what is not there, and spread of zero."""
    none = "a spread of zero"
    n, p = technology.nmos, technology.pmos
    still = {
        "behavioural": circuit.time_offset_sigma == 0 == circuit.time_slope_sigma,
        "starved": never_mismatched(p),
        "ramp": never_mismatched(n, p),
    }[circuit.time_cell]
    drivers = {
        "behavioural": circuit.driver_gain_sigma == 0 == circuit.driver_offset_sigma,
        "ota": never_mismatched(n, p),
    }[circuit.row_driver]
    return {
        **keys_idle(circuit.capacitor_card.reference_sigma.value == 0, none, "unit_capacitors"),
        **keys_idle(never_mismatched(n, p), none, "switches"),
        **keys_idle(circuit.switches == "ideal", 'circuit.switches = "ideal"', "switches"),
        **keys_idle(drivers, none, "row_drivers"),
        **keys_idle(circuit.row_drivers == 0, "circuit.row_drivers = 0", "row_drivers"),
        **keys_idle(still, none, "time_cells"),
    }


def transistor_circuit_quantities(circuit: Circuit) -> tuple[str, ...]:
    """Quantities that are mismatch of transistors; the others are of behavioural blocks."""
    found = {
        "switches": circuit.switches == "transistor",
        "time_cells": circuit.time_cell != "behavioural",
        "row_drivers": circuit.row_driver != "behavioural",
    }
    return tuple(name for name, is_transistor in found.items() if is_transistor)


def spread_circuit_keys(circuit: Circuit) -> dict[str, str]:
    """Standard deviations, and a capacitor card that gives no unit."""
    card = circuit.unit_capacitor is not None
    return {
        "circuit.driver_gain_sigma": "row_drivers",
        "circuit.driver_offset_sigma": "row_drivers",
        "circuit.time_offset_sigma": "time_cells",
        "circuit.time_slope_sigma": "time_cells",
        **keys_idle(card, "unit_capacitors", "circuit.capacitor_card"),
    }
