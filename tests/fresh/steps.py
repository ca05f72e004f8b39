"""What is told while the machines are tried."""

import time

_began = time.monotonic()


class NotSo(Exception):
    """Something that README or the package promises is not so."""


def step(text):
    print(f"  {time.monotonic() - _began:4.0f} s  {text}", flush=True)


def check(true, text, evidence=""):
    if not true:
        raise NotSo(f"not so: {text}\n{evidence}".rstrip())
    step(text)
