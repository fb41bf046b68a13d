"""The error that a measurement raises when it was given something it cannot measure."""


class MeasurementError(ValueError):
    """Arrays or settings that do not fit; the message says what was given, expected and to do."""
