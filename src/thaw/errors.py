"""The errors a user can mend: each names what is wrong and the cure."""


class ThawError(Exception):
    """Something the user can mend. The command line prints it without a traceback.

    Args:
        reason: what is wrong, with the file or the key it is about.
        cure: what to do about it, a whole sentence.
    """

    exit_code = 2

    def __init__(self, reason: str, cure: str = "") -> None:
        super().__init__(reason, cure)
        self.reason = reason
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.reason}\n  cure: {self.cure}" if self.cure else self.reason
