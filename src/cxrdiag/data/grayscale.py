"""From the stored pixels of a gray DICOM film to what is shown (PS3.3 C.7.6.3, C.11.1, C.11.2).

By a table of what each value that can be stored is shown as: modality LUT or rescale, then VOI LUT
or window, then inverted where 0 is white, padding black.

Shapes: H rows, W columns, V values that a stored pixel can have, 2 to 65,536.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRBigEndian

from cxrdiag.data.codestream import damaged
from cxrdiag.data.image import look_up


def show_gray(dataset: Dataset, stored_HW: NDArray[Any], inverted: bool) -> NDArray[np.uint8]:
    """The gray levels (H, W) of pixels as stored, 0 black to 255 white; they may be written over.

    Raises DataError `unreadable_dicom` where the tags do not fit each other.
    """
    unsigned = np.uint8 if stored_HW.itemsize == 1 else np.uint16
    bits, shift = dataset.BitsStored, dataset.HighBit + 1 - dataset.BitsStored
    if not 1 <= bits <= 8 * stored_HW.itemsize or not 0 <= shift <= 8 * stored_HW.itemsize - bits:
        raise damaged("BitsStored and HighBit do not fit BitsAllocated")
    # In place where that can be: a large film takes 200 MB, an array of 64 bits four times that.
    bits_HW: NDArray[Any] = np.require(stored_HW.view(unsigned), requirements="W")
    bits_HW >>= unsigned(shift)
    bits_HW &= unsigned(2**bits - 1)
    table_V = _table(dataset, bits_HW, bits, inverted)
    return look_up(table_V, bits_HW)


def _table(dataset: Dataset, bits_HW: NDArray[Any], bits: int, inverted: bool) -> NDArray[np.uint8]:
    """What each value that can be stored is shown as (V,)."""
    pixels_V = np.arange(2**bits)
    if dataset.PixelRepresentation:  # two's complement
        pixels_V = np.where(pixels_V < 2 ** (bits - 1), pixels_V, pixels_V - 2**bits)
    values_V = _rescaled(dataset, pixels_V)
    padding_V = _padding(dataset, pixels_V)
    window = _window(dataset)
    if dataset.get("VOILUTSequence"):
        looked_up_V, bits_an_entry = _through_table(dataset, "VOILUTSequence", values_V)
        shown_V = looked_up_V / (2.0**bits_an_entry - 1)
    elif window is not None:
        shown_V = through_window(values_V, *window)
    else:
        present_V = np.zeros(2**bits, dtype=bool)
        for row in bits_HW:
            present_V[row] = True
        inside = values_V[present_V & ~padding_V]
        low, high = (inside.min(), inside.max()) if inside.size else (0.0, 0.0)
        shown_V = (values_V - low) / max(high - low, 1e-9)
    if not np.isfinite(shown_V).all():
        raise damaged("its rescale or window gives no numbers")
    shown_V = np.clip(shown_V, 0, 1)
    shown_V = 1 - shown_V if inverted else shown_V
    return np.where(padding_V, 0, np.rint(255 * shown_V)).astype(np.uint8)


def _rescaled(dataset: Dataset, pixels_V: NDArray[np.int64]) -> NDArray[np.float64]:
    """By the modality LUT, or by slope and intercept (PS3.3 C.11.1)."""
    if dataset.get("ModalityLUTSequence"):
        return _through_table(dataset, "ModalityLUTSequence", pixels_V.astype(np.float64))[0]
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    if slope is None or intercept is None:
        return pixels_V.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # told below
        return pixels_V.astype(np.float64) * float(slope) + float(intercept)


def _through_table(
    dataset: Dataset, sequence: str, values_V: NDArray[np.float64]
) -> tuple[NDArray[np.float64], int]:
    """What the first table of a sequence makes of each value, and the bits of its entries.

    Written here, because pydicom counts the entries of a table of 8 bits in 8 bits.
    """
    item = dataset[sequence][0]
    n, first, bits = (int(number) for number in item.LUTDescriptor)
    n = n or 2**16
    data = item.LUTData
    if isinstance(data, bytes):
        is_big = dataset.file_meta.TransferSyntaxUID == ExplicitVRBigEndian
        # Of 8 bits there are two in a word, or one: both are found (PS3.3 C.11.1.1.1).
        entries = np.frombuffer(data, np.uint8 if len(data) < 2 * n else ">u2" if is_big else "<u2")
    else:
        entries = np.atleast_1d(np.asarray(data, dtype=np.float64))
    if not 8 <= bits <= 16 or len(entries) < n:
        raise damaged(f"the table of its {sequence} does not fit its descriptor")
    if not np.isfinite(values_V).all():
        raise damaged("its rescale or window gives no numbers")
    if first > values_V.max():  # a negative number, written as one that is not
        first -= 2**16
    index_V = np.clip(np.rint(values_V) - first, 0, n - 1).astype(np.int64)
    return entries[index_V].astype(np.float64), bits


def _padding(dataset: Dataset, pixels_V: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which stored values are padding (PS3.3 C.7.5.1.1.2)."""
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return np.zeros(len(pixels_V), dtype=bool)
    other = dataset.get("PixelPaddingRangeLimit")
    # Some write -2000 as 63536 or the other way round: the 16 bits are meant, of the pixels' sign.
    low = -(2**15) if dataset.PixelRepresentation else 0
    ends = [(int(end) - low) % 2**16 + low for end in (value, value if other is None else other)]
    is_padding: NDArray[np.bool_] = (pixels_V >= min(ends)) & (pixels_V <= max(ends))
    return is_padding


def _window(dataset: Dataset) -> tuple[float, float, str] | None:
    """Centre, width and function of the first window; none where its width is less than 1."""
    pair = [dataset.get(keyword) for keyword in ("WindowCenter", "WindowWidth")]
    numbers = [float(n[0] if hasattr(n, "append") else n) for n in pair if n not in (None, "")]
    function = text_of(dataset, "VOILUTFunction") or "LINEAR"
    if len(numbers) < 2 or numbers[1] <= 0 or (function == "LINEAR" and numbers[1] < 1):
        return None  # some machines write 0 and 0 where they mean none
    return numbers[0], numbers[1], function


def through_window(
    values_V: NDArray[np.float64], centre: float, width: float, function: str
) -> NDArray[np.float64]:
    """From 0 to 1 (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-4 * (values_V - centre) / width))
    if function == "LINEAR_EXACT":
        return np.clip((values_V - centre) / width + 0.5, 0, 1)
    half, middle = (width - 1) / 2, centre - 0.5
    between = (values_V - middle) / max(width - 1, 1e-9) + 0.5
    return np.where(
        values_V <= middle - half, 0.0, np.where(values_V > middle + half, 1.0, between)
    )


def text_of(dataset: Dataset, keyword: str) -> str:
    """The first value of a tag, in upper case; "" where there is none."""
    value = dataset.get(keyword)
    first = next(iter(value), "") if hasattr(value, "append") else value
    return str(first or "").strip().upper()
