"""The list of changes that no test notices: complete, up to date, with reasons."""

import re
import tomllib

import pytest
import yaml

from tools import mutation

LISTED = yaml.safe_load(mutation.SURVIVORS.read_text(encoding="utf-8"))
DIFF = """\
--- cnnlib/data.py
+++ cnnlib/data.py
@@ -1,5 +1,5 @@
 def __len__(self):
-    return -(-self.count // self.batch_size)
+    return -(self.count // self.batch_size)
"""


def test_the_modules_and_their_tests_exist():
    for file, tests in mutation.TESTS.items():
        paths = [name for name in tests if name.endswith(".py")]
        assert all((mutation.ROOT / path).is_file() for path in [file, *paths]), file


def test_every_module_of_the_networks_and_of_training_is_tried():
    for folder in ("models", "train"):
        files = (mutation.ROOT / "cnnlib" / folder).glob("*.py")
        names = {str(path.relative_to(mutation.ROOT)) for path in files}
        assert names <= set(mutation.TESTS)


@pytest.mark.parametrize("file", LISTED)
def test_survivors_have_reasons_and_stand_in_the_code(file):
    lines = (mutation.ROOT / file).read_text(encoding="utf-8").splitlines()
    code = {line.strip() for line in lines}
    for entry in LISTED[file]:
        assert {*entry} == {"in", "old", "new", "reason"} and entry["reason"], entry
        assert entry["old"] != entry["new"]
        assert {line.strip() for line in entry["old"].splitlines()} <= code, entry


def test_a_mutant_is_told_by_function_old_and_new_lines():
    entry = mutation.survivor("cnnlib.data.xǁBatchesǁ__len____mutmut_3", DIFF)
    assert entry == {
        "in": "Batches.__len__",
        "old": "return -(-self.count // self.batch_size)",
        "new": "return -(self.count // self.batch_size)",
    }
    assert mutation.survivor("cnnlib.data.x__find__mutmut_12", DIFF)["in"] == "_find"


def test_survivors_and_list_are_compared_both_ways():
    a, b, c = ({"in": "f", "old": "x", "new": new} for new in "abc")
    listed = [entry | {"reason": "equal"} for entry in (b, c)]
    assert mutation.difference([a, b], listed) == ([a], [listed[1]])


def test_settings_are_those_of_the_project_and_of_mutmut():
    settings = tomllib.loads(mutation.settings("cnnlib/data.py"))["tool"]
    assert settings["pytest"]["ini_options"]["filterwarnings"] == ["error"]
    assert settings["mutmut"]["only_mutate"] == ["cnnlib/data.py"]
    lines = ["    raise ValueError(", "sys.exit('')", 'add("--lr", default=1)']
    for pattern, line in zip(mutation.UNCHANGED, lines, strict=True):
        assert re.search(pattern, line)


def test_an_unknown_module_is_refused_by_name():
    with pytest.raises(SystemExit, match="nowhere is in none of cnnlib/init"):
        mutation.main("nowhere")
