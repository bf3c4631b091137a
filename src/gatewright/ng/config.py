"""NNgen's configuration keys, their defaults, and what values they may have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import MappingProxyType
from typing import Any

from gatewright.errors import ConfigError
from gatewright.ng.errors import NotThereError

__all__ = ["NgConfig", "parse_config"]

_BUS_WIDTHS = (32, 64, 128, 256)
_IGNORED = frozenset({"chunk_size"})  # scripts hand it on to export_ndarray; NNgen ignores it too
_NOT_THERE = frozenset({"use_map_ram", "use_map_reg"})


@dataclass(frozen=True)
class NgConfig:
    """The configuration of an accelerator. `rest` are keys of the machine itself, which checks them."""

    clock_name: str = "CLK"
    reset_name: str = "RESETN"
    reset_polarity: str = "low"
    measurable_main_fsm: bool = True
    interrupt_enable: bool = True
    interrupt_name: str = "irq"
    axi_coherent: bool = False
    maxi_datawidth: int = 32
    maxi_addrwidth: int = 32
    saxi_datawidth: int = 32
    saxi_addrwidth: int = 32
    req_fifo_addrwidth: int = 3
    default_global_addr_offset: int = 0
    use_map_ram: bool = False
    use_map_reg: bool = False
    use_param_ram: bool = False
    min_param_ram_len: int = 0
    default_datawidth: int = 32
    min_onchip_ram_capacity: int = 4096
    offchipram_chunk_bytes: int = 64
    max_parallel_ops: int = 1
    onchip_ram_style: str | None = None
    param_ram_style: str | None = None
    map_ram_style: str | None = None
    onchip_ram_priority: str | Callable[..., Any] = "total_size"
    fsm_as_module: bool = False
    disable_stream_cache: bool = False
    disable_control_cache: bool = False
    dump_stream: bool = False
    dump_stream_base: int = 10
    header0: int = 0
    header1: int = 0
    header2: int = 0
    header3: int = 0
    rest: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for each in fields(self):
            if each.default is not MISSING:
                _expect_type(each.name, getattr(self, each.name), each.default)
        _expect("maxi_datawidth", self.maxi_datawidth, self.maxi_datawidth in _BUS_WIDTHS, _BUS_WIDTHS)
        _expect("saxi_datawidth", self.saxi_datawidth, self.saxi_datawidth == 32, (32,))
        _expect("reset_polarity", self.reset_polarity, self.reset_polarity in ("low", "high"), ("low", "high"))
        priorities = ("total_size", "max_size")
        legal = callable(self.onchip_ram_priority) or self.onchip_ram_priority in priorities
        _expect("onchip_ram_priority", self.onchip_ram_priority, legal, (*priorities, "a function"))
        chunk, word = self.offchipram_chunk_bytes, self.maxi_datawidth // 8
        if chunk % word:
            raise ConfigError(f"offchipram_chunk_bytes must be a multiple of {word} (maxi_datawidth), not {chunk!r}")
        for name in sorted(_NOT_THERE):
            if getattr(self, name):
                raise NotThereError(f"configuration key {name!r} is not in gatewright.ng yet")


def parse_config(config: Mapping[str, Any] | None) -> NgConfig:
    """The configuration with NNgen's defaults; keys that NNgen does not have go to the machine.

    `axi_width` is another name of `maxi_datawidth`.
    """
    if not isinstance(config, Mapping | None):
        raise ConfigError(f"config must be a mapping of keys to values, not {config!r}")
    given = {name: value for name, value in (config or {}).items() if name not in _IGNORED}
    if "axi_width" in given:
        width = given.pop("axi_width")
        if given.setdefault("maxi_datawidth", width) != width:
            raise ConfigError(f"axi_width must be maxi_datawidth ({given['maxi_datawidth']!r}), not {width!r}")
    names = {each.name for each in fields(NgConfig)} - {"rest"}
    own = {name: value for name, value in given.items() if name in names}
    rest = {name: value for name, value in given.items() if name not in names}
    return NgConfig(**own, rest=MappingProxyType(rest))


def _expect_type(name: str, value: Any, default: Any) -> None:
    """Raise `ConfigError` unless a value is of the kind of its default."""
    if isinstance(default, bool):
        _expect(name, value, isinstance(value, bool), (True, False))
    elif isinstance(default, int):
        least = 0 if default == 0 else 1
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
        _expect(name, value, whole, (f"a whole number of at least {least}",))
    elif default is None:
        _expect(name, value, value is None or isinstance(value, str), ("None", "a text"))
    elif name != "onchip_ram_priority":
        _expect(name, value, isinstance(value, str) and value != "", ("a text",))


def _expect(name: str, value: Any, legal: bool, choices: tuple[Any, ...]) -> None:
    if not legal:
        raise ConfigError(f"{name} must be {' or '.join(map(str, choices))}, not {value!r}")
