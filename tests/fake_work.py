"""Imported by a process, this makes its measuring of an image a sleep; Dask workers preload it."""

from flows import hands, tasks
from tests.fake_image import fake_work

tasks.work_on = fake_work
hands.work_on = fake_work
