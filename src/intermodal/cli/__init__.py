"""The shell: one function per command, results on stdout, progress and notes on stderr.

Nothing heavy loads before a command runs, so that `intermodal --help` answers at once.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what was typed after `intermodal`; None takes it from the shell.

    Returns:
        0 when all went well, 1 when something failed, 2 when the input cannot be used, 130 after Ctrl-C.

    Example:
        >>> main(["--version"])
        intermodal 0.1.0
        0
    """
    from intermodal.cli.app import app
    from intermodal.cli.failing import run

    return run(app, arguments)
