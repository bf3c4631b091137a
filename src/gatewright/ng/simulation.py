"""The simulated Verilog of an accelerator over a memory image, driven register by register."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from gatewright.errors import MachineFault
from gatewright.host import Driver
from gatewright.host.export import registers_of
from gatewright.inputs import check_seed
from gatewright.ng import sim
from gatewright.ng.accelerator import Accelerator
from gatewright.ng.errors import ArgumentError
from gatewright.ng.records import Numeric
from gatewright.ng.timing import NNGEN, memory_options
from gatewright.program import Result
from gatewright.sim import MemoryOptions, SimulatedBus

__all__ = ["Simulation"]

_PATIENCE = 100_000  # cycles between two looks at whether anything moves


class Simulation:
    """A running accelerator. `memory` is read and written in place; the accelerator sees its first byte at address 0.

    Time passes in `read32`, `write32`, `step` and `wait`, and nowhere else. The memory's timing is `timing` (a name or
    `ng.memory_options(...)`) with `changes` such as `read_delay`, `write_delay`, `sleep_interval`, `keep_sleep`.
    `trace` names a VCD file to write. Use it in a `with`, or `close` it.

    Raises
    ------
    ArgumentError
        If `memory` is no array of bytes, or smaller than the accelerator's address space.
    ConfigError
        If an option of the memory is unknown or out of range, or the seed is negative.
    """

    def __init__(
        self,
        handle: Accelerator,
        memory: np.ndarray,
        *,
        timing: str | MemoryOptions = NNGEN,
        seed: int = 0,
        trace: Path | None = None,
        **changes: Any,
    ) -> None:
        self._bus: SimulatedBus | None = None
        if not isinstance(handle, Accelerator):
            raise ArgumentError(f"handle must be what ng.to_veriloggen gives, not {handle!r}")
        options = memory_options(timing, **changes)
        check_seed(seed)
        self.handle, self.memory = handle, _expect_memory(memory, handle)
        machine, config = handle.build.target, handle.build.config
        self._bus = SimulatedBus(
            handle.verilog,
            machine.top_module(config),
            memory=self.memory,
            base=0,
            data_width=machine.data_width(config),
            options=options,
            seed=seed,
            trace=trace,
            pins=machine.pins(config),
        )

    def read32(self, address: int) -> int:
        """Read a register: an unsigned number."""
        self._expect_register(address)
        return self._running.read32(address)

    def write32(self, address: int, value: int) -> None:
        """Write a register."""
        self._expect_register(address)
        if not isinstance(value, int | np.integer) or not 0 <= value < 1 << 32:
            raise ArgumentError(f"value of a register must be a whole number of 0..{(1 << 32) - 1}, not {value!r}")
        self._running.write32(address, value)

    def step(self, cycles: int = 1) -> None:
        """Let time pass."""
        if not isinstance(cycles, int | np.integer) or cycles < 0:
            raise ArgumentError(f"cycles must be a whole number of at least 0, not {cycles!r}")
        self._running.step(cycles)

    @property
    def irq(self) -> bool:
        """Whether the interrupt line is active."""
        return self._running.wait_interrupt(0)

    @property
    def cycles(self) -> int:
        """Clock cycles since the simulation began."""
        return self._running.cycles

    def start(self) -> None:
        sim.start(self)

    def wait(self) -> None:
        """Let time pass until the accelerator is no longer busy.

        Raises
        ------
        MachineFault
            If it stops with an error or gets no further; the message says which instruction waits.
        """
        driver, looked = self._driver(), self.cycles
        seen: tuple[int, ...] = ()
        while self.read32(sim.BUSY):
            self.step(sim.STEP)
            if self.cycles - looked > _PATIENCE:
                seen, looked = driver.expect_progress(seen), self.cycles
        driver.expect_no_error()

    @property
    def global_offset(self) -> int:
        """Address of the register whose number is added to every base."""
        return self.handle.registers["GLOBAL_OFFSET"].offset

    @property
    def base_registers(self) -> tuple[int, ...]:
        """Addresses of the base registers; the first is that of temporaries."""
        return self.handle.addresses.base_registers

    def place(self, record: Numeric, value: Any) -> None:
        """Write the integers of a placeholder or output where the accelerator has it."""
        slot = self.handle.addresses.slot(record)
        data = slot.pack(value)
        self.memory[slot.placement.addr : slot.placement.addr + data.size] = data

    def place_parameters(self) -> None:
        """Write the image of all variables and constants."""
        start, image = self.handle.addresses.parameters.address, self.handle.image()
        self.memory[start : start + image.size] = image

    def fetch(self, record: Numeric) -> np.ndarray:
        """The integers of an output or placeholder."""
        slot = self.handle.addresses.slot(record)
        data = self.memory[slot.placement.addr : slot.placement.addr + slot.size]
        return slot.unpack(data).reshape(record.shape)

    def result(self) -> Result:
        """What the accelerator counted in its last run: cycles, counters, cycles of each layer."""
        driver = self._driver()
        return Result("rtl", {}, driver.cycles(), driver.counters(), driver.layer_cycles())

    def close(self) -> None:
        """End the simulation; `memory` stays as it is."""
        if self._bus is not None:
            self._bus.close()
            self._bus = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _running(self) -> SimulatedBus:
        if self._bus is None:
            raise MachineFault("The simulation is closed")
        return self._bus

    def _expect_register(self, address: int) -> None:
        end = 1 << self.handle.build.config.saxi_addrwidth
        if not isinstance(address, int | np.integer) or not 0 <= address < end or address % 4:
            raise ArgumentError(f"address of a register must be a multiple of 4 below 0x{end:x}, not {address!r}")

    def _driver(self) -> Driver:
        build = self.handle.build
        return Driver(self._running, registers_of(self.handle.registers), build.program)


def _expect_memory(memory: Any, handle: Accelerator) -> np.ndarray:
    needed = handle.addresses.size
    if not isinstance(memory, np.ndarray) or memory.dtype != np.uint8 or memory.ndim != 1:
        raise ArgumentError(f"memory must be a one-dimensional array of numpy.uint8, not {type(memory).__name__}")
    if memory.size < needed:
        raise ArgumentError(f"memory must have at least {needed} bytes, not {memory.size}")
    if not memory.flags.c_contiguous or not memory.flags.writeable:
        raise ArgumentError("memory must be contiguous and writable")
    return memory
