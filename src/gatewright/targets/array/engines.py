"""The parts of the array datapath, in words: what the synthesis log lists."""

from __future__ import annotations

from collections.abc import Iterator

from gatewright.targets.array.config import ArrayConfig

__all__ = ["engines"]

_VECTOR_PARTS = {
    "vector_operand": "second operand",
    "vector_product_shift": "rounding shift of products",
    "vector_affine": "sum of two scaled operands",
    "vector_shift": "shift by an operand",
    "vector_maximum": "maxima and their places",
    "vector_table": "table",
}


def engines(config: ArrayConfig) -> tuple[tuple[str, str], ...]:
    """Name and description of each part that is built."""
    return tuple(_engines(config))


def _engines(config: ArrayConfig) -> Iterator[tuple[str, str]]:
    widths = f"{config.activation_width} x {config.weight_width} bits"
    shape = f"{config.rows} rows (pixels) x {config.columns} columns (filters)"
    yield "array", f"{shape}, {config.multipliers} multipliers of {widths}, sums of {config.accumulator_width} bits"
    scaling = "shifts only" if config.dyadic else f"multipliers of {config.multiplier_width} bits"
    parts = {"residual adder": config.residual, "maximum": config.pool, "table": config.lut}
    built = ", ".join([scaling, *(name for name, is_there in parts.items() if is_there)])
    yield "post unit", f"{config.post_lanes} channels a cycle: bias, {built}"
    if config.vector_lanes:
        names = [name for key, name in _VECTOR_PARTS.items() if getattr(config, key)]
        text = f"{config.vector_lanes} elements a cycle, sums of {config.vector_sum_width} bits"
        yield "vector unit", ", ".join([text, *names])
    yield "load, store", f"bursts over {config.bus_bits} data bits, concurrent with each other and with computing"
