"""What a server answers in place of a result; each knows its HTTP status."""

from __future__ import annotations

from mezzotint.errors import MezzotintError


class ServeError(MezzotintError):
    """Refused by the server; `retry_after` in seconds, where it makes sense to ask again."""

    status = 400
    code = "invalid_request"
    retry_after: int | None = None

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        if retry_after is not None:
            self.retry_after = max(1, min(3600, round(retry_after)))


class UnknownModelError(ServeError):
    """No such model is served."""

    status, code = 404, "model_not_found"


class NotFoundError(ServeError):
    """No such job, or picture of a job."""

    status, code = 404, "not_found"


class FailedPictureError(ServeError):
    """The picture could not be drawn; the message says at which step, and why."""

    status, code = 422, "failed"


class NotFinishedError(ServeError):
    """The picture is not there yet, or was cancelled."""

    status, code = 409, "not_finished"


class ConflictError(ServeError):
    """An idempotency key that was used for something else."""

    status, code = 409, "conflict"


class QueueFullError(ServeError):
    """No more pictures can wait."""

    status, code = 429, "queue_full"


class DrainingError(ServeError):
    """The server is going down; what was queued stays for its next start."""

    status, code, retry_after = 503, "draining", 10


class ForbiddenError(ServeError):
    """The owner of the server does not allow it."""

    status, code = 403, "forbidden"


class TooLargeError(ServeError):
    """More bytes than the owner takes."""

    status, code = 413, "too_large"
