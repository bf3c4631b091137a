"""Memories of a simulation, in NNgen's words."""

import pytest

import gatewright.ng as ng
from gatewright.errors import ConfigError
from gatewright.sim import MEMORIES


def test_the_default_is_that_of_nngens_test_benches():
    assert ng.memory_options() == MEMORIES["nngen"]
    delays = {"read_delay": 10, "write_delay": 10, "sleep_interval": 16, "keep_sleep": 4}
    assert ng.memory_options(**delays) == MEMORIES["nngen"]


def test_changes():
    found = ng.memory_options("ideal", read_delay=3, write_limit=2, sleep_interval=8, keep_sleep=1)
    assert (found.read_latency, found.write_latency, found.write_limit) == (6, 1, 2)
    assert ng.memory_options(write_delay=0).write_wait == 2
    assert (found.run_cycles, found.pause_cycles) == (7, 1)


@pytest.mark.parametrize("changes", [{"sleep_interval": 0}, {"keep_sleep": 0}, {"sleep_interval": 0, "keep_sleep": 4}])
def test_no_rest(changes):
    found = ng.memory_options(**changes)
    assert (found.run_cycles, found.pause_cycles) == (0, 0)


def test_options_are_taken_as_they_are():
    assert ng.memory_options(MEMORIES["stalls"]) == MEMORIES["stalls"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"delay": 3}, "memory options must be among read_delay, .*, not delay"),
        ({"read_delay": -1}, "read_delay must be a whole number of at least 0, not -1"),
        ({"keep_sleep": -1}, "keep_sleep must be a whole number of at least 0, not -1"),
        ({"timing": "slow"}, "Memory must be one of .*, not 'slow'"),
    ],
)
def test_impossible_memories(changes, message):
    with pytest.raises(ConfigError, match=message):
        ng.memory_options(**changes)
