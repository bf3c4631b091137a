"""How rows of tensors lie in regions whose rows begin with words of the bus."""

import pytest

from gatewright.ir import I8, I16, IntType, TensorType
from gatewright.targets.array.memory_map import Rows


@pytest.mark.parametrize(
    ("dtype", "shape", "alignment", "rows"),
    [
        (I8, (2, 5), 4, Rows(5, 8)),
        (I8, (2, 3), 4, Rows(3, 4)),
        (I8, (2, 9), 8, Rows(9, 16)),
        (I16, (2, 3), 4, Rows(6, 8)),
        (I8, (), 4, Rows(1, 4)),
        (I8, (2, 4), 4, None),
        (I8, (2, 8), 4, None),
        (I16, (2, 2), 4, None),
        (I8, (2, 5), 1, None),
    ],
)
def test_rows_end_at_the_next_word(dtype: IntType, shape: tuple[int, ...], alignment: int, rows: Rows | None) -> None:
    assert Rows.of(TensorType(shape, dtype), alignment) == rows
