import pytest
import torch
from torch import nn

from snnbench.snn.weights import (
    Codec,
    attach,
    box_radius,
    content_key,
    flatten,
    load_tensors,
    save_tensors,
    tensor_hash,
)

SIZES = (6, 4, 3)


@pytest.fixture
def members() -> torch.Tensor:
    """Five vectors of three tensors with very different spreads; the last tensor is the same in all."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 13, generator=generator) * torch.tensor([10.0] * 6 + [0.01] * 4 + [0.0] * 3) + 1.0
    return x


def test_coordinates_are_distances_in_units_of_the_spread(members):
    codec = Codec.around(members, SIZES)
    torch.testing.assert_close(codec.centre, members.mean(dim=0))
    deviation = (members - members.mean(dim=0)).double()
    expected = [float(deviation[:, a:b].square().mean().sqrt()) for a, b in ((0, 6), (6, 10))] + [1e-3]
    assert codec.scales == pytest.approx(expected)
    coordinates = codec.encode_(members.clone())
    for a, b in ((0, 6), (6, 10)):
        assert float(coordinates[:, a:b].square().mean().sqrt()) == pytest.approx(1.0, rel=1e-5)
    assert coordinates[:, 10:].abs().max() == 0


def test_decode_inverts_encode(members):
    codec = Codec.around(members, SIZES)
    out = torch.empty(13)
    for x, member in zip(codec.encode_(members.clone()), members, strict=True):
        assert codec.decode(x, out) is out
        torch.testing.assert_close(out, member, rtol=1e-6, atol=1e-6)
    assert torch.equal(codec.decode(torch.zeros(13), out), codec.centre)


def test_the_box_leaves_room():
    assert box_radius(torch.tensor([[0.1, -0.2]])) == 4.0
    assert box_radius(torch.tensor([[1.0, -4.1]])) == 7.0
    assert isinstance(box_radius(torch.zeros(1)), float)


def test_parameters_become_views():
    network = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    before = flatten(network)
    assert before.shape == (14,)
    vector = torch.arange(14.0)
    attach(network, vector)
    assert torch.equal(flatten(network), vector)
    vector.mul_(2)
    assert network[1].bias.tolist() == [24.0, 26.0]
    assert not any(p.requires_grad for p in network.parameters())
    with pytest.raises(ValueError, match="14 weights, the vector 15"):
        attach(network, torch.zeros(15))


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    return {"w": torch.arange(12.0).view(3, 4), "n": torch.tensor(7)}


def test_files_keep_tensors(tmp_path, tensors):
    path = tmp_path / "deep" / "file.safetensors"
    save_tensors(path, tensors)
    loaded = load_tensors(path)
    assert loaded is not None
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)
    assert [p.name for p in path.parent.iterdir()] == ["file.safetensors"]
    assert load_tensors(tmp_path / "absent.safetensors") is None


@pytest.mark.parametrize("kind", ["flipped", "truncated", "empty", "garbage", "other", "header"])
def test_a_damaged_file_is_no_file(tmp_path, tensors, kind):
    path = tmp_path / "file.safetensors"
    save_tensors(path, tensors)
    content = bytearray(path.read_bytes())
    if kind == "flipped":
        content[-3] ^= 1
    elif kind == "truncated":
        content = content[:-5]
    elif kind == "empty":
        content = bytearray()
    elif kind == "garbage":
        content = bytearray(b"\xff" * 100)
    elif kind == "header":
        content[20] ^= 0x5A
    else:
        from safetensors.torch import save

        content = bytearray(save(tensors))
    path.write_bytes(content)
    assert load_tensors(path) is None


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, tensors, monkeypatch):
    import safetensors.torch

    path = tmp_path / "file.safetensors"
    save_tensors(path, tensors)

    def full(plain, target, metadata=None):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        save_tensors(path, {"w": torch.zeros(1)})
    assert load_tensors(path) is not None
    assert [p.name for p in tmp_path.iterdir()] == ["file.safetensors"]


def test_hashes_tell_content_apart(tensors):
    base = tensor_hash(tensors)
    assert base == tensor_hash(dict(reversed(tensors.items())))
    assert base == tensor_hash({"w": tensors["w"].t().contiguous().t(), "n": tensors["n"]})
    assert base != tensor_hash(tensors | {"w": tensors["w"].double()})
    assert base != tensor_hash(tensors | {"w": tensors["w"].view(4, 3)})
    assert base != tensor_hash({"v": tensors["w"], "n": tensors["n"]})
    assert content_key({"a": 1, "b": [2]}) == content_key({"b": [2], "a": 1}) != content_key({"a": 1, "b": [3]})
