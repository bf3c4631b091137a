"""Options and widths say what they take."""

import pytest

from gatewright.errors import ConfigError
from gatewright.quantize import QuantiseOptions, parse_bits


@pytest.mark.parametrize(("text", "bits"), [("a8w8", (8, 8)), ("a4w2", (4, 2)), (" A2W8 ", (2, 8))])
def test_parse_bits(text: str, bits: tuple[int, int]) -> None:
    assert parse_bits(text) == bits


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("w8a8", "bits must be written like a8w8 (activations, weights), not 'w8a8'"),
        ("", "bits must be written like a8w8"),
        ("a8w8w8", "not 'a8w8w8'"),
        ("a9w8", "activation bits in 'a9w8' must be from 2 to 8, or 16, not 9"),
        ("a8w1", "weight bits in 'a8w1' must be from 2 to 8, or 16, not 1"),
    ],
)
def test_parse_bits_refuses(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_bits(text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"activation_bits": 9}, "activation_bits must be a whole number from 2 to 8, or 16, not 9"),
        ({"weight_bits": 1}, "weight_bits must be a whole number from 2 to 8, or 16, not 1"),
        ({"weight_bits": "8"}, "weight_bits must be a whole number from 2 to 8, or 16, not '8'"),
        ({"scales": "log"}, "scales must be one of float, pow2, not 'log'"),
        ({"calibration": "entropy"}, "calibration must be one of auto, minmax, percentile, mse, not 'entropy'"),
        ({"activation_type": "int16"}, "activation_type must be one of uint8, int8, not 'int16'"),
        (
            {"layers": {"conv1": (8, 9)}},
            "weight bits of layer 'conv1' must be a whole number from 2 to 8, or 16, not 9",
        ),
        ({"percentile": 50}, "percentile must be above 50 and at most 100, not 50"),
    ],
)
def test_options_refuse(values: dict, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        QuantiseOptions(**values)
    assert message in str(error.value)


def test_power_of_two_scales_change_the_defaults_to_what_shift_only_machines_take() -> None:
    assert QuantiseOptions().channelwise
    assert not QuantiseOptions().symmetric
    assert not QuantiseOptions(scales="pow2").channelwise
    assert QuantiseOptions(scales="pow2").symmetric
    assert QuantiseOptions(scales="pow2", per_channel=True).channelwise
    assert not QuantiseOptions(scales="pow2", symmetric_activations=False).symmetric


def test_layers_are_found_under_the_names_of_reports() -> None:
    options = QuantiseOptions(layers={"block_conv1": (4, 4), "/fc/MatMul": (8, 2)})
    found = options.of_layers(["block/conv1", "/fc/MatMul", "other"])
    assert found.layers == {"block/conv1": (4, 4), "/fc/MatMul": (8, 2)}
    with pytest.raises(ConfigError, match="layers must be among block/conv1, other, not /fc/MatMul"):
        options.of_layers(["block/conv1", "other"])
