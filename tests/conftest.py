"""What tests of all rooms need: one thread each; SpikingJelly as an independent reference, where it is installed."""

import importlib
import importlib.machinery
import importlib.util
import os
import sys
from types import ModuleType, SimpleNamespace

import pytest

# Before torch is imported, here or in a process that a test starts: pytest has a process per core already, and threads
# of several processes that wait for each other in turn cost more time than all the tests' own work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# SpikingJelly imports these at the top of modules that the tests use nothing of.
_UNUSED = ("h5py", "tqdm", "torchvision")


def _stand_in(name: str) -> ModuleType:
    module = ModuleType(name)
    module.__path__ = []
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    sys.modules[name] = module
    return module


@pytest.fixture(scope="session")
def spikingjelly() -> SimpleNamespace:
    """Its neurons, layers, SEW-ResNet and helpers; tests are skipped where it is not installed."""
    for name in ("loguru", "spikingjelly"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    absent = [name for name in _UNUSED if importlib.util.find_spec(name) is None]
    for name in absent:
        _stand_in(name)
    if "torchvision" in absent:
        absent.append("torchvision._internally_replaced_utils")
        _stand_in(absent[-1]).load_state_dict_from_url = None  # type: ignore[attr-defined]
    root = "spikingjelly.activation_based"
    modules = {
        name.rpartition(".")[2]: importlib.import_module(f"{root}.{name}")
        for name in ("functional", "layer", "neuron", "surrogate", "model.sew_resnet")
    }
    for name in absent:
        del sys.modules[name]
    return SimpleNamespace(**modules)
