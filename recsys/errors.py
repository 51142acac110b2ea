"""The exceptions that a user can meet.

Each message is one sentence that says what is wrong, where, and what to do about it. The command
line prints it and ends with exit code 2; a scheduled run fails with it.
"""

from dataclasses import dataclass


class UserError(Exception):
    """Something that the user can put right; its message is shown without a traceback."""


class BadSettings(UserError):
    """A setting, or a combination of settings, that makes no sense."""


class BadRatings(UserError):
    """A ratings file that cannot be read as ratings."""


class BadManifest(UserError):
    """A file that does not describe a run, or a run that cannot be repeated as it was."""


class DatasetUnavailable(UserError):
    """A known data set that is neither in the cache folder nor to be had from its publisher."""


class StoreUnavailable(UserError):
    """A store or report folder that cannot be read or written."""


class NotEnoughMemory(UserError):
    """Work that needs more memory than it may take."""


class ServerUnavailable(UserError):
    """A Prefect server that was asked for and does not answer."""


class WorkersUnavailable(UserError):
    """Workers that were asked for and cannot be had, or that were lost."""


class ServerLost(ServerUnavailable):
    """A Prefect server that answered when the run began, and does not at its end."""


class TrainingDiverged(UserError):
    """A training whose loss became infinite or NaN."""


class TrialsFailed(UserError):
    """A search of which no trial could be trained."""


class DamagedArtefact(Exception):
    """A file of the store that is missing or differs from its digest; its maker has to run again."""


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used.

    Attributes:
        line: its line in the file, from 1, with the header and blank lines counted; of a parquet file, its row.
        reason: what is wrong, as the middle of a sentence.
        text: the row as it stands in the file.
    """

    line: int
    reason: str
    text: str


def refusal(file: str, unit: str, row: BadRow) -> BadRatings:
    """The error for the first bad row, where bad rows are not set aside.

    Args:
        file: name of the file.
        unit: what `row.line` counts, "line" or "row".
        row: the bad row.
    """
    advice = f"correct the {unit}, or set such rows aside with --bad-rows quarantine"
    return BadRatings(f"{file}, {unit} {row.line}: {row.reason}; {advice}.")
