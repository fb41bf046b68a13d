"""The errors that a user sees: each says what was given, what was expected and what to do."""

import errno

_PASSING = frozenset(
    getattr(errno, name)
    for name in (
        "EAGAIN", "EBUSY", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "EINTR", "EIO", "ENETDOWN",
        "ENETUNREACH", "ENODEV", "ENOENT", "ENOTCONN", "ENXIO", "ESTALE", "ETIMEDOUT",
    )
    if hasattr(errno, name)
)  # fmt: skip


class SenescopeError(Exception):
    """Anything that went wrong in a way the user can do something about."""


class StudyError(SenescopeError):
    """The study file or its sample table is wrong: nothing is computed until it is mended."""


class ImageError(SenescopeError):
    """One image cannot be used: it becomes a row in failures.csv and the rest goes on."""


class MismatchError(ImageError):
    """A sound image does not fit what the study says of it: its channels, axes or pixel size.

    Where every image of a study says this, the study is wrong and not the images.
    """


class BusyError(StudyError):
    """Another run is at work in the same folder."""


def may_pass(error: BaseException) -> bool:
    """Whether an error came from a disk or a network that may be back in a moment.

    A file that is missing counts: it was there when the run was planned. A full disk, a refused
    permission and a corrupt file do not mend by waiting a minute.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _PASSING:
            return True
        cause = cause.__cause__ or cause.__context__
    return False
