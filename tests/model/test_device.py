"""Devices are chosen by name, number formats by what the hardware computes."""

from __future__ import annotations

import pytest
import torch

from cxrdiag.errors import UsageError
from cxrdiag.model.device import DEVICES, autocast, choose_device, has_fast_bf16, to_device
from cxrdiag.model.resnet import ResNet

CPU = torch.device("cpu")


def test_every_device_is_given_or_refused_with_a_way_out() -> None:
    available = {
        "auto": True,
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    assert set(available) == set(DEVICES)
    for name, there in available.items():
        if there:
            assert name in ("auto", choose_device(name).type)
        else:
            with pytest.raises(UsageError, match=f"'{name}' is not available.*--device auto") as e:
                choose_device(name)
            assert e.value.code == "no_device"
            assert e.value.exit_code == 2


def test_auto_is_a_gpu_only_where_there_is_one() -> None:
    has_gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    assert (choose_device().type == "cpu") == (not has_gpu)


def test_an_unknown_device_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'gpu'.*auto, cpu, cuda, mps") as e:
        choose_device("gpu")
    assert e.value.code == "unknown_device"


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        ("fp32", torch.float32),
        ("bf16", torch.bfloat16),
        ("auto", torch.bfloat16 if has_fast_bf16(CPU) else torch.float32),
    ],
)
def test_autocast_computes_in_the_format_that_is_asked_for(
    precision: str, expected: torch.dtype
) -> None:
    a = torch.ones(4, 4)
    with autocast(CPU, precision):
        assert (a @ a).dtype == expected
    assert (a @ a).dtype == torch.float32


def test_a_network_on_its_device_is_channels_last_with_the_same_weights() -> None:
    network = ResNet("resnet18")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    moved = to_device(network, CPU)
    weight = moved.get_parameter("layer1.0.conv1.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)
    after = moved.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
