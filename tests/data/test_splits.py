"""Frozen split manifests."""

import hashlib
from importlib.resources import files

import numpy as np
import pytest

from snnbench.data.catalog import CATALOG
from snnbench.data.checksums import content_hash
from snnbench.data.digits import read_digits
from snnbench.data.splits import by_rule, digits_manifest, manifest, stratified

# A manifest is frozen with the problem versions that use it: to change one is to add another under a new name.
PINNED = {
    "digits-1": "d2e99e054cc266b2180ea9251277d04442aaa22c2e726d15af890e0fb7f28f4f",
    "events-1": "abc719187d617149906f5cefe53089493311456cdc4f2716f52a0a9694baf52a",
    "cifar10-1": "1c55679ea7bd4cb883b613ee186ecc6a938b91341cfe2a1dcf0b1df9b764bb42",
    "cifar100-1": "e8aa71026e867adcd56e96eeebdc9e1f19e240a1da667069caf4ebb429654a26",
    "mnist-1": "6f9af9e66a5cae06423fc98ca0932157ec36faa81ca17036cadd9b3f4a351d28",
    "fashion-mnist-1": "b26520a347855bc5e19f57d048371b956f9c4a727dd869c9557696e521336cb7",
    "tinyimagenet-1": "f183e7ef3fc3dc8e192f16cd264bb263d6e0eca06bbec55864937b7de55873ce",
    "imagenet-1": "2cc032902a767f9d013e45bf65882b65d39c2c5d18d6280b4ee16bb3908f4b1d",
    "nmnist-1": "4626b7800550380539caa9c7bdd7ce72c9f7ab2aae62895327f432dae28b3957",
    "dvsgesture-1": "a0c8507bb61d43f277b420881b64ea43e514c0f6de8443441e02ab68b4c3d3ff",
    "dvscifar10-1": "5d504bd37aa9b17c146e7ecd0bc1f95d9656c21694f7d4b6ffe01a861f94c1dd",
    "ncaltech101-1": "381e8e4aabbf61799c537a3acab1fe0ec768d09dcf46f4ef2a3dfeddd83fbdd3",
    "shd-1": "f94834e8e6c24b879698ab51c10998c59a2884c33f1978633e48977091bb90a2",
}


@pytest.mark.parametrize("name", PINNED)
def test_manifests_are_frozen(name: str) -> None:
    assert manifest(name)["sha256"] == PINNED[name]


def test_every_data_set_has_its_manifest() -> None:
    for info in CATALOG.values():
        assert manifest(info.manifest)["data"] == info.name


def test_digits_are_split_disjointly_completely_and_in_proportion() -> None:
    frozen = manifest("digits-1")
    images, labels = read_digits()
    parts = [frozen[split] for split in ("search", "validation", "test")]
    assert [len(part) for part in parts] == [1000, 400, 397]
    assert sorted(np.concatenate(parts).tolist()) == list(range(1797))
    shares = np.bincount(labels)
    for part in parts:
        counts = np.bincount(np.array(labels)[part], minlength=10)
        assert np.abs(counts - shares * len(part) / 1797).max() < 2
    assert content_hash(images, labels) == frozen["content_sha256"]


def test_the_digits_manifest_can_be_made_again() -> None:
    content = (files("snnbench.data") / "manifests" / "digits-1.json").read_text()
    assert digits_manifest() == content


def test_digits_moments_are_those_of_the_search_split() -> None:
    images, _ = read_digits()
    pixels = images[manifest("digits-1")["search"]] / CATALOG["digits"].scale
    assert pixels.mean() == pytest.approx(CATALOG["digits"].mean[0], abs=5e-5)
    assert pixels.std() == pytest.approx(CATALOG["digits"].std[0], abs=5e-5)


def noise(n: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (n, 3, 4, 4), dtype=np.uint8), np.arange(n) % classes


@pytest.mark.parametrize("name", ["cifar10-1", "cifar100-1"])
def test_the_rule_gives_a_tenth_of_each_class_to_validation(name: str) -> None:
    images, labels = noise(500, 5)
    search, validation = by_rule(images, labels, manifest(name))
    np.testing.assert_array_equal(np.sort(np.concatenate([search, validation])), np.arange(500))
    np.testing.assert_array_equal(np.bincount(labels[validation]), np.full(5, 10))


def test_the_rule_is_the_documented_one() -> None:
    images, labels = noise(40, 2)
    _, validation = by_rule(images, labels, manifest("cifar10-1"))
    for c in (0, 1):
        members = [i for i in range(40) if labels[i] == c]
        members.sort(key=lambda i: hashlib.sha256(images[i].tobytes()).hexdigest())
        assert set(validation[labels[validation] == c]) == set(members[:2])


def test_the_rule_does_not_depend_on_the_order_of_the_images() -> None:
    images, labels = noise(200, 4)
    shuffled = np.random.default_rng(2).permutation(200)
    _, validation = by_rule(images, labels, manifest("cifar100-1"))
    _, again = by_rule(images[shuffled], labels[shuffled], manifest("cifar100-1"))
    assert set(shuffled[again]) == set(validation)


@pytest.mark.parametrize(("members", "expected"), [(1, 0), (2, 1), (5, 1), (10, 1), (11, 2), (500, 50)])
def test_small_classes_keep_something_to_search_on(members: int, expected: int) -> None:
    images, labels = noise(members, 1)
    search, validation = by_rule(images, labels, manifest("cifar100-1"))
    assert (len(search), len(validation)) == (members - expected, expected)


def test_no_image_at_all() -> None:
    search, validation = by_rule(*noise(0, 1), manifest("cifar10-1"))
    assert len(search) == len(validation) == 0


def test_stratified_sizes_are_exact() -> None:
    images, labels = noise(101, 7)
    parts = stratified(images, labels, {"a": 33, "b": 50, "c": 18})
    assert {name: len(part) for name, part in parts.items()} == {"a": 33, "b": 50, "c": 18}
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(101))
