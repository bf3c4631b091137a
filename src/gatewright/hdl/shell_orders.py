"""How software starts, resets and places a machine: the wiring of those registers in which register maps differ."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from amaranth.hdl import *

from gatewright.hdl.burst import AddressSpace
from gatewright.hdl.dispatch import Dispatcher
from gatewright.hdl.shell_control import LayerTimer, RunControl

__all__ = ["connect_bases", "connect_orders"]


def connect_orders(m: Module, registers: Any, control: RunControl, dispatch: Dispatcher, irq: Signal) -> None:
    """Start, reset and interrupt."""
    if "CONTROL" in registers.register_map:
        _own_orders(m, registers, control, irq)
    else:
        _nngen_orders(m, registers, control, irq)
        if "COUNT" in registers.register_map:
            _count(m, registers, control, dispatch)


def connect_bases(m: Module, registers: Any, units: Iterable[Any], space: AddressSpace) -> None:
    """Where regions lie, to load and store."""
    own = "REGION_BASE_LO" in registers.register_map
    for unit in units:
        for region in range(space.regions):
            if own:
                m.d.comb += unit.bases.low[region].eq(registers.region_base_lo[region])
                m.d.comb += unit.bases.high[region].eq(registers.region_base_hi[region])
            else:
                m.d.comb += unit.bases.low[region].eq(registers.base[region])
        if not own:
            m.d.comb += unit.bases.offset.eq(registers.global_offset)


def _own_orders(m: Module, registers: Any, control: RunControl, irq: Signal) -> None:
    m.d.comb += [
        control.start.eq(registers.control.start),
        control.reset_order.eq(registers.control.reset),
        registers.clear.eq(control.reset),
        registers.irq_status_set.done.eq(control.done_event),
        registers.irq_status_set.error.eq(control.error_event),
        irq.eq((Value.cast(registers.irq_status) & Value.cast(registers.irq_enable)).any()),
    ]


def _nngen_orders(m: Module, registers: Any, control: RunControl, irq: Signal) -> None:
    """A start waits for the end of the run before; error and reset drop it. A run that ends in error has ended, too."""
    ended = control.done_event | control.error_event
    m.d.comb += [
        control.start.eq(registers.start),
        control.reset_order.eq(registers.reset & ~control.resetting),
        registers.start_taken.eq(control.launch | control.error | control.reset),
        registers.reset_taken.eq(control.reset),
        registers.busy.eq(control.run | control.resetting | registers.reset | registers.start),
    ]
    if "ISR" not in registers.register_map:
        return
    happened = Signal.like(Value.cast(registers.isr))
    event = Cat(ended, Const(0, 1))
    m.d.sync += happened.eq((happened & ~Value.cast(registers.iar) & ~control.reset.replicate(2)) | event)
    m.d.comb += [
        Value.cast(registers.isr).eq(happened),
        irq.eq((happened & Value.cast(registers.ier)).any()),
    ]


def _count(m: Module, registers: Any, control: RunControl, dispatch: Dispatcher) -> None:
    m.submodules.timer = timer = LayerTimer()
    m.d.comb += [
        timer.clear.eq(control.launch),
        timer.run.eq(control.run),
        timer.completed.eq(dispatch.stamp.valid),
        timer.layer.eq(registers.count_state),
        timer.divisor.eq(registers.count_div),
        registers.count.eq(timer.count),
    ]
