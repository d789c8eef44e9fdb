"""A training layer's cells, pass and slopes on a CPU, each one compiled call.

A layer is so small that calling a dozen operations of torch takes longer than what they do. The
twins are the operations of `imccircuit.networks.hardware_layer`, which run where the tensors are.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from imccircuit.networks.level_search import sum_codes


@njit(cache=True, nogil=True)
def spread_cells(normal, spread, least, shared) -> None:  # type: ignore[no-untyped-def]
    """Turn normal variates (row, col) into factors on cells, in place.

    1 + spread·variate, at least ``least``; over the mean of the column where charge is ``shared``.
    """
    rows, columns = normal.shape
    total = np.zeros(columns, dtype=np.float32)
    for i in range(rows):
        for j in range(columns):
            normal[i, j] = max(np.float32(1.0) + spread * normal[i, j], least)
            total[j] += normal[i, j]
    if shared:
        total = np.float32(rows) / total
        for i in range(rows):
            for j in range(columns):
                normal[i, j] *= total[j]


@njit(cache=True, nogil=True)
def current_products(x, weight, cells, front, levels, sums, input_range, full_scale, low):  # type: ignore[no-untyped-def]
    """Products (batch, out) of a layer in current mode.

    Parameters
    ----------
    x, weight, cells : inputs (batch, in), weights (out, in), factors (in, col) on the cells.
    front : (col, 4) of the front ends; (0, 4) where they are ideal.
    levels : (col, code) of the converters over their full scale.
    sums : weights (pass, slice) of the codes.
    input_range, full_scale : as of `imccircuit.networks.hardware_layer.ImcLinear`.
    low : lowest conductance over the highest.
    """
    shares, largest = _current_shares(x, weight, cells, input_range, full_scale, low)
    _bend(shares, front)
    worth = full_scale / np.float32(levels.shape[1] + 1) * largest * input_range
    return _coded_products(shares, levels, sums, worth / (np.float32(1.0) - low))


@njit(cache=True, nogil=True)
def charge_products(x, weight, cells, front, levels, sums, input_range, full_scale):  # type: ignore[no-untyped-def]
    """Products (batch, out) of a layer in charge mode; as `current_products`."""
    passes, slices = sums.shape
    shares, largest = charge_shares(x, weight, cells, input_range, full_scale, slices, passes)
    _bend(shares, front)
    worth = full_scale / np.float32(levels.shape[1] + 1) * largest * input_range
    most = np.float32((2**passes - 1) * (2**slices - 1))
    return _coded_products(shares, levels, sums, worth / most)


@njit(cache=True, nogil=True)
def _current_shares(x, weight, cells, input_range, full_scale, low):  # type: ignore[no-untyped-def]
    """Column currents (1, batch, col) over the range that fills a converter; largest weight."""
    inputs, outputs = weight.shape[1], weight.shape[0]
    rows = np.empty_like(x)
    for b in range(len(x)):
        for i in range(inputs):
            rows[b, i] = min(max(x[b, i] / input_range, np.float32(0.0)), np.float32(1.0))
    largest = np.max(np.abs(weight))
    step = (np.float32(1.0) - low) / largest
    matrix = np.empty((inputs, 2 * outputs), dtype=np.float32)
    for i in range(inputs):
        for o in range(outputs):
            w = weight[o, i]
            up = low + step * max(w, np.float32(0.0))
            down = low + step * max(-w, np.float32(0.0))
            matrix[i, o] = up * cells[i, o] / full_scale
            matrix[i, outputs + o] = down * cells[i, outputs + o] / full_scale
    return np.dot(rows, matrix).reshape(1, len(x), 2 * outputs), largest


@njit(cache=True, nogil=True)
def charge_shares(x, weight, cells, input_range, full_scale, slices, passes):  # type: ignore[no-untyped-def]
    """Active products (pass, batch, col) over the number that fills a converter; largest weight."""
    inputs, outputs = weight.shape[1], weight.shape[0]
    most, across = np.float32(2**passes - 1), 2 * outputs
    digits = np.empty((passes, len(x), inputs), dtype=np.float32)
    for b in range(len(x)):
        for i in range(inputs):
            part = min(max(x[b, i] / input_range, np.float32(0.0)), np.float32(1.0))
            whole = np.int32(np.rint(part * most))
            for p in range(passes):
                digits[p, b, i] = (whole >> p) & 1
    largest, top = np.max(np.abs(weight)), np.float32(2**slices - 1)
    matrix = np.zeros((inputs, slices * across), dtype=np.float32)
    for i in range(inputs):
        for o in range(outputs):
            w = weight[o, i] / largest
            column = o if w > 0 else outputs + o
            whole = np.int32(np.rint(abs(w) * top))
            for s in range(slices):
                if (whole >> s) & 1:
                    matrix[i, s * across + column] = cells[i, s * across + column] / full_scale
    flat = digits.reshape(passes * len(x), inputs)
    return np.dot(flat, matrix).reshape(passes, len(x), slices * across), largest


@njit(cache=True, nogil=True)
def _bend(shares, front):  # type: ignore[no-untyped-def]
    """Send shares (pass, batch, col) through front ends (col, 4), in place; (0, 4) is none."""
    half = np.float32(0.5)
    for p, b, j in np.ndindex(shares.shape[0], shares.shape[1], len(front)):
        offset, gain, bow, asymmetry = front[j]
        x = shares[p, b, j] - half
        inside = min(max(x, -half), half)
        y = half + offset + (np.float32(1.0) + gain) * x
        y += (np.float32(1.0) - np.float32(4.0) * inside * inside) * (bow + asymmetry * inside)
        # Beyond its ends a curve goes on straight, with the slope it has there.
        side = np.float32(1.0) if x > 0 else np.float32(-1.0)
        slope = -side * np.float32(4.0) * bow - np.float32(2.0) * asymmetry
        shares[p, b, j] = y + slope * (x - inside)


@njit(cache=True, nogil=True)
def _coded_products(shares, levels, weights, scale):  # type: ignore[no-untyped-def]
    """Products (batch, out): codes of shares (pass, batch, col), summed, halves subtracted."""
    sums = sum_codes(levels, shares, weights)
    outputs = sums.shape[1] // 2
    found = np.empty((len(sums), outputs), dtype=np.float32)
    for b in range(len(sums)):
        for o in range(outputs):
            found[b, o] = (sums[b, o] - sums[b, outputs + o]) * scale
    return found


@njit(cache=True, nogil=True)
def slopes(x, weight, found, up, low, wanted):  # type: ignore[no-untyped-def]
    """Slopes along inputs (batch, in), where they are ``wanted``, weights (out, in), bias (out,).

    Those of the weights are with the pull of the filled range.

    Σ (found - x @ W.T)·up needs no second product: Σ (x @ W.T)·up = Σ W·(up.T @ x).
    """
    batch, inputs = x.shape
    outputs = len(weight)
    one = np.float32(1.0)
    along = np.dot(np.ascontiguousarray(up.T), x)
    mean = np.zeros(inputs, dtype=np.float32)
    for b in range(batch):
        for i in range(inputs):
            mean[i] += x[b, i] / np.float32(batch)
    largest, row, col, straight = np.float32(-1.0), 0, 0, 0.0
    by_input = np.zeros(inputs, dtype=np.float32)
    for o in range(outputs):
        for i in range(inputs):
            size = abs(weight[o, i])
            by_input[i] += size / np.float32(outputs)
            straight += weight[o, i] * along[o, i]
            if size > largest:
                largest, row, col = size, o, i
    filled, total, error = 0.0, np.float32(0.0), -straight
    for i in range(inputs):
        by_input[i] = by_input[i] * (one - low) + low * largest
        filled += mean[i] * by_input[i]
        total += mean[i]
    bias = np.zeros(outputs, dtype=np.float32)
    for b in range(batch):
        for o in range(outputs):
            error += found[b, o] * up[b, o]
            bias[o] += up[b, o]
    pull = np.float32(error / filled)
    share = pull * (one - low) / np.float32(outputs)
    for o in range(outputs):
        for i in range(inputs):
            along[o, i] += np.sign(weight[o, i]) * mean[i] * share
    along[row, col] += pull * low * total * np.sign(weight[row, col])
    if not wanted:
        return np.empty((0, 0), dtype=np.float32), along, bias
    back = np.dot(up, weight)
    for b in range(batch):
        for i in range(inputs):
            back[b, i] += by_input[i] * (pull / np.float32(batch))
    return back, along, bias
