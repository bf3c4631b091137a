"""LeNet-5 from Keras on bitfusion at 8, 6, 4 and 2 bits, and at widths chosen layer by layer: cycles and accuracy.

    pip install gatewright[demo]
    python examples/lenet5_keras/compare.py [--rtl]

Cycles are those of the machine's model; with --rtl also those of the Verilog, which must give the same scores.
"""

import argparse
import importlib.util
from pathlib import Path

import numpy as np

import gatewright
from gatewright.frontends.keras import load_keras
from gatewright.price import cycle_price
from gatewright.quantize import HeldOut, QuantiseOptions, WidthBudget, accuracy, choose_widths

HERE = Path(__file__).parent
ARRAY = {"rows": 8, "columns": 8}
TRAINED = 1_082  # of the training images; the network has not seen the others


def load_digits() -> tuple[np.ndarray, ...]:
    """Images [N, 32, 32, 1] and labels, for training and for testing: those of `examples/lenet5`."""
    spec = importlib.util.spec_from_file_location("digits", HERE.parent / "lenet5" / "digits.py")
    digits = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(digits)
    return tuple(array.transpose(0, 2, 3, 1) if array.ndim == 4 else array for array in digits.load())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rtl", action="store_true", help="simulate the Verilog too")
    rtl = parser.parse_args().rtl
    train_x, train_y, test_x, test_y = load_digits()
    samples, unseen = train_x[:TRAINED], HeldOut(train_x[TRAINED:], train_y[TRAINED:])
    model = load_keras(HERE / "lenet5.keras")
    price = cycle_price(model, "bitfusion", ARRAY, samples, WidthBudget().candidates)
    options = {f"a{bits}w{bits}": QuantiseOptions(bits, bits) for bits in (8, 6, 4, 2)}
    for loss in (0.01, 0.03):
        budget = WidthBudget(loss, price, unit="cycles")
        options[f"{loss:.0%}"] = choose_widths(model, samples, budget, labels=train_y[:TRAINED], held_out=unseen)
        print(options[f"{loss:.0%}"])
    print(f"float   accuracy {accuracy(model, test_x, test_y):.2%}")
    for name, widths in options.items():
        build = gatewright.compile(model, "bitfusion", ARRAY, samples, widths)
        found = gatewright.run(build, test_x[:1], engine="model")
        print(f"{name:7} accuracy {accuracy(build.graph, test_x, test_y):.2%}  {found.cycles:6,} cycles", end="")
        if rtl:
            simulated = gatewright.run(build, test_x[:1])
            same = all(np.array_equal(simulated.outputs[key], found.outputs[key]) for key in found.outputs)
            print(f", {simulated.cycles:6,} in RTL, {'equal' if same else 'DIFFERENT'}", end="")
        print(flush=True)


if __name__ == "__main__":
    main()
