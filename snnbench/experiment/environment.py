"""What a run ran on: versions, source state, hardware. Gathering it is quick and never fails."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import snnbench
from snnbench.errors import UsageError

_PACKAGES = ("torch", "numpy", "snntorch", "scikit-learn", "pandas", "pyarrow", "safetensors", "cma")


def resolve_device(text: str) -> torch.device:
    """``auto``, ``cpu`` or ``cuda:N`` to a device.

    Raises
    ------
    UsageError
        For another text, or a GPU that is not there.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if text == "auto":
        return torch.device("cuda:0" if count else "cpu")
    if text == "cpu":
        return torch.device("cpu")
    kind, _, index = text.partition(":")
    if kind != "cuda" or not (index or "0").isdecimal():
        raise UsageError(f"device {text!r} is not auto, cpu or cuda:N")
    if int(index or 0) >= count:
        there = f"cuda:0 to cuda:{count - 1}" if count else "no CUDA device"
        raise UsageError(f"device {text} does not exist; torch {torch.__version__} sees {there}")
    return torch.device(f"cuda:{int(index or 0)}")


def versions() -> dict[str, str]:
    """Python, snnbench and the packages results depend on; absent ones are left out."""
    found = {"python": platform.python_version(), "snnbench": snnbench.__version__}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_state(folder: Path | None = None) -> dict[str, Any] | None:
    """Commit of the checkout this package runs from and whether it was modified; ``None`` outside a checkout."""
    folder = folder or Path(snnbench.__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return None
    commit = _output(["git", "-C", str(folder), "rev-parse", "HEAD"])
    changes = _output(["git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no"])
    return None if commit is None else {"commit": commit, "dirty": bool(changes)}


def hardware(device: torch.device | None = None) -> dict[str, Any]:
    """Processor, cores, memory (bytes), threads of torch, and the GPU if the device is one."""
    found: dict[str, Any] = {
        "system": f"{platform.system()} {platform.release()}",
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory": _memory(),
        "torch_threads": torch.get_num_threads(),
    }
    if device is not None and device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {"gpu": properties.name, "gpu_memory": properties.total_memory, "cuda": torch.version.cuda}
    return found


def environment(device: torch.device | None = None) -> dict[str, Any]:
    """Everything above, as it stands in ``run.json``."""
    return {"versions": versions(), "git": git_state(), "hardware": hardware(device)}


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux: ask the system below
    if platform.system() == "Darwin":
        model = _output(["sysctl", "-n", "machdep.cpu.brand_string"])
        if model:
            return model
    return platform.processor() or platform.machine()


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _output(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
