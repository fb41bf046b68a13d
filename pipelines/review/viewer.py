"""`senescope open`: images of a run in napari, with labels, columns as colours, and keys.

Nothing is decided here: cells left out and labels that were changed are stored beside the run, and
the next `senescope run` applies them.
"""

from importlib.util import find_spec
from pathlib import Path

from pipelines.errors import SenescopeError
from pipelines.review.opened import open_results


def open_run(folder: Path, image_id: str | None, study_folder: Path | None = None) -> None:
    """Show images of a run; returns when the window is closed.

    Args:
        folder: of the run.
        image_id: the image to begin with; the first of the table where None.
        study_folder: folder of the study file, where relative paths start; where None, the one
            that the run noted, else the one above the run's.

    Raises:
        SenescopeError: napari is not installed, or there is no such run or image.
    """
    run = open_results(folder, study_folder)
    chosen = run.chosen(image_id)
    run.field(chosen)
    if find_spec("napari") is None:
        raise SenescopeError(
            "senescope open shows images in napari, which is not installed: "
            "pip install 'senescope[napari]', or in a copy of the repository "
            "uv run --extra napari senescope open. Without it, name cells to be left out in "
            f"{run.layout.exclusions} (columns image_id, cell_id, reason) and put corrected "
            f"label images into {run.layout.corrected(chosen, 'nuclei').parent}; the next "
            "senescope run applies both."
        )
    import napari

    from pipelines.review.panel import open_panel
    from pipelines.review.session import Session

    viewer = napari.Viewer()
    open_panel(viewer, Session(run, viewer), chosen)
    napari.run()
