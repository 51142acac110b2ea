"""The errors that a user can meet.

Each message is one sentence that says what is wrong, where, and what to do about it. The command
line prints it and ends with exit code 2; a scheduled run fails with it.
"""


class UserError(Exception):
    """Something that the user can correct; its message is shown without a traceback."""


class BadSettings(UserError):
    """A setting, or a combination of settings, that makes no sense."""


class BadRatings(UserError):
    """A ratings file, or ratings, that cannot be read as ratings."""


class BadManifest(UserError):
    """A file that does not describe a run, or a run that cannot be repeated as it was."""


class DatasetUnavailable(UserError):
    """A public data set that is not on this computer and cannot be downloaded."""


class StoreUnavailable(UserError):
    """A store or report folder that cannot be read or written."""


class DamagedWinner(UserError):
    """A winner's folder that is not as it was written."""


class NoBlend(UserError):
    """A blend in which nothing has a weight."""


class BadIds(UserError):
    """Ids of users or items that cannot be looked up."""


class ExportFailed(UserError):
    """A winner that cannot be had in the format that was asked for."""


class NotEnoughMemory(UserError):
    """Work that needs more memory than is available."""


class ServerUnavailable(UserError):
    """A Prefect server that does not answer."""


class WorkersUnavailable(UserError):
    """Workers that could not be started, or were lost."""


class ServerLost(ServerUnavailable):
    """A Prefect server that stopped answering during the run."""


class RunUnrecorded(ServerLost):
    """A run that came to its end and has its report, of which Prefect's server could not be told."""


class TrainingDiverged(UserError):
    """A training whose loss became infinite or NaN."""


class TrialsFailed(UserError):
    """A hyperparameter search in which no trial could be trained."""


class ChecksFailed(Exception):
    """A finished comparison for which checks of severity error fired, where none is wanted."""


class DamagedArtefact(Exception):
    """A file of the store that is missing or does not have its digest; the task that made it has to run again."""
