"""The way to hardware."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

import gatewright
import gatewright.ng as ng
from gatewright.errors import ConfigError, GatewrightError
from gatewright.hdl.outline import Outline
from gatewright.sim import lint


def small():
    random = np.random.default_rng(0)
    x = ng.placeholder(ng.int8, (1, 6, 6, 4), name="x")
    w, b = ng.variable(ng.int8, (8, 3, 3, 4), name="w"), ng.variable(ng.int32, (8,), name="b")
    w.set_value(random.integers(-127, 128, w.shape))
    b.set_value(random.integers(-500, 500, 8))
    y = ng.conv2d(x, w, (1, 1, 1, 1), bias=b, rshift_out=8, act_func=ng.relu, dtype=ng.int8, name="y")
    return ng.max_pool_serial(y, (1, 2, 2, 1), (1, 2, 2, 1), name="pooled")


def test_a_design_holds_all_that_was_said():
    y = small()
    y.args[0].attribute(par_ich=4)
    design = ng.design([y], "mine", {"maxi_datawidth": 64, "default_datawidth": 16})
    assert design.network.graph.name == "mine"
    assert design.network.hints["y.sum"] == {"par_ich": 4}
    assert design.config.maxi_datawidth == 64
    assert design.config.default_datawidth == 16


def test_records_without_a_type_have_the_default_one():
    y = ng.add(ng.constant([1, 2], name="c"), ng.constant([3, 4]), name="y")
    graph = ng.design(y, "mine", {"default_datawidth": 16}).network.graph
    assert str(graph.type_of("y")) == "i16[2]"


def test_the_simulated_machine_agrees():
    image = np.random.default_rng(1).integers(-128, 128, (1, 6, 6, 4))
    simulated = ng.simulate([small()], x=image)
    np.testing.assert_array_equal(simulated.outputs[0], ng.eval([small()], x=image)[0])
    assert simulated.cycles > 0
    assert sum(simulated.layers.values()) == simulated.cycles


def test_keywords_replace_values_of_variables():
    image, weights = np.full((1, 6, 6, 4), 100), np.full((8, 3, 3, 4), 3)
    simulated = ng.simulate([small()], x=image, w=weights)
    np.testing.assert_array_equal(simulated.outputs[0], ng.eval([small()], x=image, w=weights)[0])


def test_slower_memory_takes_longer():
    image = np.zeros((1, 6, 6, 4), int)
    cycles = [ng.simulate(small(), memory=memory, x=image).cycles for memory in ("ideal", "nngen")]
    slow = ng.memory_options(read_delay=100, sleep_interval=3, keep_sleep=9)
    cycles.append(ng.simulate(small(), memory=slow, x=image).cycles)
    assert cycles == sorted(set(cycles))


def test_a_name_that_is_an_option():
    x = ng.placeholder(ng.int8, (4,), name="memory")
    with pytest.raises(ValueError, match="placeholder 'memory' must have another name to be simulated"):
        ng.simulate(ng.relu(x))


def test_a_build_is_one_of_gatewrights():
    build = ng.build(small(), "mine", {"multipliers": 16})
    assert isinstance(build, gatewright.Build)
    assert build.config.multipliers == 16
    image = np.random.default_rng(1).integers(-128, 128, (1, 6, 6, 4)).astype(np.int8)
    found = gatewright.run(build, {"x": image}, "model").outputs["pooled"]
    np.testing.assert_array_equal(found, ng.eval([small()], x=image)[0])


def test_what_the_machine_cannot_do_is_named():
    x = ng.placeholder(ng.dtype_int(40), (1, 4), name="x")
    with pytest.raises(GatewrightError, match=r"y \(multiply, i40\[1,4\]\)"):
        ng.build(ng.multiply(x, x, name="y"), "mine")


CONFIG = {"clock_name": "clock", "reset_name": "reset", "reset_polarity": "high", "interrupt_name": "ready"}


def test_verilog(tmp_path, capsys):
    text = ng.to_verilog([small()], "mine", tmp_path / "mine.v", CONFIG)
    assert (tmp_path / "mine.v").read_text() == text
    ports = {port.name for port in Outline(text).module("mine").ports}
    assert {"clock", "reset", "ready", "maxi_araddr", "saxi_wdata"} <= ports
    assert all(name.startswith("mine") for name in re.findall(r"^module (\w+)", text, re.MULTILINE))
    lint(text, "mine")
    printed = capsys.readouterr().out
    assert "clock_name" in printed
    assert re.search(r"^ +0  y +conv2d", printed, re.MULTILINE)


def test_the_log_is_an_object_a_text_and_a_file(tmp_path, capsys):
    accelerator = ng.to_veriloggen([small()], "mine", silent=True)
    assert capsys.readouterr().out == ""
    log = accelerator.log
    assert [stage.layer for stage in log.stages] == ["y"]
    assert log.configuration["module_name"] == "mine"
    assert {row.name for row in log.memory_map} >= {"pooled", "x"}
    log.save(tmp_path / "log.txt")
    assert (tmp_path / "log.txt").read_text() == str(log)
    assert accelerator.to_verilog() == accelerator.verilog
    assert repr(accelerator) == "<Accelerator mine>"


def test_ipxact(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    accelerator = ng.to_ipxact([small()], "mine", "my_ip", CONFIG, silent=True)
    folder = tmp_path / "my_ip_v1_0"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {"component.xml", "hdl/mine.v", "xgui/xgui.tcl"}
    assert (folder / "hdl" / "mine.v").read_text() == accelerator.verilog
    text = (folder / "component.xml").read_text()
    namespace = re.search(r'xmlns:spirit="([^"]+)"', text)[1]
    root = ElementTree.fromstring(text)
    names = [each.text for each in root.iterfind("s:busInterfaces/s:busInterface/s:name", {"s": namespace})]
    assert sorted(names) == ["clock", "maxi", "ready", "reset", "saxi"]
    assert "ACTIVE_HIGH" in text
    ng.to_ipxact([small()], "mine", silent=True)
    assert (tmp_path / "mine_v1_0" / "component.xml").exists()


@pytest.mark.parametrize("name", ["to_verilog", "to_ipxact", "to_veriloggen"])
def test_impossible_accelerators(name):
    with pytest.raises(ConfigError, match=r"name of the accelerator must be letters, digits and '_', .* not 'my net'"):
        getattr(ng, name)([small()], "my net")
    with pytest.raises(ConfigError, match="maxi_datawidth must be"):
        getattr(ng, name)([small()], "mine", config={"maxi_datawidth": 5})
