"""Muon: each weight moves along its momentum, made orthogonal (Jordan et al. 2024).

https://kellerjordan.github.io/posts/muon. A weight is taken as the matrix (outputs, inputs), a
convolution's pixels among its inputs. Norms, biases and the last layer, which others leave to
AdamW, are matrices of one row here: so there is one rule, and one buffer of momentum a weight.

Shapes: M outputs, N inputs.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor

_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Of Jordan's: five iterations bring singular values of 0.01 to 1 into 0.7 to 1.2 or so."""
_ITERATIONS = 5


class Muon:
    """A step's root mean square is 0.2 `lr` in every weight, about as AdamW's is.

    So a rate and a weight decay mean what they mean there (Liu et al. 2025, arXiv 2502.16982). It
    looks like a `torch.optim.Optimizer` and is none: to make the first of these, torch imports its
    compiler, which takes as long as to import torch itself.
    """

    def __init__(self, groups: list[dict[str, Any]], lr: float, momentum: float = 0.95) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": 0.0}
        self.param_groups = [defaults | group for group in groups]
        self.state: defaultdict[Tensor, dict[str, Tensor]] = defaultdict(dict)

    @torch.no_grad()
    def step(self) -> None:
        """Move all weights that have a gradient."""
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for weight in (w for w in group["params"] if w.grad is not None):
                state = self.state[weight]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(weight)
                average = state["momentum_buffer"].lerp_(weight.grad, 1 - momentum)
                ahead = weight.grad.lerp(average, momentum)  # Nesterov's
                rows_MN = ahead.flatten(1) if ahead.ndim > 1 else ahead.reshape(1, -1)
                step = orthogonal(rows_MN).view_as(weight)
                weight.mul_(1 - lr * group["weight_decay"])
                weight.add_(step, alpha=-lr * 0.2 * max(rows_MN.shape) ** 0.5)


def orthogonal(rows_MN: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrix, about: its singular values are near 1, (M, N).

    By Newton-Schulz iterations x -> (a + b xx' + c (xx')^2) x, which take nothing but products.
    Each is a polynomial in xx', so that all but the first and the last product are of M x M
    matrices: less than half the work for a convolution, whose inputs are many times its outputs.
    """
    m, n = rows_MN.shape
    if m > n:
        return orthogonal(rows_MN.T).T
    x_MN: Tensor = rows_MN / rows_MN.norm().clamp(min=1e-7)
    if m == 1:
        return x_MN
    a, b, c = _QUINTIC
    gram_MM, all_MM = x_MN @ x_MN.T, torch.eye(m, device=x_MN.device)
    for _ in range(_ITERATIONS):
        factor_MM = torch.addmm(gram_MM, gram_MM, gram_MM, beta=b, alpha=c)
        factor_MM.diagonal().add_(a)
        gram_MM = factor_MM @ gram_MM @ factor_MM
        all_MM = factor_MM @ all_MM
    return all_MM @ x_MN
