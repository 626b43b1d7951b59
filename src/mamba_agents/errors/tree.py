"""The error classes; the package's docstring draws how they hang together."""


class AgentError(Exception):
    """What every error of this library is: a message for a person and fields for a program.

    The message says what was found, what was expected and what to do.
    """

    def __init__(self, message: str, *, cause: BaseException | None = None, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        """The facts the message was composed from, by name."""
        if cause is not None:
            self.__cause__ = cause

    def __reduce__(self) -> tuple[object, ...]:
        # The default would call the constructor with `args` alone and lose the keyword fields.
        return _rebuild, (type(self), self.args, self.__dict__, self.__cause__)


class ConfigurationError(AgentError):
    """A setting, a settings file or an environment variable is wrong."""


class ModelBackendError(AgentError):
    """A model server cannot be started, reached or understood."""


def _rebuild[E: AgentError](
    cls: type[E], args: tuple[object, ...], state: dict[str, object], cause: BaseException | None
) -> E:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    error.__cause__ = cause
    return error
