"""Labels that lie in a folder of results and that a run would refuse: told before it computes."""

from collections.abc import Iterator

from pipelines.field.labels import why_refused
from pipelines.run.image import corrected_files
from pipelines.run.layout import Layout
from pipelines.run.slide import why_refused_of_slide
from pipelines.study.check import Checked
from pipelines.study.problems import Problem, warning


def given_label_problems(checked: Checked, layout: Layout) -> Iterator[Problem]:
    """One problem an image whose given labels a run would refuse, as the run says it.

    Args:
        checked: the study and its images.
        layout: of the folder that a run would write to; it need not be there.
    """
    for row in checked.rows:
        files = corrected_files(layout, row.image_id)
        if row.image_id in checked.slides:
            reasons = [why_refused_of_slide(path) for path in files.values()]
        else:
            reasons = [why for name in files if (why := why_refused(name, checked.study))]
        for why in reasons[:1]:
            message = f"{why}. It will be a row in failures.csv."
            yield warning(f"image {row.image_id}", message)
