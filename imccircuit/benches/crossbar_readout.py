"""Read-out front ends of the crossbar bench: drawn ones, and what they allow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imccircuit.benches.bench import MeasurementError, Variation
from imccircuit.benches.crossbar_parameters import Circuit
from imccircuit.benches.problem import Analysis, OperatingPoint, Transient
from imccircuit.circuits.crossbar_parts import (
    ClampMirrorReadout,
    IdealReadout,
    IntegratorReadout,
    Readout,
    TiaReadout,
)

# A switch opens on a time point: of an integration of 20 ns a step is 0.1 %.
_STEPS = 1000


def draw_readout(circuit: Circuit, cols: int, variation: Variation) -> Readout:
    """Front ends of one chip, one a column, with their offsets."""
    if circuit.readout == "ideal":
        return IdealReadout()
    offset = np.full(cols, circuit.tia_offset)
    generator = variation.generator("tia_offset")
    if generator is not None:
        offset = offset + circuit.tia_offset_sigma * generator.standard_normal(cols)
    if circuit.readout == "clamp_mirror":
        return ClampMirrorReadout(
            clamp_v=circuit.clamp_voltage + offset,
            r_in_ohm=circuit.clamp_resistance,
            ratio=circuit.mirror_ratio,
            r_load_ohm=circuit.mirror_load_resistance,
            load_v=circuit.mirror_load_voltage,
            keep_a=circuit.clamp_keep_current,
        )
    if circuit.readout == "integrator":
        return IntegratorReadout(
            gain=circuit.integrator_gain,
            gbw_hz=circuit.integrator_gain_bandwidth,
            c_feedback_f=circuit.integrator_capacitance,
            r_reset_ohm=circuit.integrator_reset_resistance,
            offset_v=offset,
            reset_s=circuit.reset_time,
            integration_s=circuit.integration_time,
        )
    return TiaReadout(
        gain=circuit.tia_gain,
        r_feedback_ohm=circuit.tia_feedback_resistance,
        r_in_ohm=circuit.tia_input_resistance,
        offset_v=offset,
    )


def offsets_v(circuit: Circuit, readout: Readout) -> NDArray[np.float64]:
    """Drawn input offsets (col,) in V."""
    if isinstance(readout, ClampMirrorReadout):
        return np.asarray(readout.clamp_v) - circuit.clamp_voltage
    if isinstance(readout, IdealReadout):
        return np.zeros(0)
    return np.asarray(readout.offset_v, dtype=np.float64)


def analysis_of(circuit: Circuit, readout: Readout) -> Analysis:
    """Operating point, or a reset and an integration."""
    if not isinstance(readout, IntegratorReadout):
        is_linear = circuit.cell == "1r" and isinstance(readout, IdealReadout | TiaReadout)
        return OperatingPoint(continued=is_linear)
    step = readout.stop_s / _STEPS
    return Transient(readout.stop_s, step, step)


def largest_output_v(circuit: Circuit, current_a: float, input_v: float) -> float:
    """Bound of the outputs in V for column currents and bit-line voltages up to these."""
    if circuit.readout == "clamp_mirror":
        load = circuit.mirror_ratio * circuit.mirror_load_resistance
        return circuit.mirror_load_voltage + load * (current_a + circuit.clamp_keep_current) + 1.0
    if circuit.readout == "integrator":
        gain = circuit.integration_time / circuit.integrator_capacitance
        return 2 * (gain + circuit.integrator_reset_resistance) * current_a + 2 * input_v + 1.0
    feedback = circuit.tia_feedback_resistance
    offset = abs(circuit.tia_offset) + 10 * circuit.tia_offset_sigma
    bound = 2 * feedback * current_a + 2 * offset * (1 + feedback / circuit.tia_input_resistance)
    return bound + 2 * input_v + 1.0


def check_readout(
    circuit: Circuit, current_a: NDArray[np.float64], output_v: NDArray[np.float64]
) -> None:
    """Refuse answers of a clamp that a mirror of transistors could not give.

    Raises
    ------
    MeasurementError : a current below that at which the clamp is cut off, or an output below that
        at which the mirror leaves saturation.
    """
    if circuit.readout != "clamp_mirror":
        return
    keep, low = circuit.clamp_keep_current, circuit.mirror_swing_low
    if np.min(current_a) <= -keep:
        raise MeasurementError(
            f"a column current of {np.min(current_a):.4g} A cuts its clamp off; it carries down to "
            f"-clamp_keep_current = {-keep:.4g} A"
        )
    if np.min(output_v) < low:
        raise MeasurementError(
            f"an output of {np.min(output_v):.4g} V is below mirror_swing_low = {low:g} V; lower "
            "mirror_load_resistance or the currents"
        )
