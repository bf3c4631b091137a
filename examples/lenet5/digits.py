"""The images that the example network reads: scikit-learn's 1,797 handwritten digits, as LeNet-5 wants them.

Real images (UCI "Optical Recognition of Handwritten Digits", shipped inside scikit-learn, so nothing is downloaded),
8 x 8 pixels of 17 grey levels. They are scaled to [0, 1] and enlarged four times by bilinear interpolation to LeNet-5's
32 x 32.
"""

import numpy as np

__all__ = ["SIDE", "enlarge", "load", "resampling_matrix"]

SIDE = 32
_LEVELS = 16.0  # the data set's grey levels run from 0 to 16
_TEST_SHARE = 5  # every fifth image of a class is kept for testing


def resampling_matrix(source: int, target: int) -> np.ndarray:
    """The [target, source] matrix of bilinear interpolation between pixel centres, constant beyond the outermost."""
    positions = (np.arange(target) + 0.5) * source / target - 0.5
    positions = np.clip(positions, 0, source - 1)
    return np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(source)))


def enlarge(images: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Enlarge images [N, h, w] to [N, side, side], bilinear."""
    rows = resampling_matrix(images.shape[1], side)
    columns = resampling_matrix(images.shape[2], side)
    return np.einsum("rh,nhw,cw->nrc", rows, images, columns, optimize=True)


def load(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (train_x, train_y, test_x, test_y): images float32 [N, 1, 32, 32] in [0, 1], labels int64 [N].

    One image in five of each class, drawn with `seed`, is for testing; the committed network has never seen the test
    images of seed 0.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = enlarge(digits.images / _LEVELS).astype(np.float32)[:, None]
    labels = digits.target.astype(np.int64)
    generator = np.random.default_rng(seed)
    test = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        members = generator.permutation(np.flatnonzero(labels == digit))
        test[members[: len(members) // _TEST_SHARE]] = True
    return images[~test], labels[~test], images[test], labels[test]
