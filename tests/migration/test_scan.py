"""Reading a fork's code: what breaks, what works on, and which labels it has."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from kerasbert.corpus.schemas import read_schema
from kerasbert.errors import InputError
from kerasbert.files import write_json
from kerasbert.schema import Signature
from migration import scan_legacy, scan_rules
from migration.constants import DUIE_SCHEMA, TOKEN_LABELS
from migration.scan import scan
from migration.scan_report import BREAKS, CHECK, LABELS, Finding, ScanReport
from migration.scan_tensorflow import is_importable, resolve

Scan = Callable[..., ScanReport]


@pytest.fixture
def code(tmp_path: Path) -> Scan:
    """Writes files, given as name=source or {path: source}, and scans their folder."""

    def write_and_scan(files: dict[str, str] | str) -> ScanReport:
        for name, source in ({"a.py": files} if isinstance(files, str) else files).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(source), encoding="utf-8")
        return scan(tmp_path)

    return write_and_scan


def findings(report: ScanReport, path: str = "a.py") -> list[Finding]:
    return list(next(file for file in report.files if file.path == path).findings)


def places(report: ScanReport, path: str = "a.py", level: str = BREAKS) -> list[tuple[int, str]]:
    return [(finding.line, finding.found) for finding in findings(report, path) if finding.level == level]


def advice(report: ScanReport, found: str, path: str = "a.py") -> str:
    return next(finding.replacement for finding in findings(report, path) if finding.found == found)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import tensorflow as tf\ntf.contrib.tpu.RunConfig()", [(2, "tf.contrib.tpu.RunConfig")]),
        ("import tensorflow as T\nT.flags.FLAGS.data_dir", [(2, "T.flags.FLAGS")]),
        ("import tensorflow\nx = tensorflow.Session()", [(2, "tensorflow.Session")]),
        ("import tensorflow.contrib.slim as slim\nslim.conv2d(x)", [(1, "tensorflow.contrib.slim")]),
        ("from tensorflow import gfile\ngfile.GFile(x)", [(1, "tensorflow.gfile")]),
        (
            "from tensorflow.contrib import tpu\ntpu.RunConfig()\ntpu.TPUEstimator(f)",
            [(1, "tensorflow.contrib.tpu"), (2, "tpu.RunConfig"), (3, "tpu.TPUEstimator")],
        ),
        (
            "from tensorflow.contrib.tpu import TPUEstimator as E\nE(f)",
            [(1, "tensorflow.contrib.tpu.TPUEstimator")],
        ),
        (
            "import tensorflow as tf\nflags = tf.flags\nFLAGS = flags.FLAGS\nflags.DEFINE_bool('a', 1)\nFLAGS.a",
            [(2, "tf.flags")],
        ),
        (
            "import tensorflow as tf\ndef f():\n    gfile = tf.gfile\n    gfile.Open(x)",
            [(3, "tf.gfile")],
        ),
        ("def f():\n    import tensorflow as tf\n    return tf.app.run()", [(3, "tf.app.run")]),
        ("import tensorflow as tf\nclass A(tf.train.Optimizer):\n    pass", [(2, "tf.train.Optimizer")]),
        (
            "import tensorflow as tf\ntf.logging.set_verbosity(tf.logging.INFO)",
            [(2, "tf.logging.INFO"), (2, "tf.logging.set_verbosity")],
        ),
        (
            "import tensorflow as tf\nw = x.get_shape()[-1].value + y.shape[0].value",
            [(2, "x.get_shape()[-1].value"), (2, "y.shape[0].value")],
        ),
        ("import tensorflow as tf\nit = d.repeat().make_one_shot_iterator()", [(2, ".make_one_shot_iterator()")]),
    ],
)
def test_what_is_gone_is_found_under_every_spelling(code: Scan, source: str, expected: list[tuple[int, str]]) -> None:
    assert places(code(source)) == expected


def test_what_still_works_is_not_reported(code: Scan) -> None:
    report = code(
        """
        import tensorflow as tf
        import tensorflow.compat.v1 as tf1
        import tensorflow_text
        from tensorflow import keras
        from tensorflow.keras.layers import Dense
        from tensorflow.io import gfile

        def step(tf, x):
            return tf.flags

        def model(x, value):
            x = tf.nn.dropout(x, rate=0.1)
            x = tf.reduce_sum(x, axis=-1, keepdims=True)
            y = tf.argmax(x, axis=-1, output_type=tf.int32)
            z = tf.one_hot(y, depth=3, dtype=tf.float32)
            w = tf.nn.softmax(tf.matmul(x, z, transpose_b=True), axis=-1)
            k = tf.nn.sigmoid_cross_entropy_with_logits(logits=w, labels=x)
            tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))
            tf.Variable(1.0, trainable=False)
            tf.nn.conv2d(x, z, 1, "SAME")
            tf.summary.scalar("loss", x, step=1)
            tf.saved_model.load("model")
            tf.compat.v1.logging.info("%s", value.shape[0])
            return keras.layers.LayerNormalization()(tf.zeros_initializer()(k.shape)), tf1.gfile.GFile(x), Dense(3)

        for record in tf.data.TFRecordDataset("f").map(model).batch(8, drop_remainder=True):
            tf.strings.join([record], separator=" ")
        tf1.app.run()
        tf1.flags.DEFINE_string("a", None, "")
        """
    )
    assert findings(report) == []


def test_compat_v1_lacks_contrib_and_estimators_only(code: Scan) -> None:
    source = """
        import tensorflow.compat.v1 as tf
        tf.logging.info(tf.flags.FLAGS.a)
        tf.contrib.layers.layer_norm(x)
        tf.estimator.ModeKeys.TRAIN
        x = tf.placeholder(tf.int32, [None])
        """
    report = code(source)
    assert places(report) == [(4, "tf.contrib.layers.layer_norm"), (5, "tf.estimator.ModeKeys.TRAIN")]
    assert places(report, level=CHECK) == [(6, "tf.placeholder")]
    assert places(code(source + "        tf.disable_v2_behavior()\n"), level=CHECK) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tf.to_int32(x)", "tf.cast(x, dtype=tf.int32)"),
        ("tf.nn.dropout(x, keep_prob=0.9)", "tf.nn.dropout(x, rate=1 - 0.9)"),
        ("tf.nn.dropout(f'{x}', 1.0 - p)", "tf.nn.dropout(f'{x}', rate=1 - (1.0 - p))"),
        ("tf.reduce_sum(x, keep_dims=True)", "tf.reduce_sum(x, keepdims=True)"),
        ("tf.parse_single_example(tf.gfile, {})", "tf.io.parse_single_example"),
        ("tf.gfile.MakeDirs(path)", "tf.io.gfile.makedirs"),
        ("tf.python_io.TFRecordWriter(path)", "tf.io.TFRecordWriter"),
        ("tf.FixedLenFeature([], tf.int64)", "tf.io.FixedLenFeature"),
    ],
)
def test_the_upgrade_library_gives_the_new_spelling(code: Scan, old: str, new: str) -> None:
    name = old.split("(")[0]
    assert advice(code(f"import tensorflow as tf\n{old}"), name).replace("(0.9)", "0.9") == new
    other = re.sub(r"\btf\.", "T.", old)
    found = advice(code(f"import tensorflow as T\n{other}"), name.replace("tf.", "T."))
    assert found.replace("(0.9)", "0.9") == re.sub(r"\btf\.", "T.", new)


def test_arguments_that_changed_place_are_named(code: Scan) -> None:
    report = code("import tensorflow as tf\ntf.nn.dropout(x, 0.9)\ntf.argmax(x, 1)\ntf.argmax(x, 1, 'name')")
    assert {finding.level for finding in findings(report)} == {CHECK}, "TensorFlow 2 code may be written like this"
    assert [(f.line, f.problem) for f in findings(report)] == [
        (2, "argument 2 was keep_prob in TensorFlow 1, now it is rate"),
        (4, "argument 3 was name in TensorFlow 1, now it is output_type"),
    ]


def test_code_that_asks_first_is_left_to_a_person(code: Scan) -> None:
    report = code(
        """
        import tensorflow as tf
        try:
            from tensorflow.contrib import rnn
        except ImportError:
            rnn = None
        if tf.__version__.startswith("1."):
            tf.app.run()
        if hasattr(tf, "Session"):
            tf.Session()
        tf.app.run()
        """
    )
    assert places(report, level=CHECK) == [(4, "tensorflow.contrib.rnn"), (8, "tf.app.run"), (10, "tf.Session")]
    assert places(report) == [(11, "tf.app.run")]


def test_private_modules_and_star_imports_are_to_be_looked_at(code: Scan) -> None:
    report = code(
        """
        from tensorflow import *
        from tensorflow.python.ops import array_ops
        from tensorflow.python.ops.array_ops import no_such_function
        from tensorflow.python.no_such_module import x
        """
    )
    assert places(report, level=CHECK) == [
        (2, "from tensorflow import *"),
        (3, "tensorflow.python.ops.array_ops"),
    ]
    assert places(report) == [
        (4, "tensorflow.python.ops.array_ops.no_such_function"),
        (5, "tensorflow.python.no_such_module.x"),
    ]


def test_the_modules_of_the_original(code: Scan) -> None:
    script = """
        import sys
        sys.path.append("../../bert")
        import tokenization
        from bert import modeling
        from bert.optimization import create_optimizer
        from run_sequnce_labeling import convert_single_example
        from bert import other
        import os

        os.system("python bin/evaluation/calc_pr.py --golden x")
        config = modeling.BertConfig.from_json_file("a")
        tokenizer = tokenization.FullTokenizer("v")
        modeling.helper_of_the_fork()
        """
    report = code({"tool.py": script, "other.py": "import optimization, tokenization\noptimization.x()\n"})
    assert places(report, "tool.py") == [
        (4, "tokenization"),
        (5, "bert.modeling"),
        (6, "bert.optimization.create_optimizer"),
        (7, "run_sequnce_labeling.convert_single_example"),
        (11, "calc_pr.py"),
        (12, "modeling.BertConfig.from_json_file"),
        (13, "tokenization.FullTokenizer"),
    ]
    assert "EncoderConfig.load" in advice(report, "modeling.BertConfig.from_json_file", "tool.py")
    assert "kerasbert-migrate run calc_pr.py" in advice(report, "calc_pr.py", "tool.py")
    assert places(report, "other.py") == []
    assert findings(code({"own.py": "from tools import calc_pr\ncalc_pr.score()\n"}), "own.py") == []

    ported = {"tool.py": script, "bert/modeling.py": "import tensorflow as tf\ntf.io.gfile.GFile('a')\n"}
    assert [found for _, found in places(code(ported), "tool.py")] == [
        "tokenization",
        "bert.optimization.create_optimizer",
        "run_sequnce_labeling.convert_single_example",
        "calc_pr.py",
        "tokenization.FullTokenizer",
    ]
    broken = {"bert/modeling.py": "import tensorflow as tf\ntf.gfile.GFile('a')\n"}
    assert (5, "bert.modeling") in places(code(broken), "tool.py")


def test_relative_imports_inside_the_package_of_the_original(code: Scan) -> None:
    report = code(
        {"bert/train.py": "from . import modeling\nfrom .tokenization import FullTokenizer\nimport optimization\n"}
    )
    assert places(report, "bert/train.py") == [
        (1, "bert.modeling"),
        (2, "bert.tokenization.FullTokenizer"),
        (3, "optimization"),
    ]


def test_files_that_python_cannot_read(code: Scan, tmp_path: Path) -> None:
    (tmp_path / "gbk.py").write_bytes("a = 1\nname = '中文'\n".encode("gbk"))
    (tmp_path / "declared.py").write_bytes(
        "# -*- coding: gbk -*-\nimport tensorflow as tf\ntf.Session('中')\n".encode("gbk")
    )
    (tmp_path / "binary.py").write_bytes(b"a = 1\n\x00\n")
    (tmp_path / "deep.py").write_text("x = " + "(" * 5000 + ")" * 5000)
    (tmp_path / "huge.py").write_bytes(b"x = 1\n" * (1 << 20))
    report = code({"py2.py": "import os\nprint 'a'\n", "cut.py": "def f():\n    return (1,\n"})
    broken = {file.path: file.findings[0] for file in report.files if file.findings}
    assert (broken["py2.py"].line, broken["py2.py"].found) == (2, "the print statement")
    assert broken["gbk.py"].line == 2 and "not UTF-8" in broken["gbk.py"].problem
    assert broken["declared.py"].line == 3 and broken["declared.py"].found == "tf.Session"
    assert broken["cut.py"].line == 2 and broken["cut.py"].level == BREAKS
    assert broken["huge.py"].level == CHECK and "6 MiB" in broken["huge.py"].problem
    assert {"binary.py", "deep.py"} <= set(broken)


def test_what_is_passed_over_is_counted(code: Scan, tmp_path: Path) -> None:
    bad = "import tensorflow as tf\ntf.Session()\n"
    for name in (".git/a.py", "__pycache__/a.py", "venv/lib/a.py", "pkg/.hidden/a.py"):
        code({"a.py": "", name: bad})
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "notes.ipynb").touch()
    (tmp_path / "pkg" / "loop").symlink_to(tmp_path)
    (tmp_path / "pkg" / "again.py").symlink_to(tmp_path / "a.py")
    (tmp_path / "pkg" / "gone.py").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.py")
    report = code("import tensorflow as tf\n")
    assert [file.path for file in report.files] == ["a.py"]
    assert report.skipped == {
        "__pycache__ folders": 1,
        "broken links": 1,
        "further links to a file": 1,
        "hidden folders": 2,
        "links to folders": 1,
        "notebooks": 1,
        "special files": 1,
        "virtual environments": 1,
    }


def test_code_is_neither_run_nor_changed(code: Scan, tmp_path: Path) -> None:
    code(
        {
            "trap.py": "import tensorflow as tf\nopen('ran', 'w')\nraise SystemExit(tf.Session())\n",
            "bert/__init__.py": "",
        }
    )
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*.py")}
    scan(tmp_path)
    assert {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*") if path.is_file()
    } == before


LABELS_SOURCE = """
    class Processor(object):
        def get_predicate_labels(self):
            {labels}

        def get_token_labels(self):
            BIO_token_labels = {tokens!r}
            return BIO_token_labels
    """


def script(names: list[str], tokens: tuple[str, ...] = TOKEN_LABELS) -> str:
    return LABELS_SOURCE.format(labels=f"return {names!r}", tokens=list(tokens))


def test_lists_of_the_original_are_no_finding(code: Scan) -> None:
    report = code(script(list(DUIE_SCHEMA.names)))
    assert findings(report) == []
    assert report.schema().names == DUIE_SCHEMA.names


def test_changed_predicates_become_a_schema_file(code: Scan, tmp_path: Path) -> None:
    names = [*DUIE_SCHEMA.names[1:], "竞争对手", "no"]
    table = {p.name: [(s.object_type, s.subject_type) for s in p.signatures] for p in DUIE_SCHEMA}
    table |= {"竞争对手": [("企业", "企业"), ("品牌", "企业")]}
    submit = (
        f"schemas_dict_relation_2_object_subject_type = {table!r}\n"
        f"class F:\n    def f(self):\n        self.relationship_label_list = {names!r}\n"
    )
    report = code({"run_sequnce_labeling.py": script(names), "produce_submit_json_file.py": submit})
    for path, found in (
        ("run_sequnce_labeling.py", "get_predicate_labels()"),
        ("produce_submit_json_file.py", "relationship_label_list"),
    ):
        finding = next(f for f in findings(report, path) if f.found == found)
        assert finding.level == LABELS
        assert finding.problem == "50 predicates, added 竞争对手, no; removed 丈夫"
    types = next(f for f in findings(report, "produce_submit_json_file.py") if f.found.startswith("schemas_dict"))
    assert types.problem == "in no predicate list: 丈夫; no argument types for no"

    write_json(tmp_path / "schema.json", report.schema().to_dict())
    schema = read_schema(tmp_path / "schema.json")
    assert schema.names == tuple(names)
    assert schema["竞争对手"].signatures == (Signature("企业", "企业"), Signature("企业", "品牌"))
    assert schema["no"].signatures == ()
    assert schema["成立日期"].signatures == DUIE_SCHEMA["成立日期"].signatures


def test_an_order_of_its_own_is_kept(code: Scan) -> None:
    names = [*reversed(DUIE_SCHEMA.names)]
    report = code(script(names))
    assert findings(report)[0].problem == "49 predicates, reordered"
    assert report.schema().names == tuple(names)


def test_lists_that_differ_are_named_and_not_chosen_from(code: Scan, tmp_path: Path) -> None:
    report = code({"a.py": script(["x", "y"]), "b.py": f"label_list = {list(DUIE_SCHEMA.names)!r}\n"})
    assert "another list than in b.py:1" in findings(report, "a.py")[0].problem
    assert findings(report, "b.py")[0].problem == "49 predicates, as in the original; another list than in a.py:4"
    with pytest.raises(InputError, match=r"differ: a\.py:4 \(2\), b\.py:1 \(49\)") as error:
        report.schema()
    assert error.value.path == tmp_path


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def get_labels(self):\n    return open('labels').read().split()\n", "no literal list"),
        ("x = ['a', 'b']\n", "no literal list"),
        ("def get_labels(self):\n    raise NotImplementedError\n", "no literal list"),
        ("class MrpcProcessor:\n    def get_labels(self):\n        return ['0', '1']\n", "no literal list"),
        ("def get_labels(self):\n    return ['a', 'a']\n", "more than once"),
        ("def get_labels(self):\n    return ['a', 'b\\tc']\n", "line break or TAB"),
        ("def get_labels(self):\n    return ['a', '']\n", "is empty"),
    ],
)
def test_what_makes_no_schema(code: Scan, source: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        code(source).schema()


def test_lists_by_other_ways(code: Scan) -> None:
    assert code("NAMES = ('a', 'b')\ndef get_labels(self):\n    return NAMES\n").schema().names == ("a", "b")
    assert code(f"known = {list(DUIE_SCHEMA.names[:20])!r}\n").schema().names == DUIE_SCHEMA.names[:20]
    report = code("def get_labels(self):\n    names = ['a']\n    names += more\n    return names\n")
    assert [(f.line, f.level, f.found) for f in findings(report)] == [(4, CHECK, "get_labels()")]
    report = code("schemas_dict = {'a': [('x', 'y')]}\ndef get_labels(self):\n    return ['a']\n")
    assert "does not tell which" in findings(report)[0].problem
    assert report.schema()["a"].signatures == ()
    report = code("schema_subject_object = {'a': ('x', 'y')}\ndef get_labels(self):\n    return ['a']\n")
    assert report.schema()["a"].signatures == (Signature("x", "y"),)


def test_token_labels_of_its_own(code: Scan) -> None:
    report = code(script(list(DUIE_SCHEMA.names), (*TOKEN_LABELS[:-1], "B-TIME", "O")))
    (finding,) = findings(report)
    assert (finding.line, finding.level) == (7, LABELS)
    assert finding.problem == "11 token labels, added B-TIME"
    assert "cannot be converted" in finding.replacement
    assert report.schema().names == DUIE_SCHEMA.names


def test_a_published_file_is_known_by_its_content(code: Scan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = "import tensorflow as tf\ntf.Session()\ntf.Session()\n\ntf.Session()\n"
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    published = scan_legacy.LegacyFile("bert/modeling.py", "kerasbert.models", (digest,))
    monkeypatch.setattr(scan_legacy, "LEGACY_FILES", (published,))
    (tmp_path / "moved.py").write_bytes(source.replace("\n", "\r\n").encode())
    report = code({"bert/modeling.py": source + "x = 1\n", "own.py": source + "# own\n"})
    state = {file.path: (file.legacy, file.changed) for file in report.files}
    assert state == {
        "bert/modeling.py": ("bert/modeling.py", True),
        "moved.py": ("bert/modeling.py", False),
        "own.py": ("", False),
    }
    text = report.render()
    assert "bert/modeling.py (the original's, changed)" in text
    assert text.index("own.py") < text.index("As published by the original") < text.index("moved.py")
    assert "  line 2-3, 5: tf.Session: not in TensorFlow 2" in text


def test_the_report_for_machines_and_for_people(code: Scan, tmp_path: Path) -> None:
    report = code({"b.py": "import tensorflow as tf\ntf.gfile.GFile(x)\n", "a/c.py": "x = 1\n"})
    data = json.loads(json.dumps(report.to_dict(), ensure_ascii=False))
    assert [file["path"] for file in data["files"]] == ["a/c.py", "b.py"]
    assert data["counts"] == {BREAKS: 1, CHECK: 0, LABELS: 0}
    assert data["files"][1]["findings"][0]["replacement"] == "tf.io.gfile.GFile"
    assert report.render() == (
        f"b.py\n  line 2: tf.gfile.GFile: not in TensorFlow {report.tensorflow}\n      -> tf.io.gfile.GFile\n\n"
        f"{tmp_path}: 2 Python files, 1 with findings, under TensorFlow {report.tensorflow}: "
        "1 place that breaks, 0 to look at, 0 about label lists"
    )


@pytest.mark.parametrize("name", ["nothing", "file.txt", "empty"])
def test_nothing_to_scan(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.txt").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as error:
        scan(tmp_path / name)
    assert error.value.path == tmp_path / name and error.value.hint


def all_advice() -> list[str]:
    changed = [text for table in (scan_rules.CHANGED, scan_rules.METHODS) for pair in table.values() for text in pair]
    files = [file.instead for file in scan_legacy.LEGACY_FILES]
    return [*scan_rules.REMOVED.values(), *changed, *scan_legacy.MEMBERS.values(), *files]


def test_the_advice_names_what_there_is() -> None:
    ours = {name for text in all_advice() for name in re.findall(r"\b(?:kerasbert|migration)(?:\.\w+)+", text)}
    assert len(ours) > 10
    for name in ours:
        parts = name.split(".")
        for k in range(len(parts), 0, -1):
            try:
                found = importlib.import_module(".".join(parts[:k]))
            except ModuleNotFoundError:
                continue
            for part in parts[k:]:
                found = getattr(found, part)
            break
    theirs = {name for text in all_advice() for name in re.findall(r"\btf(?:\.\w+)+", text)}
    assert len(theirs) > 30
    assert [name for name in theirs if resolve(name.replace("tf", "tensorflow", 1))[1]] == []


def test_every_rule_is_of_something_that_is_gone_or_there() -> None:
    there = [name for name in scan_rules.REMOVED if not resolve(f"tensorflow.{name}")[1]]
    assert there == ["metrics", "losses"], "modules of Keras now, whose TF1 functions are gone"
    assert [name for name in scan_rules.CHANGED if resolve(f"tensorflow.{name}")[1]] == []
    assert [name for name in scan_rules.GRAPH_ONLY if resolve(f"tensorflow.compat.v1.{name}")[1]] == []
    assert not is_importable("tensorflow.contrib.tpu") and is_importable("tensorflow.keras.layers", "Dense")
