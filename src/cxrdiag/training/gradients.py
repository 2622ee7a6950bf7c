"""The gradients of one batch, in as many parts as the memory of the device needs.

Shapes: B batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from cxrdiag.errors import TrainingError, is_out_of_memory
from cxrdiag.training.memory import give_back_memory


class Gradients:
    """Computes them whole until memory runs out; from then on in halves, quarters, ...

    The sum of the parts is the gradient of the whole batch, so that the recipe's batch size stays
    what is optimised over. Batch-norm statistics are those of each part; the try that ran out of
    memory may have updated them once already.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        """`tell` is told, once each time, when batches are cut smaller."""
        self._tell = tell
        self.parts = 1

    def compute(
        self,
        network: nn.Module,
        logits: Callable[[Tensor], Tensor],
        loss: Callable[[Tensor, Tensor], Tensor],
        images_B: Tensor,
        targets_B: Tensor,
    ) -> tuple[float, Tensor]:
        """Set the gradients of `network`. Returns the mean loss, and the logits (B, ...) it is of.

        `images_B` and `targets_B` are (B, ...), whatever `logits` and `loss` take; `loss` is a mean
        over images. Where it is not finite the gradients are none to use. Raises TrainingError
        `out_of_memory` where two or three images at a time are too much.
        """

        def in_parts() -> tuple[float, Tensor]:  # a function, which lets go of what it held
            network.zero_grad()
            total, found = 0.0, []
            # Of one image batch norm learns nothing.
            n = max(1, min(self.parts, len(targets_B) // 2))
            cut = zip(images_B.tensor_split(n), targets_B.tensor_split(n), strict=True)
            for x, targets in cut:
                part_logits = logits(x)
                part_loss = loss(part_logits, targets) * (len(targets) / len(targets_B))
                total += part_loss.item()
                if not math.isfinite(total):
                    break
                part_loss.backward()
                found.append(part_logits.detach())
            return total, torch.cat(found) if found else targets_B[:0]

        while True:
            try:
                return in_parts()
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            # What the failed try held was released when that block was left.
            self._halve(len(targets_B))

    def _halve(self, n: int) -> None:
        if self.parts >= n // 2:
            raise out_of_memory()
        self.parts = min(2 * self.parts, n // 2)
        give_back_memory()
        for of_maker in (torch.cuda, torch.mps):
            if of_maker.is_available():
                of_maker.empty_cache()
        self._tell(
            f"out of memory: each batch of {n} goes through the network in {self.parts} parts; "
            "what is optimised over stays as it is"
        )


def out_of_memory() -> TrainingError:
    """The error of a device that has not the memory for a training, however it is cut."""
    return TrainingError(
        "the device has not the memory for this training",
        hint="lower data.resolution, training.batch_size or model.width, or take another --device",
        code="out_of_memory",
    )
