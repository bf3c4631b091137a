"""From a float LeNet-5 to an accelerator that reads handwritten digits, all of it on this machine: `make demo`."""

import argparse
from pathlib import Path

import digits
import numpy as np
import onnx
from rich.console import Console

import gatewright
from gatewright.quantize import accuracy
from gatewright.report import render_report

HERE = Path(__file__).parent
CALIBRATION = 200
SHOWN = 16
CLOCK_MHZ = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, help="test images to run on the RTL (default: all)")
    parser.add_argument("-o", "--output", type=Path, default=HERE.parents[1] / "build" / "lenet5", help="build folder")
    options = parser.parse_args()
    console = Console(width=None if Console().is_terminal else 120, highlight=False)

    train_x, _, test_x, test_y = digits.load()
    test_x, test_y = test_x[: options.images], test_y[: options.images]
    model = onnx.load(HERE / "lenet5.onnx")

    console.print("Quantising and compiling for an array of 8 x 8 ...")
    array = {"rows": 8, "columns": 8}
    build = gatewright.compile(HERE / "lenet5.onnx", "systolic", array, samples=train_x[:CALIBRATION])
    console.print(build.quantisation.table())

    console.print("Writing the Verilog, building its simulation, comparing the engines ...")
    found = gatewright.verify(build, test_x[:2])
    folder = gatewright.emit(build, options.output, found.report)
    console.print(render_report(found.report, CLOCK_MHZ))

    console.print(f"Running the RTL on {len(test_x)} images it has never seen ...")
    scores = gatewright.run(build, test_x).outputs["scores"]
    predicted = scores.argmax(axis=1)
    console.print(f"predicted  {' '.join(map(str, predicted[:SHOWN]))} ...")
    console.print(f"labels     {' '.join(map(str, test_y[:SHOWN]))} ...")
    console.print(f"accuracy   float network      {accuracy(model, test_x, test_y):.2%}")
    console.print(f"           quantised network  {accuracy(build.graph, test_x, test_y):.2%}")
    console.print(f"           hardware (RTL)     {np.mean(predicted == test_y):.2%}")
    console.print(f"build folder: {folder}")


if __name__ == "__main__":
    main()
