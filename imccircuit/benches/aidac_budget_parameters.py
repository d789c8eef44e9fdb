"""Parameters of the error budget of grouped-capacitor arrays: the tables of its recipes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from imccircuit.benches.aidac_idle import (
    idle_circuit_keys,
    idle_circuit_quantities,
    spread_circuit_keys,
    transistor_circuit_quantities,
)
from imccircuit.benches.aidac_operands import Layer, layers_of, stored_layers
from imccircuit.benches.aidac_parameters import AidacParameters, Circuit
from imccircuit.benches.bench import Parameters, Section
from imccircuit.benches.idle import keys_idle

Kind = tuple[str, str, int]


class BudgetStimulus(Section):
    """What the parts are characterised with, and what the budget is taken over."""

    chips: int = Field(20, ge=2, le=10_000, description="drawn chips, each with weights of its own")
    vectors: int = Field(64, ge=2, le=10_000, description="input vectors of each chip")
    columns: int = Field(256, ge=1, le=65_536, description="outputs of the whole machine, for cost")
    time_cells: int = Field(32, ge=2, le=256, description="voltage-to-time cells of the spread")
    levels: int = Field(17, ge=3, le=101, description="voltages at which these are measured")
    calibration: Literal["nominal", "end-points"] = "end-points"
    network: Literal["resnet8", "ds_cnn", "mobilenet_v1", "deepautoencoder"] = Field(
        "resnet8", description="whose layers' lengths are taken"
    )


class BudgetParameters(Parameters):
    """Tables of a recipe of this bench."""

    circuit: Circuit = Field(default_factory=Circuit)
    stimulus: BudgetStimulus = Field(default_factory=BudgetStimulus)

    @property
    def has_transistors(self) -> bool:
        """Only if the switches are."""
        return self.circuit.switches == "transistor"

    @property
    def has_supply(self) -> bool:
        """As of the circuit to build."""
        return self.whole.has_supply

    def idle_keys(self) -> Mapping[str, str]:
        """What the circuit leaves nothing to, and what the budget does not take from it.

        All outputs are alike in the budget, and of row drivers it knows what differs between them:
        end points take a common gain away.
        """
        return {
            **idle_circuit_keys(self.circuit),
            **keys_idle(True, "an error budget, which takes row drivers by their spread only",
                        "circuit.driver_gain", "circuit.driver_offset",
                        "circuit.driver_resistance"),
            **keys_idle(True, "an error budget, in which all outputs are alike",
                        "circuit.built_outputs"),
            **keys_idle(not self.has_supply, "ideal switches and no logic counted", "technology"),
        }  # fmt: skip

    def idle_quantities(self) -> Mapping[str, str]:
        """Spread of what is not there, and spread of zero."""
        return idle_circuit_quantities(self.circuit, self.technology)

    def transistor_quantities(self) -> Collection[str]:
        """Mismatch of switches, and of drivers and time cells of transistors."""
        return transistor_circuit_quantities(self.circuit)

    def spread_keys(self) -> Mapping[str, str]:
        """Standard deviations, a card that gives no unit, and how many time cells are drawn."""
        return {**spread_circuit_keys(self.circuit), "stimulus.time_cells": "time_cells"}

    @property
    def whole(self) -> AidacParameters:
        """The circuit that the budget is of, as a circuit to build."""
        return AidacParameters.model_construct(
            technology=self.technology, conditions=self.conditions, circuit=self.circuit
        )

    @property
    def sample(self) -> AidacParameters:
        """The smallest circuit with the same cells: 4 bits or fewer, one array, one output.

        Its output line is loaded in proportion, so that it shares as much of its charge.
        """
        circuit = self.circuit
        weight_bits = {1: 1, 2: 2, 3: 2}.get(circuit.weight_bits, 4)
        input_bits = max(min(circuit.input_bits, 4), weight_bits)
        ratio = (2**weight_bits - 1) / (2**circuit.weight_bits - 1)
        load = circuit.dummy_units * circuit.unit_f + circuit.output_line_capacitance
        given = circuit.conversion_time
        small = circuit.model_copy(
            update={
                "arrays": 1, "rows": 2 ** (weight_bits - 1),
                "outputs": 2**input_bits // weight_bits, "built_outputs": 1,
                "input_bits": input_bits, "weight_bits": weight_bits,
                "dummy_units": 0, "output_line_capacitance": ratio * load,
                "row_drivers": 0,
                "conversion_time": given and given / circuit.arrays,
            }
        )  # fmt: skip
        return AidacParameters.model_construct(
            technology=self.technology, conditions=self.conditions, circuit=small
        )

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Layers of the network, one of each length."""
        return layers_of(self.stimulus.network)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Distributions of operands: label, kind, products in a sum."""
        inputs = self.circuit.arrays * self.circuit.rows
        stored = [
            (f"digits {layer.name}, {layer.length}", layer.name, layer.length)
            for layer in stored_layers()
            if layer.length <= inputs
        ]
        named = [(f"{layer.name}, {layer.length}", "layer", layer.length) for layer in self.layers]
        both = (("random", "random", inputs), ("full span", "full span", inputs))
        return (*both, *stored, *named)

    @model_validator(mode="after")
    def _long_enough(self) -> BudgetParameters:
        inputs, longest = self.circuit.arrays * self.circuit.rows, self.layers[-1].length
        if longest > inputs:
            why = (
                f"stimulus.network = {self.stimulus.network!r} has a layer of {longest} products, "
                f"the arrays have {inputs} inputs; allowed: arrays x rows of {longest} or more"
            )
            raise PydanticCustomError("network", "{why}", {"why": why})
        return self


class BudgetGates(Section):
    """There is no surrogate of a budget, so nothing that it must reach."""
