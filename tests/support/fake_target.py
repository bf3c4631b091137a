"""A machine that interprets the text of a graph: everything around targets can be tested on it without hardware."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from fake_bus import FakeBus

from gatewright.errors import ConfigError
from gatewright.hdl.csr_map import REGISTER_MAP, RegisterMap
from gatewright.ir import (
    I8,
    I32,
    U8,
    U32,
    Builder,
    Graph,
    HostStep,
    MatMul,
    Node,
    Port,
    Requantise,
    Rounding,
    TensorType,
    parse,
)
from gatewright.passes import FusionRules, Pass, group, to_signed
from gatewright.program import Binding, LayerInfo, Program, Region, Result
from gatewright.targets import Rule, Support, Target

__all__ = ["FakeConfig", "FakeSimulatedBus", "FakeTarget", "install", "small_graph"]

CYCLES_A_LAYER = 100


@dataclass(frozen=True)
class FakeConfig:
    lanes: int = 4
    """Products a
    cycle."""
    fast: bool = True
    flavour: str = "plain"

    def __post_init__(self) -> None:
        if self.lanes < 1:
            raise ConfigError(f"lanes must be at least 1, not {self.lanes}")


def few_outputs(node: Node, graph: Graph, config: FakeConfig) -> str | None:
    return f"outputs must be at most 8, not {node.type.shape[-1]}" if node.type.shape[-1] > 8 else None


class FakeTarget(Target[FakeConfig]):
    name: ClassVar[str] = "fake"
    summary: ClassVar[str] = "interprets graphs"
    config_type: ClassVar[type] = FakeConfig
    supports: ClassVar[Support] = Support(
        (
            Rule(MatMul.name, "lanes", ("at most 8 outputs",), few_outputs),
            Rule("requantise", "shifter"),
            Rule("reshape", "no work"),
        )
    )
    passes: ClassVar[tuple[Pass, ...]] = (to_signed,)
    top: ClassVar[str] = "gatewright_fake"

    def lower(self, graph: Graph, config: FakeConfig) -> Program:
        """Region 0 is the graph as text, which holds all constants as long as they are small."""
        text = str(graph).encode()
        ends = ((graph.inputs[0].name, graph.input_ports[0]), (graph.outputs[0], graph.output_ports[0]))
        places = [Binding(name, 1 + i, 0, graph.type_of(name), port) for i, (name, port) in enumerate(ends)]
        layers = group(graph, FusionRules())
        return Program(
            name=graph.name,
            target=self.name,
            config=self.config_values(config),
            config_digest=self.digest(config),
            instruction_count=len(text),
            regions=(
                Region("program", "program", len(text), text),
                Region("input", "input", places[0].size),
                Region("output", "output", places[1].size),
            ),
            inputs=(places[0],),
            outputs=(places[1],),
            layers=tuple(LayerInfo(x.name, x.main.op.name, x.macs, -(-x.macs // config.lanes)) for x in layers),
        )

    def run(self, program: Program, inputs: Sequence[np.ndarray]) -> Result:
        graph = parse(program.regions[0].data.decode())
        return Result("model", graph.evaluate(*inputs), CYCLES_A_LAYER * len(program.layers))

    def hardware(self, config: FakeConfig) -> str:
        return f"module {self.top}; // {config.lanes} lanes\nendmodule\n"

    def core(self, config: FakeConfig) -> str | None:
        return f"module fake_core; // {config.lanes} lanes\nendmodule\n" if config.fast else None

    def register_map(self, config: FakeConfig) -> RegisterMap:
        return REGISTER_MAP

    def digest(self, config: FakeConfig) -> int:
        return zlib.crc32(repr(config).encode())

    def data_width(self, config: FakeConfig) -> int:
        return 64

    def multiplier_bits(self, config: FakeConfig) -> int:
        return 17

    def multipliers(self, config: FakeConfig) -> int:
        return config.lanes

    def multipliers_outside_array(self, config: FakeConfig) -> int:
        return 1

    def memory_bytes(self, config: FakeConfig) -> int:
        return 1024


class FakeSimulatedBus(FakeBus):
    """Takes the place of the simulator: a machine that does what its program's text says, but for `error` added."""

    error: ClassVar[int] = 0

    def __init__(self, verilog: str, top: str, *, memory_bytes: int, **rest: object) -> None:
        lanes = int(verilog.split("//")[1].split()[0])
        super().__init__(FakeTarget().digest(FakeConfig(lanes)), self.interpret, size=memory_bytes)

    def __enter__(self) -> FakeSimulatedBus:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def interpret(self, bus: FakeBus) -> None:
        start = self.region(0)
        graph = parse(self.memory[start : start + self.get("PROGRAM_LENGTH")].tobytes().decode())
        source, target = graph.inputs[0], graph.type_of(graph.outputs[0])
        x = Binding("x", 1, 0, source.type).unpack(self.memory[self.region(1) :][: source.type.size])
        y = graph.evaluate(x)[graph.outputs[0]] + self.error
        self.memory[self.region(2) :][: target.size] = y.astype(np.int8).reshape(-1).view(np.uint8)
        self.put("CYCLES_LO", CYCLES_A_LAYER * len(group(graph, FusionRules())))
        self.put("READ_BEATS", 12)
        self.put("WRITE_BEATS", 3)
        self.put("COMPUTE_BUSY", 50)
        self.finish()


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `fake` the only machine, and its bench the simulator."""
    monkeypatch.setattr("gatewright.targets.MACHINES", {"fake": "fake_target:FakeTarget"})
    monkeypatch.setattr("gatewright.engines.SimulatedBus", FakeSimulatedBus)


def small_graph(outputs: int = 3, batch: int = 1) -> Graph:
    """uint8 [batch, 4] -> product, requantised -> int8 scores [batch, outputs], of which the host takes softmax."""
    builder = Builder("small")
    port = Port("pixels", "uint8", (batch, 4), None, 0.5, 128, 128)
    x = builder.input("pixels", TensorType((batch, 4), U8), port)
    w = builder.constant(np.arange(outputs * 4).reshape(outputs, 4) % 7 - 3, I8, "w")
    bias = builder.constant(np.arange(outputs) * 10, I32, "bias")
    acc = builder.add(MatMul(x_zero=128), x, w, bias, name="dense")
    mul, shift = builder.constant([1], U32, "mul"), builder.constant([2], U8, "shift")
    tail = (HostStep("dequantize", scale=0.25, zero_point=-3), HostStep("softmax"))
    y = builder.add(Requantise(-3, -128, 127, Rounding.HALF_UP, I8), acc, mul, shift, name="scores")
    builder.output(y, Port("scores", "float32", (batch, outputs), None, 0.25, -3, -3, tail))
    return builder.build()
