"""Configuration keys."""

import pytest

import gatewright.ng as ng
from gatewright.errors import ConfigError
from gatewright.ng.config import NgConfig, parse_config


def test_defaults():
    config = parse_config(None)
    assert config == NgConfig()
    assert (config.clock_name, config.reset_name, config.maxi_datawidth) == ("CLK", "RESETN", 32)
    assert (config.offchipram_chunk_bytes, config.default_datawidth, config.header3) == (64, 32, 0)


def test_keys_of_the_machine_are_handed_on():
    config = parse_config({"maxi_datawidth": 128, "multipliers": 36, "chunk_size": 64, "header1": 7})
    assert (config.maxi_datawidth, config.header1, dict(config.rest)) == (128, 7, {"multipliers": 36})


def test_priority_may_be_a_function():
    assert parse_config({"onchip_ram_priority": max}).onchip_ram_priority is max


@pytest.mark.parametrize(
    ("key", "value", "legal"),
    [
        ("maxi_datawidth", 48, "32 or 64 or 128 or 256"),
        ("saxi_datawidth", 64, "32"),
        ("maxi_addrwidth", 0, "a whole number of at least 1"),
        ("default_global_addr_offset", -1, "a whole number of at least 0"),
        ("header0", 1.5, "a whole number of at least 0"),
        ("clock_name", 3, "a text"),
        ("interrupt_enable", 1, "True or False"),
        ("reset_polarity", "up", "low or high"),
        ("onchip_ram_style", 3, "None or a text"),
        ("onchip_ram_priority", "none", "total_size or max_size or a function"),
        ("offchipram_chunk_bytes", 6, r"a multiple of 4 \(maxi_datawidth\)"),
    ],
)
def test_impossible_values(key, value, legal):
    with pytest.raises(ConfigError, match=f"{key} must be {legal}, not {value!r}"):
        parse_config({key: value})


@pytest.mark.parametrize("key", ["use_map_ram", "use_map_reg"])
def test_keys_that_are_not_there_yet(key):
    with pytest.raises(ng.NotThereError, match=rf"configuration key '{key}' is not in gatewright\.ng yet"):
        parse_config({key: True})
