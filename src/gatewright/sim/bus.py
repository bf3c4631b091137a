"""A machine's Verilog, Verilated, behind the same bus protocol as a board."""

import ctypes
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from gatewright.errors import ConfigError, MachineFault
from gatewright.hdl.pins import Pins
from gatewright.sim.build import Port, build, pin_defines
from gatewright.sim.memory import MEMORIES, MemoryOptions
from gatewright.sim.model import Model

__all__ = ["ChannelCount", "SimulatedBus"]

DEFAULT_BASE = 0x8000_0000
DEFAULT_WAIT = 100_000
_RESPONSES = ("OKAY", "EXOKAY", "SLVERR", "DECERR")
_CHANNELS = ("ar", "r", "aw", "w", "b")
_PAYLOADS = {"ar": ("addr",), "aw": ("addr",), "w": ("data",), "r": ("data",), "b": ()}
_MASTER_PAYLOADS = {**_PAYLOADS, "ar": ("addr", "len"), "aw": ("addr", "len"), "w": ("data", "strb", "last")}


class ChannelCount(NamedTuple):
    """Of one channel: transfers, and the cycles in which the bench or the machine kept one from happening."""

    transfers: int
    held_by_bench: int
    held_by_machine: int


class _Error(ctypes.Structure):
    _fields_ = (
        ("start", ctypes.c_uint64),
        ("end", ctypes.c_uint64),
        ("response", ctypes.c_uint32),
        ("reads", ctypes.c_uint32),
        ("writes", ctypes.c_uint32),
    )


_OPTION_FIELDS = (
    "error_count",
    "read_latency",
    "write_latency",
    "jitter",
    "read_limit",
    "write_limit",
    "read_wait",
    "write_wait",
    "serial",
    "write_gap",
    "run_cycles",
    "pause_cycles",
    "stall",
    "reorder",
    "check_hazards",
    "host_cycles",
    "seed",
)


class _Options(ctypes.Structure):
    _fields_ = (
        ("memory", ctypes.c_void_p),
        ("base", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        ("errors", ctypes.c_void_p),
        *((name, ctypes.c_uint32) for name in _OPTION_FIELDS),
    )


class SimulatedBus:
    """The machine `top` of a Verilog text on a simulated bus (see `gatewright.host.Bus`), reset and ready.

    Time passes in register accesses, `wait_interrupt` and `step`, and nowhere else. The memory is `memory` itself
    (contiguous bytes), or `memory_bytes` of noise; the machine's own memories start as noise, both by `seed`. The
    machine sees the memory at `base`, and anything beside it answers DECERR.
    `pins` are the names of its pins. When the machine breaks a rule of AXI, what runs at that moment raises
    `ProtocolError`, and so does all after it.
    """

    def __init__(
        self,
        verilog: str,
        top: str,
        *,
        memory_bytes: int = 0,
        memory: np.ndarray | None = None,
        data_width: int = 64,
        options: MemoryOptions = MEMORIES["default"],
        seed: int = 0,
        base: int = DEFAULT_BASE,
        trace: Path | None = None,
        pins: Pins | None = None,
    ) -> None:
        self._pins = pins or Pins()
        if data_width not in (32, 64, 128, 256):
            raise ConfigError(f"Width of the bus must be 32, 64, 128 or 256, not {data_width}")
        defines = [f"GW_BUS_BYTES={data_width // 8}", *pin_defines(pins)]
        check = partial(_check_ports, top, data_width, self._pins)
        built = build(verilog, top, ["bus.cpp"], defines=defines, trace=trace is not None, check=check)
        self._model = Model(built, seed=seed, trace=trace, pins=pins)
        self._library = _declare(self._model.library)
        noise = np.random.default_rng(seed)
        self._memory = np.frombuffer(noise.bytes(memory_bytes), np.uint8).copy() if memory is None else memory
        self._base = base
        self._bus = self._library.gw_bus_open(self._model.handle, ctypes.byref(self._options(options, seed)))
        self.reset()

    def _options(self, options: MemoryOptions, seed: int) -> _Options:
        ranges = [
            _Error(error.start, error.start + error.size, _RESPONSES.index(error.response), error.reads, error.writes)
            for error in options.errors
        ]
        errors = (_Error * len(ranges))(*ranges)
        self._errors = errors  # the C++ side copies them when the bus opens, not before
        same = set(_OPTION_FIELDS) & set(MemoryOptions.__dataclass_fields__)
        return _Options(
            memory=self._memory.ctypes.data,
            base=self._base,
            size=self._memory.size,
            errors=ctypes.addressof(errors),
            error_count=len(ranges),
            stall=round(options.stall_probability * 65536),
            seed=seed & 0x3FFF_FFFF,
            **{name: int(getattr(options, name)) for name in same},
        )

    @property
    def base(self) -> int:
        """Address at which the machine sees the first byte of `memory`."""
        return self._base

    @property
    def memory(self) -> np.ndarray:
        """What host and machine share, as writable bytes."""
        return self._memory

    @property
    def cycles(self) -> int:
        """Clock cycles since the simulation began, those under reset included."""
        return self._model.cycles

    @property
    def idle_cycles(self) -> int:
        """Clock cycles since the machine last asked the memory for something or wrote to it."""
        return self.cycles - self._library.gw_bus_last_active(self._bus)

    @property
    def outstanding(self) -> int:
        """Bursts that are under way: none once a machine says that it is done."""
        return self._library.gw_bus_outstanding(self._bus)

    @property
    def stall_counts(self) -> Mapping[str, ChannelCount]:
        """Transfers and held cycles of each channel, by what its pins' names begin with (`m_axi_ar`, `s_axi_w`)."""
        values = self._library.gw_bus_counters(self._bus)
        names = [f"{side}{channel}" for side in (self._pins.master, self._pins.slave) for channel in _CHANNELS]
        return {name: ChannelCount(*values[3 * i : 3 * i + 3]) for i, name in enumerate(names)}

    def read32(self, offset: int) -> int:
        """Read a register: an unsigned 32-bit number."""
        value = ctypes.c_uint32()
        code = self._run(self._library.gw_bus_read32(self._bus, offset, ctypes.byref(value)))
        if code:
            raise MachineFault(f"The machine answers {_RESPONSES[code]} to a read of register 0x{offset:x}")
        return value.value

    def write32(self, offset: int, value: int) -> None:
        """Write a register."""
        code = self._run(self._library.gw_bus_write32(self._bus, offset, value & 0xFFFF_FFFF))
        if code:
            raise MachineFault(f"The machine answers {_RESPONSES[code]} to a write of register 0x{offset:x}")

    def wait_interrupt(self, timeout_cycles: int = DEFAULT_WAIT) -> bool:
        """Let time pass until the interrupt line is active, but no more than so many cycles; return whether it is."""
        return bool(self._run(self._library.gw_bus_run(self._bus, timeout_cycles, 1)))

    def step(self, cycles: int) -> None:
        """Let time pass."""
        self._run(self._library.gw_bus_run(self._bus, cycles, 0))

    def reset(self) -> None:
        """Reset machine and bus as after power-up; the memory keeps its contents."""
        self._run(self._library.gw_bus_reset(self._bus))

    def close(self) -> None:
        """End the simulation and its trace; `memory` stays readable, all else is of no use afterwards."""
        if self._bus:
            self._library.gw_bus_close(self._bus)
            self._model.close()
            self._bus = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_bus", None):
            self.close()

    def _run(self, status: int) -> int:
        return self._model.check(status)


def _check_ports(top: str, data_width: int, pins: Pins, ports: Sequence[Port]) -> None:
    wanted = {pins.clock, pins.reset, *([pins.interrupt] if pins.interrupt else [])}
    for side, payloads in ((pins.master, _MASTER_PAYLOADS), (pins.slave, _PAYLOADS)):
        for channel in _CHANNELS:
            wanted |= {f"{side}{channel}{signal}" for signal in ("valid", "ready", *payloads[channel])}
    if missing := sorted(wanted - {port.name for port in ports}):
        raise ConfigError(f"Module {top} must have the ports of a machine; these are missing: {', '.join(missing)}")
    width = next(port.width for port in ports if port.name == f"{pins.master}rdata")
    if width != data_width:
        raise ConfigError(f"Data of {top}'s AXI4 master must be {data_width} bits wide, not {width}")


def _declare(library: Any) -> Any:
    handle = ctypes.c_void_p
    signatures = {
        "gw_bus_open": (handle, [handle, ctypes.POINTER(_Options)]),
        "gw_bus_close": (None, [handle]),
        "gw_bus_reset": (ctypes.c_int, [handle]),
        "gw_bus_run": (ctypes.c_int, [handle, ctypes.c_uint64, ctypes.c_int]),
        "gw_bus_read32": (ctypes.c_int, [handle, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32)]),
        "gw_bus_write32": (ctypes.c_int, [handle, ctypes.c_uint32, ctypes.c_uint32]),
        "gw_bus_counters": (ctypes.POINTER(ctypes.c_uint64), [handle]),
        "gw_bus_last_active": (ctypes.c_uint64, [handle]),
        "gw_bus_outstanding": (ctypes.c_uint64, [handle]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
