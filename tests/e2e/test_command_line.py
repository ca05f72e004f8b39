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
    (["queue", "list", "--limit", "x"], "--limit wants a number from 1 on, not 'x'"),
    (["queue", "list", "--limit", "0"], "--limit wants a number from 1 on, not '0'"),
    (["queue", "list", "--priority", "x"], "'x' is no priority: high, normal or bulk"),
    (["trace", "--bogus"], "there is no option '--bogus'"),
    (["trace", "--limit"], "--limit wants a value"),
    (["trace", "ONE", "TWO"], "one id at a time"),
    (["user", "add", "--bogus", "bob@kartapuce.com"], "there is no option '--bogus'"),
    (["dovecot-config", "--bogus"], "'--bogus' is not understood"),
    (["status", "--bogus"], "'--bogus' is not understood"),
    (["reload", "--bogus"], "'--bogus' is not understood"),
    (["check"], "say what to check"),
    (["check", "--bogus"], "there is no option '--bogus'"),
    (["check", "roof"], "there is no 'roof'"),
    (["check", "spf", "--helo", "a", "--from", "b@a"], "spf wants --ip"),
    (["check", "spf", "--ip", "1.2.3"], "'1.2.3' is no address"),
    (["check", "message", "--ip", "192.0.2.1"], "message takes a file"),
    (["check", "domain"], "domain takes the name of a domain"),
    (["check", "domain", "a.example", "--rcpt", "b@a"], "--rcpt is not for domain"),
    (["dns"], "one domain at a time"),
    (["dns", "--bogus", "a.example"], "there is no option '--bogus'"),
    (["run", "--bogus"], "'--bogus' is not understood"),
])
def test_wrong_calls(words, complaint):
    done = run([binary(), *words], check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == (
        f"postern {words[0]}: {complaint}; see postern {words[0]} --help")
