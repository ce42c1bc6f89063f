"""Augmentation of batches."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from snnbench.data.augment import (
    AugmentationRecipe,
    mixup,
    random_crop,
    random_erasing,
    random_flip,
    random_transform,
)
from snnbench.errors import UsageError

FULL = AugmentationRecipe(padding=2, flip=True, strength=0.5, erasing=0.5, mixup=0.4)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(n: int = 64, shape: tuple[int, int, int] = (3, 8, 8)) -> tuple[Tensor, Tensor]:
    # Away from 0, so that zeros are recognised as what an augmentation has put there.
    return 0.1 + 0.9 * torch.rand((n, *shape), generator=generator(99)), torch.arange(n) % 10


OPERATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "crop": lambda x, g: random_crop(x, 2, g),
    "flip": random_flip,
    "erasing": lambda x, g: random_erasing(x, 0.5, g),
    "transform": lambda x, g: random_transform(x, 0.7, g),
    "recipe": lambda x, g: FULL.apply(x, torch.zeros(len(x), dtype=torch.int64), g)[0],
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 6)])
def test_only_the_generator_decides(name: str, shape: tuple[int, int, int]) -> None:
    operation = OPERATIONS[name]
    images, _ = batch(shape=shape)
    before, global_state = images.clone(), torch.get_rng_state()
    first, again, other = (operation(images, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), global_state)
    assert first.shape == images.shape
    assert first.dtype == images.dtype
    assert 0 <= first.min() <= first.max() <= 1


def test_crop_shifts_every_image_by_its_own_amount() -> None:
    images, _ = batch(200)
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1))
    windows = [padded[:, :, i : i + 8, j : j + 8] for i in range(3) for j in range(3)]
    out = random_crop(images, 1, generator())
    matches = torch.stack([(out == window).all(dim=(1, 2, 3)) for window in windows])
    assert (matches.sum(dim=0) == 1).all()
    assert (matches.sum(dim=1) > 0).all()


def test_flip_mirrors_about_half() -> None:
    images, _ = batch(400)
    out = random_flip(images, generator())
    kept = (out == images).all(dim=(1, 2, 3))
    mirrored = (out == images.flip(-1)).all(dim=(1, 2, 3))
    assert (kept ^ mirrored).all()
    assert 150 < int(mirrored.sum()) < 250


def test_erasing_removes_one_rectangle_of_all_channels() -> None:
    images, _ = batch(300, (3, 16, 16))
    assert torch.equal(random_erasing(images, 0.0, generator()), images)
    out = random_erasing(images, 1.0, generator())
    erased = out[:, 0] == 0
    assert torch.equal(out == 0, erased[:, None].expand_as(out))
    assert torch.equal(torch.where(out == 0, images, out), images)
    height, width = erased.any(dim=2).sum(dim=1), erased.any(dim=1).sum(dim=1)
    covered = erased.sum(dim=(1, 2))
    assert torch.equal(covered, height * width)
    # 2 to 33 % of 256 pixels, and what rounding to whole pixels adds.
    assert 1 <= int(covered.min()) <= 20
    assert 60 <= int(covered.max()) <= 110
    half = (random_erasing(images, 0.5, generator()) == 0).any(dim=(1, 2, 3))
    assert 110 < int(half.sum()) < 190


def test_mixup_is_the_weighted_mean_of_two_images() -> None:
    images, labels = batch()
    mixed, (first, second, lam) = mixup(images, torch.arange(64), 0.4, generator(3))
    assert torch.equal(first, torch.arange(64))
    assert sorted(second.tolist()) == list(range(64))
    assert 0 < lam < 1
    torch.testing.assert_close(mixed, lam * images + (1 - lam) * images[second])
    same, (a, b, one) = mixup(images, labels, 0.0, generator())
    assert same is images
    assert one == 1.0
    assert torch.equal(a, b)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 4.0])
def test_mixup_weights_are_beta_distributed(alpha: float) -> None:
    images, labels = batch(2)
    source = generator(5)
    weights = torch.tensor([mixup(images, labels, alpha, source)[1][2] for _ in range(1000)])
    assert float(weights.mean()) == pytest.approx(0.5, abs=0.06)
    assert float(weights.var()) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.15)


def test_transform_of_no_strength_changes_nothing() -> None:
    images, _ = batch()
    torch.testing.assert_close(random_transform(images, 0.0, generator()), images, atol=1e-5, rtol=0)


def test_transforms_differ_between_images_and_grow_with_strength() -> None:
    images = batch(1)[0].expand(500, -1, -1, -1)
    weak, strong = (random_transform(images, strength, generator()) for strength in (0.1, 1.0))
    assert len({tuple(row.flatten().tolist()) for row in strong}) == 500
    change = [float((out - images).abs().mean()) for out in (weak, strong)]
    assert 0 < change[0] < change[1] / 2


def test_rotation_keeps_a_disc_round_on_images_that_are_not_square() -> None:
    y, x = torch.meshgrid(torch.arange(24) - 11.5, torch.arange(48) - 23.5, indexing="ij")
    disc = (torch.hypot(x, y) < 8).float().expand(2000, 1, 24, 48)
    out = random_transform(disc, 1.0, generator())[:, 0]
    out = out[out[:, 0, 0] == 0]  # without those of less contrast, whose background is no longer black
    mass = out.sum(dim=(1, 2))
    dx, dy = (axis - ((out * axis).sum(dim=(1, 2)) / mass)[:, None, None] for axis in (x, y))
    skew = (out * dx * dy).sum(dim=(1, 2)) / (out * dx * dx).sum(dim=(1, 2))
    # Shears alone skew it: 2 of the 6.5 kinds of changes that are left, weak ones apart.
    assert float((skew.abs() < 0.02).float().mean()) == pytest.approx(1 - 2 / 6.5, abs=0.05)


def test_an_empty_recipe_changes_nothing() -> None:
    images, labels = batch()
    out, (first, second, lam) = AugmentationRecipe().apply(images, labels, generator())
    assert torch.equal(out, images)
    assert torch.equal(first, labels)
    assert torch.equal(second, labels)
    assert lam == 1.0
    assert AugmentationRecipe().flip is False


def test_recipes_describe_themselves() -> None:
    assert AugmentationRecipe(**FULL.describe()) == FULL


@pytest.mark.parametrize("wrong", [{"padding": -1}, {"erasing": 1.5}, {"strength": -0.1}, {"mixup": -1.0}])
def test_recipes_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="out of range"):
        AugmentationRecipe(**wrong)  # type: ignore[arg-type]
