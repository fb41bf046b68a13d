"""The errors that a user sees: each says what was given, what was expected and what to do."""


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
