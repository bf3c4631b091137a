"""Train LeNet-5 with Keras 3 on scikit-learn's digits and write `lenet5.keras`.

    pip install gatewright[demo,keras]
    python examples/lenet5_keras/train.py

Eight layers: convolution, pool, convolution, pool, flatten, and three dense ones. Beside the model, `recorded.npz`
keeps a few test images with what layers of Keras make of them, which the import is tested against. The last 360
training images are left out: `compare.py` needs images that the network has not seen.
"""

import argparse
import importlib.util
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from keras import layers

HERE = Path(__file__).parent

PARAMETERS = 61_706
TRAINED = 1_082  # of 1,442 training images
BATCH = 64
SIDE = 32
RECORDED = 8


def load_digits() -> tuple[np.ndarray, ...]:
    """The images of the other example: `examples/lenet5/digits.py`."""
    spec = importlib.util.spec_from_file_location("digits", HERE.parent / "lenet5" / "digits.py")
    digits = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(digits)
    return digits.load()


def lenet5() -> keras.Sequential:
    """The network; 32 x 32 x 1 in, the probabilities of ten digits out."""
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1), name="image"),
            layers.Conv2D(6, 5, activation="relu", name="conv1"),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(16, 5, activation="relu", name="conv2"),
            layers.MaxPooling2D(2, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(120, activation="relu", name="fc1"),
            layers.Dense(84, activation="relu", name="fc2"),
            layers.Dense(10, activation="softmax", name="fc3"),
        ],
        name="lenet5",
    )


def augment(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Rotate (±10°), scale (±10 %) and shift (±2 pixels) each image [N, H, W, 1] by its own amounts, bilinear."""
    count, side = len(images), SIDE
    angle, scale, right, down = generator.uniform(-1, 1, (4, count, 1, 1))
    angle, scale = np.deg2rad(10) * angle, 1 + 0.1 * scale
    rows, columns = np.meshgrid(*[np.arange(side) - (side - 1) / 2] * 2, indexing="ij")
    x = (np.cos(angle) * columns - np.sin(angle) * rows) * scale + 2 * right + (side - 1) / 2
    y = (np.sin(angle) * columns + np.cos(angle) * rows) * scale + 2 * down + (side - 1) / 2
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    padded, index = np.pad(images[..., 0], ((0, 0), (1, 1), (1, 1))), np.arange(count)[:, None, None]
    result = np.zeros(x.shape)
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = (1 - abs(y - top - dy)) * (1 - abs(x - left - dx))
        result += weight * padded[index, np.clip(top + dy + 1, 0, side + 1), np.clip(left + dx + 1, 0, side + 1)]
    return result[..., None].astype(np.float32)


def train(network: keras.Sequential, images: np.ndarray, labels: np.ndarray, epochs: int, seed: int) -> None:
    """Train in place: Adam, learning rate falling along a cosine, cross-entropy with a little label smoothing."""
    generator = np.random.default_rng(seed)
    steps = -(-len(images) // BATCH) * epochs
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.05)
    network.compile(keras.optimizers.AdamW(rate, weight_decay=1e-3), loss)
    wanted = np.eye(10, dtype=np.float32)[labels]
    for epoch in range(epochs):
        order = generator.permutation(len(images))
        done = network.fit(augment(images[order], generator), wanted[order], BATCH, shuffle=False, verbose=0)
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1:3}  loss {done.history['loss'][0]:.4f}")


def accuracy(network: keras.Sequential, images: np.ndarray, labels: np.ndarray) -> float:
    """The share of images whose most probable digit is their label."""
    return float(np.mean(network.predict(images, verbose=0).argmax(axis=1) == labels))


def save(network: keras.Sequential, folder: Path, images: np.ndarray) -> Path:
    """Write the model without the state of its training, and what its layers make of some images."""
    plain = lenet5()
    plain.set_weights(network.get_weights())
    plain.save(folder / "lenet5.keras")
    probe = keras.Model(plain.inputs[0], [layer.output for layer in plain.layers])
    values = {layer.name: np.asarray(value) for layer, value in zip(plain.layers, probe(images), strict=True)}
    kept = {name: values[name] for name in ("pool1", "pool2", "fc1", "fc2", "fc3")}
    np.savez_compressed(folder / "recorded.npz", image=images, **kept)
    return folder / "lenet5.keras"


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=HERE, help="the folder to write to")
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)
    train_x, train_y, test_x, test_y = load_digits()
    train_x, test_x = (images.transpose(0, 2, 3, 1) for images in (train_x, test_x))
    network = lenet5()
    if network.count_params() != PARAMETERS:
        raise SystemExit(f"LeNet-5 must have {PARAMETERS} parameters, not {network.count_params()}")
    train(network, train_x[:TRAINED], train_y[:TRAINED], arguments.epochs, arguments.seed)
    print(f"training images {accuracy(network, train_x[:TRAINED], train_y[:TRAINED]):.2%}")
    print(f"images left out {accuracy(network, train_x[TRAINED:], train_y[TRAINED:]):.2%}")
    print(f"test images {accuracy(network, test_x, test_y):.2%}")
    path = save(network, arguments.output, test_x[:RECORDED])
    print(f"wrote {path.name}: {PARAMETERS} parameters, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
