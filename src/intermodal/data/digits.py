"""Handwritten digits seen in six ways: the real data that come with the package.

"Multiple Features" from the UCI Machine Learning Repository, by Robert P. W. Duin, Delft University of Technology;
doi 10.24432/C5HC70; licence CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/). The numbers are the source's, to
float32; only their storage was changed, and the split into 1600 and 400 was added.
"""

from __future__ import annotations

from importlib import resources

import numpy as np

from intermodal.data.samples import Samples

VIEWS = {"fou": 76, "fac": 216, "kar": 64, "pix": 240, "zer": 47, "mor": 6}
"""The six views and their widths.

Fourier coefficients of the outline, profile correlations, Karhunen-Loève coefficients, pixel averages in 2 x 3
windows (15 rows of 16), Zernike moments, and morphological features.
"""


def load_digits6() -> Samples:
    """Return 2000 digits from Dutch utility maps, 200 per class, each described by six vectors.

    Returns:
        Samples with the modalities fou, fac, kar, pix, zer and mor, `y` (the digit) and `split`: the first 160 of each
        class are "train", the last 40 "test".

    Example:
        >>> digits = load_digits6()
        >>> digits
        Samples(2000 samples, 6 modalities, y "digit": 10 values, 1600 train, 400 test)
          fou  vector of 76
          fac  vector of 216
          kar  vector of 64
          pix  vector of 240
          zer  vector of 47
          mor  vector of 6
        >>> int(digits.modality("pix").values.max())
        6

    Source: M. van Breukelen, R. P. W. Duin, D. M. J. Tax, J. E. den Hartog, "Handwritten digit recognition by combined
    classifiers", Kybernetika 34 (1998).
    """
    place = resources.files("intermodal.data") / "digits6.npz"
    with place.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        views = {name: unpack_view(stored[name], width) for name, width in VIEWS.items()}
        return Samples(
            views, y=stored["y"].astype(np.int64), split=np.where(stored["test"], "test", "train"), target="digit"
        )


def unpack_view(stored: np.ndarray, width: int) -> np.ndarray:
    """Return `(N, width)` float32 from what `pack_view` made."""
    if stored.dtype != np.uint8 or stored.ndim == 2:
        return stored.reshape(-1, width).astype(np.float32)
    planes = stored.reshape(4, width, -1).transpose(2, 1, 0)
    return np.ascontiguousarray(planes).view("<f4")[..., 0].astype(np.float32)


def pack_view(values: np.ndarray) -> np.ndarray:
    """Return `(N, D)` float32 in the form that compresses best and loses nothing.

    Small whole numbers become uint8 or uint16, `(N, D)`. Other numbers become their four bytes, taken apart and
    column by column, `(4, D, N)`: signs and exponents stand together and compress, the rest is noise.

    Example:
        >>> import numpy as np
        >>> tenths = np.arange(6, dtype=np.float32).reshape(3, 2) / 10
        >>> pack_view(tenths).shape, bool((unpack_view(pack_view(tenths), 2) == tenths).all())
        ((4, 2, 3), True)
    """
    for kind in (np.uint8, np.uint16):
        if (values.astype(kind).astype(np.float32) == values).all():
            return values.astype(kind)
    parts = np.ascontiguousarray(values, dtype="<f4").view(np.uint8).reshape(*values.shape, 4)
    return np.ascontiguousarray(parts.transpose(2, 1, 0))
