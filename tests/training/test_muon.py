"""Muon beside torch's, which takes matrices alone, and the singular value decomposition."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from cxrdiag.data.store import Store
from cxrdiag.training.muon import Muon, orthogonal


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_on_matrices_it_is_torchs() -> None:
    wide, tall = nn.Parameter(_random(6, 20)), nn.Parameter(_random(20, 6, seed=1))
    twins = [nn.Parameter(p.detach().clone()) for p in (wide, tall)]
    groups = [{"params": [wide, tall], "weight_decay": 0.3}]
    ours = Muon(groups, lr=0.05)
    theirs = torch.optim.Muon(twins, lr=0.05, weight_decay=0.3, adjust_lr_fn="match_rms_adamw")
    for step in range(3):
        for number, (own, twin) in enumerate(zip((wide, tall), twins, strict=True)):
            own.grad = _random(*own.shape, seed=10 * step + number)
            twin.grad = own.grad.clone()
        ours.step()
        theirs.step()
    for own, twin in zip((wide, tall), twins, strict=True):
        # Theirs is rounded to bfloat16.
        torch.testing.assert_close(own, twin, rtol=0, atol=2e-3)


@given(m=st.integers(2, 24), n=st.integers(2, 24), seed=st.integers(0, 99))
def test_what_is_orthogonal_keeps_its_directions_and_loses_its_lengths(m, n, seed) -> None:
    rows = _random(m, n, seed=seed)
    left, values, right = torch.linalg.svd(rows, full_matrices=False)
    # In the directions of the matrix it is diagonal.
    inside = left.T @ orthogonal(rows) @ right.T
    long = values > 0.02 * rows.norm()
    assert ((inside.diagonal() > 0.6) & (inside.diagonal() < 1.3))[long].all()
    assert float((inside - torch.diag(inside.diagonal())).abs().max()) < 1e-3


def test_a_convolution_is_a_matrix_of_its_outputs_and_a_vector_of_one_row() -> None:
    kernel, vector = nn.Parameter(torch.zeros(4, 3, 3, 3)), nn.Parameter(torch.zeros(5))
    kernel.grad, vector.grad = _random(4, 3, 3, 3), _random(5)
    Muon([{"params": [kernel, vector]}], lr=0.1).step()
    # A first step is along the gradient, whatever the momentum.
    expected = -0.1 * 0.2 * 27**0.5 * orthogonal(kernel.grad.reshape(4, 27))
    torch.testing.assert_close(kernel.detach().reshape(4, 27), expected)
    along = vector.grad / vector.grad.norm()
    torch.testing.assert_close(vector.detach(), -0.1 * 0.2 * 5**0.5 * along)
    for moved in (kernel.detach(), vector.detach()):  # as AdamW: a fifth of the rate
        assert float(moved.square().mean().sqrt()) == pytest.approx(0.02, rel=0.25)


def test_the_second_step_by_hand() -> None:
    matrix = nn.Parameter(torch.zeros(4, 6))
    optimizer = Muon([{"params": [matrix]}], lr=0.1)
    first, second = _random(4, 6), _random(4, 6, seed=1)
    matrix.grad = first
    optimizer.step()
    before = matrix.detach().clone()
    matrix.grad = second
    optimizer.step()
    # Of the first gradient a 20th is in the average, and then 19 20ths of that, as of the second.
    average = 0.95 * 0.05 * first + 0.05 * second
    ahead = 0.05 * second + 0.95 * average
    expected = before - 0.1 * 0.2 * 6**0.5 * orthogonal(ahead)
    torch.testing.assert_close(matrix.detach(), expected, rtol=0, atol=1e-6)


def test_the_order_in_memory_says_nothing() -> None:
    kernel = nn.Parameter(_random(8, 4, 3, 3))
    twin = copy.deepcopy(kernel)
    twin.data = twin.data.contiguous(memory_format=torch.channels_last)
    for parameter in (kernel, twin):
        parameter.grad = torch.empty_like(parameter).copy_(_random(8, 4, 3, 3, seed=1))
        optimizer = Muon([{"params": [parameter]}], lr=0.1)
        optimizer.step()
        optimizer.step()
    torch.testing.assert_close(twin, kernel)


def test_however_small_a_gradient_is_its_step_is_as_long() -> None:
    vector = nn.Parameter(torch.zeros(5))
    vector.grad = torch.full((5,), 1e-6)
    Muon([{"params": [vector]}], lr=0.1).step()
    torch.testing.assert_close(vector.detach(), torch.full((5,), -0.02))


def test_a_weight_without_a_gradient_stays() -> None:
    idle = nn.Parameter(torch.ones(3, 3))
    optimizer = Muon([{"params": [idle], "weight_decay": 0.5}], lr=0.1)
    optimizer.step()
    assert torch.equal(idle, torch.ones(3, 3))
    assert not optimizer.state
    idle.grad = torch.zeros(3, 3)
    optimizer.step()
    assert torch.equal(idle, torch.full((3, 3), 0.95))  # by its decay alone


def test_a_training_does_not_import_torchs_compiler(small_store: Store, tmp_path: Path) -> None:
    """It takes as long as torch itself, and each of torch's own optimizers imports it."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "import torch\n"
        "from cxrdiag.data.store import open_store\n"
        "from cxrdiag.training.recipe import load_recipe\n"
        "from cxrdiag.training.reporter import Reporter, Step, Stop\n"
        "from cxrdiag.training.trainer import fit\n"
        "def step(step: Step) -> None:\n"
        "    raise Stop\n"
        "recipe = load_recipe('default', ['model.width=8', 'training.batch_size=4'])\n"
        "try:\n"
        "    fit(recipe, open_store(Path(sys.argv[1])), Path(sys.argv[2]),\n"
        "        device=torch.device('cpu'), reporter=Reporter(step=step))\n"
        "except Stop:\n"
        "    assert 'torch._dynamo' not in sys.modules\n"
        "    sys.exit(7)\n"
    )
    command = [sys.executable, "-c", code, str(small_store.path), str(tmp_path / "run")]
    assert subprocess.run(command, check=False).returncode == 7
