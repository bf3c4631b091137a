"""The registers of the shell in hardware, generated from their table."""

from collections.abc import Mapping, Sequence

from amaranth.hdl import *
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.axi import RegisterBus
from gatewright.hdl.csr_map import REGISTER_MAP, Access, ErrorCode, Field, Register, RegisterMap
from gatewright.hdl.instruction import STAMP_COUNT

__all__ = ["REGISTER_MAP", "STAMP", "Access", "ErrorCode", "Field", "Register", "RegisterMap", "Registers"]

_STAMP_REGISTER = "STAMP"

STAMP = data.StructLayout({"index": unsigned(STAMP_COUNT.bit_length() - 1), "value": unsigned(32)})


def register_shape(register: Register) -> data.FlexibleLayout | Shape:
    """The register as fields by name, or as one number if it has none."""
    if not register.fields:
        return unsigned(register.width)
    fields = {field.name: data.Field(unsigned(field.width), field.low) for field in register.fields}
    return data.FlexibleLayout(register.width, fields)


class Registers(wiring.Component):
    """All registers of a map behind a register bus.

    Each register is a member of the same name in lower case, with its fields as members: an input for what is read only
    (`constants` gives those that never change, whole arrays as sequences), an output for what software writes; orders
    last one cycle. A register that software clears is an output, and has an input `<name>_set` of bits to be set.
    `clear` zeroes the latter kind. A request is an output that stays, and has an input `<name>_taken` that ends it.
    STAMP is a memory, written by the stream `stamp`.
    Writing a register that cannot be written, or any access where there is no register, is an error, unless the map is
    forgiving.
    """

    def __init__(self, constants: Mapping[str, int | Sequence[int]], register_map: RegisterMap = REGISTER_MAP) -> None:
        self.register_map = register_map
        self.constants = {
            name: (value,) if isinstance(value, int) else tuple(value) for name, value in constants.items()
        }
        members = {
            "bus": In(RegisterBus()),
            "clear": In(1),
            "stamp": In(stream.Signature(STAMP, always_ready=True)),
        }
        for register in register_map:
            if register.name not in self.constants and register.name != _STAMP_REGISTER:
                members |= self._members(register)
        super().__init__(members)
        self._stored: dict[str, list[Value]] = {
            register.name: [
                Signal(register.width, init=value, name=register.name.lower()) for value in register.initial
            ]
            for register in register_map
            if register.initial and register.name not in self.constants
        }

    @staticmethod
    def _members(register: Register) -> dict[str, wiring.Member]:
        shape = register_shape(register)
        name = register.name.lower()
        if register.access is Access.READ:
            member = In(shape)
            return {name: member.array(register.count) if register.count > 1 else member}
        member = Out(shape)
        members = {name: member.array(register.count) if register.count > 1 else member}
        if register.access is Access.CLEAR:
            members[f"{name}_set"] = In(shape)
        if register.access is Access.REQUEST:
            members[f"{name}_taken"] = In(1)
        return members

    def _words(self, register: Register) -> list[Value]:
        """The elements of a register, as values of up to 32 bits."""
        if register.name in self.constants:
            return [Const(value, 32) for value in self.constants[register.name]]
        if register.name in self._stored:
            return self._stored[register.name]
        return self._members_of(register)

    def _members_of(self, register: Register) -> list[Value]:
        signal = getattr(self, register.name.lower())
        return [Value.cast(element) for element in (signal if register.count > 1 else [signal])]

    def _events(self, register: Register) -> Value:
        return Value.cast(getattr(self, f"{register.name.lower()}_set"))

    def elaborate(self, platform) -> Module:
        m = Module()
        stamps = self._stamps(m)
        word = Signal(32)
        from_stamps = Signal()
        m.d.comb += self.bus.read_data.eq(Mux(from_stamps, stamps.data, word))
        with m.If(self.bus.read):
            m.d.sync += [word.eq(0), from_stamps.eq(0), self.bus.read_error.eq(0)]
            with m.Switch(self.bus.read_address):
                for register in self.register_map:
                    self._read(m, register, word, from_stamps)
                with m.Default():
                    m.d.sync += self.bus.read_error.eq(not self.register_map.forgiving)
        for register in self.register_map:
            if register.access is Access.CLEAR:
                self._clear(m, register)
            if register.access is Access.REQUEST:
                self._end_request(m, register)
            if register.name in self._stored:
                held = zip(self._members_of(register), self._words(register), strict=True)
                m.d.comb += [out.eq(value) for out, value in held]
        m.d.comb += self.bus.write_error.eq(not self.register_map.forgiving)
        for register in self.register_map:
            if register.access is not Access.READ:
                for offset, element in zip(register.offsets(), self._words(register), strict=True):
                    self._write(m, register, offset, element)
        return m

    def _stamps(self, m: Module) -> memory.ReadPort:
        m.submodules.stamps = storage = memory.Memory(shape=32, depth=STAMP_COUNT, init=[])
        write, read = storage.write_port(), storage.read_port()
        m.d.comb += [
            write.addr.eq(self.stamp.p.index),
            write.data.eq(self.stamp.p.value),
            write.en.eq(self.stamp.valid),
            read.addr.eq(self.bus.read_address[: len(read.addr)]),
            read.en.eq(self.bus.read),
        ]
        return read

    def _read(self, m: Module, register: Register, word: Signal, from_stamps: Signal) -> None:
        if register.name == _STAMP_REGISTER:
            within = "-" * (register.count.bit_length() - 1)
            block = len(self.bus.read_address) - len(within)
            with m.Case(f"{register.offset >> 2 >> len(within):0{block}b}{within}"):
                m.d.sync += from_stamps.eq(1)
            return
        elements = self._words(register)
        for offset, element in zip(register.offsets(), elements, strict=False):
            with m.Case(offset >> 2):
                if register.access is not Access.COMMAND:
                    m.d.sync += word.eq(element)

    def _clear(self, m: Module, register: Register) -> None:
        (signal,) = self._words(register)
        m.d.sync += signal.eq(Mux(self.clear, 0, signal | self._events(register)))

    def _end_request(self, m: Module, register: Register) -> None:
        """Before a write in the order of assignments: one that comes with the end of the request before it counts."""
        (signal,) = self._words(register)
        with m.If(getattr(self, f"{register.name.lower()}_taken")):
            m.d.sync += signal.eq(0)

    def _write(self, m: Module, register: Register, offset: int, element: Value) -> None:
        written = self.bus.write_data
        with m.If(self.bus.write & (self.bus.write_address == offset >> 2)):
            m.d.comb += self.bus.write_error.eq(0)
            if register.access is Access.COMMAND:
                m.d.comb += element.eq(written)
            elif register.access is Access.READ_WRITE:
                m.d.sync += element.eq(written)
            elif register.access is Access.REQUEST:
                with m.If(written != 0 if register.width == 1 else written[: register.width] != 0):
                    m.d.sync += element.eq(written)
            else:
                m.d.sync += element.eq((element & ~written) | self._events(register))
