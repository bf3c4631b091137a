"""Every error a user can cause or meet, each with the exit status the command line ends with."""

__all__ = [
    "ConfigError",
    "DataError",
    "GatewrightError",
    "GraphError",
    "MachineFault",
    "ModelError",
    "ProgramError",
    "ToolError",
    "file_reason",
    "reason",
]


class GatewrightError(Exception):
    """Base of all of Gatewright's own errors; the message alone tells what is wrong and what would be right."""

    exit_status = 2


class ModelError(GatewrightError):
    """A model file is missing, broken, or holds what the importer does not take."""


class GraphError(GatewrightError):
    """A graph breaks a rule of the intermediate representation."""


class DataError(GatewrightError):
    """An input or output array does not fit the tensor it is meant for."""


class ConfigError(GatewrightError):
    """A machine configuration is impossible, or too small for the network."""


class ProgramError(GatewrightError):
    """A program file is broken, was made for another configuration, or breaks a rule of its machine."""


class MachineFault(GatewrightError):
    """The machine stopped with an error, or made no progress."""

    exit_status = 3


class ToolError(GatewrightError):
    """A tool that the work needs, such as a C++ compiler, is missing or failed."""

    exit_status = 3


def reason(error: Exception) -> str:
    """What an error says, without the number and the path that the operating system's have."""
    return error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)


def file_reason(error: Exception) -> str:
    """`reason`, behind the path of the file that the operating system's errors name."""
    path = getattr(error, "filename", None)
    return f"{path}: {reason(error)}" if path else reason(error)
