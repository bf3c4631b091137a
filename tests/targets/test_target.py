"""What every target gets from its base class: configurations from texts, and one error for all that is unsupported."""

import pytest
from fake_target import FakeConfig, FakeTarget, install, small_graph

from gatewright.errors import ConfigError, GraphError
from gatewright.ir import I8, Builder, Clip, TensorType
from gatewright.targets import MACHINES, Parameter, get_target, targets

MACHINE = FakeTarget()


def test_a_configuration_from_texts_and_from_values():
    texts = {"lanes": "0x10", "fast": "No", "flavour": "sweet"}
    values = {"lanes": 16, "fast": False, "flavour": "sweet"}
    assert MACHINE.parse_config(texts) == MACHINE.parse_config(values) == FakeConfig(16, False, "sweet")
    assert MACHINE.parse_config({}) == FakeConfig()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lane": 3}, "fake has no parameter 'lane'; it has lanes, fast, flavour"),
        ({"lanes": "3.5"}, "lanes must be a whole number, not '3.5'"),
        ({"lanes": 3.5}, "lanes must be a whole number, not 3.5"),
        ({"lanes": True}, "lanes must be a whole number, not True"),
        ({"fast": 2}, "fast must be true or false, not 2"),
        ({"flavour": 3}, "flavour must be text, not 3"),
        ({"lanes": "0"}, "lanes must be at least 1, not 0"),
    ],
)
def test_what_a_configuration_must_not_be(values, message):
    with pytest.raises(ConfigError) as caught:
        MACHINE.parse_config(values)
    assert str(caught.value) == message


def test_parameters_say_what_they_are():
    assert MACHINE.parameters()[:2] == (
        Parameter("lanes", int, 4, "Products a cycle."),
        Parameter("fast", bool, True, ""),
    )


def test_a_configuration_survives_its_program(monkeypatch):
    install(monkeypatch)
    config = FakeConfig(3, False, "sour")
    assert MACHINE.config_of(MACHINE.lower(small_graph(), config)) == config


def test_every_unsupported_node_is_listed_at_once():
    builder = Builder("odd")
    x = builder.input("x", TensorType((1, 4), I8))
    builder.output(builder.add(Clip(1, 3), builder.add(Clip(0, 5), x, name="first"), name="second"))
    with pytest.raises(GraphError) as caught:
        MACHINE.check(builder.build(), FakeConfig())
    reason = "the machine has no clip; it runs matmul, requantise, reshape"
    assert str(caught.value).splitlines() == [
        "fake cannot run 2 operators of 'odd':",
        f"  first (clip, i8[1,4]): {reason}",
        f"  second (clip, i8[1,4]): {reason}",
    ]


def test_conditions_refuse_with_their_reason():
    MACHINE.check(small_graph(8), FakeConfig())
    with pytest.raises(GraphError, match=r"dense \(matmul, i32\[1,9\]\): outputs must be at most 8, not 9"):
        MACHINE.check(small_graph(9), FakeConfig())


def test_machines_are_found_by_name():
    assert [machine.name for machine in targets()] == list(MACHINES)
    with pytest.raises(ConfigError, match=f"target must be one of {', '.join(MACHINES)}, not 'abacus'"):
        get_target("abacus")


@pytest.mark.parametrize("name", list(MACHINES))
def test_every_machine_keeps_the_contract(name):
    machine = get_target(name)
    config = machine.parse_config({})
    assert machine.name == name
    assert machine.config_values(config) == {p.name: p.default for p in machine.parameters()}
    assert machine.supports.rules
    assert all(rule.operator == machine.supports.rule(rule.operator).operator for rule in machine.supports.rules)
    assert 0 <= machine.digest(config) < 1 << 32
