"""Counts what MLflow's client writes, and fails at a chosen write: in its place, or once it has had its effect."""

from mlflow import MlflowClient

WRITES = (
    "create_experiment",
    "create_run",
    "update_run",
    "delete_run",
    "restore_run",
    "log_batch",
    "set_tag",
    "create_logged_model",
    "delete_logged_model",
    "set_logged_model_tags",
    "log_model_artifacts",
    "log_inputs",
    "log_outputs",
    "finalize_logged_model",
    "set_terminated",
    "create_registered_model",
    "create_model_version",
    "log_artifact",
)


class Killed(BaseException):
    """What a crash looks like from inside: nothing catches it."""


class Writes:
    """Counts the writes to MLflow; fails at the chosen one, with its effect (`after`) or without it."""

    def __init__(self, patch):
        self.names, self.fail_at, self.after, self.error = [], None, False, Killed
        for name in WRITES:
            self.count(patch, MlflowClient, name)

    @property
    def done(self):
        return len(self.names)

    def arm(self, fail_at, after, error=Killed):
        self.names, self.fail_at, self.after, self.error = [], fail_at, after, error

    def count(self, patch, owner, name):
        """Count the calls of a method as writes."""
        patch.setattr(owner, name, self._counted(name, getattr(owner, name)))

    def _counted(self, name, function):
        def call(client, *arguments, **options):
            fails = self.done == self.fail_at
            self.names.append(name)
            if fails and not self.after:
                raise self.error()
            result = function(client, *arguments, **options)
            if fails:
                raise self.error()
            return result

        return call
