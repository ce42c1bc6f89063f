"""Validate the leaderboard entries that a pull request changes: ``validate_entries.py CHECKOUT BASE-COMMIT REPORTS``.

The checkout is looked at and never run: git lists its files, and the installed snnbench reads them.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

RESULTS = Path("leaderboards/results")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
SAMPLE = 4
SECONDS = 40 * 60


def changed(checkout: Path, base: str) -> tuple[set[Path], list[str]]:
    """Entries ``leaderboards/results/SUITE/ENTRY`` with changed files, and what is wrong with other files' places."""
    command = ["git", "-C", str(checkout), "diff", "--name-only", "-z", f"{base}...HEAD", "--", str(RESULTS)]
    listed = subprocess.run(command, capture_output=True, check=True).stdout.decode(errors="replace")
    entries, faults = set(), []
    for name in filter(None, listed.split("\0")):
        parts = Path(name).relative_to(RESULTS).parts
        if len(parts) < 3 or not all(NAME.fullmatch(part) for part in parts[:2]):
            faults.append(f"{name!r} is not inside {RESULTS}/SUITE/ENTRY, of letters, digits, dots and dashes")
        else:
            entries.add(RESULTS / parts[0] / parts[1])
    return entries, faults


def validate(checkout: Path, folder: Path, reports: Path, sample: int) -> bool:
    """Validate one folder, print the report, and keep it as JSON; whether it is valid."""
    options = ["--suite", folder.relative_to(RESULTS).parts[0], "--sample", str(sample)]
    report = reports / ("-".join(folder.relative_to(RESULTS).parts) + ".json")
    # -P: nothing is imported from the folder it is started in.
    command = [sys.executable, "-P", "-m", "snnbench.cli", "validate", str(checkout / folder), *options, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode not in (0, 1) or not done.stdout:
        say(f"{folder}: {done.stderr.strip() or 'no report'}")
        return False
    report.write_text(done.stdout, encoding="utf-8")
    content = json.loads(done.stdout)
    verdict = "valid" if content["valid"] else "INVALID"
    say(f"{folder}: {verdict}, {content['runs']} runs, {content['warnings']} warnings")
    for check in content["checks"]:
        for finding in check["findings"]:
            say(f"  {finding['severity']} ({check['name']}) {finding['place']}: {finding['message']}")
    return done.returncode == 0


def say(text: str) -> None:
    """Print text of others so that the runner takes no line of it for a command of its own."""
    for line in text.splitlines():
        print("|", line)


def main(arguments: list[str]) -> int:
    """Exit code 0 if everything that changed is valid."""
    checkout, base, reports = Path(arguments[0]).resolve(), arguments[1], Path(arguments[2])
    reports.mkdir(parents=True, exist_ok=True)
    entries, faults = changed(checkout, base)
    for fault in faults:
        say(fault)
    here = sorted(entry for entry in entries if (checkout / entry).is_dir())
    good = [validate(checkout, entry, reports, SAMPLE) for entry in here]
    # All of a suite together, for what is there twice.
    good += [validate(checkout, suite, reports, 0) for suite in sorted({entry.parent for entry in here})]
    say(f"{len(here)} entries changed, {len(entries) - len(here)} removed")
    return 0 if all(good) and not faults else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
