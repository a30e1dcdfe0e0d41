"""The one exception a user is meant to read."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend: the message says what was found, what is allowed, what to do.

    The command line prints the message alone (no traceback) and exits with code 2; the app shows
    it in the page.
    """
