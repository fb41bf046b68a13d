"""Whether images have the z-stacks that foci are to be looked for in."""

from pipelines.errors import MismatchError
from pipelines.images import Field
from pipelines.study.model import Study
from pipelines.study.settings import Foci


def check_stacks(field: Field, study: Study) -> None:
    """Check that there is a stack wherever foci are to be looked for in one.

    Raises:
        MismatchError: a single plane, or planes of unknown distance where one is needed.
    """
    for settings in study.measurements:
        if not isinstance(settings, Foci) or settings.stack is None:
            continue
        if settings.channel not in field.sources:
            continue  # told of where channels and stains are checked
        info = field.sources[settings.channel].info
        if info.n_z == 1:
            raise MismatchError(
                f"{field.image_id}: foci of {settings.channel} are to be looked for in a stack, "
                "but the file has one plane; leave out stack, or give the stack"
            )
        if settings.stack.sigma_z_um is not None and z_step_um(field, settings) is None:
            raise MismatchError(
                f"{field.image_id}: sigma_z_um needs the distance of the planes, which the file "
                "does not have; give z_step_um beside it, or sigma_z_planes instead"
            )


def z_step_um(field: Field, settings: Foci) -> float | None:
    """Distance of the planes of a channel: the study's, else the file's; None where unknown."""
    assert settings.stack is not None
    own = field.sources[settings.channel].info.z_step_um
    return own if settings.stack.z_step_um is None else settings.stack.z_step_um
