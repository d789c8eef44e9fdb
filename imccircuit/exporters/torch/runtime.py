# SPDX-License-Identifier: MIT
"""Exported models of converters, crossbars and macros as layers of PyTorch.

This file imports nothing but torch and numpy and is copied as it stands into exports.
``load(folder)`` reads ``model.npz`` and gives an `AdcLayer`, a `CrossbarLayer` or a `MacroLayer`.
Tables are buffers: ``layer.to("cuda")`` takes them along. They are float64, and inputs of lower
precision are raised to that before they are compared; ``layer.float()`` makes both faster and
rounds the levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Arrays = Mapping[str, NDArray[Any]]

SCHEMA = "imccircuit-torch-1"


def convert_codes(levels_v: Tensor, voltage_v: Tensor) -> Tensor:
    """Codes (int64) of voltages, -1 where one is NaN: how many levels lie below each.

    Parameters
    ----------
    levels_v : (1, code) one converter for all voltages, or (col, code) one for each of the last
        axis, in V, not falling along code.
    voltage_v : (…) or (…, col) in V.
    """
    voltage = voltage_v.to(torch.promote_types(voltage_v.dtype, levels_v.dtype))
    levels = levels_v.to(voltage.dtype)
    if levels.shape[0] == 1:
        codes = torch.searchsorted(levels[0], voltage.contiguous())
    else:
        # One row of inputs for each row of levels, and back.
        columns = voltage.reshape(-1, voltage.shape[-1]).T.contiguous()
        codes = torch.searchsorted(levels.contiguous(), columns).T.reshape(voltage.shape)
    return torch.where(torch.isnan(voltage), -1, codes)


class AdcLayer(nn.Module):
    """Converters with known transition levels, or new ones in every pass.

    Forward gives codes in the type of its input. Their gradient is one of two:

    - straight through (default): 1/LSB from one LSB below the first level to one above the last,
      0 outside;
    - smoothed: with ``smooth_v`` = h the derivative of the staircase averaged over h,
      (code(V + h/2) - code(V - h/2))/h, which knows wide, narrow and missing codes.

    Parameters
    ----------
    arrays : ``transition_level`` (chip, code) in V and ``full_scale_v``; ``bit_weight`` (chip, bit)
        and ``level_offset`` (chip) in V; where the model has them ``decision_level`` (chip, code)
        V, ``shared_level`` (code) V, ``population_mean`` (parameter) V, ``population_covariance``
        (parameter, parameter) V² or ``level_mean`` (code) V and ``level_root`` (variate, code) V,
        ``noise_sampled_v`` and ``noise_decision_v``.
    chip : chip of the model, or one for each column of the input's last axis.
    population : draw new converters in every pass, by torch's own generator, and ignore ``chip``.
    columns : in a population, number of converters: one for each of the input's last axis. None
        is one for all.
    smooth_v : width h of the smoothed gradient in V; None is straight through.
    noise : add the model's noise: once a conversion, and in each bit decision.

    Raises
    ------
    ValueError : what is asked for is not in the model, or its levels fall.
    """

    levels_v: Tensor
    decisions_v: Tensor
    mean_v: Tensor
    shared_v: Tensor
    root_v: Tensor
    design: Tensor
    trial: Tensor
    has_bit: Tensor

    def __init__(
        self,
        arrays: Arrays,
        *,
        chip: int | Sequence[int] = 0,
        population: bool = False,
        columns: int | None = None,
        smooth_v: float | None = None,
        noise: bool = False,
    ) -> None:
        super().__init__()
        levels = np.asarray(arrays["transition_level"], dtype=np.float64)
        if not np.all(np.isfinite(levels)) or np.any(np.diff(levels, axis=1) < 0):
            raise ValueError("transition levels must be finite and must not fall")
        if smooth_v is not None and not smooth_v > 0:
            raise ValueError(f"smooth_v = {smooth_v}; allowed: above 0 V")
        if population and not {"population_mean", "level_mean"} & set(arrays):
            raise ValueError("the model was fitted to one chip, so it knows no population")
        if noise and "noise_sampled_v" not in arrays:
            raise ValueError("the model knows no noise")
        chips = [chip] if isinstance(chip, int) else list(chip)
        if not all(0 <= item < len(levels) for item in chips):
            raise ValueError(f"the model has no chip {chip}; there are 0 to {len(levels) - 1}")
        self.bits = int(levels.shape[1]).bit_length()
        self.chips = len(levels)
        self.lsb_v: float = float(arrays["full_scale_v"]) / 2**self.bits
        self.population, self.columns, self.smooth_v = population, columns, smooth_v
        self.sampled_v = float(arrays["noise_sampled_v"]) if noise else 0.0
        self.decision_v = float(arrays["noise_decision_v"]) if noise else 0.0
        self._add("levels_v", levels[chips])
        self._add("decisions_v", _decision_levels(arrays, self.bits)[chips])
        self._add_population(arrays)

    def _add(self, name: str, values: NDArray[Any]) -> None:
        self.register_buffer(name, torch.from_numpy(np.array(values)))

    def _add_population(self, arrays: Arrays) -> None:
        """Mean and a root of the covariance, and the search tree."""
        self.by_levels = "level_mean" in arrays
        mean = arrays.get("level_mean", arrays.get("population_mean", np.zeros(0)))
        root = arrays.get("level_root", np.zeros((0, 0)))
        if len(mean) and not self.by_levels:
            values, vectors = np.linalg.eigh(arrays["population_covariance"])
            root = (vectors * np.sqrt(np.maximum(values, 0.0))).T
        codes, bits = np.arange(1, 2**self.bits), np.arange(self.bits)[:, None]
        self._add("mean_v", mean)
        self._add("root_v", root)
        self._add("design", _design(self.bits).T)
        self._add("shared_v", arrays.get("shared_level", np.zeros(2**self.bits - 1)))
        self._add("trial", (codes >> (bits + 1) << (bits + 1) | 1 << bits) - 1)
        self._add("has_bit", (codes >> bits) & 1 == 1)

    def clip_tree(self, decisions_v: Tensor) -> Tensor:
        """Transition levels (chip, code) in V that a search over decision levels has.

        "Code ≥ k" is decided by one trial code of each bit, from the lowest: where k has the bit,
        the input must be above its level and what the lower bits ask, else above either.
        """
        rest = torch.full_like(decisions_v, -torch.inf)
        for bit in range(self.bits):
            decides = decisions_v[:, self.trial[bit]]
            both, either = torch.maximum(decides, rest), torch.minimum(decides, rest)
            rest = torch.where(self.has_bit[bit], both, either)
        return rest

    def draw_decisions(self, chips: int) -> Tensor:
        """Draw converters: levels (chip, code) in V of their trial codes, before the search."""
        mean = self.mean_v
        normal = torch.randn(chips, len(self.root_v), dtype=mean.dtype, device=mean.device)
        drawn = mean + normal @ self.root_v
        return drawn.sort(dim=1).values if self.by_levels else drawn @ self.design + self.shared_v

    def _converters(self) -> tuple[Tensor, Tensor]:
        """Transition levels and decision levels of this pass."""
        if not self.population:
            return self.levels_v, self.decisions_v
        decisions = self.draw_decisions(self.columns or 1)
        return self.clip_tree(decisions), decisions

    def _noisy_codes(self, decisions: Tensor, voltage: Tensor) -> Tensor:
        """Bit after bit, with noise of its own in each decision."""
        column = torch.arange(decisions.shape[0], device=voltage.device)
        codes = torch.zeros_like(voltage, dtype=torch.int64)
        for bit in reversed(range(self.bits)):
            trial = codes | (1 << bit)
            margin = voltage - decisions[column, trial - 1]
            margin = margin + self.decision_v * torch.randn_like(voltage)
            codes = torch.where(margin > 0, trial, codes)
        return torch.where(torch.isnan(voltage), -1, codes)

    def convert(self, voltage_v: Tensor) -> Tensor:
        """Codes (int64) of voltages in V, any shape; -1 where the input is NaN."""
        return self._codes(*self._converters(), voltage_v)

    def _codes(self, levels: Tensor, decisions: Tensor, voltage_v: Tensor) -> Tensor:
        voltage = voltage_v.detach()
        if self.sampled_v > 0:
            voltage = voltage + self.sampled_v * torch.randn_like(voltage)
        if self.decision_v > 0:
            return self._noisy_codes(decisions, voltage)
        return convert_codes(levels, voltage)

    def forward(self, voltage_v: Tensor) -> Tensor:
        """Codes of voltages in V, any shape, in their type and with a gradient.

        Raises
        ------
        ValueError : that type does not hold all codes; `convert` gives them as integers.
        """
        if 2**self.bits > 2 / torch.finfo(voltage_v.dtype).eps:
            raise ValueError(f"{voltage_v.dtype} does not hold codes of {self.bits} bits exactly")
        levels, decisions = self._converters()
        codes = self._codes(levels, decisions, voltage_v).to(voltage_v.dtype)
        margin = max(self.lsb_v, self.smooth_v or 0.0)
        low, high = levels[:, 0] - margin, levels[:, -1] + margin
        if levels.shape[0] == 1:
            low, high = low[0], high[0]
        inside = torch.nan_to_num(voltage_v).clamp(
            low.to(voltage_v.dtype), high.to(voltage_v.dtype)
        )
        # The difference is 0 and carries the gradient.
        return codes + self._slope(levels, voltage_v) * (inside - inside.detach())

    def _slope(self, levels: Tensor, voltage_v: Tensor) -> float | Tensor:
        if self.smooth_v is None:
            return 1.0 / self.lsb_v
        voltage = torch.nan_to_num(voltage_v.detach()).to(levels.dtype)
        half = self.smooth_v / 2
        apart = convert_codes(levels, voltage + half) - convert_codes(levels, voltage - half)
        slope: Tensor = (apart / self.smooth_v).to(voltage_v.dtype)
        return slope


class CrossbarLayer(nn.Module):
    """A programmed crossbar with its wires and read-out.

    Linear cells: current = voltage @ effective conductance, exact. Other cells: each row's own
    curve, Σ_p V·|V|^(p-1) @ matrix_p for p = 1, 2, 3, which passes through the solver's answers
    for that row driven alone; what rows do to each other beyond that is left out, and the largest
    error on the stored vectors stands in ``stated_error_a``.

    Parameters
    ----------
    arrays : ``effective_conductance`` (chip, row, col) S or ``current_terms`` (chip, 3, row, col)
        A/V^p with ``stated_error_a``; with amplifiers ``offset_current`` A and ``output_offset`` V
        (chip, col) and ``transresistance_ohm``.
    chip : chip of the model.

    Raises
    ------
    ValueError : there is no such chip.
    """

    terms: Tensor
    offset_a: Tensor
    output_offset_v: Tensor

    def __init__(self, arrays: Arrays, *, chip: int = 0) -> None:
        super().__init__()
        self.linear = "effective_conductance" in arrays
        terms = arrays["effective_conductance"][:, None] if self.linear else arrays["current_terms"]
        self.chips = len(terms)
        if not 0 <= chip < self.chips:
            raise ValueError(f"the model has no chip {chip}; there are 0 to {self.chips - 1}")
        self.stated_error_a = 0.0 if self.linear else float(arrays["stated_error_a"])
        self.has_amplifiers = "transresistance_ohm" in arrays
        self.transresistance_ohm = float(arrays.get("transresistance_ohm", np.array(np.nan)))
        none = np.zeros((self.chips, terms.shape[-1]))
        for name, values in (
            ("terms", terms),
            ("offset_a", arrays.get("offset_current", none)),
            ("output_offset_v", arrays.get("output_offset", none)),
        ):
            self.register_buffer(name, torch.from_numpy(np.array(values[chip], dtype=np.float64)))

    def currents_a(self, voltage_v: Tensor) -> Tensor:
        """Column currents (…, col) in A for drive voltages (…, row) in V."""
        voltage = voltage_v.to(torch.promote_types(voltage_v.dtype, self.terms.dtype))
        terms = self.terms.to(voltage.dtype)
        power, current = voltage, voltage @ terms[0]
        for term in terms[1:]:
            power = power * voltage.abs()
            current = current + power @ term
        return (current + self.offset_a).to(voltage_v.dtype)

    def outputs_v(self, voltage_v: Tensor) -> Tensor:
        """Outputs (…, col) of the amplifiers in V for drive voltages (…, row) in V."""
        if not self.has_amplifiers:
            raise ValueError("the read-out is ideal: there are currents, but no output voltages")
        voltage = voltage_v.to(torch.promote_types(voltage_v.dtype, self.terms.dtype))
        output = self.output_offset_v - self.transresistance_ohm * self.currents_a(voltage)
        return output.to(voltage_v.dtype)

    def forward(self, voltage_v: Tensor) -> Tensor:
        """Outputs in V where there are amplifiers, else currents in A."""
        return self.outputs_v(voltage_v) if self.has_amplifiers else self.currents_a(voltage_v)


class MacroLayer(nn.Module):
    """A crossbar with amplifiers, and a converter behind each of its first columns.

    Codes have the gradient of `AdcLayer` through that of `CrossbarLayer`.

    Parameters
    ----------
    arrays : those of a `CrossbarLayer` with ``array.`` before their names, those of an `AdcLayer`
        with ``converter_0.`` and so on; ``converters``, how many; ``bias_voltage_v`` of the bit
        lines, from which the crossbar's drive counts, and ``read_voltage_v``, drive of an input 1.
    chip : chip of the model, of the crossbar and of its converters.
    smooth_v, noise : as `AdcLayer`.

    Raises
    ------
    ValueError : there is no such chip, or no noise in the model.
    """

    def __init__(
        self,
        arrays: Arrays,
        *,
        chip: int = 0,
        smooth_v: float | None = None,
        noise: bool = False,
    ) -> None:
        super().__init__()
        self.array = CrossbarLayer(_part(arrays, "array."), chip=chip)
        parts = [_part(arrays, f"converter_{j}.") for j in range(int(arrays["converters"]))]
        # One layer whose chips are the columns' converters of this chip; all else is common.
        own: dict[str, NDArray[Any]] = {
            name: np.stack([part[name][chip] for part in parts])
            for name in ("transition_level", "decision_level", "bit_weight", "level_offset")
            if name in parts[0]
        }
        columns = range(len(parts))
        self.adc = AdcLayer({**parts[0], **own}, chip=columns, smooth_v=smooth_v, noise=noise)
        self.bias_v = float(arrays["bias_voltage_v"])
        self.read_v = float(arrays["read_voltage_v"])
        self.chips, self.lsb_v = self.array.chips, self.adc.lsb_v

    def sampled_voltage_v(self, voltage_v: Tensor) -> Tensor:
        """Inputs (…, converter) of the converters in V for row voltages (…, row) in V."""
        return self._sampled(voltage_v.to(self.array.terms.dtype) - self.bias_v)

    def _sampled(self, drive_v: Tensor) -> Tensor:
        return self.array.outputs_v(drive_v)[..., : self.adc.levels_v.shape[0]]

    def codes_of_inputs(self, inputs: Tensor) -> Tensor:
        """Codes (…, converter) for inputs (…, row) from 0 to 1 of the read voltage."""
        drive = self.read_v * inputs.to(self.array.terms.dtype)
        return self._answer(self._sampled(drive), inputs)

    def forward(self, voltage_v: Tensor) -> Tensor:
        """Codes (…, converter) for row voltages (…, row) in V, in their type, with a gradient.

        Raises
        ------
        ValueError : as `AdcLayer`.
        """
        return self._answer(self.sampled_voltage_v(voltage_v), voltage_v)

    def _answer(self, sampled: Tensor, given: Tensor) -> Tensor:
        if 2**self.adc.bits > 2 / torch.finfo(given.dtype).eps:
            raise ValueError(f"{given.dtype} does not hold codes of {self.adc.bits} bits exactly")
        codes: Tensor = self.adc(sampled)
        return codes.to(given.dtype)


def _part(arrays: Arrays, own: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(own): a for name, a in arrays.items() if name.startswith(own)}


def _design(bits: int) -> NDArray[np.float64]:
    """Matrix (code, bit + 1) with level = matrix @ [weights, offset]."""
    codes = np.arange(1, 2**bits)[:, None]
    switched = (codes >> np.arange(bits)) & 1
    return np.column_stack([switched, np.ones(len(codes))]).astype(np.float64)


def _decision_levels(arrays: Arrays, bits: int) -> NDArray[np.float64]:
    """Levels (chip, code) in V of the trial codes: as measured, else from bit weights."""
    if "decision_level" in arrays:
        return np.asarray(arrays["decision_level"], dtype=np.float64)
    if "bit_weight" not in arrays:
        return np.asarray(arrays["transition_level"], dtype=np.float64)
    weights = np.column_stack([arrays["bit_weight"], arrays["level_offset"]])
    return np.asarray(weights @ _design(bits).T)


def read_arrays(folder: str | Path | None = None) -> dict[str, NDArray[Any]]:
    """Arrays of the ``model.npz`` in a folder, by default that of this file.

    Raises
    ------
    ValueError : the file is no model of this schema.
    """
    place = Path(__file__).parent if folder is None else Path(folder)
    with np.load(place / "model.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    schema = str(arrays.get("schema", ""))
    if schema != SCHEMA:
        raise ValueError(f"{place / 'model.npz'}: schema {schema!r} is not {SCHEMA!r}")
    return arrays


def load(folder: str | Path | None = None, **options: Any) -> AdcLayer | CrossbarLayer | MacroLayer:
    """Layer of the export in a folder, by default that of this file; options as the layer's.

    Raises
    ------
    ValueError : the file is no model of this schema, or an option does not fit it.
    """
    arrays = read_arrays(folder)
    kinds: dict[str, Any] = {"adc": AdcLayer, "macro": MacroLayer}
    layer: AdcLayer | CrossbarLayer | MacroLayer
    layer = kinds.get(str(arrays["kind"]), CrossbarLayer)(arrays, **options)
    return layer
