"""The one exception family of the project.

Every message names the culprit, what was expected and the fix, so that a person who reads only the last line of a
log knows what to do next. Domain code raises nothing else for conditions a user can meet.
"""

from __future__ import annotations


class GlmError(Exception):
    """A condition the user can understand and mend.

    Args:
        problem: What is wrong, naming the culprit (file, column, record, setting).
        expected: What would have been right.
        fix: What to do about it.
    """

    def __init__(self, problem: str, *, expected: str | None = None, fix: str | None = None) -> None:
        self.problem = problem
        self.expected = expected
        self.fix = fix
        parts = [problem.rstrip(".") + "."]
        if expected:
            parts.append(f"Expected: {expected.rstrip('.')}.")
        if fix:
            parts.append(f"Fix: {fix.rstrip('.')}.")
        super().__init__(" ".join(parts))

    def __reduce__(self) -> tuple[object, ...]:
        """Survive pickling between processes, which would otherwise lose the keyword arguments."""
        return (_rebuild, (type(self), self.problem, self.expected, self.fix))


def _rebuild(kind: type[GlmError], problem: str, expected: str | None, fix: str | None) -> GlmError:
    return kind(problem, expected=expected, fix=fix)


class SettingsError(GlmError):
    """A setting or profile value is unknown or out of range."""


class DataRootError(GlmError):
    """A data root is used with another profile, source or window recipe than it was made with."""


class OfflineError(GlmError):
    """A download is needed but refused by `GLM_OFFLINE`."""


class DownloadError(GlmError):
    """A listing or a file could not be fetched."""


class IntegrityError(GlmError):
    """A file is damaged: its checksum, size or compression does not hold."""


class FormatError(GlmError):
    """A file's content does not follow its format (VCF, FASTA, CSV, checksum list)."""


class StorageError(GlmError):
    """A store of vectors cannot be reached, read or written to: the disk, the network or the permissions."""


class ReferenceMismatchError(GlmError):
    """Variants and reference do not belong together (another build, a missing contig)."""


class ImplausibleReleaseError(GlmError):
    """A release has lost more rows than a release does: nothing is to be made from it unseen."""


class RunFailedError(GlmError):
    """A run that others were to follow has failed."""


class MissingUpstreamError(GlmError):
    """A product that this one is made from is absent or out of date."""


class EncoderError(GlmError):
    """An encoder cannot be made or used as asked (unknown name, layer, context, weights)."""


class TrainingError(GlmError):
    """A training cannot go on: its data lack a class or a split, or its loss is no longer finite."""


class CheckpointError(GlmError):
    """A head's checkpoint is missing, of another version or of another shape."""


class EvaluationError(GlmError):
    """Scores, or the tables they are compared with, do not fit the rows that they judge."""


class SubmissionError(GlmError):
    """The test CSV or the submission breaks a rule of the contest's format."""


class TrackingError(GlmError):
    """The tracking server refuses or cannot be reached."""
