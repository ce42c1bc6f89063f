"""A ranking on the terminal, and as plain data."""

import dataclasses
import math
import textwrap
from typing import Any

from snnbench.report.text import number, table
from snnbench.stats.measures import MEASURES
from snnbench.stats.ranking import Ranking, Standing, TaskRanking

WIDTH = 79


def shown(ranking: Ranking, details: bool) -> str:
    """The ranking as text of at most 80 columns.

    Parameters
    ----------
    ranking
        What is shown.
    details
        Whether every problem's own ranking is shown beside the one across problems.
    """
    names = {s.algorithm for t in ranking.tasks for s in t.standings}
    least, most = (f(t.seeds[i] for t in ranking.tasks) for i, f in ((0, min), (1, max)))
    seeds = f"{least} seeds" if least == most else f"{least} to {most} seeds"
    count = f"{len(ranking.tasks)} problem{'s' * (len(ranking.tasks) > 1)}, {len(names)} algorithms, {seeds}"
    parts = [_filled(f"{count}; {MEASURES[ranking.measure]}, lower is better")]
    if ranking.standings:
        parts += [_across(ranking)]
    if details or len(ranking.tasks) == 1:
        parts += [_problem(task, ranking.alpha) for task in ranking.tasks]
    if ranking.incomplete:
        gaps = (f"{name} (not on {', '.join(missing[:3])}{', ...' * (len(missing) > 3)})"
                for name, missing in ranking.incomplete.items())  # fmt: skip
        parts.append(_filled(f"not on every problem, so not ranked across them: {'; '.join(gaps)}"))
    if ranking.notes:
        parts.append("\n".join(_filled(f"* {note}", "  ") for note in ranking.notes))
    return "\n\n".join(parts)


def content(ranking: Ranking) -> dict[str, Any]:
    """The ranking as JSON can hold it; infinite values are null."""

    def plain(standing: Standing) -> dict[str, Any]:
        return {k: _plain(v) for k, v in dataclasses.asdict(standing).items()}

    def pairs(verdicts: Any) -> list[dict[str, Any]]:
        return [
            {
                "algorithms": list(pair),
                "p": found.p,
                "p_holm": verdicts.corrected[pair],
                "effect": found.effect,
                "smallest_p": found.smallest,
            }
            for pair, found in verdicts.pairs.items()
        ]

    return {
        "measure": ranking.measure,
        "alpha": ranking.alpha,
        "across": {
            "standings": [plain(s) for s in ranking.standings],
            "friedman": ranking.omnibus and {k: _plain(v) for k, v in dataclasses.asdict(ranking.omnibus).items()},
            "pairs": pairs(ranking.verdicts) if ranking.verdicts else [],
            "incomplete": ranking.incomplete,
        },
        "problems": [
            {"problem": t.task, "standings": [plain(s) for s in t.standings], "pairs": pairs(t.verdicts)}
            for t in ranking.tasks
        ],
        "notes": ranking.notes,
    }


def _across(ranking: Ranking) -> str:
    rows = [
        [str(s.rank), s.algorithm, f"{s.value:.2f}", f"{s.low:.2f} - {s.high:.2f}", f"{s.better}/{s.worse}"]
        for s in ranking.standings
    ]
    header = ["rank", "algorithm", "mean rank", "95 % interval", "beats/loses"]
    return "\n\n".join([_aligned(header, rows), *map(_filled, tested_across(ranking))])


def tested_across(ranking: Ranking) -> list[str]:
    """What was tested across problems, and what so many problems can show at best: one or two sentences each."""
    n, k = len(ranking.tasks), len(ranking.standings)
    texts = []
    found = ranking.omnibus
    if found is not None:
        first, second = found.degrees
        texts.append(
            f"Friedman chi2 = {found.friedman:.4g}; Iman-Davenport F({first}, {second}) = {found.statistic:.4g}, "
            f"p = {found.p:.2g}." + ("" if found.p <= ranking.alpha else " So no pair is told apart.")
        )
    smallest = 2.0 ** (1 - n)
    pairs = k * (k - 1) // 2
    texts.append(
        "Ranks: one more than the number of algorithms that are significantly better (Wilcoxon signed-rank test "
        f"over problems, Holm, alpha {ranking.alpha:g}). {n} problems can give no p below {smallest:.2g}, which "
        f"Holm makes {min(1.0, pairs * smallest):.2g} among {pairs} pair{'s' * (pairs > 1)}"
        + (": too few to tell any two apart." if min(1.0, pairs * smallest) > ranking.alpha else ".")
    )
    return texts


def _problem(task: TaskRanking, alpha: float) -> str:
    rows = [
        [str(s.rank), s.algorithm, number(s.value), f"{number(s.low)} - {number(s.high)}", str(s.runs), str(s.failed)]
        for s in task.standings
    ]
    header = ["rank", task.task, "median", "95 % interval", "runs", "failed"]
    if not any(s.failed for s in task.standings):
        header, rows = header[:-1], [row[:-1] for row in rows]
    pairs = task.verdicts.pairs
    smallest = min((found.smallest for found in pairs.values()), default=0.0) * len(pairs)
    warning = f"\n{task.seeds[0]} seeds are too few to tell any two apart" if smallest > alpha else ""
    return _aligned(header, rows) + warning


def _aligned(header: list[str], rows: list[list[str]]) -> str:
    """Numbers to the right, but the algorithm's name, the second column, to the left."""
    width = max(len(row[1]) for row in [header, *rows])
    return table([header[0], header[1].ljust(width), *header[2:]], [[r[0], r[1].ljust(width), *r[2:]] for r in rows])


def _filled(text: str, indent: str = "") -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
