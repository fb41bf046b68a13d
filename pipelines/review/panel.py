"""The panel beside the image: which image, which colours, the keys, and what was done.

Qt and magicgui come with napari and are imported where they are used.
"""

from functools import partial
from html import escape
from typing import TYPE_CHECKING

from pipelines.errors import SenescopeError
from pipelines.review.session import Session
from pipelines.review.words import LEAVE_OUT, NEXT, PREVIOUS, STORE, help_text, legend_html

if TYPE_CHECKING:
    import napari
    from magicgui.widgets import Container

PLAIN = "outlines"
TITLE = "senescope"
WIDTH = 320
WINDOW = 1400, 900


def open_panel(viewer: "napari.Viewer", session: Session, image_id: str) -> None:
    """Show an image beside a panel, bind the keys, and ask before changed labels are lost.

    Args:
        viewer: the window.
        session: what is on show in it; it speaks through the panel from now on.
        image_id: the image to begin with.

    Raises:
        SenescopeError: the image cannot be read.
    """
    from magicgui.widgets import ComboBox, Container, Label
    from qtpy.QtCore import Qt, QTimer

    images = ComboBox(name="image", choices=list(session.run.images), value=image_id)
    colours = ComboBox(name="colour", choices=[PLAIN, *session.run.columns()], value=PLAIN)
    texts = [Label(name=name) for name in ("legend", "keys", "message")]
    chosen = Container(widgets=[images, colours], name="chosen")
    panel = Container(widgets=[chosen, *texts], labels=False)
    for choice in (images, colours):  # which would else take the keys that are meant for cells
        choice.native.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    for text in texts:
        text.native.setWordWrap(True)
    panel.native.setFixedWidth(WIDTH)
    _connect(viewer, session, panel)
    _bind_keys(viewer, session, panel)
    _ask_at_the_end(viewer, session)
    viewer.window.add_dock_widget(panel, name=TITLE, area="right")
    viewer.window.resize(*WINDOW)
    QTimer.singleShot(0, viewer.reset_view)  # once the window has its size
    session.say = partial(_say, panel)
    session.show(image_id)
    _describe(session, panel)


def _say(panel: "Container", text: str) -> None:
    panel.message.value = f"<br><b>{escape(text)}</b>"


def _connect(viewer: "napari.Viewer", session: Session, panel: "Container") -> None:
    def change_image(image_id: str) -> None:
        if image_id == session.image_id:
            return
        try:
            if _may_leave(viewer, session):
                panel.message.value = ""
                session.show(image_id)
                panel.chosen.colour.value = PLAIN
        except (SenescopeError, OSError) as error:
            session.say(str(error))
        panel.chosen.image.value = session.image_id
        _describe(session, panel)

    def change_colours(column: str) -> None:
        found = session.colour_by(None if column == PLAIN else column)
        about = "" if column == PLAIN else session.run.meaning(column)
        panel.legend.value = legend_html([] if found is None else found.legend, escape(about))

    panel.chosen.image.changed.connect(change_image)
    panel.chosen.colour.changed.connect(change_colours)


def _bind_keys(viewer: "napari.Viewer", session: Session, panel: "Container") -> None:
    images = session.run.images

    def go(step: int) -> None:
        panel.chosen.image.value = images[(images.index(session.image_id) + step) % len(images)]

    actions = {
        LEAVE_OUT: session.toggle,
        STORE: session.store,
        NEXT: lambda: go(1),
        PREVIOUS: lambda: go(-1),
    }
    for key, action in actions.items():
        viewer.bind_key(key, lambda _, act=action: act(), overwrite=True)


def _describe(session: Session, panel: "Container") -> None:
    writable = session.run.writable
    panel.keys.value = help_text(session.correctable, slide=session.slide, writable=writable)


def _may_leave(viewer: "napari.Viewer", session: Session) -> bool:
    """Whether the image may be left: asks where changed labels would be lost."""
    from qtpy.QtWidgets import QMessageBox

    changed = session.unsaved()
    if not changed:
        return True
    box = QMessageBox.StandardButton
    answer = QMessageBox.question(
        viewer.window._qt_window,
        TITLE,
        f"Corrected {' and '.join(changed)} of {session.image_id} are not stored. Store them?",
        box.Save | box.Discard | box.Cancel,
    )
    if answer == box.Save:
        session.store()
        return not session.unsaved()
    return bool(answer == box.Discard)


def _ask_at_the_end(viewer: "napari.Viewer", session: Session) -> None:
    from qtpy.QtCore import QEvent, QObject

    window = viewer.window._qt_window

    class AskBeforeClosing(QObject):  # type: ignore[misc]
        def eventFilter(self, _: QObject, event: QEvent) -> bool:  # noqa: N802  (Qt's name)
            if event.type() == QEvent.Type.Close and not _may_leave(viewer, session):
                event.ignore()
                return True
            return False

    window.installEventFilter(AskBeforeClosing(window))
