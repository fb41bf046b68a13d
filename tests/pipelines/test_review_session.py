"""Review in napari's model of a viewer, which needs no window."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("napari", reason="napari is not installed: pip install 'senescope[napari]'")

from napari.components import ViewerModel

from pipelines.labels_store import read_label_image, read_labels
from pipelines.review.opened import open_results
from pipelines.review.session import Session
from pipelines.review.store import read_exclusions
from tests.studies import run_here, write_study


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("session")
    # So low a threshold finds foci in DNA, of which there are to be some.
    run_here(write_study(folder, images=2, pixel_size="0.5", threshold=1), folder / "out")
    return folder / "out"


@pytest.fixture
def session(done):
    said = []
    opened = Session(open_results(done, None), ViewerModel())
    opened.say = said.append
    opened.said = said
    opened.show("field0")
    yield opened
    opened.run.layout.exclusions.unlink(missing_ok=True)
    opened.run.layout.corrected("field0", "nuclei").unlink(missing_ok=True)


def point_at(session, cell_id):
    labels = read_labels(session.run.layout.labels(session.image_id), "nuclei")
    y, x = np.argwhere(labels == cell_id)[0]
    session.viewer.cursor.position = (y * 0.5, x * 0.5)


def test_layers_have_names_units_and_the_right_scale(session):
    names = [layer.name for layer in session.viewer.layers]
    assert names == ["dna", "nuclei (labels)", "cells (labels)", "dna foci", "left out"]
    for layer in session.viewer.layers:
        assert np.allclose(layer.scale, 0.5)
        assert {str(unit) for unit in layer.units} == {"micrometer"}
    assert session.viewer.scale_bar.visible
    assert session.viewer.layers.selection.active.name == "nuclei (labels)"
    assert [n for n in names if session.viewer.layers[n].editable] == ["dna", "nuclei (labels)"]


def test_the_cell_under_the_mouse_is_left_out_and_taken_in_again(session):
    cell = session.cells["cell_id"][2]
    point_at(session, cell)
    session.toggle()
    assert [e.cell_id for e in read_exclusions(session.run.layout)] == [cell]
    [cross] = session.viewer.layers["left out"].data
    assert session.labels["nuclei"].data[tuple(np.round(cross).astype(int))] == cell
    session.toggle()
    assert read_exclusions(session.run.layout) == []
    assert not len(session.viewer.layers["left out"].data)
    assert "taken in again" in session.said[-1]


def test_beside_the_cells_nothing_is_left_out(session):
    session.viewer.cursor.position = (-5.0, -5.0)
    session.toggle()
    assert read_exclusions(session.run.layout) == []
    assert "point at one" in session.said[-1]


def test_what_was_painted_is_stored_once_and_shown_again(session):
    layout = session.run.layout
    assert session.unsaved() == ()
    session.labels["nuclei"].data[:5, :5] = 999
    session.labels["cells"].data[:5, :5] = 0  # whatever the model found there
    assert session.unsaved() == ("nuclei",)
    session.viewer.cursor.position = (0.5, 0.5)
    session.toggle()
    assert "object 999 is not in the table" in session.said[-1]
    session.store()
    assert session.unsaved() == ()
    stored = read_label_image(layout.corrected("field0", "nuclei"))
    assert (stored == 999).sum() == 25
    assert not (read_labels(layout.labels("field0"), "nuclei") == 999).any()
    session.show("field1")
    session.show("field0")
    assert (session.labels["nuclei"].data == 999).sum() == 25
    assert "no run has measured them yet" in session.said[-1]


def test_cells_are_coloured_by_a_column(session):
    found = session.colour_by("nucleus_area_um2")
    ids = session.cells["cell_id"].to_list()
    for layer in session.labels.values():
        assert np.allclose(layer.get_color(ids[3]), found.colors[3], atol=1e-6)
        assert layer.contour == 0
    assert session.labels["cells"].features.columns[1] == "nucleus_area_um2"
    assert session.colour_by(None) is None
    assert session.labels["cells"].contour > 0


def test_a_folder_that_cannot_be_written_is_looked_at(done, monkeypatch):
    monkeypatch.setattr("pipelines.review.opened.os.access", lambda *_: False)
    said = []
    session = Session(open_results(done, None), ViewerModel())
    session.say = said.append
    session.show("field0")
    assert not session.labels["nuclei"].editable
    point_at(session, session.cells["cell_id"][0])
    session.toggle()
    session.store()
    assert all("cannot be written" in text for text in said)
    assert not session.run.layout.exclusions.exists()


def test_a_disk_that_refuses_is_told(session, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied", "exclusions.csv")

    monkeypatch.setattr("pipelines.review.session.toggled", refuse)
    point_at(session, session.cells["cell_id"][0])
    session.toggle()
    assert "not stored" in session.said[-1]


def test_labels_of_a_slide_are_looked_at_and_never_corrected(done):
    run = open_results(done, None)
    compute = run.study.compute.model_copy(update={"slide_above_px": 5000})
    study = run.study.model_copy(update={"compute": compute})
    session = Session(replace(run, study=study), ViewerModel())
    said = []
    session.say = said.append
    session.show("field0")
    assert session.slide
    assert not session.labels["nuclei"].editable
    assert session.unsaved() == ()
    session.store()
    assert "labels of a slide cannot be corrected" in said[-1]
    session.viewer.cursor.position = (-5.0, -5.0)
    session.toggle()
    cell = session.cells["cell_id"][0]
    point_at(session, cell)
    session.toggle()
    assert f"cell {cell} is left out" in said[-1]
    session.toggle()
