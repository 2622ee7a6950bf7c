"""Learning rate, loss, class weights and weight average, each against numbers made by hand."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss
from torch import nn

from cxrdiag.model.resnet import ResNet
from cxrdiag.training.config import TrainingConfig
from cxrdiag.training.muon import Muon
from cxrdiag.training.optimisation import (
    build_optimizer,
    class_weights,
    inconsistency,
    learning_rate,
    loss_function,
    update_average,
)


def test_cosine_with_warm_up_by_hand() -> None:
    config = TrainingConfig(lr=0.4, warmup=0.5, schedule="cosine")
    # Of 8 steps the middles are at 1/16, 3/16, ...: the first four rise along a line, and the
    # others are at 1/8, 3/8, 5/8 and 7/8 of the half cosine.
    expected = [0.05, 0.15, 0.25, 0.35]
    expected += [0.2 * (1 + math.cos(math.pi * f)) for f in (1 / 8, 3 / 8, 5 / 8, 7 / 8)]
    rates = [learning_rate(step, 8, config) for step in range(8)]
    assert rates == pytest.approx(expected)
    assert rates[5] == pytest.approx(0.2765367)


def test_constant_with_and_without_warm_up_by_hand() -> None:
    level = TrainingConfig(lr=0.01, warmup=0.0, schedule="constant")
    assert [learning_rate(step, 3, level) for step in range(3)] == [0.01] * 3
    warm = TrainingConfig(lr=0.01, warmup=0.3, schedule="constant")
    rates = [learning_rate(step, 5, warm) for step in range(5)]
    assert rates == pytest.approx([0.01 / 3, 0.01, 0.01, 0.01, 0.01])


@given(
    n_steps=st.integers(1, 500),
    warmup=st.floats(0, 1),
    schedule=st.sampled_from(["cosine", "constant"]),
)
def test_the_rate_is_positive_and_at_most_the_highest(n_steps, warmup, schedule) -> None:
    config = TrainingConfig(lr=0.1, warmup=warmup, schedule=schedule)
    rates = [learning_rate(step, n_steps, config) for step in range(n_steps)]
    assert all(0 < rate <= 0.1 for rate in rates)
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_class_weights_by_hand() -> None:
    targets = torch.tensor([1.0, 0.0, 1.0, 1.0])
    # Both classes sum to half of four: 1 * 2 and 3 * 2/3.
    torch.testing.assert_close(class_weights(targets, balance=True), torch.tensor([2.0, 2 / 3]))
    assert class_weights(targets, balance=False).tolist() == [1.0, 1.0]


@given(targets=st.lists(st.integers(0, 1), min_size=2, max_size=60).filter(lambda t: sum(t) > 0))
def test_balanced_weights_have_mean_one_and_equal_sums(targets: list[int]) -> None:
    targets = [*targets, 0]
    per_image = class_weights(torch.tensor(targets).float(), balance=True)[targets]
    assert float(per_image.mean()) == pytest.approx(1.0, rel=1e-5)
    positive = float(per_image[torch.tensor(targets) == 1].sum())
    assert positive == pytest.approx(len(targets) / 2, rel=1e-5)


def test_loss_is_scikit_learns_log_loss_with_sample_weights() -> None:
    rng = np.random.default_rng(0)
    targets = (rng.random(50) < 0.7).astype(np.float32)
    logits = rng.normal(size=50).astype(np.float32) * 3
    weights_2 = torch.tensor([1.7, 0.6])
    ours = float(loss_function(torch.from_numpy(logits), torch.from_numpy(targets), weights_2))
    weights = np.where(targets > 0, 0.6, 1.7)
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
    theirs = log_loss(targets, probabilities, sample_weight=weights)
    # Theirs is a weighted mean; ours a mean of weighted losses, whatever a batch is made of.
    assert ours == pytest.approx(theirs * weights.mean(), rel=1e-5)


def test_label_smoothing_by_hand() -> None:
    # Target 1 becomes 0.9: at logit ln 9, which says 0.9, the loss is the entropy of 0.9.
    logit, target = torch.tensor([math.log(9)]), torch.tensor([1.0])
    entropy = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    even = torch.ones(2)
    assert float(loss_function(logit, target, even, 0.2)) == pytest.approx(entropy, rel=1e-5)
    assert float(loss_function(-logit, 1 - target, even, 0.2)) == pytest.approx(entropy, rel=1e-5)
    assert float(loss_function(logit, target, even)) == pytest.approx(-math.log(0.9), rel=1e-5)
    # The weight is the class's, though the target is no longer whole.
    heavy = torch.tensor([1.0, 3.0])
    assert float(loss_function(logit, target, heavy, 0.2)) == pytest.approx(3 * entropy, rel=1e-5)


def test_inconsistency_by_hand() -> None:
    logits_BV = torch.tensor([[1.0, 3.0], [0.5, 0.5], [-1.0, 0.0]])
    assert float(inconsistency(logits_BV)) == pytest.approx((4 + 0 + 1) / 3)


def test_the_loss_of_extreme_logits_is_finite() -> None:
    logits, targets = torch.tensor([1e4, -1e4]), torch.tensor([0.0, 1.0])
    assert float(loss_function(logits, targets, torch.ones(2))) == pytest.approx(1e4)


def _tiny(value: float) -> nn.Sequential:
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    for parameter in network.parameters():
        nn.init.constant_(parameter, value)
    network.get_buffer("1.running_mean").fill_(10 * value)
    network.get_buffer("1.num_batches_tracked").fill_(int(value))
    return network


def _weight(network: nn.Module) -> float:
    return float(network.get_parameter("0.weight").detach())


def test_weight_average_by_hand() -> None:
    average, network = _tiny(0.0), _tiny(1.0)
    # Kept of the old: 1/10, then 2/11, ..., but never more than the decay.
    update_average(average, network, decay=0.5, step=0)
    assert _weight(average) == pytest.approx(0.9)
    assert float(average.get_buffer("1.running_mean")) == pytest.approx(9.0)
    assert int(average.get_buffer("1.num_batches_tracked")) == 1
    with torch.no_grad():
        network.get_parameter("0.weight").fill_(2.0)
    update_average(average, network, decay=0.5, step=1)
    assert _weight(average) == pytest.approx(2 / 11 * 0.9 + 9 / 11 * 2)
    before = _weight(average)
    update_average(average, network, decay=0.5, step=1000)
    assert _weight(average) == pytest.approx((before + 2) / 2)
    assert _weight(network) == 2.0


@pytest.mark.parametrize("name", ["muon", "adamw", "adam", "sgd"])
def test_weight_decay_spares_norms_and_biases(name) -> None:
    network = ResNet("resnet18")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0)
    before = copy.deepcopy(network)
    optimizer = build_optimizer(network, TrainingConfig(optimizer=name, lr=0.1, weight_decay=0.5))
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    old = dict(before.named_parameters())
    decayed = {n for n, p in network.named_parameters() if not torch.equal(p, old[n])}
    matrices = {
        n + ".weight" for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)
    }
    assert decayed == matrices
    # muon, adamw: 1 - 0.1 * 0.5. sgd with Nesterov: gradient 0.5, step 0.5 + 0.9 * 0.5.
    if name != "adam":
        expected = {"muon": 0.95, "adamw": 0.95, "sgd": 1 - 0.1 * 0.95}[name]
        assert float(network.conv1.weight.detach()[0, 0, 0, 0]) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["adamw", "adam"])
def test_a_fused_step_is_a_plain_one_in_any_memory_order(name) -> None:
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[name]
    torch.manual_seed(0)
    network = ResNet("resnet18").to(memory_format=torch.channels_last)
    twin = copy.deepcopy(network)
    config = TrainingConfig(optimizer=name, lr=1e-3, weight_decay=0.0)
    ours, theirs = build_optimizer(network, config), kind(twin.parameters(), 1e-3, weight_decay=0)
    for _ in range(2):
        x = torch.randn(4, 1, 32, 32).contiguous(memory_format=torch.channels_last)
        network.zero_grad()
        network(x).square().mean().backward()
        for parameter, other in zip(network.parameters(), twin.parameters(), strict=True):
            other.grad = parameter.grad.clone() if parameter.grad is not None else None
        ours.step()
        theirs.step()
    for parameter, other in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(parameter, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("muon", Muon),
        ("adamw", torch.optim.AdamW),
        ("adam", torch.optim.Adam),
        ("sgd", torch.optim.SGD),
    ],
)
def test_the_optimizer_is_the_one_that_is_named(name, kind) -> None:
    optimizer = build_optimizer(nn.Linear(2, 2), TrainingConfig(optimizer=name, lr=0.3))
    assert type(optimizer) is kind
    assert {group["lr"] for group in optimizer.param_groups} == {0.3}
