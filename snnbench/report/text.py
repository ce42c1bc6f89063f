"""Numbers and durations as people read them."""

import math


def duration(seconds: float) -> str:
    """Seconds in at most two units: ``84 ms``, ``1.4 s``, ``3 min 20 s``, ``5 h 10 min``, ``12 d 3 h``.

    Examples
    --------
    >>> duration(0.0842), duration(200), duration(18600), duration(float("nan"))
    ('84 ms', '3 min 20 s', '5 h 10 min', '?')
    """
    if not math.isfinite(seconds):
        return "?"
    if 0.0005 <= seconds < 0.95:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, name, smaller, smaller_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = (whole % size) // smaller
            return f"{whole // size} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{whole} s"


def size(count: float) -> str:
    """Bytes with a decimal prefix: ``50 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def number(value: float | None) -> str:
    """Four significant digits, without an exponent where that is readable.

    Examples
    --------
    >>> number(0.0461), number(2151.086), number(float("inf")), number(0.1)
    ('0.0461', '2,151', 'inf', '0.1')
    """
    if value is None:  # how records write what is not finite
        return "inf"
    if not math.isfinite(value):
        return "inf" if value > 0 else str(value)
    if value == 0 or 1e-4 <= abs(value) < 1000:
        return f"{value:.4g}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3e}"


def percent(share: float) -> str:
    """A share as a percentage: ``93.95 %``."""
    return f"{100 * share:.2f} %"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Columns aligned by spaces, the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = []
    for row in [header, *rows]:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
