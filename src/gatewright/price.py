"""What a machine asks for widths: the cycles of each layer, from its own model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import onnx

from gatewright.compile import compile as compile_model
from gatewright.errors import ConfigError, GatewrightError
from gatewright.inputs import random_inputs
from gatewright.program import LayerInfo
from gatewright.quantize import Cost, LayerWork, QuantiseOptions, Samples, layer_works
from gatewright.targets import Target

__all__ = ["cycle_price"]

Widths = tuple[int, int]

_PRODUCTS = ("conv2d", "matmul")


def cycle_price(
    model: onnx.ModelProto,
    target: str | Target,
    config: Mapping[str, object] | None,
    samples: Samples | None,
    candidates: Sequence[Widths],
    options: QuantiseOptions | None = None,
) -> Cost | None:
    """The price of a layer's widths in cycles of a machine; None where widths make no difference to it.

    The network is compiled once for each of `candidates`, with all layers at these widths but those that `options` give
    their own, and the machine's model counts. Candidates that the machine refuses cost more than anything.
    """
    options = options or QuantiseOptions()
    works = layer_works(model)
    tables: dict[Widths, dict[str, int] | None] = {}
    for pair in candidates:
        uniform = replace(options, activation_bits=pair[0], weight_bits=pair[1])
        try:
            tables[pair] = _by_name(works, _cycles(model, target, config, samples, uniform))
        except GatewrightError:
            if pair == candidates[0]:
                raise
            tables[pair] = None
    if len({tuple(table.values()) for table in tables.values() if table is not None}) < 2:
        return None

    def cost(layer: LayerWork, activation_bits: int, weight_bits: int) -> float:
        table = tables[_covering(tables, activation_bits, weight_bits)]
        return float("inf") if table is None else float(table[layer.name])

    return cost


def _cycles(
    model: onnx.ModelProto,
    target: str | Target,
    config: Mapping[str, object] | None,
    samples: Samples | None,
    options: QuantiseOptions,
) -> list[tuple[LayerInfo, int]]:
    build = compile_model(model, target, config, samples, options)
    inputs = random_inputs(build.graph.input_ports, 0)
    result = build.target.run(build.program, build.program.encode(inputs))
    pairs = zip(build.program.layers, result.layer_cycles or (), strict=True)
    return [(layer, cycles) for layer, cycles in pairs if layer.op in _PRODUCTS]


def _covering(tables: Mapping[Widths, object], activation_bits: int, weight_bits: int) -> Widths:
    """The narrowest candidate that has these widths, the first one where none does."""
    fitting = [pair for pair in tables if pair[0] >= activation_bits and pair[1] >= weight_bits]
    return min(fitting, key=lambda pair: pair[0] * pair[1], default=next(iter(tables)))


def _by_name(works: Sequence[LayerWork], layers: Sequence[tuple[LayerInfo, int]]) -> dict[str, int]:
    """The cycles of each layer of the network: those of a program come in the same order, under names of their own."""
    rest, found = iter(layers), {}
    for work in works:
        cycles = next((cycles for info, cycles in rest if info.macs == work.macs), None)
        if cycles is None:
            raise ConfigError(f"{work.name}: the program must have a layer of {work.macs} multiplications")
        found[work.name] = cycles
    return found
