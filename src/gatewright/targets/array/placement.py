"""Where each activation lives: whole in one of two scratchpads, in memory, or in several of these.

A value that the array reads stays in the activation scratchpad when it fits there from its first writer to its last
reader; a value that is a residual operand likewise in the output scratchpad; everything else, and every output of the
network, goes to memory. Layers whose operands are not on chip stream tiles through what is left of the scratchpads.
When that is too little, the largest resident value is sent to memory and the placement starts over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gatewright.errors import ConfigError
from gatewright.targets.array.config import ArrayConfig, settable_bytes

__all__ = ["Arena", "LayerPlan", "LayerUse", "Placement", "Span", "place"]

_LINE = 64  # alignment of values in memory, bytes


_CONSTANTS = ("constants",)  # what takes a layer's constant operands in the output scratchpad


@dataclass(frozen=True)
class Span:
    """A stretch of bytes."""

    start: int
    size: int


class Arena:
    """First-fit allocation in one memory, in lines; `grow` makes it unbounded."""

    def __init__(self, size: int, *, grow: bool = False, line: int = _LINE) -> None:
        self.size, self.grow, self.line = size, grow, line
        self.used: dict[object, Span] = {}
        self.peak = 0

    def gaps(self) -> list[Span]:
        """Free stretches in order of address."""
        gaps, at = [], 0
        for span in sorted(self.used.values(), key=lambda span: span.start):
            if span.start > at:
                gaps.append(Span(at, span.start - at))
            at = max(at, span.start + span.size)
        end = 1 << 62 if self.grow else self.size
        return [*gaps, Span(at, end - at)] if end > at else gaps

    def take(self, key: object, size: int) -> Span | None:
        """A free stretch for `key`, or None."""
        size = -(-size // self.line) * self.line
        for gap in self.gaps():
            if gap.size >= size:
                self.used[key] = Span(gap.start, size)
                self.peak = max(self.peak, gap.start + size)
                return self.used[key]
        return None

    def largest(self) -> Span:
        return max(self.gaps(), key=lambda gap: gap.size, default=Span(0, 0))

    def release(self, key: object) -> None:
        self.used.pop(key, None)


@dataclass(frozen=True)
class LayerUse:
    """What placement needs to know of a layer: values, and the least bytes it can stream with (residual included).

    `constants` are constant operands that each tile reads: all of them, and the least that will do. With
    `whole_residual`, each tile reads the whole residual operand.
    """

    name: str
    sources: tuple[str, ...]
    residual: str | None
    output: str
    least_input: int
    least_output: int
    constants: tuple[int, int] = (0, 0)
    whole_residual: bool = False


@dataclass
class LayerPlan:
    """Addresses for one layer. Whole values: `activation` and `output` by name; the rest is room for tiles."""

    activation: dict[str, Span] = field(default_factory=dict)
    output: dict[str, Span] = field(default_factory=dict)
    load: list[str] = field(default_factory=list)  # sources to load whole, before or while the layer runs
    load_residual: bool = False  # load the residual operand whole into the output scratchpad
    stream: Span = Span(0, 0)  # room for tiles of sources that are not in `activation`
    stage: Span = Span(0, 0)  # room for tiles of the output (and residual) that are not in `output`
    constants: Span = Span(0, 0)  # room for constant operands, in the output scratchpad
    to_memory: bool = False  # the output must also reach memory


@dataclass(frozen=True)
class Placement:
    layers: tuple[LayerPlan, ...]
    memory: Mapping[str, Span]  # scratch region: intermediate values that reach memory
    scratch_bytes: int


class _Retry(Exception):
    pass


class _Planner:
    def __init__(
        self, layers: Sequence[LayerUse], sizes: Callable[[str], int], outputs: frozenset[str], config: ArrayConfig
    ) -> None:
        self.layers, self.sizes, self.outputs, self.config = layers, sizes, outputs, config
        self.banned: set[tuple[str, str]] = set()  # (memory, value) pairs that may not be resident
        self.last_feed = {s: i for i, layer in enumerate(layers) for s in layer.sources}
        self.last_residual = {layer.residual: i for i, layer in enumerate(layers) if layer.residual}

    def attempt(self) -> Placement:
        line = self.config.scratch_line
        self.activation = Arena(self.config.activation_bytes, line=line)
        self.output = Arena(self.config.output_bytes, line=line)
        self.memory = Arena(0, grow=True)
        self.spilled: dict[str, Span] = {}
        self.in_memory: set[str] = set()
        plans = []
        for index, layer in enumerate(self.layers):
            plan = LayerPlan()
            self._sources(index, layer, plan)
            self._destination(index, layer, plan)
            self._residual(layer, plan)
            self._constants(layer, plan)
            self._rooms(layer, plan)
            plan.activation = {k: v for k, v in self.activation.used.items() if isinstance(k, str)}
            plan.output.update({k: v for k, v in self.output.used.items() if isinstance(k, str)})
            plans.append(plan)
            self.output.release(_CONSTANTS)
            self._release(index)
        return Placement(tuple(plans), self.spilled, self.memory.peak)

    def _ban(self, memory: str, value: str) -> None:
        self.banned.add((memory, value))
        raise _Retry

    def _sources(self, index: int, layer: LayerUse, plan: LayerPlan) -> None:
        for source in dict.fromkeys(layer.sources):
            if source in self.activation.used or ("activation", source) in self.banned:
                continue
            if self.activation.take(source, self.sizes(source)) is not None:
                plan.load.append(source)

    def _destination(self, index: int, layer: LayerUse, plan: LayerPlan) -> None:
        value, size = layer.output, self.sizes(layer.output)
        fed = self.last_feed.get(value, -1) > index
        added = self.last_residual.get(value, -1) > index
        resident = fed and ("activation", value) not in self.banned and self.activation.take(value, size) is not None
        kept = added and ("output", value) not in self.banned and self.output.take(value, size) is not None
        plan.to_memory = value in self.outputs or (fed and not resident) or (added and not kept)
        if plan.to_memory:
            if not kept and ("output", value) not in self.banned:
                kept = self.output.take(value, size) is not None
            if not kept and resident:
                self._ban("activation", value)
            if value not in self.outputs:
                self.spilled[value] = self.memory.take(value, size) or Span(0, 0)
            self.in_memory.add(value)

    def _residual(self, layer: LayerUse, plan: LayerPlan) -> None:
        value = layer.residual
        if value is None:
            return
        whole = layer.output in self.activation.used or layer.output in self.output.used or layer.whole_residual
        kept = value in self.output.used
        if kept and not whole:
            self._ban("output", value)
        if whole and not kept:
            if self.output.take(value, self.sizes(value)) is None:
                for memory in ("output", "activation"):
                    if layer.output in getattr(self, memory).used:
                        self._ban(memory, layer.output)
                self._evict("output", self.output, layer, self.sizes(value))
            plan.load_residual = True

    def _constants(self, layer: LayerUse, plan: LayerPlan) -> None:
        """Room for all constant operands, or for as many as there is room for beside the tiles."""
        most, least = layer.constants
        if not most:
            return
        spare = self.output.largest().size - 2 * layer.least_output
        wanted = most if spare >= most else min(most, max(2 * least, spare // self.output.line * self.output.line))
        span = self.output.take(_CONSTANTS, wanted) or self.output.take(_CONSTANTS, least)
        if span is None:
            self._evict("output", self.output, layer, least)
        else:
            plan.constants = span

    def _rooms(self, layer: LayerUse, plan: LayerPlan) -> None:
        if any(source not in self.activation.used for source in layer.sources):
            plan.stream = self.activation.largest()
            if plan.stream.size < layer.least_input:
                self._evict("activation", self.activation, layer, layer.least_input)
        if layer.output not in self.activation.used and layer.output not in self.output.used:
            plan.stage = self.output.largest()
            if plan.stage.size < layer.least_output:
                self._evict("output", self.output, layer, layer.least_output)

    def _evict(self, name: str, arena: Arena, layer: LayerUse, least: int) -> None:
        resident = [key for key in arena.used if isinstance(key, str) and (name, key) not in self.banned]
        if not resident:
            have = getattr(self.config, f"{name}_bytes")
            wanted = settable_bytes(least)
            raise ConfigError(f"{name}_bytes must be at least {wanted} for layer {layer.name!r}, not {have}")
        self._ban(name, max(resident, key=self.sizes))

    def _release(self, index: int) -> None:
        for value in [v for v in self.activation.used if self.last_feed.get(v, -1) <= index]:  # type: ignore[call-overload]
            self.activation.release(value)
        for value in [v for v in self.output.used if self.last_residual.get(v, -1) <= index]:  # type: ignore[call-overload]
            self.output.release(value)
        for value in [v for v in self.memory.used if isinstance(v, str)]:
            if max(self.last_feed.get(value, -1), self.last_residual.get(value, -1)) <= index:
                self.memory.release(value)


def place(
    layers: Sequence[LayerUse], sizes: Callable[[str], int], outputs: frozenset[str], config: ArrayConfig
) -> Placement:
    """Place all values of a network.

    Raises
    ------
    ConfigError
        If a scratchpad is too small for one tile of a layer; the message says the minimum.
    """
    planner = _Planner(layers, sizes, outputs, config)
    while True:
        try:
            return planner.attempt()
        except _Retry:
            continue
