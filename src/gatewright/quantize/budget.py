"""What a choice of widths may lose, and what it is to save."""

from dataclasses import dataclass

from gatewright.errors import ConfigError
from gatewright.quantize.loss import Loss, top1_loss
from gatewright.quantize.options import QuantiseOptions
from gatewright.quantize.work import Cost, bit_operations

__all__ = ["WidthBudget", "Widths"]

Widths = tuple[int, int]

_CANDIDATES = ((8, 8), (8, 4), (6, 6), (4, 4), (8, 2), (4, 2), (2, 2))


@dataclass(frozen=True)
class WidthBudget:
    """How much may be lost, and what is to be saved.

    `loss` is the most that `measure` may give; by default it is a share of samples (`top1_loss`), with labels the drop
    of accuracy against the float network. `cost` prices a layer at some widths, `unit` is that of the cost.
    `candidates` are pairs of widths (activation read, weights), the first the most precise. At most
    `samples` of those given calibrate and are searched on; others check, with `confidence`, that no more is lost.
    """

    loss: float = 0.01
    cost: Cost = bit_operations
    candidates: tuple[Widths, ...] = _CANDIDATES
    measure: Loss = top1_loss
    samples: int = 512
    unit: str = "bit operations"
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not self.loss >= 0:
            raise ConfigError(f"loss must be a number of at least 0, not {self.loss!r}")
        if len(self.candidates) < 2 or self.samples < 1:
            raise ConfigError("candidates must be at least two pairs of widths, and samples at least 1")
        if not 0.5 <= self.confidence < 1:
            raise ConfigError(f"confidence must be at least 0.5 and below 1, not {self.confidence!r}")
        for pair in self.candidates:
            QuantiseOptions(*pair)
