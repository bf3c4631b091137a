"""The state of a machine: idle, running, in error, resetting; and the counters of a run."""

from amaranth.hdl import *
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.axi import ADDRESS_WIDTH
from gatewright.hdl.burst import FAULT
from gatewright.hdl.csr_map import INDEX_WIDTH, ErrorCode

__all__ = ["FAULT_CODES", "LayerTimer", "RunControl", "RunCounters"]

FAULT_CODES = tuple(code for code in ErrorCode if code is not ErrorCode.NONE)


class _State(enum.Enum, shape=2):
    IDLE = 0
    RUN = 1
    ERROR = 2
    RESETTING = 3


class RunControl(wiring.Component):
    """Starts, stops and resets the machine.

    `faults` are in the order of `FAULT_CODES`; the first that comes while running stops the machine: of several in the
    same cycle the one with the lowest code, and `run` is low two cycles later. `ended` comes when the program has ended
    and all is `quiet`. A reset waits until all bursts have ended (`quiet`), then `reset` is high for one cycle.
    `launch` is high in the cycle before the first with `run`.
    """

    start: In(1)
    reset_order: In(1)
    ended: In(1)
    quiet: In(1)
    faults: In(FAULT).array(len(FAULT_CODES))
    launch: Out(1)
    run: Out(1)
    reset: Out(1)
    done: Out(1)
    done_event: Out(1)
    error: Out(1)
    error_event: Out(1)
    resetting: Out(1)
    error_code: Out(4)
    fault_index: Out(INDEX_WIDTH)
    fault_address: Out(ADDRESS_WIDTH)

    def elaborate(self, platform) -> Module:
        m = Module()
        state = Signal(_State)
        m.d.comb += [
            self.run.eq(state == _State.RUN),
            self.error.eq(state == _State.ERROR),
            self.resetting.eq(state == _State.RESETTING),
        ]
        fault, code = self._first_fault(m)
        with m.Switch(state):
            with m.Case(_State.IDLE):
                m.d.comb += self.launch.eq(self.start & ~self.reset_order)
                with m.If(self.launch):
                    m.d.sync += [state.eq(_State.RUN), self.done.eq(0)]
            with m.Case(_State.RUN):
                m.d.comb += [self.error_event.eq(fault.valid), self.done_event.eq(self.ended & ~fault.valid)]
                with m.If(fault.valid):
                    m.d.sync += [
                        state.eq(_State.ERROR),
                        self.error_code.eq(code),
                        self.fault_index.eq(fault.index),
                        self.fault_address.eq(fault.address),
                    ]
                with m.Elif(self.ended):
                    m.d.sync += [state.eq(_State.IDLE), self.done.eq(1)]
            with m.Case(_State.RESETTING):
                m.d.comb += self.reset.eq(self.quiet)
                with m.If(self.quiet):
                    m.d.sync += [
                        state.eq(_State.IDLE),
                        self.done.eq(0),
                        self.error_code.eq(ErrorCode.NONE),
                        self.fault_index.eq(0),
                        self.fault_address.eq(0),
                    ]
        with m.If(self.reset_order):
            m.d.sync += state.eq(_State.RESETTING)
        return m

    def _first_fault(self, m: Module) -> tuple[data.View, Signal]:
        """The fault of the cycle before, and its code."""
        now, fault = Signal(FAULT), Signal(FAULT, reset_less=True)
        code_now, code = Signal(self.error_code.shape()), Signal(self.error_code.shape(), reset_less=True)
        for number, candidate in reversed(list(zip(FAULT_CODES, self.faults, strict=True))):
            with m.If(candidate.valid):
                m.d.comb += [now.eq(candidate), code_now.eq(number)]
        m.d.sync += [fault.eq(now), fault.valid.eq(now.valid & self.run), code.eq(code_now)]
        return fault, code


class RunCounters(wiring.Component):
    """Counts cycles while `run`, by what the core does; `clear` zeroes all.

    A cycle counts as busy if the core computes; else as stalled for the first reason that holds: the core drains, the
    oldest compute instruction lacks a token of a load, or of a store, or there is none (and no END) for an idle core.
    """

    clear: In(1)
    run: In(1)
    computing: In(1)
    draining: In(1)
    lacks_load: In(1)
    lacks_store: In(1)
    starving: In(1)
    read_beat: In(1)
    write_beat: In(1)
    cycles: Out(64)
    compute_busy: Out(32)
    stall_load: Out(32)
    stall_store: Out(32)
    stall_fetch: Out(32)
    stall_drain: Out(32)
    read_beats: Out(32)
    write_beats: Out(32)

    def elaborate(self, platform) -> Module:
        m = Module()
        reasons = [
            (self.computing, self.compute_busy),
            (self.draining, self.stall_drain),
            (self.lacks_load, self.stall_load),
            (self.lacks_store, self.stall_store),
            (self.starving, self.stall_fetch),
        ]
        events = [(Const(1), self.cycles), (self.read_beat, self.read_beats), (self.write_beat, self.write_beats)]
        for place, (reason, counter) in enumerate(reasons):
            earlier = Cat(reason for reason, _ in reasons[:place]).any()
            events.append((reason & ~earlier, counter))
        for event, counter in events:
            with m.If(self.clear):
                m.d.sync += counter.eq(0)
            with m.Elif(self.run):
                m.d.sync += counter.eq(counter + event)
        return m


class LayerTimer(wiring.Component):
    """Counts cycles of one layer: while as many layers as `layer` - 1 have completed since `clear`, and `run`.

    `completed` comes once for each layer; `count` goes up every `divisor` + 1 cycles.
    """

    clear: In(1)
    run: In(1)
    completed: In(1)
    layer: In(16)
    divisor: In(16)
    count: Out(32)

    def elaborate(self, platform) -> Module:
        m = Module()
        current = Signal(16)
        passed = Signal(16)
        step = passed >= self.divisor
        with m.If(self.clear):
            m.d.sync += [current.eq(1), passed.eq(0), self.count.eq(0)]
        with m.Elif(self.run):
            m.d.sync += current.eq(current + self.completed)
            with m.If(current == self.layer):
                m.d.sync += [passed.eq(Mux(step, 0, passed + 1)), self.count.eq(self.count + step)]
        return m
