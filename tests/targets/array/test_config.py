"""What a configuration of the array datapath refuses, and what it says then."""

from typing import Any

import pytest

from gatewright.errors import ConfigError
from gatewright.targets.array.config import ArrayConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"vector_lanes": 3}, r"vector_lanes must be 0, 1, 2, 4, 8, 16, 32 or 64, not 3"),
        ({"vector_lanes": True}, r"vector_lanes must be .* not True"),
        ({"vector_lanes": 8, "post_lanes": 1}, r"vector_lanes must be at most 4 with 1 post_lanes, .* not 8"),
        ({"vector_operand_bytes": 4}, r"vector_operand_bytes must be 1 or 2, not 4"),
        ({"vector_result_bytes": 3}, r"vector_result_bytes must be 1, 2 or 4, not 3"),
        ({"vector_sum_width": 65}, r"vector_sum_width must be a whole number from 16 to 64, not 65"),
        ({"vector_operand": False, "vector_product_shift": False}, r"vector_shift needs vector_operand: set vector_sh"),
        ({"vector_operand": False}, r"vector_product_shift needs vector_operand"),
    ],
)
def test_a_vector_unit_that_cannot_be(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ArrayConfig(**values)


def test_scratchpads_hold_the_vector_units_window() -> None:
    assert ArrayConfig().scratch_bytes == 8
    assert ArrayConfig(vector_lanes=4).scratch_bytes == 16
    assert ArrayConfig(vector_lanes=4, vector_result_bytes=1, vector_operand_bytes=1).scratch_bytes == 8
    assert ArrayConfig(vector_lanes=16, vector_result_bytes=1).scratch_bytes == 32
