"""What is new, doubled, renamed or gone in a watched folder, told by the files' content.

What is known lies in the parts of earlier runs alone: no list beside them could disagree with
them.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.images.formats import companions
from pipelines.run.layout import Layout, read_part
from pipelines.run.provenance import FileStamp, stamp
from pipelines.study import Study
from pipelines.study.samples import ImageRow
from pipelines.watch.settling import settled, signs

Content = tuple[str, ...]
"""SHA-256 of each file of an image, and where in it the image is."""


@dataclass(frozen=True)
class Look:
    """A watched folder at one moment.

    Attributes:
        ready: images that are whole.
        waiting: images whose files are still being written, or lack their sidecar.
        doubles: id of an image -> id of the one that has the same content and is measured instead.
        renamed: id of an image that was measured -> the id its content has now.
        gone: ids of images that were measured and whose content is nowhere any more.
    """

    ready: tuple[ImageRow, ...]
    waiting: tuple[ImageRow, ...]
    doubles: Mapping[str, str]
    renamed: Mapping[str, str]
    gone: tuple[str, ...]


def look_at(
    rows: Sequence[ImageRow],
    study: Study,
    folder: Path,
    output: Path,
    sleep: Callable[[float], None] = time.sleep,
) -> Look:
    """Look at a watched folder; takes `watch.settle_s` where a file is new, else a moment.

    Args:
        rows: the images whose files are there.
        study: the settings.
        folder: folder of the study file.
        output: folder of the run, whose parts tell what was measured.
        sleep: waits so many seconds.
    """
    parts = known_parts(Layout(output))
    stamps = {entry["path"]: FileStamp(**entry) for p in parts.values() for entry in p["files"]}
    new = [path for row in rows for path in _files(row) if not _is_known(path, folder, stamps)]
    whole = settled(dict.fromkeys(new), study.watch, sleep)
    late = {path for path in new if path not in whole}
    ready = [row for row in rows if not late & set(_files(row))]
    contents = {row.image_id: _content(row, folder, stamps) for row in ready}
    changed = {path for path in whole if signs(path) != whole[path]}  # while it was read
    ready = [row for row in ready if not changed & set(_files(row))]
    ids, whole_ids = {row.image_id for row in rows}, {row.image_id for row in ready}
    gone = {name: part for name, part in parts.items() if name not in ids}
    doubles = _doubles(ready, contents, parts)
    kept = [row for row in ready if row.image_id not in doubles and row.image_id not in parts]
    renamed = _renamed(gone, kept, contents)
    return Look(
        ready=tuple(ready),
        waiting=tuple(row for row in rows if row.image_id not in whole_ids),
        doubles=doubles,
        renamed=renamed,
        gone=tuple(sorted(set(gone) - set(renamed))),
    )


def known_parts(layout: Layout) -> dict[str, dict[str, Any]]:
    """What image.json says of each image that was measured, by its id."""
    folder = layout.root / "parts"
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return {name: part for name in names if (part := read_part(layout, name)) is not None}


def image_files(row: ImageRow) -> list[Path]:
    """The files that hold an image's pixels, in the order of a part's stamps."""
    found = [part for path in row.files.values() for part in (path, *companions(path))]
    return list(dict.fromkeys(found))


def _files(row: ImageRow) -> list[Path]:
    return [*image_files(row), *([row.truth] if row.truth else [])]


def _stamp_of(path: Path, folder: Path, stamps: Mapping[str, FileStamp]) -> FileStamp | None:
    name = path.relative_to(folder) if path.is_relative_to(folder) else path
    return stamps.get(name.as_posix())


def _is_known(path: Path, folder: Path, stamps: Mapping[str, FileStamp]) -> bool:
    known, now = _stamp_of(path, folder, stamps), signs(path)
    return known is not None and now is not None and (known.size, known.mtime_ns) == now[:2]


def _content(row: ImageRow, folder: Path, stamps: Mapping[str, FileStamp]) -> Content | None:
    """None where a file cannot be read: the run says why."""
    paths = image_files(row)
    known = [found for path in paths if (found := _stamp_of(path, folder, stamps))]
    try:
        return tuple(f"{stamp(path, folder, known).sha256} {row.place}" for path in paths)
    except OSError:
        return None


def _doubles(
    ready: Sequence[ImageRow],
    contents: Mapping[str, Content | None],
    parts: Mapping[str, Mapping[str, Any]],
) -> dict[str, str]:
    """Images to leave out; of equal ones that is kept which was measured, else the first."""
    alike: dict[Content, list[str]] = defaultdict(list)
    for row in ready:
        if (content := contents[row.image_id]) is not None:
            alike[content].append(row.image_id)
    found: dict[str, str] = {}
    for content, names in alike.items():
        measured = [
            n for n in names if n in parts and _content_of(parts[n], len(content)) == content
        ]
        first = (measured or names)[0]
        found |= {name: first for name in names if name != first}
    return found


def _renamed(
    gone: Mapping[str, Mapping[str, Any]],
    new: Iterable[ImageRow],
    contents: Mapping[str, Content | None],
) -> dict[str, str]:
    found: dict[str, str] = {}
    wanted = {content: row.image_id for row in new if (content := contents[row.image_id])}
    for length in {len(content) for content in wanted}:
        for old, part in gone.items():
            name = wanted.pop(_content_of(part, length), None)
            if name is not None:
                found[old] = name
    return found


def _content_of(part: Mapping[str, Any], length: int) -> Content:
    """That of a part's image files, which come before an annotated truth and corrections."""
    files = part["files"][:length]
    return tuple(f"{entry['sha256']} {entry.get('place', '')}" for entry in files)
