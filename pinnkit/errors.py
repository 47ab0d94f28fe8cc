"""Errors that users meet. Every message names the culprit and ends with how to mend it."""


class PinnkitError(Exception):
    """Base of all errors that pinnkit raises on purpose."""


class SpecError(PinnkitError):
    """The declaration of a problem is incomplete, ambiguous or contradictory."""


class GeometryError(PinnkitError):
    """A domain, region or mesh is empty, unknown or malformed."""


class UnsupportedTerm(PinnkitError):
    """An expression or derivative that the compiler or a provider cannot represent exactly."""


class MethodError(PinnkitError):
    """A method cannot solve this problem, or failed while solving it."""


class ReferenceFileError(PinnkitError):
    """A file of reference data is missing, truncated, unknown or lacks what was asked for."""


class RunFileError(PinnkitError):
    """A run file is missing, truncated, from another version, or holds unexpected content."""


class OptionError(PinnkitError):
    """An option (budget, precision, number of points, output path …) is out of range."""


class LostProcess(PinnkitError):
    """Another process of a run on several hosts has ended or cannot be reached."""
