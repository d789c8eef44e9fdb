"""Benches by name. A new bench is one module with a ``BENCH`` and one line here."""

from __future__ import annotations

from imccircuit.benches.bench import Bench
from imccircuit.registry import Registry

_BENCHES = Registry(
    "bench named",
    "BENCH",
    {
        "adc_levels": "imccircuit.benches.adc_levels",
        "adc_transfer": "imccircuit.benches.adc_transfer",
        "aidac_budget": "imccircuit.benches.aidac_budget",
        "aidac_vmm": "imccircuit.benches.aidac_vmm",
        "cell_iv": "imccircuit.benches.cell_iv",
        "charge_mvm": "imccircuit.benches.charge_mvm",
        "comparator_decision": "imccircuit.benches.comparator_decision",
        "crossbar_mvm": "imccircuit.benches.crossbar_mvm",
        "dac_ladder": "imccircuit.benches.dac_ladder",
        "dut_adc": "imccircuit.benches.dut_adc",
        "dut_comparator": "imccircuit.benches.dut_comparator",
        "dut_readout": "imccircuit.benches.dut_readout",
        "irc_column": "imccircuit.benches.irc_column",
        "macro_mvm": "imccircuit.benches.macro_mvm",
        "ramp_transfer": "imccircuit.benches.ramp_transfer",
        "readout_transfer": "imccircuit.benches.readout_transfer",
        "sense_amp": "imccircuit.benches.sense_amp",
    },
)


def bench_names() -> list[str]:
    """Names that a recipe may give as ``bench``."""
    return _BENCHES.names()


def get_bench(name: str) -> Bench:
    """The bench of that name; `UsageError` if there is none."""
    bench: Bench = _BENCHES.get(name)
    return bench
