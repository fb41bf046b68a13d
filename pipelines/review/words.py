"""What the panel beside the image says: keys and the legend of colours."""

from collections.abc import Iterable

from pipelines.review.colours import Rgba

LEAVE_OUT, STORE, NEXT, PREVIOUS = "D", "Shift-S", "N", "Shift-N"


def help_text(correctable: tuple[str, ...], *, slide: bool, writable: bool) -> str:
    """What the keys do, in HTML.

    Args:
        correctable: labels that may be corrected.
        slide: whether the image is a slide.
        writable: whether anything can be stored.
    """
    lines = []
    if writable:
        lines += [(LEAVE_OUT, "leave out the cell under the mouse, or take it in again")]
    if correctable:
        lines += [
            ("", f"<br>To correct {' and '.join(correctable)}, select the layer, then"),
            ("5", "pick an object by a click; <b>M</b> for a new one"),
            ("2", "paint; <b>1</b> erase; <b>[</b> and <b>]</b> brush size; <b>6</b> move"),
            ("Ctrl-Z", "undo"),
            (STORE, "store what was corrected<br>"),
        ]
    elif writable and slide:
        lines += [("", "Labels of a slide cannot be corrected.")]
    lines += [(NEXT, f"next image; <b>{PREVIOUS}</b> the one before")]
    lines += [("V", "show or hide the selected layer")]
    if writable:
        end = "<br>The next <b>senescope run</b> applies what was decided."
    else:
        end = "<br>This folder cannot be written: nothing can be decided here."
    return "<br>".join([*(f"<b>{key}</b> {text}".strip() for key, text in lines), end])


def legend_html(legend: Iterable[tuple[Rgba, str]], about: str) -> str:
    """Squares of colour with what they stand for, and a line about the column."""
    parts = []
    for (red, green, blue, _), text in legend:
        color = "#" + "".join(f"{round(255 * part):02x}" for part in (red, green, blue))
        parts.append(f'<span style="color:{color}">■</span>&nbsp;{text}')
    return "<br>".join(filter(None, [" &nbsp;".join(parts), about]))
