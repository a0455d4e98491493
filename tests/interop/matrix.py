"""What was seen of whom, as the tables of docs/interop.md."""

from collections.abc import Iterable

from cases import Result
from processes import ROOT

__all__ = ["matrices", "write_matrices"]

_PAGE = ROOT / "docs" / "interop.md"
_BEGIN, _END = "<!-- printed by .ci/interop --matrix -->\n", "<!-- end of what is printed -->\n"
_TITLES = {"from smtpkit": "Servers", "to smtpkit": "Clients"}


def matrices(results: Iterable[Result]) -> str:
    """A table for each direction: a row for each feature, a column for each peer."""
    results = [result for result in results if result.case.row]
    parts = []
    for direction, title in _TITLES.items():
        table = _table([result for result in results if result.case.direction == direction])
        if table:
            parts.append(f"## {title}\n\n{table}")
    return "\n".join(parts)


def write_matrices(results: Iterable[Result]) -> None:
    """Put the tables into docs/interop.md, in the place of the last ones."""
    before, _, rest = _PAGE.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    _PAGE.write_text(f"{before}{_BEGIN}\n{matrices(results)}\n{_END}{after}")


def _table(results: list[Result]) -> str:
    if not results:
        return ""
    peers = list(dict.fromkeys(result.case.peer for result in results))
    rows = list(dict.fromkeys(result.case.row for result in results))
    lines = [f"| | {' | '.join(peers)} |", "|---" * (len(peers) + 1) + "|"]
    for row in rows:
        cells = (_cell([each for each in results if (each.case.row, each.case.peer) == (row, peer)]) for peer in peers)
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(results: list[Result]) -> str:
    if not results:
        return ""
    if any(result.problem for result in results):
        return "**fails**"
    return "; ".join(dict.fromkeys(result.seen or "yes" for result in results))
