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


@pytest.mark.parametrize("has_cuda", [False, True])
@pytest.mark.parametrize("has_metal", [False, True])
def test_auto_is_cuda_where_there_is_one_and_never_metal(
    monkeypatch: pytest.MonkeyPatch, has_cuda: bool, has_metal: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: has_metal)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert choose_device().type == ("cuda" if has_cuda else "cpu")
    assert torch.backends.cudnn.allow_tf32 is not has_cuda  # float32 is to be computed as such


@pytest.mark.parametrize("key", ["avx512_bf16", "amx_bf16", "avx2"])
def test_bfloat16_is_fast_where_the_processor_says_so(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    if torch.cpu.get_capabilities().get("architecture") == "x86_64":
        assert key in torch.cpu.get_capabilities()  # torch calls it so
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {key: True})
    assert has_fast_bf16(CPU) is (key != "avx2")


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
