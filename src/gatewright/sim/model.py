"""Any Verilated design, port by port, from Python."""

import ctypes
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from amaranth.lib import wiring

from gatewright.errors import GatewrightError, MachineFault
from gatewright.hdl import emit_verilog
from gatewright.hdl.pins import Pins
from gatewright.sim.build import BuiltModel, Port, build, pin_defines

__all__ = ["Model", "ProtocolError"]


class ProtocolError(MachineFault):
    """The design broke a rule of one of its interfaces."""


class Model:
    """A running design: `set` inputs, `tick` the clock, `get` outputs.

    Outputs that depend on inputs within the cycle follow `set` at once. Memories and whatever else the design leaves
    open start as noise drawn from `seed`, inputs as zero. Use it in a `with`, or `close` it. `library` and `handle` are
    for those who add C++ of their own to the model. `pins` names clock and reset as the model was built with them.
    Raises `OSError` if `trace` is no file that can be written.
    """

    def __init__(
        self, built: BuiltModel, *, seed: int = 0, trace: Path | None = None, pins: Pins | None = None
    ) -> None:
        self._pins = pins or Pins()
        if trace is not None:
            Path(trace).write_bytes(b"")  # Verilator would not tell that it cannot
        self.library = _load(built.library)
        self.handle = self.library.gw_open(seed & 0xFFFF_FFFF, str(trace or "").encode())
        self._ports = {port.name: port for port in built.ports}
        self._addresses = {p.name: self.library.gw_port(self.handle, i) for i, p in enumerate(built.ports)}
        for port in built.ports:
            if port.is_input:
                self.set(port.name, 0)  # the noise of the start is for what the design holds, not for what it is given

    @classmethod
    def from_verilog(
        cls, verilog: str, top: str, *, seed: int = 0, trace: Path | None = None, pins: Pins | None = None
    ) -> Self:
        """Build (or find in the cache) and start the module `top`; `trace` names a VCD file to write.

        `pins` names its clock and reset, where they are not `clk` and `rst`.
        """
        built = build(verilog, top, defines=pin_defines(pins), trace=trace is not None)
        return cls(built, seed=seed, trace=trace, pins=pins)

    @classmethod
    def of(cls, component: wiring.Component, *, seed: int = 0, trace: Path | None = None) -> Self:
        """Emit, build and start a component, and reset it; its ports are named as `emit_verilog` names them."""
        model = cls.from_verilog(emit_verilog(component, "top"), "top", seed=seed, trace=trace)
        model.reset()
        return model

    @property
    def ports(self) -> Mapping[str, Port]:
        return self._ports

    @property
    def cycles(self) -> int:
        """Rising clock edges so far, those under reset included."""
        return self.library.gw_cycles(self.handle)

    @property
    def message(self) -> str:
        """What the C++ side said when it last failed."""
        return self.library.gw_message(self.handle).decode()

    def address(self, name: str) -> int | None:
        """Return where a port's value lies, or None if the design has no such port."""
        return self._addresses.get(name)

    def set(self, name: str, value: int) -> None:
        """Drive an input with an integer; a negative one is taken in two's complement."""
        port = self._port(name)
        if not port.is_input:
            raise ValueError(f"Port {name!r} is an output of the design")
        if not -(1 << port.width >> 1) <= value < 1 << port.width:
            raise ValueError(f"Port {name!r} takes {port.width} bits, not {value}")
        data = (value & ((1 << port.width) - 1)).to_bytes(port.bytes, "little")
        ctypes.memmove(self._addresses[name], data, port.bytes)
        self._settled = False

    def get(self, name: str, *, signed: bool = False) -> int:
        """Return a port's value now, as an unsigned integer or in two's complement."""
        port = self._port(name)
        if not self._settled:
            self.check(self.library.gw_settle(self.handle))
            self._settled = True
        value = int.from_bytes(ctypes.string_at(self._addresses[name], port.bytes), "little")
        return value - (1 << port.width) if signed and value >> (port.width - 1) else value

    def tick(self, count: int = 1) -> None:
        """Let `count` rising clock edges pass with the inputs as they are."""
        self.check(self.library.gw_tick(self.handle, count))
        self._settled = True

    def reset(self, count: int = 2) -> None:
        """Hold the reset for some cycles, where the design has one."""
        name, active = self._pins.reset, int(not self._pins.reset_active_low)
        if name in self._ports:
            self.set(name, active)
            self.tick(count)
            self.set(name, 1 - active)

    def close(self) -> None:
        """End the simulation and its trace; the model is of no use afterwards."""
        if self.handle:
            self.library.gw_close(self.handle)
            self.handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self.close()

    def _port(self, name: str) -> Port:
        if name not in self._ports:
            raise ValueError(f"Port must be one of {', '.join(self._ports)}, not {name!r}")
        return self._ports[name]

    def check(self, status: int) -> int:
        """Return what a function of the C++ side returned, unless it is negative: then raise what it complains of."""
        if status == -2:
            raise ProtocolError(self.message)
        if status < 0:
            raise MachineFault(self.message)
        return status


def _load(path: Path) -> Any:
    try:
        library: Any = ctypes.CDLL(str(path))
    except OSError as error:
        raise GatewrightError(f"The simulation model {path.name} does not load: {error}") from error
    signatures = {
        "gw_open": (ctypes.c_void_p, [ctypes.c_uint32, ctypes.c_char_p]),
        "gw_close": (None, [ctypes.c_void_p]),
        "gw_message": (ctypes.c_char_p, [ctypes.c_void_p]),
        "gw_cycles": (ctypes.c_uint64, [ctypes.c_void_p]),
        "gw_port": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int]),
        "gw_settle": (ctypes.c_int, [ctypes.c_void_p]),
        "gw_tick": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_uint64]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
