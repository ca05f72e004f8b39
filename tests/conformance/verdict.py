"""What became of one case."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Verdict:
    passed: bool
    got: str = ""
    want: str = ""
    aside: str = ""  # why the case says nothing of us


def passed():
    return Verdict(True)


def failed(got, want):
    return Verdict(False, str(got), str(want))


def set_aside(reason):
    return Verdict(True, aside=reason)
