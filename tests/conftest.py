"""What tests of all rooms need: one thread each, the command line, SpikingJelly where it is installed."""

import importlib
import importlib.machinery
import importlib.util
import os
import subprocess
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


@pytest.fixture
def snnbench(tmp_path, monkeypatch):
    """Run the command line in a process of its own, without a terminal; returns the completed process."""
    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments, cwd=None):
        return subprocess.run(
            [sys.executable, "-m", "snnbench.cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=cwd or tmp_path,
            timeout=300,
        )

    return run


@pytest.fixture
def in_process(tmp_path, monkeypatch, capfd):
    """The same in this process, for what ends before anything runs: a second saved each."""
    from snnbench.cli import main

    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capfd.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:  # argparse's way out
            code = ended.code
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, code, out, err)

    return run
