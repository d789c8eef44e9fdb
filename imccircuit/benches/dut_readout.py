"""A read-out front end that somebody else drew, measured like those of `readout_transfer`."""

from __future__ import annotations

from dataclasses import replace

from imccircuit.benches import readout_transfer
from imccircuit.benches.dut_readout_parameters import DutReadoutParameters

BENCH = replace(
    readout_transfer.BENCH,
    name="dut_readout",
    summary="transfer, offset, input resistance, settling, noise of your own read-out front end",
    parameters=DutReadoutParameters,
    quantities=(),
)
