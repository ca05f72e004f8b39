"""spoofing/authentication-results-*: the field is read, and what claims to be ours is taken out."""

import re

from driver import octets
from properties import read_message
from verdict import failed, passed, set_aside


class Syntax:
    """Fields of the RFCs and of other software, with the methods and results they hold."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]

    def judge(self, case):
        answer = self.driver.ask({"op": "authres", "header": octets(case["header"])})
        if case.get("methods") is None or case.get("authserv_id") is None:
            return set_aside("the suite does not say what is in it")
        want = {"valid": True, "id": octets(case["authserv_id"]), "methods": case["methods"]}
        got = {key: answer.get(key) for key in want}
        return passed() if got == want else failed(got, want)


def unfold(text):
    return re.sub(r"\r?\n(?=[ \t])", "", text)


def fields_of(message):
    """Name and value of each header field, unfolded."""
    head = re.split(r"\r?\n\r?\n", message, maxsplit=1)[0]
    for line in unfold(head).splitlines():
        name, _, value = line.partition(":")
        yield name.strip().lower(), value


def plain_id(value):
    """The authserv-id as a simple reader finds it: before the semicolon, without comments."""
    text = re.sub(r"\([^()]*\)", "", value).split(";")[0].strip()
    return re.sub(r"\s+\d+$", "", text).strip('"').rstrip(".").lower()


# A field that every reader takes for one of this authserv-id.
PLAIN = re.compile(r"\s*[\w.-]+\s*(?:\d+\s*)?;")


class Stripping:
    """Fields of a message from outside, for a gateway that has the name of one of them."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]
        self.path = path

    def judge(self, case):
        message = re.sub(r"\r?\n", "\r\n", read_message(self.path, case))
        fields = list(fields_of(message))
        results = [(i, value) for i, (name, value) in enumerate(fields)
                   if name == "authentication-results"]
        ids = {"example.net", "mx.elsewhere.test"} | {
            plain_id(value) for _, value in results if re.fullmatch(r"[\w.-]+", plain_id(value))}
        for own in sorted(ids):
            answer = self.driver.ask({"op": "authres-strip", "message": message, "id": own})
            removed = {item["field"]: item["why"] for item in answer["removed"]}
            for i, value in results:
                if plain_id(value) == own and i not in removed:
                    return failed(f"kept, for {own}: {value!r}", "removed")
                doubtful = own in value.lower() and not PLAIN.match(value)
                if plain_id(value) != own and i in removed and not doubtful:
                    return failed(f"removed, for {own}: {value!r} ({removed[i]})", "kept")
            others = set(removed) - {i for i, _ in results}
            if others:
                return failed(f"other fields removed: {sorted(others)}", "kept")
        return passed()
