"""One image of a run on show in napari, and what a person does to it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.errors import SenescopeError
from pipelines.review.colours import UNKNOWN, Coloured, colours_of
from pipelines.review.labels import (
    correctable,
    is_pending,
    keep_labels,
    labels_to_show,
    shown_names,
)
from pipelines.review.layers import (
    LayerData,
    cell_places,
    crosses,
    foci_layers,
    image_layers,
    label_layer,
    left_out_layer,
)
from pipelines.review.opened import Opened
from pipelines.review.store import toggled
from pipelines.study.slides import is_slide

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

MOST_COLOURED = 200_000
"""Cells up to which napari takes a colour for each; beyond, colouring takes minutes."""
_OUTLINE_PX = 2


class Session:
    """The image on show.

    Attributes:
        run: the run.
        viewer: napari's.
        say: tells the person something.
        image_id: the image on show.
        slide: whether it is a slide, whose labels nobody corrects.
        cells: its rows of the table.
        labels: its label layers, by ``nuclei`` and ``cells``.
    """

    def __init__(self, run: Opened, viewer: "ViewerModel") -> None:
        self.run = run
        self.viewer = viewer
        self.say: Callable[[str], object] = print
        self.image_id = ""
        self.slide = False
        self.cells = pl.DataFrame()
        self.labels: dict[str, Labels] = {}
        self._places: dict[int, tuple[float, float]] = {}
        self._crosses: Any = None

    @property
    def correctable(self) -> tuple[str, ...]:
        """Labels on show that may be corrected."""
        allowed = correctable(self.run.study, slide=self.slide) if self.run.writable else ()
        return tuple(name for name in allowed if name in self.labels)

    def show(self, image_id: str) -> None:
        """Show an image in place of the one before.

        Raises:
            SenescopeError: its files or labels cannot be read; the one before stays.
        """
        field = self.run.field(image_id)
        layout, study = self.run.layout, self.run.study
        slide = is_slide(field, study.compute.slide_above_px)
        names = shown_names(study, layout.labels(image_id))
        allowed = correctable(study, slide=slide) if self.run.writable else ()
        images = image_layers(field, slide=slide)
        labels = {
            name: label_layer(layout, field, name, slide=slide, editable=name in allowed)
            for name in names
        }
        cells = self.run.cells(image_id)
        in_memory = None if slide or not labels else labels[names[-1]][0]
        places = cell_places(cells, in_memory, field.pixel_size_um)
        foci = foci_layers(layout, field)
        marks = left_out_layer(places, self.run.left_out(image_id), field.pixel_size_um)

        self.image_id, self.slide, self.cells, self._places = image_id, slide, cells, places
        self.viewer.layers.clear()
        for image in images:
            self._add(image)
        self.labels = {name: self._add(found) for name, found in labels.items()}
        points = [self._add(found) for found in (*foci, marks)]
        self._crosses = points[-1]
        for layer in points:
            layer.editable = False
        for name, layer in self.labels.items():
            layer.editable = name in allowed
        self._make_ready(allowed or names)

    def _make_ready(self, names: tuple[str, ...]) -> None:
        """Select the first of these labels, fit the image, and say what is not measured yet."""
        self.viewer.layers.selection.active = self.labels[names[0]]
        self.viewer.scale_bar.visible = True
        self.viewer.title = f"{self.image_id} - senescope"
        self.viewer.reset_view()
        self.colour_by(None)
        layout = self.run.layout
        pending = [name for name in self.correctable if is_pending(layout, self.image_id, name)]
        if pending:
            self.say(
                f"{self.image_id}: {' and '.join(pending)} are shown as corrected by hand; no run "
                "has measured them yet"
            )

    def colour_by(self, column: str | None) -> Coloured | None:
        """Colour the cells by a column of their table; by nothing but their outlines where None.

        Returns:
            The colours and what they mean; None where there are none.
        """
        from napari.utils.colormaps import DirectLabelColormap

        first = [] if column is None else [column]
        others = [name for name in self.run.columns() if name not in first]
        table = self.cells.select("cell_id", *first, *others).rename({"cell_id": "index"})
        features = {name: table[name].to_numpy() for name in table.columns}
        found = None
        if column is not None and self.cells.height > MOST_COLOURED:
            self.say(f"{self.cells.height:,} cells are too many to be coloured one by one")
        elif column is not None:
            found = colours_of(self.cells[column])
        ids = self.cells["cell_id"].to_list()
        for layer in self.labels.values():
            layer.features = features
            layer.contour = _OUTLINE_PX if found is None else 0
            if found is None:
                layer.colormap = self._outline_colours()
                continue
            colors: dict[int | None, Any] = dict(zip(ids, found.colors, strict=True))
            layer.colormap = DirectLabelColormap(
                color_dict={**colors, None: np.array(UNKNOWN), 0: np.zeros(4)}
            )
        # napari 0.7 forgets the order of a layer that it draws with other colours, and the
        # channels would shine through labels that lie on them.
        self.viewer.layers.events.reordered(value=self.viewer.layers)
        return found

    def toggle(self) -> None:
        """Leave the cell under the mouse out, or take it in again; stored at once."""
        cell_id = self._under_mouse()
        if not self.run.writable:
            self.say(f"{self.run.layout.root} cannot be written: nothing can be decided here")
        elif not cell_id:
            self.say("no cell under the mouse: point at one")
        elif cell_id not in set(self.cells["cell_id"].to_list()):
            self.say(f"object {cell_id} is not in the table of cells: the next run measures it")
        else:
            self._toggle(cell_id)

    def store(self) -> None:
        """Store labels that were changed."""
        if not self.run.writable:
            self.say(f"{self.run.layout.root} cannot be written: nothing can be stored")
            return
        if not self.correctable:
            why = "labels of a slide" if self.slide else "labels that no model is asked for"
            self.say(f"nothing to store: {why} cannot be corrected")
            return
        changed = self.unsaved()
        try:
            written = keep_labels(self.run.layout, self.image_id, self._now(), self.run.study)
        except (SenescopeError, OSError) as error:
            self.say(f"not stored: {error}")
            return
        self.say(self._stored(changed, [path.name for path in written]))

    def unsaved(self) -> tuple[str, ...]:
        """Labels that were changed and are not stored."""
        layout = self.run.layout
        now = self._now()
        return tuple(
            name
            for name in self.correctable
            if not np.array_equal(now[name], labels_to_show(layout, self.image_id, name))
        )

    def _outline_colours(self) -> Any:  # noqa: ANN401  (a colormap of napari)
        """Napari's colours of labels, none of them too dark on a dark image or too bright."""
        from napari.utils.colormaps import CyclicLabelColormap, label_colormap

        colors = np.array(label_colormap().colors)
        colors[1:, :3] *= 0.6
        if not any(getattr(layer, "rgb", False) for layer in self.viewer.layers):
            colors[1:, :3] += 0.4
        return CyclicLabelColormap(colors=colors)

    def _now(self) -> dict[str, NDArray[np.uint32]]:
        return {name: np.asarray(self.labels[name].data, np.uint32) for name in self.correctable}

    def _add(self, layer: LayerData) -> Any:  # noqa: ANN401  (a layer of napari)
        from napari.layers import Layer

        return self.viewer.add_layer(Layer.create(*layer))

    def _under_mouse(self) -> int:
        """Number of the cell under the mouse; 0 where there is none."""
        for name in reversed(self.labels):
            value = self.labels[name].get_value(self.viewer.cursor.position, world=True)
            number = value[1] if isinstance(value, tuple) else value
            if number:
                return int(number)
        return 0

    def _toggle(self, cell_id: int) -> None:
        try:
            out = toggled(self.run.layout, self.image_id, cell_id)
            left_out = self.run.left_out(self.image_id)
        except (SenescopeError, OSError) as error:
            self.say(f"not stored: {error}")
            return
        self._crosses.data = crosses(self._places, left_out)
        what = "left out" if out else "taken in again"
        self.say(f"cell {cell_id} is {what} by the next run; left out here: {len(left_out)}")

    def _stored(self, changed: tuple[str, ...], files: list[str]) -> str:
        if not changed:
            return "nothing to store: no labels were changed"
        if not files:
            return f"{' and '.join(changed)} are the model's again"
        lost = len(self.run.left_out(self.image_id))
        text = f"stored: {', '.join(files)}; the next run measures this image with it"
        if lost:
            text += f". Its {lost} cell(s) left out are then to be looked at again"
        return text
