"""Tables of figures as text."""

__all__ = ["table"]


def table(title: str, head: list[str], rows: list[list[str]]) -> str:
    """A table with aligned columns, under a title.

    Args:
        title: what the figures are.
        head: names of the columns.
        rows: as many cells each.
    """
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [_line(head, widths), *(_line(row, widths) for row in rows)]
    return "\n".join([title, *lines, ""])


def _line(cells: list[str], widths: list[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "  " + "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])
