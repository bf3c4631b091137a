"""From wishes to the machine's budget: what `attribute` and configuration keys ask for, in the machine's parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gatewright import ir
from gatewright.errors import ConfigError
from gatewright.ng.config import NgConfig
from gatewright.ng.evaluation import Network

__all__ = ["boundary_keys", "budget_keys", "machine_keys", "wished_lanes", "wished_multipliers"]

_PARALLEL = ("par_ich", "par_och", "par_col", "par_row")
_BOUNDARY = (
    *("clock_name", "reset_name", "reset_polarity", "interrupt_enable", "interrupt_name", "measurable_main_fsm"),
    *("axi_coherent", "maxi_addrwidth", "saxi_datawidth", "saxi_addrwidth", "default_global_addr_offset"),
    *("offchipram_chunk_bytes", "header0", "header1", "header2", "header3"),
)
"""Keys that mean the same to NNgen and to the machine."""
_WORD_BITS = 8
_MOST_LANES = 64


def machine_keys(network: Network, config: NgConfig) -> dict[str, Any]:
    """The parameters of the machine `generated` for this network and configuration; keys that are its own go last."""
    return boundary_keys(config) | budget_keys(network, config)


def boundary_keys(config: NgConfig) -> dict[str, Any]:
    """Names and widths of pins, registers and memory."""
    return {"bus_bits": config.maxi_datawidth} | {key: getattr(config, key) for key in _BOUNDARY}


def budget_keys(network: Network, config: NgConfig) -> dict[str, Any]:
    """What follows from wishes, and keys that are the machine's own, which override it; `memory_bits` is its
    `memory_bytes` in bits.
    """
    keys: dict[str, Any] = {}
    multipliers, lanes = wished_multipliers(network), wished_lanes(network)
    if multipliers is not None:
        keys["multipliers"] = multipliers
    if lanes is not None and lanes > config.maxi_datawidth // _WORD_BITS:
        keys["vector_lanes"] = lanes  # as many as the bus brings, or fewer, are the compiler's choice: it keeps up
    given = dict(config.rest)
    if "memory_bits" in given:
        keys["memory_bytes"] = _bytes(given.pop("memory_bits"))
    return keys | given


def wished_multipliers(network: Network) -> int | None:
    """The most multipliers that any layer is to have; None where no layer asked: then the compiler chooses.

    A convolution has `rows · columns of the kernel · par_ich · par_och · par_col · par_row`, a product
    `par_left_col · par_out_col · par_left_row`, as in NNgen. A layer without a wish counts as 1 of each.
    """
    wishes = list(_layer_wishes(network))
    if not any(asked for _, asked in wishes):
        return None
    most = 1
    for multipliers, asked in wishes:
        for name in _PARALLEL:
            multipliers *= asked.get(name, 1)
        most = max(most, multipliers)
    return most


def wished_lanes(network: Network) -> int | None:
    """The most elements at once that any operator asked for (`par`); None where none did. Pools and element-wise
    operators behind a convolution take its results as they come, those on their own go through the vector unit.
    """
    asked = [hints["par"] for hints in network.hints.values() if "par" in hints]
    return min(max(asked), _MOST_LANES) if asked else None


def _layer_wishes(network: Network) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Of each convolution and product: multipliers of one step, and what was asked for."""
    graph = network.graph
    for node in graph.nodes:
        hints = network.hints.get(node.name, {})
        asked = {name: value for name, value in hints.items() if name in _PARALLEL}
        if isinstance(node.op, ir.Conv2d | ir.RoundedConv2d):
            _, rows, columns, _ = graph.type_of(node.inputs[1]).shape
            yield rows * columns, asked
        elif isinstance(node.op, ir.MatMul):
            yield 1, asked


def _bytes(bits: Any) -> int:
    if not isinstance(bits, int) or isinstance(bits, bool) or bits < _WORD_BITS:
        raise ConfigError(f"memory_bits must be a whole number of at least {_WORD_BITS}, not {bits!r}")
    return bits // _WORD_BITS
