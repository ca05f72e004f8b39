"""The configuration of README, and every block of doc/recipes.md laid over it, is right."""

import re
from pathlib import Path

import pytest
import yaml

from lab.gateway import binary
from lab.process import run

PROJECT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.M | re.S)
SAMPLE = (PROJECT / "packaging/postern.yaml").read_text()


def blocks(page):
    return BLOCK.findall((PROJECT / page).read_text())


def check(configuration):
    return run([binary(), "config", "check", "--syntax-only", "-"], text=yaml.safe_dump(configuration),
               check=False)


def readme():
    return {**yaml.safe_load(SAMPLE), **yaml.safe_load(blocks("README.md")[0])}


def test_the_sample_and_what_readme_makes_of_it():
    for configuration in (yaml.safe_load(SAMPLE), readme()):
        done = check(configuration)
        assert done.returncode == 0, done.stderr
    uncommented = re.sub(r"^# ", "", SAMPLE[SAMPLE.index("# tls:"):], flags=re.M)
    assert yaml.safe_load(uncommented).items() <= readme().items()


@pytest.mark.parametrize("block", blocks("doc/recipes.md"))
def test_a_recipe(block):
    done = check({**readme(), **yaml.safe_load(block)})
    assert done.returncode == 0, done.stderr
