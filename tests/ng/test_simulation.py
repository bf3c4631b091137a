"""A simulation by hand, register by register, as NNgen's test benches do it."""

import numpy as np
import pytest

import gatewright.ng as ng
from gatewright import RunOptions, run
from gatewright.errors import ConfigError, GatewrightError, MachineFault

START, BUSY, ISR, IER, IAR, COUNT, COUNT_STATE, SPACE = 16, 20, 36, 40, 44, 48, 52, 124
HEADER = {"header0": 0xC0FFEE, "header3": 7}


@pytest.fixture(scope="module")
def network():
    random = np.random.default_rng(0)
    x = ng.placeholder(ng.int8, (1, 5, 4, 3), name="x")
    w, v = ng.variable(ng.int8, (6, 3, 3, 3), name="w"), ng.variable(ng.int8, (5, 120), name="v")
    for each in (w, v):
        each.set_value(random.integers(-127, 128, each.shape))
    y = ng.conv2d(x, w, (1, 1, 1, 1), rshift_out=8, act_func=ng.relu, dtype=ng.int8, name="y")
    z = ng.matmul(ng.reshape(y, (1, -1)), v, transposed_b=True, rshift_out=9, dtype=ng.int8, name="z")
    y.attribute(par_ich=8)
    z.attribute(par_out_col=16)
    return x, z


@pytest.fixture(scope="module")
def handle(network):
    return ng.to_veriloggen([network[1]], "by_hand", HEADER, silent=True)


def image(seed=0):
    return np.random.default_rng(seed).integers(-128, 128, (1, 5, 4, 3))


def simulation(handle, size=None, **options):
    memory = np.random.default_rng(5).integers(0, 256, size or handle.addresses.size, np.uint8)
    return ng.Simulation(handle, memory, **options)


def test_one_run(network, handle):
    x, z = network
    with simulation(handle) as running:
        running.place_parameters()
        running.place(x, image())
        running.start()
        running.wait()
        np.testing.assert_array_equal(running.fetch(z), ng.eval([z], x=image())[0])
        np.testing.assert_array_equal(running.fetch(x), image())
        result = running.result()
        assert 0 < result.cycles < running.cycles
        assert sum(result.layer_cycles) == result.cycles


def test_as_nngens_test_benches_do_it(network, handle):
    """Tensors by address and alignment, temporaries moved to the end, the interrupt."""
    x, z = network
    assert (x.get_word_alignment(), z.get_word_alignment()) == (8, 16)
    parameters = ng.export_ndarray([z])
    end = handle.addresses.size
    memory = np.zeros(end + 4096, np.uint8)
    ng.set_memory(memory, image(1), 32, x.dtype.width, x.addr, x.get_word_alignment())
    ng.set_memory(memory, parameters, 32, 8, handle.addresses.parameters.address)
    with ng.Simulation(handle, memory, read_delay=10, write_delay=10, sleep_interval=16, keep_sleep=4) as saxi:
        assert [ng.sim.get_header(saxi, index) for index in range(4)] == [0xC0FFEE, 0, 0, 7]
        assert saxi.read32(SPACE) == end
        ng.sim.set_global_addrs(saxi, end)
        saxi.write32(IER, 1)
        ng.sim.start(saxi)
        assert saxi.read32(BUSY)
        assert not saxi.irq
        ng.sim.wait(saxi)
        assert saxi.irq
        assert saxi.read32(ISR) == 1
        saxi.write32(IAR, 1)
        assert not saxi.irq
        rows = ng.unpack(memory[z.addr :], z.shape, z.dtype, z.get_word_alignment())
    np.testing.assert_array_equal(rows, ng.eval([z], x=image(1))[0])


def test_time_passes_in_steps(handle):
    with simulation(handle) as running:
        before = running.cycles
        running.step(17)
        running.step()
        assert running.cycles == before + 18
        running.write32(START, 1)
        while running.read32(START):
            running.step()
        steps = 0
        while running.read32(BUSY):
            running.step(10)
            steps += 1
        assert steps > 3


def test_results_do_not_depend_on_the_memory(network, handle):
    x, z = network
    cycles = {}
    for timing in ("ideal", "nngen", "stalls"):
        with simulation(handle, timing=timing, seed=2) as running:
            running.place_parameters()
            for seed in range(2):
                running.place(x, image(seed))
                running.start()
                running.wait()
                np.testing.assert_array_equal(running.fetch(z), ng.eval([z], x=image(seed))[0])
            cycles[timing] = running.result().cycles
    assert cycles["ideal"] < min(cycles["nngen"], cycles["stalls"])


def test_regions_may_lie_anywhere(network, handle):
    x, z = network
    space = handle.addresses.size
    bases = [space + 4096 * index for index in range(4)]
    with simulation(handle, size=space + 5 * 4096) as running:
        running.place_parameters()
        running.place(x, image())
        start, stretch = handle.addresses.parameters.address, handle.addresses.parameters.size
        moved = {0: bases[0], 1: bases[1], 2: bases[2], 3: bases[3]}
        old = list(handle.addresses.registers().values())
        sizes = {2: handle.addresses.slot(x).size, 3: stretch}
        assert old[3] == start
        for index, size in sizes.items():
            running.memory[moved[index] + 64 :][:size] = running.memory[old[index] :][:size]
        ng.sim.set_global_offset(running, 64)
        ng.sim.set_global_addrs(running, *moved.values())
        running.start()
        running.wait()
        place = handle.addresses.slot(z)
        found = place.unpack(running.memory[moved[1] + 64 :][: place.size])
    np.testing.assert_array_equal(found, ng.eval([z], x=image())[0])


def test_the_older_register_map(network):
    x, z = network
    older = ng.to_veriloggen([z], "older", {"register_map": "1.0"}, silent=True)
    assert older.registers["GLOBAL_OFFSET"].offset == 36
    space = older.addresses.size
    memory = np.zeros(space + 128, np.uint8)
    with ng.Simulation(older, memory[128:], timing="ideal") as running:
        running.place_parameters()
        running.place(x, image())
    with ng.Simulation(older, memory, timing="ideal") as running:
        assert not running.irq
        ng.sim.set_global_offset(running, 128)
        ng.sim.start(running)
        ng.sim.wait(running)
    place = older.addresses.slot(z)
    found = place.unpack(memory[128 + place.placement.addr :][: place.size])
    np.testing.assert_array_equal(found, ng.eval([z], x=image())[0])


@pytest.mark.parametrize("timing", ["ideal", "stalls"])
def test_unsigned_images_as_they_come(timing):
    """Bytes of a camera, written by a driver that knows of no sign; an unsigned tensor that another layer reads."""
    x = ng.placeholder(ng.uint8, (1, 6, 5, 3), name="x")
    w = ng.variable(ng.int8, (4, 3, 3, 3), name="w")
    w.set_value(np.random.default_rng(0).integers(-128, 128, w.shape))
    y = ng.conv2d(x, w, (1, 1, 1, 1), rshift_out=9, dtype=ng.uint8, name="y")
    z = ng.max_pool(y, (1, 2, 2, 1), (1, 1, 1, 1), name="z")
    made = ng.to_veriloggen([y, z], "camera", silent=True)
    pixels = np.random.default_rng(1).integers(0, 256, x.shape)
    memory = np.zeros(made.addresses.size, np.uint8)
    ng.set_memory(memory, pixels, 32, 8, x.addr, x.get_word_alignment())
    with ng.Simulation(made, memory, timing=timing) as running:
        running.place_parameters()
        running.start()
        running.wait()
    for record, expected in zip((y, z), ng.eval([y, z], x=pixels), strict=True):
        found = ng.unpack(memory[record.addr :], record.shape, record.dtype, record.get_word_alignment())
        np.testing.assert_array_equal(found, expected)


def test_the_driver_of_the_project_drives_it_too(network, handle):
    _, z = network
    found = run(handle.build, {"x": image().astype(np.int8)}, "rtl", RunOptions("stalls"))
    np.testing.assert_array_equal(found.outputs["z"], ng.eval([z], x=image())[0])


def test_an_address_beyond_the_memory_is_a_fault(handle):
    with simulation(handle) as running:
        ng.sim.set_global_addrs(running, None, None, running.memory.size + 4096)
        running.start()
        with pytest.raises(MachineFault, match="read bus error"):
            running.wait()


def test_after_a_fault_a_reset_helps(network, handle):
    x, z = network
    with simulation(handle) as running:
        running.place_parameters()
        running.place(x, image())
        place = running.read32(handle.addresses.base_registers[2])
        ng.sim.set_global_addrs(running, running.memory.size + 4096, offset=2)
        running.start()
        with pytest.raises(MachineFault):
            running.wait()
        ng.sim.sw_rst(running)
        ng.sim.set_global_addrs(running, place, offset=2)
        running.start()
        running.wait()
        np.testing.assert_array_equal(running.fetch(z), ng.eval([z], x=image())[0])


def test_a_closed_simulation(handle):
    running = simulation(handle)
    running.close()
    running.close()
    with pytest.raises(MachineFault, match="The simulation is closed"):
        running.step()


def test_traces(handle, tmp_path):
    with simulation(handle, trace=tmp_path / "trace.vcd") as running:
        running.step(10)
    assert "maxi_araddr" in (tmp_path / "trace.vcd").read_text()


def test_impossible_simulations(handle, network):
    x, _ = network
    with pytest.raises(ValueError, match=r"handle must be what ng\.to_veriloggen gives, not 'text'"):
        ng.Simulation("text", np.zeros(4, np.uint8))
    with pytest.raises(ValueError, match=r"memory must be a one-dimensional array of numpy\.uint8, not list"):
        ng.Simulation(handle, [0] * 10_000)
    with pytest.raises(ValueError, match=rf"memory must have at least {handle.addresses.size} bytes, not 64"):
        ng.Simulation(handle, np.zeros(64, np.uint8))
    with pytest.raises(ValueError, match="memory must be contiguous and writable"):
        ng.Simulation(handle, np.zeros(2 * handle.addresses.size, np.uint8)[::2])
    with pytest.raises(ConfigError, match="memory options must be among"):
        simulation(handle, delay=3)
    with simulation(handle) as running, pytest.raises(GatewrightError, match="value of placeholder 'x' must fit int8"):
        running.place(x, np.full((1, 5, 4, 3), 128))
