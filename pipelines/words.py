"""Words for people."""

from collections.abc import Sequence

MOST_NAMED = 5


def counted(number: float, one: str, many: str = "") -> str:
    """A number with its noun, such as ``1 cell``, ``3,032 cells`` or ``2 foci``.

    Args:
        number: how many; a mean is given with three digits.
        one: the noun.
        many: its plural, where that is not the noun with an s.
    """
    figure = f"{number:,}" if isinstance(number, int) else f"{number:.3g}"
    return f"{figure} {one if figure == '1' else many or f'{one}s'}"


def some(names: Sequence[str]) -> str:
    """The first few names, and whether there are others."""
    return ", ".join(names[:MOST_NAMED]) + (" and others" if len(names) > MOST_NAMED else "")
