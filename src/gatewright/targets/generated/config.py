"""Configuration of the generated machine: a budget before lowering, every choice after it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from gatewright.errors import ConfigError
from gatewright.targets.array.config import ArrayConfig, hash_of
from gatewright.targets.generated.boundary import BoundaryConfig

__all__ = ["GeneratedConfig"]


@dataclass(frozen=True)
class GeneratedConfig(BoundaryConfig):
    """What the machine may cost, and what is wished for; 0 leaves the choice to the compiler.

    After lowering no parameter is 0 but `multiplier_width`, for a machine that only shifts, and `vector_lanes`, for one
    without a vector unit.

    Raises
    ------
    ConfigError
        If a parameter is out of range.
    """

    multipliers: int = 64
    """Most multipliers of the array; lanes of a vector unit that runs convolutions count among them."""
    memory_bytes: int = 256 * 1024
    """Most bytes of scratchpads."""
    rows: int = 0
    """Pixels computed at once."""
    columns: int = 0
    """Filters computed at once."""
    feed_words: int = 0
    """Elements of a tap word, from `rows` to 64."""
    post_lanes: int = 0
    """Channels the post unit takes in one cycle."""
    activation_bytes: int = 0
    """Scratchpad that the array reads activations from."""
    weight_bytes: int = 0
    """Scratchpad of weights."""
    output_bytes: int = 0
    """Scratchpad of results on their way to memory, and of residual operands."""
    parameter_bytes: int = 0
    """Scratchpad of biases, multipliers and shifts."""
    activation_width: int = 0
    """Bits of an activation in the array, at most 16."""
    weight_width: int = 0
    """Bits of a weight in the array, at most 16."""
    result_width: int = 0
    """Bits of the widest result: 8, 16 or 32."""
    accumulator_width: int = 0
    """Bits of a sum; by default what range analysis asks for."""
    multiplier_width: int = 0
    """Width of the unsigned requantisation multiplier; by default what the network needs, none where it only shifts."""
    residual: bool = True
    """Residual adder; left out where the network has none."""
    pool: bool = True
    """Maximum unit; left out where the network has no use for it."""
    lut: bool = True
    """Table; left out where the network has none."""
    vector: bool = True
    """Vector unit; left out where the network has nothing for it."""
    vector_lanes: int = 0
    """Elements the vector unit takes in one cycle, a power of two."""
    vector_sum_width: int = 0
    """Bits of a sum in the vector unit; by default what range analysis asks for."""
    vector_operand_bytes: int = 0
    """Bytes of the largest element that the vector unit reads: 1 or 2."""
    vector_result_bytes: int = 0
    """Bytes of the largest element that the vector unit writes: 1, 2 or 4."""
    vector_operand: bool = True
    """Second operand of the vector unit; left out, as are the parts below, where no layer of it uses them."""
    vector_product_shift: bool = True
    """Rounding shift of the vector unit's products."""
    vector_affine: bool = True
    """Sum of two operands times a factor each."""
    vector_shift: bool = True
    """Shift of one operand by the other."""
    vector_maximum: bool = True
    """Maxima and their places."""
    vector_table: bool = True
    """256-entry table of the vector unit."""
    program_bytes: int = 0
    """Size of the program in ROM: set by lowering."""
    program_digest: str = ""
    """Hash of the program in ROM: set by lowering."""
    unsigned_regions: int = 0
    """Regions (bit n: region n) whose bytes are unsigned in memory: set by lowering."""

    def __post_init__(self) -> None:
        for name in ("multipliers", "memory_bytes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        for field in fields(self):
            if field.type == "int" and getattr(self, field.name) < 0:
                raise ConfigError(
                    f"{field.name} must be at least 1 (0: chosen for the network), not {getattr(self, field.name)}"
                )
        super().__post_init__()
        if self.rows * self.columns > self.multipliers:
            raise ConfigError(
                f"rows x columns must be at most multipliers = {self.multipliers}, not {self.rows} x {self.columns}"
            )

    @property
    def chosen(self) -> bool:
        """Whether the machine is made."""
        return bool(self.program_digest)

    def array(self) -> ArrayConfig:
        """The array machine inside; only where all is chosen."""
        names = set(ArrayConfig.names()) & {field.name for field in fields(self)}
        return ArrayConfig(**{name: getattr(self, name) for name in names})

    def digest(self) -> int:
        """32-bit hash of all choices and the program."""
        return hash_of(self)
