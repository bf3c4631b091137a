"""The interface between the shell and a machine's core."""

from amaranth.hdl import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.instruction import INSTRUCTION_BITS

__all__ = ["READ_LATENCY", "SCRATCH_ADDRESS_WIDTH", "CorePort", "ScratchWrite"]

READ_LATENCY = 3
"""Cycles from an accepted `read` to its `read_data`."""

SCRATCH_ADDRESS_WIDTH = 20


def ScratchWrite(bus_bits: int) -> data.StructLayout:
    """One beat on its way into a scratchpad: byte lane j, where `mask` is set, goes to `address + j` modulo 2^20.

    For the byte-addressed memories (activation, output) any address may come, also a "negative" one when its low lanes
    are masked off; for the others it is a multiple of the bus's bytes.
    """
    return data.StructLayout(
        {
            "memory": unsigned(3),
            "address": unsigned(SCRATCH_ADDRESS_WIDTH),
            "data": unsigned(bus_bits),
            "mask": unsigned(bus_bits // 8),
        }
    )


class CorePort(wiring.Signature):
    """Shell to core, seen from the core: the core has it as `Out(CorePort(...))`, the shell as `In(CorePort(...))`.

    Members
    -------
    reset : In(1)
        Soft reset, for one cycle: the core returns to its initial state (scratchpads keep what they hold).
    commands : In(stream)
        Instruction words of the compute queue, in order, their tokens already taken.
    completed : Out(1)
        One pulse for each instruction whose opcode is among the shell's `completing`, in order, when all its writes are
        done. The other instructions count as completed when they and all before them have been accepted and completed.
    write : In(stream)
        `ScratchWrite` beats of the load DMA.
    read, read_data : In(stream), Out
        Byte address in the output scratchpad, any alignment; `READ_LATENCY` cycles after it was accepted `read_data` is
        the bus-wide window from there on. No back-pressure.
    busy : Out(1)
        A command is in progress.
    computing : Out(1)
        The array takes a valid tap in this cycle.
    draining : Out(1)
        The feed waits for results to drain.
    """

    def __init__(self, bus_bits: int) -> None:
        self.bus_bits = bus_bits
        super().__init__(
            {
                "reset": In(1),
                "commands": In(stream.Signature(INSTRUCTION_BITS)),
                "completed": Out(1),
                "write": In(stream.Signature(ScratchWrite(bus_bits))),
                "read": In(stream.Signature(data.StructLayout({"address": unsigned(SCRATCH_ADDRESS_WIDTH)}))),
                "read_data": Out(bus_bits),
                "busy": Out(1),
                "computing": Out(1),
                "draining": Out(1),
            }
        )
