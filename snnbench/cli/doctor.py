"""``snnbench doctor``: versions, devices, caches, disk: what to paste into a bug report."""

import argparse
import json


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser("doctor", help="show versions, devices, caches and disk space")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    import shutil
    from pathlib import Path

    import torch

    from snnbench.data.folders import default_cache
    from snnbench.experiment.environment import environment
    from snnbench.registry import entries
    from snnbench.report.text import size
    from snnbench.snn import native

    cache = default_cache()
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    facts = environment(torch.device("cuda:0") if torch.cuda.is_available() else None)
    held = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file()) if cache.exists() else 0
    facts["evaluation"] = {
        "code in C": "compiled" if native.available() else "no C compiler that works: convolutions instead"
    }
    facts["folders"] = {
        "cache": str(cache),
        "cache size": size(held),
        "cache disk free": size(shutil.disk_usage(existing).free),
        "working directory": str(Path.cwd()),
        "working disk free": size(shutil.disk_usage(Path.cwd()).free),
    }
    broken = {}
    for kind in ("algorithm", "problem"):
        for name, entry in entries(kind).items():
            try:
                entry.load()
            except Exception as error:
                broken[f"{kind} {name}"] = str(error)
    facts["registered"] = broken or "all algorithms and problems can be loaded"
    if args.json:
        print(json.dumps(facts, indent=2))
        return 1 if broken else 0
    for title, content in facts.items():
        print(title)
        pairs = content.items() if isinstance(content, dict) else [("", content)]
        for key, value in pairs:
            shown = size(value) if "memory" in key and isinstance(value, int) else value
            print(f"  {key + ':' if key else '':20} {shown}" if key else f"  {shown}")
    return 1 if broken else 0
