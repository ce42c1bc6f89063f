import pytest
import torch

from snnbench.data.augment import AugmentationRecipe
from snnbench.data.loading import load
from snnbench.snn.descent import Descent
from snnbench.snn.layers import set_mode
from snnbench.snn.sew_resnet import SEWConfig, SEWResNet
from snnbench.snn.training import TrainingRecipe, train
from snnbench.snn.weights import flatten


def new_network(config: SEWConfig) -> SEWResNet:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return SEWResNet(config)


@pytest.fixture(scope="module")
def digits():
    data = load("digits")
    images, labels = data.split("search")
    return images[:257], labels[:257], data.to_unit, data.standardize


ALL = AugmentationRecipe(padding=1, flip=True, strength=0.2, erasing=0.5, mixup=0.2)


def trained(config, digits, seed=0, epochs=1, **recipe):
    images, labels, to_unit, standardize = digits
    network, losses = new_network(config), []
    loss = train(network, images, labels, TrainingRecipe(epochs, **recipe), seed, to_unit, standardize, losses.append)
    return network, loss, losses


def test_training_learns(digits):
    """128 digits by heart."""
    images, labels, to_unit, standardize = digits
    few = images[:128], labels[:128], to_unit, standardize
    config = SEWConfig((1, 1, 1), 4, 1, 10)
    network, loss, epochs = trained(config, few, epochs=12, batch=16)
    assert loss < 1.0
    assert epochs == list(range(1, 13))
    set_mode(network, "calibrate")
    with torch.no_grad():
        answers = network(standardize(to_unit(images[:128]))).mean(dim=0)
    assert (answers.argmax(dim=1) == labels[:128]).double().mean() > 0.8


def test_the_same_seed_gives_the_same_bytes(config, digits):
    one = one_thread(lambda: trained(config, digits, seed=4, batch=64, augmentation=ALL, label_smoothing=0.1)[0])
    torch.manual_seed(99)
    two = one_thread(lambda: trained(config, digits, seed=4, batch=64, augmentation=ALL, label_smoothing=0.1)[0])
    other = one_thread(lambda: trained(config, digits, seed=5, batch=64, augmentation=ALL, label_smoothing=0.1)[0])
    assert torch.equal(flatten(one), flatten(two))
    assert not torch.equal(flatten(one), flatten(other))


def one_thread(job):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return job()
    finally:
        torch.set_num_threads(before)


def test_the_global_generator_is_left_alone(config, digits):
    before = torch.get_rng_state()
    trained(config, digits, batch=64, augmentation=ALL)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_rest_of_one_sample_is_left_out(digits):
    """One sample at one pixel has no variance: batch statistics would fail."""
    config = SEWConfig((1, 1, 1, 1), 2, 1, 10, steps=1)
    network, loss, _ = trained(config, digits, batch=256)
    assert flatten(network).isfinite().all()
    assert loss > 0


def test_every_recipe_changes_the_result(config, digits):
    base = flatten(trained(config, digits, batch=128)[0])
    for change in (
        {"label_smoothing": 0.1},
        {"lr": 0.05},
        {"weight_decay": 0.0},
        {"augmentation": AugmentationRecipe(mixup=0.2)},
        {"augmentation": AugmentationRecipe(erasing=0.9)},
    ):
        assert not torch.equal(base, flatten(trained(config, digits, batch=128, **change)[0])), change


def test_the_schedule_ends_at_zero(config, digits, monkeypatch):
    rates = []
    step = Descent.step

    def recorded(self, lr):
        rates.append(lr)
        step(self, lr)

    monkeypatch.setattr(Descent, "step", recorded)
    trained(config, digits, epochs=2, batch=64, lr=0.2)
    assert len(rates) == 2 * 4  # the 257th sample is left out
    expected = [0.1 * (1 + torch.cos(torch.tensor(torch.pi * i / 8)).item()) for i in range(8)]
    assert rates == pytest.approx(expected)
