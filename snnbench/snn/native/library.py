"""The functions in C, compiled for this machine where that is possible."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from importlib import resources
from pathlib import Path

from snnbench.data.folders import default_cache

_FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-fvisibility=hidden", "-shared", "-fPIC")
_SECONDS = 120
_SOURCES = (
    "layers.h", "tables.c", "rows.c", "sums.c", "images.c", "neurons.c", "calibration.c", "network.c", "events.c",
)  # fmt: skip


class Shape(ctypes.Structure):
    """Of a convolution: see ``layers.h``."""

    _fields_ = [(name, ctypes.c_int32) for name in (
        "steps", "samples", "height", "width", "channels", "bits", "kernel", "stride", "padding", "rows", "columns",
        "outputs", "bits_out",
    )]  # fmt: skip


class Neuron(ctypes.Structure):
    """Constants of the neurons."""

    _fields_ = [
        ("decay", ctypes.c_float),
        ("threshold", ctypes.c_float),
        ("reset", ctypes.c_int32),
        ("at_threshold", ctypes.c_int32),
    ]


class Inputs(ctypes.Structure):
    """A layer's weights, and what they are multiplied with."""

    _fields_ = [
        *[(name, ctypes.c_int32) for name in ("outputs", "channels", "taps", "signed", "spare")],
        ("largest", ctypes.c_double),
        ("step", ctypes.c_float),
    ]


class Norm(ctypes.Structure):
    """Batch normalisation."""

    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("gain", "offset", "units")],
        ("epsilon", ctypes.c_double),
        *[(name, ctypes.c_void_p) for name in ("mean", "variance", "scale", "shift")],
    ]


class Layer(ctypes.Structure):
    """A convolution, its normalisation and its neurons: see ``network.c``."""

    _fields_ = [
        ("shape", Shape),
        *[(name, ctypes.c_int32) for name in ("source", "add", "counted")],
        ("inputs", Inputs),
        *[(name, ctypes.c_void_p) for name in ("raw", "weight", "bias", "channels_last")],
        ("norm", Norm),
    ]


class Network(ctypes.Structure):
    """Layers, and what to do with them."""

    _fields_ = [
        ("layers", ctypes.POINTER(Layer)),
        *[(name, ctypes.c_int32) for name in ("count", "samples", "frames", "calibrate", "classes")],
        ("readout", ctypes.c_void_p),
    ]


class Found(ctypes.Structure):
    """Where what was found goes."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("spikes", "operations", "sums", "silent")]


class EventNetwork(ctypes.Structure):
    """Of layers of neurons and the matrices behind them: see ``events.c``."""

    _fields_ = [
        *[(name, ctypes.c_int32) for name in ("layers", "steps", "candidates", "samples")],
        ("sizes", ctypes.c_void_p),
        ("weights", ctypes.POINTER(ctypes.c_void_p)),
    ]


class EventFound(ctypes.Structure):
    """Where what was found goes."""

    _fields_ = [
        ("maps", ctypes.POINTER(ctypes.c_void_p)),
        *[(name, ctypes.c_void_p) for name in ("spikes", "answers", "silent")],
    ]


@cache
def library() -> ctypes.CDLL | None:
    """The compiled functions, or ``None`` where there is no compiler, or it fails.

    Compiled once per source, compiler and processor, into the cache: a folder that must belong to the user and be
    closed to others, for what is in it is executed.
    """
    if os.name != "posix":
        return None
    compilers = filter(None, (shutil.which(name) for name in (os.environ.get("CC", ""), "cc", "gcc", "clang")))
    made = (_made_by(compiler) for compiler in dict.fromkeys(compilers))
    return next((found for found in made if found is not None), None)


def _made_by(compiler: str) -> ctypes.CDLL | None:
    try:
        sources = {name: resources.files(__package__).joinpath(name).read_bytes() for name in _SOURCES}
        version = subprocess.run([compiler, "--version"], capture_output=True, timeout=_SECONDS, check=True).stdout
        key = repr((sources, version, _FLAGS, platform.machine(), _processor())).encode()
        folder = default_cache() / "native"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        state = folder.stat()
        if state.st_uid != os.getuid() or state.st_mode & 0o022:
            return None
        path = folder / f"snnbench-{hashlib.sha256(key).hexdigest()[:24]}.so"
        if not _whole(path):  # a damaged library would end the process that loads it
            _compile(compiler, sources, path)
        return _declared(ctypes.CDLL(str(path)))
    except (OSError, subprocess.SubprocessError, AttributeError):
        return None


def available() -> bool:
    """Whether there is a compiler that works."""
    return library() is not None


def _compile(compiler: str, sources: dict[str, bytes], path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        for name, source in sources.items():
            Path(folder, name).write_bytes(source)
        made = Path(folder, "made.so")
        command = [
            compiler,
            *_FLAGS,
            "-o",
            str(made),
            *(str(Path(folder, name)) for name in sources if name.endswith(".c")),
        ]
        subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)
        digest = Path(folder, "digest")
        digest.write_text(_digest(made), encoding="ascii")
        os.replace(made, path)
        os.replace(digest, path.with_suffix(".sha256"))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _whole(path: Path) -> bool:
    try:
        return _digest(path) == path.with_suffix(".sha256").read_text(encoding="ascii")
    except (OSError, ValueError):
        return False


def _declared(found: ctypes.CDLL) -> ctypes.CDLL:
    pointer = ctypes.c_void_p
    found.run_network.argtypes = [ctypes.POINTER(kind) for kind in (Network, Neuron)] + [pointer, ctypes.POINTER(Found)]
    found.run_events.argtypes = [ctypes.POINTER(EventNetwork), *[pointer] * 3, ctypes.POINTER(EventFound)]
    found.on_grid.argtypes, found.on_grid.restype = [ctypes.POINTER(Inputs), *[pointer] * 7], None
    for function in (found.run_network, found.run_events):
        function.restype, function.errcheck = ctypes.c_int32, _check  # type: ignore[assignment]
    return found


def _check(code: int, *_: object) -> None:
    if code:
        raise MemoryError("no memory to run a network")


def _processor() -> str:
    """What -march=native may depend on: a cache is sometimes shared by machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() + platform.node()
    return "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
