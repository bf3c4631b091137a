"""What SCALE-Sim 2.0.2 says of VGG8 on an output-stationary array: the figures that ours stand beside.

It has no memory, no post unit and no control; fill and drain of the array are not overlapped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PUBLISHED", "VGG8", "Product", "ideal_cycles", "scale_sim_cycles"]


@dataclass(frozen=True)
class Product:
    """A layer as a product of matrices: [pixels, taps] by [taps, filters]."""

    pixels: int
    taps: int
    filters: int


VGG8: Mapping[str, Product] = {
    "conv1": Product(1024, 27, 64),
    "conv2": Product(256, 576, 192),
    "conv3": Product(64, 1728, 384),
    "conv4": Product(64, 3456, 256),
    "conv5": Product(64, 2304, 256),
    "fc6": Product(1, 4096, 256),
    "fc7": Product(1, 256, 128),
    "fc8": Product(1, 128, 10),
}

PUBLISHED: Mapping[int, tuple[int, ...]] = {
    8: (41_983, 453_119, 668_927, 888_319, 593_407, 131_519, 4_319, 283),
    16: (14_591, 116_351, 168_767, 223_103, 149_375, 66_015, 2_287, 157),
}
"""Cycles as it printed them, by the side of the array, layer by layer."""


def scale_sim_cycles(layer: Product, side: int) -> int:
    """Its formula: ceil(pixels / rows) · ceil(filters / columns) · (taps + rows + columns - 2) - 1."""
    return _tiles(layer, side) * (layer.taps + 2 * side - 2) - 1


def ideal_cycles(layer: Product, side: int) -> int:
    """The same with fill and drain overlapped perfectly: a cycle a tap of each tile."""
    return _tiles(layer, side) * layer.taps


def _tiles(layer: Product, side: int) -> int:
    return -(-layer.pixels // side) * -(-layer.filters // side)
