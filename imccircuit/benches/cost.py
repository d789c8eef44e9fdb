"""What an operation costs: the variables every bench reports, and how they are measured.

Energy is that of the second of two identical operations, source by source, each with a block's
name. Blocks that are behavioural have no energy: they are reported as not modelled (NaN), never
as 0. Latency is the time until the output is within half an LSB of where it ends. Area is counted
in units of the technology card's layout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import Along, Arrays, Variable
from imccircuit.benches.problem import Probe, Run
from imccircuit.metrics.energy import compute_source_energy

NOT_MODELLED = "not modelled: the block is behavioural"

COST_VARIABLES = (
    Variable("energy", ("block",), "J", "energy of one operation",
             missing=NOT_MODELLED),
    Variable("energy_returned", ("block",), "J", "energy that came back",
             missing=NOT_MODELLED),
    Variable("latency", (), "s", "latency, to half an LSB",
             missing="not modelled: no part of the circuit limits it, or no operation moved it"),
    Variable("area", (), "m**2", "area, counted",
             missing="not modelled: the technology card has no layout, or a block is behavioural"),
)  # fmt: skip


def blocks_along(blocks: Sequence[str]) -> Along:
    """Coordinate of the dimension ``block``."""
    return Along(np.array(list(blocks), dtype=object), "", "block, or the source that feeds it")


@dataclass(frozen=True)
class Meter:
    """Sources of a circuit whose energy is measured.

    Attributes
    ----------
    sources : block name → (SPICE source name, such as ``vref``; its plus node). Sources whose
        minus node is ground only.
    not_modelled : names of behavioural blocks.
    """

    sources: Mapping[str, tuple[str, str]]
    not_modelled: tuple[str, ...] = ()

    @property
    def blocks(self) -> tuple[str, ...]:
        """All blocks: measured ones, then those not modelled."""
        return (*self.sources, *self.not_modelled)

    def probes(self, bound_v: float, bound_a: float) -> tuple[Probe, Probe]:
        """Probes for a transient `Problem`: ``meter_voltage`` and ``meter_current``."""
        names = list(self.sources.values())
        shape = (len(names),)
        return (
            Probe("meter_voltage", tuple(f"v({node})" for _, node in names), shape, bound_v),
            Probe("meter_current", tuple(f"i({source})" for source, _ in names), shape, bound_a),
        )

    def energy(self, run: Run, window_s: tuple[float, float]) -> Arrays:
        """``energy`` and ``energy_returned`` (block,) in J of one run over a window."""
        found = compute_source_energy(
            run.axis, run.values["meter_voltage"], run.values["meter_current"], window_s
        )
        missing = np.full(len(self.not_modelled), np.nan)
        return {
            "energy": np.concatenate([found.delivered_j, missing]),
            "energy_returned": np.concatenate([found.returned_j, missing]),
        }


def mean_energy(energies: Sequence[Mapping[str, NDArray[np.float64]]]) -> Arrays:
    """Average over the operations of a stated distribution, of what `Meter.energy` gave."""
    return {
        name: np.mean([energy[name] for energy in energies], axis=0)
        for name in ("energy", "energy_returned")
    }
