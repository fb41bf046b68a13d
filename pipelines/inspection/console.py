"""`senescope inspect` on the terminal."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.errors import ImageError
from pipelines.images import ImageInfo
from pipelines.inspection.look import SIDE, Channel, Look, look_at
from pipelines.inspection.sheet import write_sheet

MOST_SCENES_SHOWN = 12


def inspect_file(
    path: Path, *, scene: str | None, time: int, channel: str | None, model: str, picture: Path
) -> None:
    """Say what a file holds, draw it, and measure the diameter of one channel's objects.

    Args:
        path: the file.
        scene: name or number of the scene to look at; the first where none is given.
        time: time point to look at.
        channel: name or index of the channel whose objects are measured; the first where none.
        model: that segments them, empty to measure nothing.
        picture: PNG to write.

    Raises:
        ImageError: the file cannot be read, or has no such scene or channel.
    """
    console = Console(highlight=False, soft_wrap=True)
    look = look_at(path, scene, time)
    _print_header(console, look)
    _print_channels(console, look.channels)
    for text in look.warnings:
        console.print(f"warning: {escape(text)}", style="yellow")
    write_sheet(picture, look.channels)
    console.print(f"Picture: {escape(str(picture))}")
    if model:
        _print_diameter(console, _chosen(look, channel), model, look.info.pixel_size_um)


def _print_header(console: Console, look: Look) -> None:
    info = look.info
    axes = ", ".join(f"{a} {n}" for a, n in zip(info.axes, info.shape, strict=True))
    console.print(f"{escape(str(info.path))}: {axes}; {info.dtype}")
    console.print(_lengths(info))
    if look.scenes:
        names = ", ".join(look.scenes[:MOST_SCENES_SHOWN])
        more = ", ..." if len(look.scenes) > MOST_SCENES_SHOWN else ""
        shown = look.scenes[info.scene]
        console.print(f"{len(look.scenes)} scenes: {escape(names + more)}; shown: {escape(shown)}")
    if info.n_t > 1:
        step = f", every {info.t_step_s:g} s" if info.t_step_s else ""
        console.print(f"{info.n_t} time points{step}")


def _lengths(info: ImageInfo) -> str:
    known = info.pixel_size_um
    pixel = "pixel size unknown" if known is None else f"pixel {known:g} µm"
    if info.n_z == 1:
        return pixel
    step = "of unknown distance" if info.z_step_um is None else f"{info.z_step_um:g} µm apart"
    return f"{pixel}; {info.n_z} planes {step}, shown as their maximum"


def _print_channels(console: Console, channels: tuple[Channel, ...]) -> None:
    table = Table("channel", "smallest", "median", "largest", "saturated", box=None)
    for one in channels:
        values = (f"{v:g}" for v in (one.low, one.median, one.high))
        table.add_row(escape(one.name), *values, f"{one.saturated:.2%}")
    console.print(table)
    if max(channels[0].pixels.shape[:2]) == SIDE:
        console.print(f"Grey values of the middle {SIDE} x {SIDE} pixels.")


def _chosen(look: Look, wanted: str | None) -> Channel:
    if wanted is None:
        return look.channels[0]
    for i, one in enumerate(look.channels):
        if wanted in (one.name, str(i)):
            return one
    names = ", ".join(one.name for one in look.channels)
    raise ImageError(f"{look.info.path}: there is no channel {wanted}; it has {names}")


def _print_diameter(console: Console, channel: Channel, model: str, pixel: float | None) -> None:
    from pipelines.inspection.diameter import diameter_of

    if channel.broken:
        text = f"Diameter: not measured, since pixels of channel {channel.name} are not numbers."
        console.print(escape(text))
        return
    found = diameter_of(channel, model)
    if found is None:
        console.print(f"Diameter: {model} finds too few objects in channel {escape(channel.name)}.")
        return
    um = "" if pixel is None else f", {found.px * pixel:.1f} µm"
    console.print(
        f"Diameter of the objects in channel {escape(channel.name)}: {found.px:.1f} px{um} "
        f"({found.low_px:.1f} to {found.high_px:.1f} px, from {found.n_objects} objects that "
        f"{escape(model)} found)"
    )
