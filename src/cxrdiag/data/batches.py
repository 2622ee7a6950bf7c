"""A split of the store -> batches on the device: no worker processes, no decoding while training.

Shapes: N images of the split, B batch, S side of a stored square.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from cxrdiag.data.store import Store


class Split:
    """One split of a store, its targets on the device, its images too where they fit.

    On a GPU with room the uint8 images live in its memory; otherwise a batch is
    read from the memory-mapped store when it is asked for.
    """

    def __init__(self, store: Store, name: str, device: torch.device) -> None:
        """Raises DataError when the split has no image."""
        self.rows_N = store.rows(name)
        self.targets_N = torch.as_tensor(store.targets(self.rows_N)).float().to(device)
        self.device = device
        self._store = store
        self._resident: Tensor | None = None
        if device.type == "cuda" and self._bytes() < torch.cuda.mem_get_info(device)[0] / 2:
            side = store.image_size
            self._resident = torch.empty((len(self), side, side), dtype=torch.uint8, device=device)
            for chosen in torch.arange(len(self)).split(4096):  # not all in host memory at once
                part = np.asarray(store.images_NSS[self.rows_N[chosen.numpy()]])
                self._resident[chosen.to(device)] = torch.as_tensor(part).to(device)

    def __len__(self) -> int:
        return len(self.rows_N)

    def images(self, chosen_B: Tensor) -> Tensor:
        """uint8 (B, S, S) on the device, for positions within the split."""
        if self._resident is not None:
            return self._resident[chosen_B.to(self.device)]
        # Sorted reads are kinder to a disk, but the order is the seed's: NumPy keeps it.
        return torch.as_tensor(self._store.images_NSS[self.rows_N[chosen_B.numpy()]]).to(
            self.device
        )

    def batch(self, chosen_B: Tensor) -> tuple[Tensor, Tensor]:
        """(images, targets) of positions within the split."""
        return self.images(chosen_B), self.targets_N[chosen_B.to(self.device)]

    def names(self, chosen_B: Tensor) -> list[str]:
        """What the store calls the images at these positions."""
        return list(self._store.records["name"].iloc[self.rows_N[chosen_B.numpy()]])

    def in_order(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(images, targets) of all images once, in the store's order, at most `size` at a time."""
        return map(self.batch, cut(torch.arange(len(self)), size))

    def pixel_statistics(self) -> tuple[float, float]:
        """Mean and standard deviation of the pixels in 0 to 1, over at most 2,000 images."""
        step = -(-len(self) // 2000)
        # By histogram: a gigabyte less than NumPy's std, which makes every pixel a float64.
        images = (self._store.images_NSS[row] for row in self.rows_N[::step])
        counts = sum(np.bincount(image.ravel(), minlength=256) for image in images)
        level = np.arange(256) / 255
        mean = np.average(level, weights=counts)
        return float(mean), float(np.sqrt(np.average((level - mean) ** 2, weights=counts)))

    def _bytes(self) -> int:
        return len(self) * self._store.image_size**2


def cut(order_N: Tensor, size: int) -> tuple[Tensor, ...]:
    """Positions in batches of nearly one length, at most `size`.

    Equal lengths, because a last batch of one image would give batch norm nothing to go by.
    """
    return torch.tensor_split(order_N, -(-len(order_N) // size))
