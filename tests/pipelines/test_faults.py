"""After any bad night the next run's tables are those of an undisturbed one, byte for byte."""

import shutil

import pytest

from tests.cheap import run_cheap, write_cheap_study
from tests.faults import FAULTS, image_hangs, killed, sigint, sigterm, suffer, worker_killed

IMAGES = 10


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    study = write_cheap_study(folder / "study", IMAGES)
    assert run_cheap(study, folder / "out").n_images == IMAGES
    return study, folder / "out"


SLOW = {image_hangs, killed, sigint, sigterm, worker_killed}  # other processes start


@pytest.mark.parametrize(
    "fault",
    [pytest.param(f, marks=pytest.mark.slow if f in SLOW else (), id=f.__name__) for f in FAULTS],
)
def test_nothing_is_lost_or_doubled(undisturbed, tmp_path, fault):
    study, expected = undisturbed
    shutil.copytree(study.parent, tmp_path / "study")
    row = suffer(fault, tmp_path / "study" / "study.yaml", expected, tmp_path / "out")
    assert (row.lost, row.doubled, row.same, row.tries) == (0, 0, True, 2), row
    shows = {
        "disk full": "No space left on device",
        "no permission": "Permission denied",
        "folder vanishes": "the next run said so",
        "image is corrupt": "1 image failed, 9 measured",
        "image hangs": "1 image failed",
        "worker killed": "1 image failed",
        "memory runs out": "1 image failed",
        "clock changes": "0 images failed",
    }
    assert shows.get(row.name, "ended in ") in row.seen, row
