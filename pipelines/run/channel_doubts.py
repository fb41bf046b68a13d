"""Channels that were not taken, or not whole, said at the end of a run.

Cells of a channel that is one grey value all over are 0 above background and would pass for
negative; cells beside pixels that are no numbers have no value and would be missed in silence.
"""

from collections.abc import Sequence

from measurements.quality import BROKEN, CONSTANT
from pipelines.run.parts import Part
from pipelines.study.model import Study
from pipelines.words import counted, some

SAID = {
    CONSTANT: "one grey value all over {}: a shutter that stayed closed, or a channel that was not "
    "saved? Its cells pass for negative; what is measured in it there says nothing",
    BROKEN: "pixels are NaN or infinite in {}: cells that they touch, or whose surroundings they "
    "touch, have no value and no class; cut that part off in all channels",
}


def channel_warnings(study: Study, parts: Sequence[Part]) -> list[str]:
    """Which channels are one grey value all over or hold pixels that are no numbers, and where.

    Args:
        study: the settings.
        parts: the images.
    """
    flags = {part.image_id: part.summary["flags"].split(";") for part in parts}
    found = {
        (channel, text): [
            name for name, own in flags.items() if flag.bind(channel=channel).name in own
        ]
        for channel in study.planes
        for flag, text in SAID.items()
    }
    return [
        f"{channel}: "
        + text.format(f"{len(images)} of {counted(len(parts), 'image')} ({some(images)})")
        for (channel, text), images in found.items()
        if images
    ]
