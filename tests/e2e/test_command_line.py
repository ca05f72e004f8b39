"""What is wrong in a call is said in one way by every command; nothing needs to run for that."""

import pytest

from lab.gateway import binary
from lab.process import run


@pytest.mark.parametrize("words, complaint", [
    (["queue", "list", "--bogus"], "there is no option '--bogus'"),
    (["queue", "list", "-x"], "there is no option '-x'"),
    (["queue", "list", "--sender"], "--sender wants a value"),
    (["queue", "flush", "--all=yes"], "'--all=yes': this option has no value"),
    (["queue", "burn"], "there is no 'burn'"),
    (["trace", "--bogus"], "there is no option '--bogus'"),
    (["trace", "--limit"], "--limit wants a value"),
    (["trace", "ONE", "TWO"], "one id at a time"),
    (["user", "add", "--bogus", "bob@kartapuce.com"], "there is no option '--bogus'"),
    (["dovecot-config", "--bogus"], "'--bogus' is not understood"),
    (["status", "--bogus"], "'--bogus' is not understood"),
    (["reload", "--bogus"], "'--bogus' is not understood"),
    (["check", "--bogus"], "say what to check"),
    (["run", "--bogus"], "'--bogus' is not understood"),
])
def test_wrong_calls(words, complaint):
    done = run([binary(), *words], check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == (
        f"postern {words[0]}: {complaint}; see postern {words[0]} --help")
