# SPDX-License-Identifier: MIT
"""Measured converters and crossbars in the pure-torch tile of aihwkit 1.1.0.

This file imports numpy, torch and aihwkit alone (and, for nonlinear cells, ``lines.py`` beside
it), is copied as it stands into exports and reads ``model.npz`` beside it.

A tile's columns are the outputs of its layer. The tile works in I/(V_max·G_max): its largest
weight is 1, which is what ``weight_scaling_omega = 1`` is for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from aihwkit.inference.converter.conductance import SinglePairConductanceConverter
from aihwkit.inference.noise.base import BaseNoiseModel
from aihwkit.nn import AnalogLinear
from aihwkit.simulator.configs.configs import TorchInferenceRPUConfig
from aihwkit.simulator.parameters.enums import BoundManagementType, NoiseManagementType, RPUDataType
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.mapping import MappingParameter
from aihwkit.simulator.tiles.analog_mvm import AnalogMVM
from aihwkit.simulator.tiles.torch_tile import TorchSimulatorTile
from numpy.typing import NDArray

SCHEMA = "imccircuit-aihwkit-1"


def _load() -> dict[str, NDArray[Any]]:
    path = Path(__file__).with_name("model.npz")
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if str(arrays.get("schema", "")) != SCHEMA:
        raise ValueError(f"{path}: not of schema {SCHEMA}")
    return arrays


MODEL = _load()


def _number(name: str) -> float:
    """A scalar of the model; 0 where it has none."""
    return float(MODEL[name]) if name in MODEL else 0.0


class _Held:
    """What a configuration holds; arrays would break its comparison and its text.

    Equal to another with the same facts, and itself when copied: tiles share the tables.
    """

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        self._tables: dict[Any, torch.Tensor] = {}

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.facts == getattr(other, "facts", None)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in self.facts.items())})"

    def __copy__(self) -> _Held:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> _Held:
        return self

    def table(self, key: Any, like: torch.Tensor, make: Callable[[], Any]) -> torch.Tensor:
        """Tensor of an array in double, made once for each device."""
        place = (key, like.device)
        if place not in self._tables:
            array = np.ascontiguousarray(make(), dtype=np.float64)
            self._tables[place] = torch.from_numpy(array).to(like.device)
        return self._tables[place]


class Converters(_Held):
    """Converters of measured chips behind a tile.

    Parameters
    ----------
    limits : outputs I/(V_max·G_max) of the tile that meet 0 V and full scale of the converters;
        behind amplifiers that invert they fall.
    chips : column j has converter ``chips[(j // group) % len(chips)]``; all chips of the model, in
        order, by default.
    group : neighbouring columns that share one converter.
    noise : with the model's noise, drawn by torch's generator.
    offset_v : (column,) voltages in V that stand at the converters besides; none by default.

    Raises
    ------
    ValueError : there is no such chip, limits are equal, or the model knows no noise.
    """

    def __init__(
        self,
        limits: tuple[float, float],
        *,
        chips: tuple[int, ...] | None = None,
        group: int = 1,
        noise: bool = False,
        offset_v: tuple[float, ...] = (),
    ) -> None:
        level = MODEL["transition_level"]
        used = tuple(range(len(level))) if chips is None else tuple(int(chip) for chip in chips)
        if not used or not all(0 <= chip < len(level) for chip in used) or group < 1:
            raise ValueError(f"chips are 0 to {len(level) - 1}, group at least 1: {used}, {group}")
        if noise and "noise_sampled_v" not in MODEL:
            raise ValueError("the model knows no noise; leave it out")
        self.low, self.high = (float(limit) for limit in limits)
        if self.low == self.high:
            raise ValueError(f"limits must differ: {limits}")
        self.steps = level.shape[1] + 1
        super().__init__(
            limits=(self.low, self.high),
            chips=used,
            group=int(group),
            noise=bool(noise),
            offset_v=tuple(float(v) for v in offset_v),
        )

    def codes(self, outputs: torch.Tensor) -> torch.Tensor:
        """Codes of outputs (…, column) of a tile; a meeting of a level has the code below.

        Where an output is NaN there is no code: -1.
        """
        return torch.where(torch.isnan(outputs), -1, self._codes(outputs))

    def _codes(self, outputs: torch.Tensor) -> torch.Tensor:
        volt = (outputs.double() - self.low) * (_number("full_scale_v") / (self.high - self.low))
        if self.facts["offset_v"]:
            volt = volt + self.table("offset", volt, lambda: np.array(self.facts["offset_v"]))
        volt = volt.movedim(-1, 0)
        decision = _number("noise_decision_v")
        if self.facts["noise"]:
            volt = volt + _number("noise_sampled_v") * torch.randn_like(volt)
            if decision > 0:
                return self._search(volt, decision).movedim(0, -1)
        level = self._levels("transition_level", outputs, len(volt))
        flat = volt.reshape(len(volt), -1).contiguous()
        return torch.searchsorted(level, flat).reshape(volt.shape).movedim(0, -1)

    def values(self, outputs: torch.Tensor) -> torch.Tensor:
        """Middle of the ideal step of each code, (code + 1/2)·LSB above the lower limit.

        Gradients go straight through within the limits and end there.
        """
        step = (self.high - self.low) / self.steps
        with torch.no_grad():
            found = (self.low + (self.codes(outputs) + 0.5) * step).to(outputs.dtype)
            found = torch.where(torch.isnan(outputs), outputs, found)
        inside = torch.clamp(outputs, *sorted((self.low, self.high)))
        return found + (inside - inside.detach())

    def _search(self, volt: torch.Tensor, decision: float) -> torch.Tensor:
        """Successive approximation with the comparator's noise in each decision."""
        level = self._levels("decision", volt, len(volt))
        code = torch.zeros(volt.shape, dtype=torch.int64, device=volt.device)
        for bit in reversed(range(self.steps.bit_length() - 1)):
            trial = code + 2**bit
            flat = trial.reshape(len(volt), -1) - 1
            at = torch.gather(level, 1, flat).reshape(volt.shape)
            code = torch.where(volt + decision * torch.randn_like(volt) > at, trial, code)
        return code

    def _levels(self, name: str, like: torch.Tensor, columns: int) -> torch.Tensor:
        chips, group = np.asarray(self.facts["chips"]), self.facts["group"]
        chip = chips[np.arange(columns) // group % len(chips)]
        levels = decision_levels if name == "decision" else lambda: MODEL[name]
        return self.table((name, columns), like, lambda: levels()[chip])


def decision_levels() -> NDArray[np.float64]:
    """Level (chip, code) in V of each trial code: as measured, else Σ w_k b_k(d) + o."""
    if "decision_level" in MODEL:
        return np.asarray(MODEL["decision_level"])
    weight = MODEL["bit_weight"]
    bits = (np.arange(1, 2 ** weight.shape[1])[:, None] >> np.arange(weight.shape[1])) & 1
    return np.asarray(weight @ bits.T + MODEL["level_offset"][:, None])


class Array(_Held):
    """Crossbar of a measured chip in place of a tile's product.

    It answers as the chip does, whatever the weights are; their gradients are those of the product
    with the weights, as if the chip were these.

    Parameters
    ----------
    v_max : drive voltage in V of an input of 1.
    chip : measured chip.

    Raises
    ------
    ValueError : there is no such chip.
    """

    def __init__(self, *, v_max: float, chip: int = 0) -> None:
        if not 0 <= chip < len(MODEL["conductance"]):
            raise ValueError(f"chips are 0 to {len(MODEL['conductance']) - 1}, not {chip}")
        super().__init__(v_max=float(v_max), chip=int(chip))
        self.scale_a = float(v_max) * g_max_s(int(chip))

    def outputs(self, weight: Any, inputs: Any) -> Any:
        """I/(V_max·G_max) (…, column) of the chip for inputs V/V_max (…, row)."""
        rows, columns = MODEL["conductance"].shape[1:]
        if tuple(weight.shape[-2:]) != (columns, rows):
            raise ValueError(f"the chip has {rows} rows and {columns} columns: {weight.shape}")
        chip = self.facts["chip"]
        if "effective_conductance" in MODEL:
            name, solved = "effective_conductance", None
        else:
            name, solved = "cell_conductance", self._solve(inputs)
        cells = self.table(name, inputs, lambda: MODEL[name][chip] / g_max_s(chip))
        found = inputs @ cells.to(inputs.dtype)
        if solved is not None:
            found = solved + (found - found.detach())
        if "offset_current" in MODEL and solved is None:
            shift = self.table("shift", inputs, lambda: MODEL["offset_current"][chip])
            found = found + (shift / self.scale_a).to(inputs.dtype)
        straight = AnalogMVM._matmul(weight, inputs.detach())
        return found + (straight - straight.detach())

    def _solve(self, inputs: torch.Tensor) -> torch.Tensor:
        """By the solver of lines; gradients are those of the cells at 0 V without wires."""
        volt = inputs.detach().double().cpu().numpy() * self.facts["v_max"]
        names = ("r_row_ohm", "r_col_ohm", "r_driver_ohm", "r_sense_ohm", "v0_v",
                 "r_rise_ohm_per_a")  # fmt: skip
        wires = {name: float(MODEL[name]) for name in names if name in MODEL}
        cells = MODEL["cell_conductance"][self.facts["chip"]]
        stand = MODEL["input_offset"][self.facts["chip"]] if "input_offset" in MODEL else None
        current = _solver()(cells, volt.reshape(-1, volt.shape[-1]), sense_v=stand, **wires)[0]
        found = torch.from_numpy(current / self.scale_a).to(inputs)
        return found.reshape(*volt.shape[:-1], current.shape[-1])


def g_max_s(chip: int = 0) -> float:
    """Largest programmed conductance of a chip in S, which a weight of 1 of its tile stands for."""
    return float(np.max(MODEL["conductance"][chip]))


def _solver() -> Callable[..., Any]:
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("imc_lines", Path(__file__).with_name("lines.py"))
    if spec is None or spec.loader is None:
        raise ValueError("nonlinear cells need lines.py beside this file")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    solver: Callable[..., Any] = module.solve_lines
    return solver


@dataclass
class ImcIOParameters(IOParameters):
    """Input and output of a tile; aihwkit's own defaults where nothing was measured."""

    converters: Any = None
    array: Any = None


class ImcMVM(AnalogMVM):
    """Product of a tile with a measured array and measured converters."""

    @classmethod
    def matmul(cls, weight: Any, input_: Any, io_pars: Any, *more: Any, **named: Any) -> Any:
        """As in aihwkit, but the array sees its parameters."""
        if io_pars.array is None:
            return super().matmul(weight, input_, io_pars, *more, **named)
        bound: Any = type("ImcBoundMVM", (cls,), {"array": io_pars.array})
        return bound.plain(weight, input_, io_pars, *more, **named)

    @classmethod
    def plain(cls, *arguments: Any, **named: Any) -> Any:
        """The product of aihwkit, which calls `_matmul` of this class."""
        return super().matmul(*arguments, **named)

    @classmethod
    def _matmul(cls, weight: Any, input_: Any, trans: bool = False) -> Any:
        array = getattr(cls, "array", None)
        if array is None or trans:
            return super()._matmul(weight, input_, trans)
        return array.outputs(weight, input_)

    @classmethod
    def _finalize_output(
        cls, out_values: Any, io_pars: Any, out_noise_values: Any = None, **named: Any
    ) -> Any:
        converters = io_pars.converters
        if converters is None:
            return super()._finalize_output(out_values, io_pars, out_noise_values, **named)
        low, high = sorted((converters.low, converters.high))
        inside = ((out_values >= low) & (out_values <= high)).all()
        passed = io_pars.bound_management == BoundManagementType.NONE or inside
        return passed, converters.values(out_values)


class ImcSimulatorTile(TorchSimulatorTile):
    """Torch tile with the product of `ImcMVM`."""

    def __init__(self, x_size: int, d_size: int, rpu_config: Any, bias: bool = False) -> None:
        super().__init__(x_size, d_size, rpu_config, bias, analog_mvm=ImcMVM)


def _mapping() -> MappingParameter:
    return MappingParameter(weight_scaling_omega=1.0)


@dataclass
class ImcRPUConfig(TorchInferenceRPUConfig):
    """aihwkit's torch inference, with a place for what was measured."""

    simulator_tile_class: type = ImcSimulatorTile
    forward: ImcIOParameters = field(default_factory=ImcIOParameters)
    mapping: MappingParameter = field(default_factory=_mapping)


class ImcConductances(BaseNoiseModel):
    """Programs a measured chip's conductances, in µS, whatever was to be programmed.

    Conductances of 0 stay 0: a pair has devices for negative weights, which the chip has not.
    Nothing drifts; aihwkit wants a time above 0 all the same.
    """

    def __init__(self, chip: int = 0) -> None:
        if not 0 <= chip < len(MODEL["conductance"]):
            raise ValueError(f"chips are 0 to {len(MODEL['conductance']) - 1}, not {chip}")
        super().__init__(SinglePairConductanceConverter(g_max=1e6 * g_max_s(chip), g_min=0.0))
        self.chip = int(chip)

    def apply_programming_noise_to_conductance(self, g_target: Any) -> Any:
        """Conductances (column, row) of the chip in µS."""
        if not bool(g_target.any()):
            return g_target
        measured = 1e6 * MODEL["conductance"][self.chip].T
        if tuple(g_target.shape) != measured.shape:
            raise ValueError(f"the chip has {measured.shape} (columns, rows): {g_target.shape}")
        return torch.from_numpy(np.ascontiguousarray(measured)).to(g_target)

    def apply_drift_noise_to_conductance(
        self, g_prog: Any, drift_noise_param: Any, t_inference: float
    ) -> Any:
        """The same: no drift was measured."""
        del drift_noise_param, t_inference
        return g_prog


def configure(
    config: Any = None,
    *,
    converters: Converters | None = None,
    array: Array | None = None,
    ideal: bool = False,
    double: bool = False,
) -> Any:
    """Configuration of a layer with what was measured.

    Parameters
    ----------
    config : `ImcRPUConfig` to change; a new one if not given.
    converters, array : what was measured; aihwkit's own defaults stay in place of the other.
    ideal : without aihwkit's defaults for what was not measured: no input or output resolution,
        noise, limits or scaling.
    double : compute in double.
    """
    config = ImcRPUConfig() if config is None else config
    io = config.forward
    io.converters, io.array = converters, array
    config.mapping.weight_scaling_omega = 1.0
    if array is not None:
        # A chip is one tile.
        config.mapping.max_input_size = config.mapping.max_output_size = 0
        config.noise_model = ImcConductances(array.facts["chip"])
        config.drift_compensation = None
    if ideal:
        io.inp_res = io.out_res = -1.0
        io.inp_noise = io.out_noise = io.inp_bound = io.out_bound = 0.0
        io.noise_management = NoiseManagementType.NONE
        io.bound_management = BoundManagementType.NONE
    if double:
        config.runtime.data_type = RPUDataType.DOUBLE
    return config


def measured_layer(config: Any, chip: int = 0) -> Any:
    """AnalogLinear whose weights are a measured chip's conductances over the largest one."""
    target = MODEL["conductance"][chip].T / g_max_s(chip)
    layer = AnalogLinear(target.shape[1], target.shape[0], bias=False, rpu_config=config)
    layer.set_weights(torch.from_numpy(np.ascontiguousarray(target)))
    return layer
