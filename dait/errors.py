"""The exception that a user is meant to read, and the one that ends work on request."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend: the message says what was found, what is allowed, what to do.

    The command line prints the message alone (no traceback) and exits with code 2; the app shows
    it in the page.
    """


class Stopped(BaseException):
    """Asked to stop. Not an ``Exception``, so that nothing on the way takes it for a failure."""
