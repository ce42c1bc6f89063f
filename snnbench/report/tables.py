r"""Rankings as tables for papers and programs: Markdown, LaTeX (booktabs), CSV.

Names come from records, so they are escaped for each format: no markup of theirs is rendered, no command is
executed, and no spreadsheet takes them for a formula.
"""

import csv
import io
import unicodedata
from dataclasses import dataclass, field

from snnbench.errors import UsageError
from snnbench.report.ranking import tested_across
from snnbench.report.text import number
from snnbench.report.views import counted, extent, judged, matrix, tested_within
from snnbench.stats.ranking import Ranking, Standing, TaskRanking

FORMATS = {"markdown": "md", "latex": "tex", "csv": "csv"}
"""Formats and the suffixes of their files."""

_MARKDOWN = str.maketrans({character: "\\" + character for character in "\\`*_{}[]<>#!|~$&"})
_LATEX = str.maketrans(
    {character: "\\" + character for character in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
        ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}",
    }
)  # fmt: skip
DASH = "\N{EN DASH}"
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@dataclass(frozen=True)
class Table:
    """A table as text.

    Attributes
    ----------
    caption
        What it shows.
    header, rows
        Texts, not yet escaped; the first ``labels`` columns are words, the others numbers.
    notes
        Footnotes.
    strong
        Cells to emphasise, as (row, column).
    """

    caption: str
    header: list[str]
    rows: list[list[str]]
    labels: int = 1
    notes: list[str] = field(default_factory=list)
    strong: frozenset[tuple[int, int]] = frozenset()


def tables(ranking: Ranking, problems: bool = False) -> list[Table]:
    """A ranking as tables.

    Parameters
    ----------
    ranking
        What is shown.
    problems
        Whether every problem has its own table, too; it has one anyway if it is the only one.
    """
    found = []
    if ranking.standings:
        found += [_across(ranking)]
    if len(ranking.tasks) > 1:
        found += [_matrix(ranking)]
    if problems or len(ranking.tasks) == 1:
        found += [problem_table(task, ranking) for task in ranking.tasks]
    remarks = [f"{name} is not ranked across problems: not on {', '.join(gaps)}."
               for name, gaps in ranking.incomplete.items()]  # fmt: skip
    last = found[-1]
    found[-1] = Table(last.caption, last.header, last.rows, last.labels, [*last.notes, *remarks, *ranking.notes],
                      last.strong)  # fmt: skip
    return found


def problem_table(task: TaskRanking, ranking: Ranking) -> Table:
    """The ranking on one problem."""
    rows = []
    for s in task.standings:
        interval = f"{number(s.low)} {DASH} {number(s.high)}"
        rows.append([s.algorithm, _rank(s, task.standings), number(s.value), interval, str(s.runs), str(s.failed)])
    header = ["algorithm", "rank", f"median {ranking.measure}", "95 % interval", "runs", "failed"]
    notes = [tested_within(task, ranking.alpha)]
    return Table(f"{task.task}: {judged(ranking)}.", header, rows, notes=notes)


def markdown(found: list[Table]) -> str:
    """Tables of GitHub's flavour."""
    parts = []
    for table in found:
        lines = [_line([escape_markdown(cell) for cell in table.header])]
        lines.append(_line(["---"] * table.labels + ["--:"] * (len(table.header) - table.labels)))
        for i, row in enumerate(table.rows):
            cells = [escape_markdown(cell) for cell in row]
            lines.append(_line([f"**{c}**" if (i, j) in table.strong else c for j, c in enumerate(cells)]))
        notes = "\n".join(f"- {escape_markdown(note)}" for note in table.notes)
        parts += [escape_markdown(table.caption), "\n".join(lines), *([notes] if notes else [])]
    return "\n\n".join(parts) + "\n"


def latex(found: list[Table]) -> str:
    """Floats that need nothing but ``booktabs``."""
    parts = ["% needs \\usepackage[T1]{fontenc} \\usepackage{textcomp} \\usepackage{booktabs}"]
    for table in found:
        columns = "l" * table.labels + "r" * (len(table.header) - table.labels)
        lines = [r"\begin{table}", r"\centering", rf"\caption{{{escape_latex(table.caption)}}}"]
        lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _row([escape_latex(c) for c in table.header])]
        lines.append(r"\midrule")
        for i, row in enumerate(table.rows):
            cells = [escape_latex(cell) for cell in row]
            lines.append(_row([rf"\textbf{{{c}}}" if (i, j) in table.strong else c for j, c in enumerate(cells)]))
        lines += [r"\bottomrule", r"\end{tabular}"]
        lines += [rf"\par\smallskip{{\footnotesize {escape_latex(note)}\par}}" for note in table.notes]
        parts.append("\n".join([*lines, r"\end{table}"]))
    return "\n\n".join(parts) + "\n"


def tidy(ranking: Ranking, tasks: list[TaskRanking] | None = None) -> str:
    """CSV with one row per problem and algorithm; those across problems, first, have no problem.

    Numbers have full precision, failures ``inf``. ``value`` is the mean rank across problems, and the median of the
    measure on a problem.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            "problem",
            "rank",
            "algorithm",
            "measure",
            "value",
            "low",
            "high",
            "better_than",
            "worse_than",
            "runs",
            "failed",
        ]
    )
    groups = [("", "mean rank", ranking.standings)] if tasks is None else []
    groups += [(t.task, ranking.measure, t.standings) for t in (ranking.tasks if tasks is None else tasks)]
    for task, measure, standings in groups:
        for s in standings:
            values = [repr(float(v)) for v in (s.value, s.low, s.high)]
            row = [escape_csv(task), s.rank, escape_csv(s.algorithm), measure, *values, s.better, s.worse, s.runs]
            writer.writerow([*row, s.failed])
    return out.getvalue()


def formatted(ranking: Ranking, kind: str, problems: bool = False) -> str:
    """A ranking in one of `FORMATS`."""
    if kind not in FORMATS:
        raise UsageError(f"unknown format {kind!r}; known: {', '.join(FORMATS)}")
    if kind == "csv":
        return tidy(ranking)
    return (markdown if kind == "markdown" else latex)(tables(ranking, problems))


def escape_markdown(text: str) -> str:
    """A text that Markdown shows as it is, in one line.

    Examples
    --------
    >>> print(escape_markdown("a|b <img> __x__"))
    a\\|b \\<img\\> \\_\\_x\\_\\_
    """
    return _flat(text).translate(_MARKDOWN)


def escape_latex(text: str) -> str:
    """A text that LaTeX shows as it is, in one line.

    Examples
    --------
    >>> print(escape_latex("de_best & 5 %"))
    de\\_best \\& 5 \\%
    """
    return _flat(text).translate(_LATEX).replace("--", "-{}-").replace(DASH, "--")


def escape_csv(text: str) -> str:
    """A text that no spreadsheet takes for a formula: those that look like one get an apostrophe before them.

    Examples
    --------
    >>> escape_csv("=1+1"), escape_csv("cma-es")
    ("'=1+1", 'cma-es')
    """
    flat = _flat(text)
    return "'" + flat if flat.startswith(_FORMULA) else flat


def _across(ranking: Ranking) -> Table:
    rows = [
        [s.algorithm, _rank(s, ranking.standings), f"{s.value:.2f}", f"{s.low:.2f} {DASH} {s.high:.2f}", str(s.better),
         str(s.worse)]
        for s in ranking.standings
    ]  # fmt: skip
    header = ["algorithm", "rank", "mean rank", "95 % interval", "beats", "loses to"]
    return Table(f"{extent(ranking)}; {judged(ranking)}.", header, rows, notes=tested_across(ranking))


def _matrix(ranking: Ranking) -> Table:
    rows, strong = [], set()
    for i, (name, cells) in enumerate(matrix(ranking)):
        rows.append([name, *(number(s.value) if s else DASH for s in cells)])
        strong |= {(i, j + 1) for j, s in enumerate(cells) if s and s.rank == 1}
    caption = f"Medians over seeds on {counted(len(ranking.tasks), 'problem')}; {judged(ranking)}."
    notes = ["Bold where no algorithm is significantly better (Mann-Whitney U test, Holm)."]
    return Table(caption, ["algorithm", *(t.task for t in ranking.tasks)], rows, notes=notes, strong=frozenset(strong))


def _rank(standing: Standing, standings: list[Standing]) -> str:
    shared = sum(other.rank == standing.rank for other in standings) > 1
    return f"{standing.rank}{'=' if shared else ''}"


def _flat(text: str) -> str:
    """One line without control characters, or what changes the direction of text."""
    kept = (" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in text)
    return " ".join("".join(kept).split())


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"
