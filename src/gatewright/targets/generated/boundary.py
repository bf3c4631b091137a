"""What surrounds a generated machine: names and widths of its pins, its register map, and how memory is laid out."""

from __future__ import annotations

from dataclasses import dataclass

from gatewright.errors import ConfigError
from gatewright.hdl.burst import AddressSpace, longest_burst
from gatewright.hdl.csr_map import RegisterMap
from gatewright.hdl.csr_nngen import VERSIONS, NngenRegisters, default_bases, nngen_register_map
from gatewright.hdl.names import VERILOG_NAME, is_verilog_name
from gatewright.hdl.nngen_pins import NngenPins
from gatewright.program import Program

__all__ = ["BoundaryConfig"]

_WORD = 1 << 32


@dataclass(frozen=True)
class BoundaryConfig:
    """The keys of NNgen's configuration that concern the boundary, with NNgen's defaults.

    Raises
    ------
    ConfigError
        If a value is not possible.
    """

    bus_bits: int = 32
    """Data width of the AXI4 master (NNgen's maxi_datawidth): 32, 64, 128 or 256."""
    module_name: str = "gatewright_generated"
    """Name of the top module, and what the names of all others begin with."""
    register_map: str = "1.3.4"
    """NNgen's version whose register map the machine has: 1.3.4 or 1.0."""
    clock_name: str = "CLK"
    """Name of the clock pin."""
    reset_name: str = "RESETN"
    """Name of the reset pin."""
    reset_polarity: str = "low"
    """Level at which the reset pin resets: low or high."""
    interrupt_enable: bool = True
    """Whether there is an interrupt pin with its registers; there is none in map 1.0."""
    interrupt_name: str = "irq"
    """Name of the interrupt pin."""
    measurable_main_fsm: bool = True
    """Whether there are registers that count the cycles of one layer; there are none in map 1.0."""
    axi_coherent: bool = False
    """Whether the AXI4 master asks for coherent transfers."""
    maxi_addrwidth: int = 32
    """Address pins of the AXI4 master; the machine makes addresses of 32 bits."""
    saxi_datawidth: int = 32
    """Data width of the AXI4-Lite slave: 32."""
    saxi_addrwidth: int = 32
    """Address pins of the AXI4-Lite slave; it looks at the lower 12."""
    default_global_addr_offset: int = 0
    """GLOBAL_OFFSET after reset."""
    offchipram_chunk_bytes: int = 64
    """Regions lie at multiples of this, unless their registers are written."""
    header0: int = 0
    """Register 0 of four that identify the accelerator."""
    header1: int = 0
    """Register 1."""
    header2: int = 0
    """Register 2."""
    header3: int = 0
    """Register 3."""

    def __post_init__(self) -> None:
        if self.bus_bits not in (32, 64, 128, 256):
            raise ConfigError(f"bus_bits must be 32, 64, 128 or 256, not {self.bus_bits}")
        if self.register_map not in VERSIONS:
            raise ConfigError(f"register_map must be {' or '.join(VERSIONS)}, not {self.register_map!r}")
        if self.reset_polarity not in ("low", "high"):
            raise ConfigError(f"reset_polarity must be low or high, not {self.reset_polarity!r}")
        if not is_verilog_name(self.module_name):
            raise ConfigError(f"module_name must be {VERILOG_NAME}, not {self.module_name!r}")
        if self.saxi_datawidth != 32:
            raise ConfigError(f"saxi_datawidth must be 32, not {self.saxi_datawidth}")
        for name in ("default_global_addr_offset", "header0", "header1", "header2", "header3"):
            if not 0 <= getattr(self, name) < _WORD:
                raise ConfigError(f"{name} must be in 0..{_WORD - 1}, not {getattr(self, name)}")
        word = self.bus_bits // 8
        if self.offchipram_chunk_bytes < word or self.offchipram_chunk_bytes % word:
            have = self.offchipram_chunk_bytes
            raise ConfigError(f"offchipram_chunk_bytes must be a multiple of {word} (bus_bits), not {have}")
        if self.default_global_addr_offset % word:
            have = self.default_global_addr_offset
            raise ConfigError(f"default_global_addr_offset must be a multiple of {word} (bus_bits), not {have}")
        self.pins()

    @property
    def has_interrupt(self) -> bool:
        return self.interrupt_enable and self.register_map == "1.3.4"

    def pins(self) -> NngenPins:
        """The pins of the top module."""
        try:
            return NngenPins(
                clock=self.clock_name,
                reset=self.reset_name,
                reset_active_low=self.reset_polarity == "low",
                interrupt=self.interrupt_name if self.has_interrupt else None,
                data_bits=self.bus_bits,
                master_address_bits=self.maxi_addrwidth,
                slave_address_bits=self.saxi_addrwidth,
                coherent=self.axi_coherent,
            )
        except ValueError as error:
            text = str(error).replace("master_address_bits", "maxi_addrwidth")
            raise ConfigError(text.replace("slave_address_bits", "saxi_addrwidth")) from None

    @property
    def headers(self) -> tuple[int, int, int, int]:
        return (self.header0, self.header1, self.header2, self.header3)

    def default_placement(self, program: Program) -> tuple[tuple[int, ...], int]:
        """Where each region lies from GLOBAL_OFFSET on while BASE is as after reset; and the bytes of all."""
        return default_bases([region.size for region in program.memory_regions], self.offchipram_chunk_bytes)

    def expect_room(self, program: Program) -> None:
        """Raise `ConfigError` unless the address pins reach all regions as they lie after reset."""
        _, size = self.default_placement(program)
        bits = (self.default_global_addr_offset + size - 1).bit_length()
        if bits > self.maxi_addrwidth:
            have = self.maxi_addrwidth
            raise ConfigError(f"maxi_addrwidth must be at least {bits} for {size} bytes of memory, not {have}")

    def registers(self, program: Program) -> RegisterMap:
        """The register map of the machine for a program."""
        bases, _ = self.default_placement(program)
        return nngen_register_map(
            NngenRegisters(
                bases=[(region.name, base) for region, base in zip(program.memory_regions, bases, strict=True)],
                headers=self.headers,
                offset=self.default_global_addr_offset,
                version=self.register_map,
                interrupt=self.has_interrupt,
                measurable=self.measurable_main_fsm,
            )
        )

    def register_values(self, program: Program) -> dict[str, int | list[int]]:
        """Those registers that never change."""
        values: dict[str, int | list[int]] = {"HEADER": list(self.headers), "EXTERN_SEND": 0, "EXTERN_RECV": 0}
        if self.register_map == "1.3.4":
            values["ADDRESS_SPACE"] = self.default_placement(program)[1]
        return values

    def space(self, regions: int) -> AddressSpace:
        """What the machine sees of so many regions."""
        return AddressSpace(regions, 32, longest_burst(self.bus_bits // 8), runs=True)
