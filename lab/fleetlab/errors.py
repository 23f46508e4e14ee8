"""The one exception whose text is meant for the user."""


class LabError(Exception):
    """What was tried, why it failed and what to do. Printed as `lab: TEXT`; ends with `code`."""

    def __init__(self, message, code=1):
        super().__init__(message)
        self.code = code


class TimeOut(LabError):
    """Something did not happen in time."""
