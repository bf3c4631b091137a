"""The one bench of stream components: random pauses on both sides, and the rules of a stream checked in every cycle."""

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from amaranth.hdl import Const, Shape, ShapeCastable, Value
from amaranth.lib import wiring

from gatewright.hdl import emit_verilog
from gatewright.sim.build import build
from gatewright.sim.model import Model

__all__ = ["StreamBench", "StreamRun", "run_stream"]


class _Stream(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("payload", ctypes.c_void_p),
        ("valid", ctypes.c_void_p),
        ("ready", ctypes.c_void_p),
        ("bytes", ctypes.c_uint64),
        ("width", ctypes.c_uint64),
        ("items", ctypes.c_void_p),
        ("count", ctypes.c_uint64),
        ("done", ctypes.c_uint64),
        ("stall", ctypes.c_uint32),
    )


@dataclass(frozen=True)
class StreamRun:
    """What came out of each output stream, and the cycles from the end of reset until the last item moved."""

    outputs: Mapping[str, list[int]]
    cycles: int


class StreamBench:
    """A component with `amaranth.lib.stream` ports, emitted and built once, run as often as wanted.

    Checked in every run: `valid` and `payload` hold until `ready`, and do not depend on it within a cycle; exactly the
    expected number of items comes out. The payload of an input is noise while it is not valid.
    """

    def __init__(self, component: wiring.Component) -> None:
        self._component = component
        self._verilog = emit_verilog(component, "top")

    def run(
        self,
        inputs: Mapping[str, Sequence[Any]],
        outputs: Mapping[str, int],
        *,
        seed: int = 0,
        stall_probability: float = 0.3,
        constants: Mapping[str, int] | None = None,
        patience: int = 2000,
        trace: Path | None = None,
    ) -> StreamRun:
        """Send `inputs` (by stream, such as `"i"`) and collect as many items as `outputs` says of each stream.

        Items are what the payload's shape takes as a constant; those that come out are integers, in two's complement if
        the shape is signed. `constants` sets other ports. Nothing moving for `patience` cycles is a `MachineFault`, a
        broken rule a `ProtocolError`.
        """
        built = build(self._verilog, "top", ["streams.cpp"], trace=trace is not None)
        with Model(built, seed=seed, trace=trace) as model:
            senders = [self._stream(model, name, len(items), stall_probability) for name, items in inputs.items()]
            sinks = [self._stream(model, name, count, stall_probability) for name, count in outputs.items()]
            for sender, (name, items) in zip(senders, inputs.items(), strict=True):
                sender.fill([_encode(self._payload(name), item) for item in items])
            for name, value in (constants or {}).items():
                model.set(name, value)
            model.reset()
            cycles = _run(model, senders, sinks, seed, patience)
            return StreamRun({sink.name: sink.items(self._payload(sink.name)) for sink in sinks}, cycles)

    def _payload(self, name: str) -> Any:
        return attrgetter(name)(self._component).payload

    def _stream(self, model: Model, name: str, count: int, stall_probability: float) -> "_Buffer":
        prefix = name.replace(".", "_")
        stall = round(stall_probability * 65536)
        width = Shape.cast(self._payload(name).shape()).width
        return _Buffer(name, model, prefix, width, count, stall)


class _Buffer:
    """The items of one stream and its ports, as the C++ side sees them."""

    def __init__(self, name: str, model: Model, prefix: str, width: int, count: int, stall: int) -> None:
        self.name = name
        port = model.ports.get(f"{prefix}_payload")
        self.bytes = port.bytes if port else 1
        self._buffer = ctypes.create_string_buffer(max(1, count * self.bytes))
        self._nothing = ctypes.create_string_buffer(1)
        self.record = _Stream(
            name=name.encode(),
            payload=model.address(f"{prefix}_payload") or ctypes.addressof(self._nothing),
            valid=model.address(f"{prefix}_valid"),
            ready=model.address(f"{prefix}_ready"),
            bytes=self.bytes,
            width=width,
            items=ctypes.addressof(self._buffer),
            count=count,
            done=0,
            stall=stall,
        )

    def fill(self, items: Sequence[int]) -> None:
        data = b"".join(item.to_bytes(self.bytes, "little") for item in items)
        ctypes.memmove(self._buffer, data, len(data))

    def items(self, payload: Any) -> list[int]:
        raw, size = self._buffer.raw, self.bytes
        values = (int.from_bytes(raw[i * size : (i + 1) * size], "little") for i in range(self.record.count))
        shape = payload.shape()
        if isinstance(shape, Shape) and shape.signed:
            return [value - (1 << shape.width) if value >> (shape.width - 1) else value for value in values]
        return list(values)


def run_stream(
    component: wiring.Component,
    inputs: Sequence[Any],
    *,
    expected_count: int,
    seed: int = 0,
    stall_probability: float = 0.3,
) -> list[int]:
    """Send `inputs` into the stream `i` of a component and return the `expected_count` items that come out of `o`."""
    bench = StreamBench(component)
    run = bench.run({"i": inputs}, {"o": expected_count}, seed=seed, stall_probability=stall_probability)
    return run.outputs["o"]


def _encode(payload: Any, item: Any) -> int:
    shape = payload.shape()
    constant = shape.const(item) if isinstance(shape, ShapeCastable) and not isinstance(item, int) else item
    value = Const.cast(constant).value if isinstance(constant, Value) or not isinstance(constant, int) else constant
    width = Shape.cast(shape).width
    if not -(1 << width >> 1) <= value < 1 << width:
        raise ValueError(f"Item of a stream must fit {width} bits, not {item!r}")
    return value & ((1 << width) - 1)


def _run(model: Model, senders: Sequence[_Buffer], sinks: Sequence[_Buffer], seed: int, patience: int) -> int:
    senders_array = (_Stream * len(senders))(*(sender.record for sender in senders))
    sinks_array = (_Stream * len(sinks))(*(sink.record for sink in sinks))
    run = model.library.gw_streams
    run.restype = ctypes.c_int64
    run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
    run.argtypes += [ctypes.c_uint32, ctypes.c_uint64, ctypes.c_uint64]
    streams = [ctypes.addressof(senders_array), len(senders), ctypes.addressof(sinks_array), len(sinks)]
    return model.check(run(model.handle, *streams, seed & 0xFFFF_FFFF, patience, 64))
