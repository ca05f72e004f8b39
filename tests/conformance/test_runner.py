"""The runner itself, with made-up suites and handlers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import driver  # noqa: E402
import runner  # noqa: E402
import smuggling  # noqa: E402
import suites  # noqa: E402
from verdict import failed, passed, set_aside  # noqa: E402


class Says:
    """Judges a case by what the case itself says."""

    def __init__(self, drivers, content, path):
        assert content["cases"] and (path / "cases.json").is_file()

    def judge(self, case):
        return {"pass": passed, "fail": lambda: failed("a", "b"),
                "aside": lambda: set_aside("not ours")}[case["says"]]()


class Asks:
    """Asks a driver."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["made_up"]

    def judge(self, case):
        answer = self.driver.ask({"number": case["number"]})
        return passed() if answer["twice"] == case["want"] else failed(answer, case["want"])


TABLE = suites.Table(suites.Entry("made/asks", Asks), suites.later("made/later", "tomorrow"),
                     suites.Entry("made/*", Says))


def write_suite(data, name, cases):
    folder = data / name
    folder.mkdir(parents=True)
    (folder / "cases.json").write_text(json.dumps({"suite": name, "cases": cases}))


def run(tmp_path, *arguments):
    report = tmp_path / "report.json"
    status = runner.main(["--data", str(tmp_path / "data"), "--report", str(report),
                          "--build", str(tmp_path), *arguments], table=TABLE)
    return status, json.loads(report.read_text()) if report.exists() else None


def test_all_passed(tmp_path, capsys):
    write_suite(tmp_path / "data", "made/good", [{"id": 1, "says": "pass"}] * 3)
    status, report = run(tmp_path)
    assert status == 0
    assert report == {"suites": [{"suite": "made/good", "run": 3, "passed": 3, "failed": 0,
                                  "advisory": 0, "set_aside": {}, "failures": [],
                                  "advisory_differs": []}]}
    assert "made/good: 3 run, 3 passed, 0 failed" in capsys.readouterr().out


def test_a_failure_is_told_and_fails_the_run(tmp_path, capsys):
    write_suite(tmp_path / "data", "made/bad",
                [{"id": "x1", "says": "fail"}, {"id": "x2", "says": "pass"}])
    status, report = run(tmp_path)
    assert status == 1
    assert report["suites"][0]["failed"] == 1
    assert report["suites"][0]["failures"] == [{"id": "x1", "got": "a", "want": "b"}]
    assert "FAILED x1: got a; want b" in capsys.readouterr().out


@pytest.mark.parametrize("flag", ["contested", "legacy", "implementation", "linter"])
def test_advisory_cases_fail_nothing(tmp_path, flag, capsys):
    write_suite(tmp_path / "data", "made/advice",
                [{"id": 1, "says": "fail", flag: True}, {"id": 2, "says": "pass", flag: False}])
    status, report = run(tmp_path)
    assert status == 0
    assert [report["suites"][0][key] for key in ("run", "passed", "failed", "advisory")] == \
        [2, 1, 0, 1]
    assert report["suites"][0]["advisory_differs"] == [{"id": "1", "got": "a", "want": "b"}]
    assert "differs 1: got a; would be b" in capsys.readouterr().out


def test_cases_of_replaced_rules_are_advisory(tmp_path):
    write_suite(tmp_path / "data", "made/rules", [{"id": 1, "says": "fail", "rules": "rfc7489"},
                                                  {"id": 2, "says": "pass", "rules": "both"}])
    status, report = run(tmp_path)
    assert status == 0
    assert [report["suites"][0][key] for key in ("run", "passed", "failed", "advisory")] == \
        [2, 1, 0, 1]


def test_set_aside_with_reason(tmp_path, capsys):
    write_suite(tmp_path / "data", "made/some", [{"says": "aside"}, {"says": "pass"}])
    write_suite(tmp_path / "data", "made/later", [{"id": 1}, {"id": 2}])
    write_suite(tmp_path / "data", "other/unknown", [{"id": 1}])
    status, report = run(tmp_path)
    assert status == 0
    by_name = {suite["suite"]: suite for suite in report["suites"]}
    assert by_name["made/some"]["run"] == 1
    assert by_name["made/some"]["set_aside"] == {"not ours": 1}
    assert by_name["made/later"]["set_aside"] == {"belongs to a later part: tomorrow": 2}
    assert by_name["other/unknown"]["set_aside"] == {"no handler knows this suite": 1}
    assert "made/later: 2 set aside: belongs to a later part: tomorrow" in capsys.readouterr().out


def test_a_case_that_cannot_be_judged_is_set_aside(tmp_path):
    """By what is odd in it, whatever that is; it neither ends the run nor counts."""
    write_suite(tmp_path / "data", "made/odd",
                [{"id": 1, "says": "what?"}, {"id": 2}, {"id": 3, "says": ["a"]}, {},
                 {"id": 5, "says": "pass"}])
    status, report = run(tmp_path)
    assert status == 0
    suite, = report["suites"]
    assert (suite["run"], suite["passed"], suite["failed"]) == (1, 1, 0)
    assert suite["set_aside"]["the case does not say its \"says\""] == 2
    assert sum(suite["set_aside"].values()) == 4
    assert any("KeyError: 'what?'" in reason for reason in suite["set_aside"])


def test_no_data_is_said_and_is_no_failure(tmp_path, capsys):
    status, report = run(tmp_path)
    assert status == 0
    assert report == {"suites": []}
    assert "no data" in capsys.readouterr().out


def test_one_suite_only(tmp_path, capsys):
    write_suite(tmp_path / "data", "made/bad", [{"says": "fail"}])
    write_suite(tmp_path / "data", "made/good", [{"says": "pass"}])
    status, report = run(tmp_path, "--suite", "made/good")
    assert status == 0
    assert [suite["suite"] for suite in report["suites"]] == ["made/good"]
    assert run(tmp_path, "--suite", "made/none")[0] == 2
    assert "there is no suite 'made/none'" in capsys.readouterr().err


def write_driver(build, body):
    folder = build / "tests" / "conformance"
    folder.mkdir(parents=True)
    program = folder / "made_up"
    program.write_text(f"#!{sys.executable}\nimport json, sys, time\nfor line in sys.stdin:\n"
                       f"    request = json.loads(line)\n{body}")
    program.chmod(0o755)


ANSWER = "    print(json.dumps({'twice': 2 * request['number']}), flush=True)\n"


def test_driver_answers(tmp_path):
    write_driver(tmp_path, ANSWER)
    write_suite(tmp_path / "data", "made/asks",
                [{"number": 1, "want": 2}, {"number": 2, "want": 4}, {"number": 3, "want": 7}])
    status, report = run(tmp_path)
    assert status == 1
    assert [report["suites"][0][key] for key in ("passed", "failed")] == [2, 1]


def test_driver_that_dies_fails_its_case_only(tmp_path):
    write_driver(tmp_path, "    request['number'] == 2 and sys.exit(7)\n" + ANSWER)
    write_suite(tmp_path / "data", "made/asks",
                [{"id": n, "number": n, "want": 2 * n} for n in (1, 2, 3)])
    status, report = run(tmp_path)
    assert status == 1
    assert [failure["id"] for failure in report["suites"][0]["failures"]] == ["2"]
    assert "ended with status 7" in report["suites"][0]["failures"][0]["got"]


def test_driver_that_hangs_fails_its_case_only(tmp_path, monkeypatch):
    monkeypatch.setattr(driver, "PATIENCE_SECONDS", 0.5)
    write_driver(tmp_path, "    request['number'] == 2 and time.sleep(60)\n" + ANSWER)
    write_suite(tmp_path / "data", "made/asks",
                [{"id": n, "number": n, "want": 2 * n} for n in (1, 2, 3)])
    status, report = run(tmp_path)
    assert status == 1
    assert report["suites"][0]["passed"] == 2
    assert "no answer" in report["suites"][0]["failures"][0]["got"]


def test_driver_not_built(tmp_path, capsys):
    write_suite(tmp_path / "data", "made/asks", [{"number": 1, "want": 2}])
    assert run(tmp_path)[0] == 2
    assert "build it first" in capsys.readouterr().err


def test_a_suite_of_an_unknown_form_is_set_aside(tmp_path):
    class Trips:
        def __init__(self, drivers, content, path):
            raise KeyError("scenarios")

    write_suite(tmp_path, "spf/odd", [{"id": 1}, {"id": 2}])
    suite, = runner.find_suites(tmp_path)
    runner.run_suite(suite, suites.Table(suites.Entry("spf/*", Trips)), None)
    assert (suite.run, suite.failed) == (0, 0)
    (reason, count), = suite.set_aside.items()
    assert "scenarios" in reason and count == 2


def test_a_driver_that_complains_fails_its_case(tmp_path):
    write_driver(tmp_path, "    print(json.dumps({'error': 'cannot'}), flush=True)\n")
    write_suite(tmp_path / "data", "made/asks", [{"id": 1, "number": 1, "want": 2}])
    status, report = run(tmp_path)
    assert status == 1
    assert "cannot" in report["suites"][0]["failures"][0]["got"]


@pytest.mark.parametrize("body,told", [
    ("    print(json.dumps({'thrice': 2}), flush=True)\n", 'no "twice"'),
    ("    print('{', flush=True)\n", "no JSON"),
])
def test_a_poor_answer_fails_its_case(tmp_path, body, told):
    """It says nothing of the case, which must not be set aside for it."""
    write_driver(tmp_path, body)
    write_suite(tmp_path / "data", "made/asks", [{"id": 1, "number": 1, "want": 2}])
    status, report = run(tmp_path)
    assert status == 1
    assert told in report["suites"][0]["failures"][0]["got"]


def test_command_line(tmp_path):
    """The script as people start it, with the data named by the environment."""
    write_suite(tmp_path / "data", "bimi/made-up", [{"id": 1}])
    environment = os.environ | {"POSTERN_CONFORMANCE": str(tmp_path / "data")}
    done = subprocess.run([HERE / "run"], env=environment, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0
    assert "bimi/made-up: 1 set aside: belongs to a later part: BIMI" in done.stdout
    environment["POSTERN_CONFORMANCE"] = str(tmp_path / "nothing")
    done = subprocess.run([HERE / "run"], env=environment, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0
    assert "no data at" in done.stdout


# ---- the judges of smuggling/*, with a driver that says what the test wants


class Scripted:
    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __getitem__(self, name):
        return self

    def ask(self, request):
        self.requests.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


GOOD_MESSAGE = {"sender": "legit@sender.example", "recipients": [], "content": "x",
                "wire": "x\r\n.\r\n"}


def judge_inbound(messages, output="250 ok\r\n"):
    case = {"kind": "inbound", "stream": "x", "expect": {
        "messages": [0, 1], "must_not_contain_envelope": "smuggler@victim.example"}}
    answer = {"output": ["354 go\r\n", output], "messages": messages, "closed": False}
    return smuggling.EndOfData(Scripted(answer), {}, None).judge(case)


@pytest.mark.parametrize("messages, output, good", [
    ([GOOD_MESSAGE], "250 ok\r\n", True),
    ([], "521 bare LF\r\n", True),
    ([], "250 ok\r\n", False),
    ([GOOD_MESSAGE, GOOD_MESSAGE], "250 ok\r\n", False),
    ([GOOD_MESSAGE | {"sender": "smuggler@victim.example"}], "250 ok\r\n", False),
    ([GOOD_MESSAGE | {"wire": "x\ny\r\n.\r\n"}], "250 ok\r\n", False),
    ([GOOD_MESSAGE | {"wire": "x\ry\r\n.\r\n"}], "250 ok\r\n", False),
    ([GOOD_MESSAGE | {"wire": "x\r\n.\r\ny\r\n.\r\n"}], "250 ok\r\n", False),
    ([GOOD_MESSAGE | {"wire": "x\r\n"}], "250 ok\r\n", False),
])
def test_smuggling_is_seen(messages, output, good):
    assert judge_inbound(messages, output).passed == good


@pytest.mark.parametrize("stream, error, output, size, got, good, aside", [
    ("a\r\n.\r\n", None, "a\n", 9, {"output": "a\r\n", "error": None}, True, False),
    ("a\r\n.\r\n", None, "a\n", 9, {"output": "b\r\n", "error": None}, False, False),
    ("a\r\n.\r\n", None, "a\n", 9, {"output": "a\r\n", "error": "too-large"}, False, False),
    ("a\r\n.\r\n", "too-large", "a", 1, {"output": "", "error": "too-large"}, True, False),
    # RFC 1870 counts three octets here, whatever came out
    ("a\r\n.\r\n", "too-large", "a", 3, {"output": "a\r\n", "error": None}, True, True),
    ("a\r\n.\r\n", "too-large", "a", 2, {"output": "a\r\n", "error": None}, False, False),
    ("a\r\n.\r\n", "too-large", "a", 2, {"output": "", "error": None}, False, False),
    ("..\r\n.\r\n", "too-large", ".", 3, {"output": ".\r\n", "error": None}, True, True),
])
def test_dotreader(stream, error, output, size, got, good, aside):
    case = {"kind": "dotreader", "input": stream, "max_size": size, "output": output,
            "error": error}
    verdict = smuggling.EndOfData(Scripted(got), {}, None).judge(case)
    assert (verdict.passed, bool(verdict.aside)) == (good, aside)


def judge_dialogue(raw, *outputs):
    scripted = Scripted({"output": list(outputs), "messages": [], "closed": False})
    return smuggling.Dialogues(scripted, {}, None).judge({"id": "x", "raw": raw}), scripted


def test_dialogue_compares_codes():
    raw = "c tls_connect localhost:1465\nc <~ 220\n# why\nc -> EHLO x\nc <... 250 HELP\nc -> A\n" \
          "c <- 500 5.5.1 Their words\n"
    greeting, hello = "220 us\r\n", "250-us\r\n250 SIZE\r\n"
    verdict, scripted = judge_dialogue(raw, greeting, hello, "500 5.5.2 Ours\r\n")
    assert verdict == passed()
    assert scripted.requests[0]["settings"]["kind"] == "smtps"
    assert scripted.requests[0]["send"] == ["EHLO x\r\n", "A\r\n"]
    assert not judge_dialogue(raw, greeting, hello, "501 5.5.2 Ours\r\n")[0].passed
    assert not judge_dialogue(raw, greeting, hello, "")[0].passed
    assert not judge_dialogue(raw, greeting, "250-us\r\n", "500 x\r\n")[0].passed


def test_dialogue_where_an_rfc_decides():
    raw = "c tcp_connect x:1025\nc <~ 220\nc -> AUTH NONSENSE\nc <~ 534\nc -> B\nc <~ 500\n"
    assert judge_dialogue(raw, "220 a\r\n", "504 a\r\n", "500 b\r\n")[0] == passed()
    assert not judge_dialogue(raw, "220 a\r\n", "534 a\r\n", "500 b\r\n")[0].passed
    assert not judge_dialogue(raw, "220 a\r\n", "504 a\r\n", "501 b\r\n")[0].passed
    assert not judge_dialogue(raw, "220 a\r\n", "250 a\r\n", "500 b\r\n")[0].passed


def test_dialogue_ends_with_a_web_request():
    raw = ("c tcp_connect x:1025\nc <~ 220\nc -> GET / HTTP/1.1\nc <~ 502\nc -> NOOP\nc <~ 250\n")
    assert judge_dialogue(raw, "220 a\r\n", "521 5.5.1 no web\r\n", "")[0] == passed()
    assert not judge_dialogue(raw, "220 a\r\n", "250 a\r\n", "")[0].passed


@pytest.mark.parametrize("expression, want", [
    ("'a\\r\\n'", "a\r\n"), ("'ab' * 2 + 'c'", "ababc"), ("('a' * 2 + 'b') * 2", "aabaab"),
    ("2 * 'a'", "aa"),
])
def test_expressions(expression, want):
    assert smuggling.text_of(expression) == want


@pytest.mark.parametrize("expression", ["'a' * 99999999999", "__import__('os')", "open", "'a' - 1"])
def test_what_is_no_expression_is_not_run(expression):
    with pytest.raises((ValueError, SyntaxError)):
        smuggling.text_of(expression)
