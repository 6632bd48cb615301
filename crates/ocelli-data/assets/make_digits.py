"""Writes digits-{images-idx3,labels-idx1}-ubyte.gz, the data set that is built into Ocelli.

Needs scikit-learn, best in a virtual environment:

    python3 -m venv target/digits && target/digits/bin/pip install scikit-learn
    target/digits/bin/python crates/ocelli-data/assets/make_digits.py

The files are IDX (big-endian header, then one byte per value) in gzip without name and time. Ink is
0 to 16, as in the original; Ocelli scales it to 0 to 255 when it opens the set.
"""

import gzip
import struct
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits


def save(name: str, array: np.ndarray) -> None:
    """Writes `array` of bytes as gzipped IDX beside this script."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 0x08, array.ndim, *array.shape)
    packed = gzip.compress(header + array.tobytes(), compresslevel=9, mtime=0)
    (Path(__file__).parent / name).write_bytes(packed)
    print(f"{name}: {array.shape}, {len(packed)} bytes")


digits = load_digits()
assert digits.images.shape == (1797, 8, 8) and digits.images.max() == 16
save("digits-images-idx3-ubyte.gz", digits.images.astype(np.uint8))
save("digits-labels-idx1-ubyte.gz", digits.target.astype(np.uint8))
