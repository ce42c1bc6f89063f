"""Checksums of files and of decoded data."""

import hashlib
from pathlib import Path

import numpy as np


def content_hash(images: np.ndarray, labels: np.ndarray) -> str:
    """SHA-256 of decoded data: the shape as text, the pixels, the labels as little-endian 64-bit integers."""
    digest = hashlib.sha256(repr(tuple(int(n) for n in images.shape)).encode())
    digest.update(np.ascontiguousarray(images).data)
    digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()


def file_hashes(path: Path) -> tuple[str, str]:
    """MD5 (what data sets publish) and SHA-256 (what cannot be forged) of a file, in hexadecimal."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            md5.update(block)
            sha256.update(block)
    return md5.hexdigest(), sha256.hexdigest()
