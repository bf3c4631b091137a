"""How operands lie in bytes: in memory and in the input buffer, and in the chunks of the weight buffer.

Inputs are packed as `ir.packing` says, a pixel's channels one after the other.

A unit takes `lanes` bytes of inputs a step: one with 8-bit weights, two with 4-bit, four with 2-bit ones. Weights come
in *chunks* of `4 * lanes` weights, four bytes a column, of which a unit uses a part in each of `chunk_steps` steps.
Or, where a chunk is *split*, its parts belong to different filters, and `split_parts` rows use one each at the same
time.
"""

from __future__ import annotations

import numpy as np

from gatewright.ir.packing import pack, unpack
from gatewright.targets.bitfusion.operands import promoted

__all__ = [
    "CHUNK_BYTES",
    "chunk_bytes",
    "chunk_steps",
    "chunk_weights",
    "input_phase",
    "lanes_of",
    "split_parts",
    "split_weights",
    "step_weights",
    "unchunk",
    "unsplit",
    "weight_place",
]

CHUNK_BYTES = 4
"""Bytes of a chunk of weights in the array."""


def lanes_of(weight_width: int) -> int:
    """Bytes of inputs that a unit takes a step."""
    return 8 // promoted(weight_width)


def chunk_steps(input_width: int, *, split: bool = False) -> int:
    """Steps that a chunk of weights lasts, for one filter or split among as many as it can be."""
    steps = {16: 8, 8: 4, 6: 3, 4: 2, 2: 1}[input_width]
    return steps // split_parts(input_width) if split else steps


def split_parts(input_width: int) -> int:
    """Filters that a chunk can be split among; 1: parts of a chunk hang together, or one step uses all of it."""
    return {16: 4, 8: 4, 4: 2}.get(input_width, 1)


def chunk_bytes(weight_width: int) -> int:
    """Bytes of a column's chunk in memory and in the buffer: 6-bit weights take three, and are promoted behind it."""
    return 3 if weight_width == 6 else CHUNK_BYTES


def input_phase(weight_width: int, step: int) -> int:
    """Place in a group of three bytes of the first byte that a unit takes in this step; 6-bit inputs only."""
    return step * lanes_of(weight_width) % 3


def weight_place(product: int, input_width: int, weight_width: int) -> int:
    """Which field of a step's weights belongs to a product: units are wired so that some change places."""
    wide = promoted(weight_width)
    if input_width >= 6 or wide == 8:
        return product
    inner = (2 if input_width == 2 else 1) * (2 if wide == 2 else 1)
    outer, rest = divmod(product, inner)
    outer = (outer & 1) << 1 | outer >> 1
    if inner == 4:
        rest = (rest & 1) << 1 | rest >> 1
    return outer * inner + rest


def chunk_weights(weights: np.ndarray, input_width: int, weight_width: int) -> np.ndarray:
    """Weights [.., depth], in the order of the inputs, as chunks [.., chunks, chunk_bytes]; what is missing is 0."""
    count = 4 * lanes_of(weight_width)
    *outer, depth = weights.shape
    chunks = -(-depth // count)
    whole = np.zeros((*outer, chunks * count), np.int64)
    whole[..., :depth] = weights
    placed = whole.reshape(*outer, chunks, count)[..., _chunk_order(input_width, weight_width)]
    return pack(placed, weight_width).reshape(*outer, chunks, chunk_bytes(weight_width))


def unchunk(chunks: np.ndarray, input_width: int, weight_width: int, *, signed: bool) -> np.ndarray:
    """Inverse of `chunk_weights`: weights [.., chunks * 4 * lanes] in the order of the inputs, int64."""
    *outer, count, _ = chunks.shape
    fields = unpack(chunks, weight_width, 4 * lanes_of(weight_width), signed=signed)
    order = _chunk_order(input_width, weight_width)
    weights = np.empty_like(fields)
    weights[..., order] = fields
    return weights.reshape(*outer, count * len(order))


def split_weights(weights: np.ndarray, input_width: int, weight_width: int) -> np.ndarray:
    """Weights [.., parts, depth] of filters that share chunks, as chunks [.., chunks, chunk_bytes].

    There may be fewer parts than `split_parts`; the others are 0.
    """
    *outer, parts, depth = weights.shape
    fields = 4 * lanes_of(weight_width) // split_parts(input_width)  # of a part
    chunks = -(-depth // fields)
    whole = np.zeros((*outer, split_parts(input_width), chunks * fields), np.int64)
    whole[..., :parts, :depth] = weights
    order = _chunk_order(input_width, weight_width)[:fields]
    placed = whole.reshape(*outer, -1, chunks, fields)[..., order].swapaxes(-2, -3)
    return pack(placed.reshape(*outer, chunks, -1), weight_width)


def unsplit(chunks: np.ndarray, input_width: int, weight_width: int, *, signed: bool) -> np.ndarray:
    """Inverse of `split_weights`: weights [.., split_parts, chunks * fields of a part], int64."""
    *outer, count, _ = chunks.shape
    parts = split_parts(input_width)
    fields = unpack(chunks, weight_width, 4 * lanes_of(weight_width), signed=signed)
    placed = fields.reshape(*outer, count, parts, -1).swapaxes(-2, -3)
    weights = np.empty_like(placed)
    weights[..., _chunk_order(input_width, weight_width)[: placed.shape[-1]]] = placed
    return weights.reshape(*outer, parts, -1)


def _chunk_order(input_width: int, weight_width: int) -> np.ndarray:
    """For each field of a chunk, the weight that lies there."""
    lanes = lanes_of(weight_width)
    count = 4 * lanes
    order = np.zeros(count, np.int64)
    if input_width == 6:
        for byte in range(3 * lanes):
            order[byte] = 4 * (byte // 3) + byte % 3
        order[3 * lanes :] = 4 * np.arange(lanes) + 3
        return order
    if input_width == 16:
        return np.arange(count)
    products = count // chunk_steps(input_width)
    for weight in range(count):
        step, product = divmod(weight, products)
        order[step * products + weight_place(product, input_width, weight_width)] = weight
    return order


def step_weights(chunks: np.ndarray, widths: tuple[int, int], step: int, *, signed: bool) -> np.ndarray:
    """The four bytes [.., 4] that a unit is given in step `step` of chunks [.., chunk_bytes]; unused ones are 0."""
    input_width, weight_width = widths
    whole = chunks
    if weight_width == 6:
        whole = (unpack(chunks, 6, 4, signed=signed) & 255).astype(np.uint8)
    result = np.zeros((*chunks.shape[:-1], CHUNK_BYTES), np.uint8)
    if input_width == 6:
        lanes = lanes_of(weight_width)
        groups = (step * lanes + np.arange(lanes)) // 3
        fourth = unpack(whole[..., 3:], promoted(weight_width), lanes, signed=False)[..., groups]
        result[..., 0] = whole[..., step]
        result[..., 1:2] = pack(fourth, promoted(weight_width))
    else:
        if input_width == 16:  # a step for each byte of an input
            input_width, step = 8, step // 2
        size = CHUNK_BYTES // chunk_steps(input_width)
        result[..., :size] = whole[..., step * size : (step + 1) * size]
    return result
