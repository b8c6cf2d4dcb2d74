"""The original's scripts by their old names: its files, its lines, and errors where it stopped or did nonsense."""

from __future__ import annotations

import gzip
import json
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kerasbert.errors import InputError, UsageError
from migration import cli
from migration.checkout import CLASSIFICATION_DATA, LABELLING_DATA, PREDICATE_OUTPUTS, RESULTS, VOCABULARY
from migration.commands import SCRIPTS, find_script, run_script
from tests import commandline

TEXTS = ["《归途》由王一鸣执导", "王一鸣是导演"]
CHARACTERS = "《》归途远山由王一鸣执导演公司建于年是"
Lines = list[str]


# Which script, in which checkout.


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_found_by_name_and_by_path(tmp_path: Path, script: str) -> None:
    name = Path(script).name
    for given in (name, name.removesuffix(".py"), script, f"./{script}", str(tmp_path / script)):
        assert find_script(given, tmp_path) == (tmp_path, script)
    assert find_script(f"co/{script}", tmp_path) == (tmp_path / "co", script)
    assert find_script(name, tmp_path / "co" / Path(script).parent) == (tmp_path / "co", script)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("run_sequence_labeling.py", "run_sequnce_labeling.py"),
        ("predicate_data_manger", "bin/predicate_classifiction/predicate_data_manager.py"),
        ("bin/evaluation/evaluate_classification.py", "evaluate_classifiction.py"),
        ("other/calc_pr.py", "bin/evaluation/calc_pr.py"),
        ("zzz", "the scripts are"),
    ],
)
def test_other_names_are_refused_with_the_one_that_is_meant(name: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_script(name)
    assert words in str(caught.value)


@pytest.fixture
def migrate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., commandline.Result]]:
    monkeypatch.setattr(commandline, "main", cli.main)
    yield commandline.run


def test_the_command_passes_the_words_on(migrate: Callable[..., commandline.Result]) -> None:
    result = migrate("run", "run_sequnce_labeling", "--do_trian=true", "-x")
    commandline.refused(result, 2, "--do_trian, --x", "--do_train?")
    result = migrate("run", "run_sequnce_labeling", "--help")
    assert result.code == 0 and "--warmup_proportion (float, default 0.1): optimizer.warmup" in result.out
    commandline.refused(migrate("run", "produce_submit", "--x"), 2, "produce_submit_json_file.py")
    commandline.refused(migrate("run", "evaluate_labeling", "--x"), 2, "unknown argument '--x'")
    commandline.refused(migrate("run", "calc_pr", "--golden_file", "x"), 2, "--predict_file")
    commandline.refused(migrate("flags", "--", "python", "train.py"), 2, "no script of the original")
    result = migrate("flags", "--", "python", "produce_submit_json_file.py")
    assert (result.code, result.out.split(":")[0]) == (0, "# produce_submit_json_file.py")


# Small checkouts.


def raw(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def row(text: str, *triples: tuple[str, str, str]) -> dict[str, Any]:
    return {"text": text, "spo_list": [{"subject": s, "predicate": p, "object": o} for s, p, o in triples]}


ROWS = (
    row(TEXTS[0], ("归途", "导演", "王一鸣")),
    row(TEXTS[1], ("归途", "导演", "王一鸣"), ("王一鸣", "主演", "导演")),
)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a vocabulary and two sentences in every raw file."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS]
    commandline.write(tmp_path / VOCABULARY, "\n".join(tokens).encode())
    for name in ("train_data.json", "dev_data.json", "test1_data_postag.json"):
        commandline.write(tmp_path / "raw_data" / name, raw(*ROWS).encode())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(script: str, *arguments: str) -> tuple[Lines, Lines]:
    """What a script writes to standard output, and what it announces."""
    written: Lines = []
    announced: Lines = []
    run_script(script, arguments, written.append, announced.append)
    return written, announced


def refused(script: str, *arguments: str, kind: type[Exception] = InputError) -> str:
    with pytest.raises(kind) as caught:
        run(script, *arguments)
    return str(caught.value)


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}


def test_the_data_managers_make_their_folders(checkout: Path) -> None:
    (checkout / CLASSIFICATION_DATA).mkdir(parents=True)
    run("predicate_data_manager")
    made = contents(checkout / CLASSIFICATION_DATA)
    assert made["train/predicate_out.txt"] == "导演\n导演 主演\n" == made["valid/predicate_out.txt"]
    assert made["test/text.txt"] == f"{TEXTS[0]}\n{TEXTS[1]}\n" and "test/predicate_out.txt" not in made
    _, announced = run("sequence_labeling_data_manager")
    made = contents(checkout / LABELLING_DATA)
    assert made["train/token_in.txt"] == "《 归 途 》 由 王 一 鸣 执 导\t导演\n王 一 鸣 是 导 演\t主演\n"
    assert made["valid/bert_tokener_error_log.txt"].startswith("归途 @@ 王一鸣是导演\n")
    assert (checkout / LABELLING_DATA / "test").is_dir()
    assert any("1 mentions not found" in line for line in announced)


def test_what_users_set_in_the_data_manager_counts(checkout: Path) -> None:
    script = checkout / SCRIPTS[0]
    commandline.write(script, b"raise SystemExit\nif __name__ == '__main__':\n    Competition_Mode = False\n")
    _, announced = run(SCRIPTS[0], "--Valid_Mode=true")
    assert contents(checkout / CLASSIFICATION_DATA)["test/predicate_out.txt"] == "导演\n导演 主演\n"
    assert not (checkout / CLASSIFICATION_DATA / "train").exists()
    assert any("Competition_Mode = False" in line for line in announced)
    run("predicate_data_manager", "--Competition_Mode=true", "--RAW_DATA_DIR=raw_data", "--DATA_OUTPUT_DIR=other")
    assert "test/predicate_out.txt" not in contents(checkout / "bin/predicate_classifiction/other")
    script.write_text("if __name__ == '__main__':\n    Competition_Mode = not True\n")
    assert "sets Competition_Mode" in refused(SCRIPTS[0], kind=UsageError)
    run(SCRIPTS[0], "--Competition_Mode=f")
    assert "did you mean --Valid_Mode" in refused(SCRIPTS[0], "--Valid_Model=true", kind=UsageError)
    script.write_text("print 'old'\n")
    assert any("no Python" in line for line in run(SCRIPTS[0])[1])


def test_a_left_over_of_another_mode_is_named(checkout: Path) -> None:
    run("predicate_data_manager", "--Competition_Mode=false")
    _, announced = run("predicate_data_manager")
    assert any("predicate_out.txt is of an earlier run" in line for line in announced)


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (raw(ROWS[0]) + "\n", 2, "blank line"),
        (raw(ROWS[0]) + "{not json\n", 2, "not JSON"),
        (raw(ROWS[0]) + "[]\n", 2, "a JSON object is expected"),
        ("\ufeff" + raw(ROWS[0]), 1, "byte order mark"),
        (raw({"spo_list": []}), 1, "no 'text'"),
        (raw({"text": 3, "spo_list": []}), 1, "'text' of the row is a number"),
        (raw({"text": "甲\ud800", "spo_list": []}).replace("\ud800", "\\ud800"), 1, "surrogate"),
        (raw(row("甲\n乙")), 1, "'\\n'"),
        (raw({"text": "甲"}), 1, "no 'spo_list'"),
        (raw({"text": "甲", "spo_list": None}), 1, "'spo_list' is null"),
        (raw({"text": "甲", "spo_list": [{}]}), 1, "no 'predicate'"),
        (raw(row("甲", ("甲", "导\t演", "乙"))), 1, "'\\t'"),
    ],
)
@pytest.mark.parametrize("script", ["predicate_data_manager", "sequence_labeling_data_manager"])
def test_a_raw_row_that_cannot_be_used_is_named(
    checkout: Path, script: str, content: str, line: int, words: str
) -> None:
    path = checkout / "raw_data/dev_data.json"
    path.write_text(content, encoding="utf-8")
    message = refused(script)
    assert f"{path}:{line}: " in message and words in message
    assert not (checkout / CLASSIFICATION_DATA).exists() and not (checkout / LABELLING_DATA).exists()


@pytest.mark.parametrize("text", ["甲\r乙", "甲\t乙"])
def test_texts_that_would_shift_the_next_step_are_refused_where_it_reads_them(checkout: Path, text: str) -> None:
    rows = raw(row(text, ("归", "导演", "途")))
    (checkout / "raw_data/train_data.json").write_text(rows, encoding="utf-8")
    run("predicate_data_manager")
    written = (checkout / CLASSIFICATION_DATA / "train/text.txt").read_bytes()
    assert written == f"{text}\n".encode()
    (checkout / "raw_data/test1_data_postag.json").write_text(rows, encoding="utf-8")
    assert "test1_data_postag.json:1: 'text' holds" in refused("predicate_data_manager")


def test_rows_that_other_readers_reject_are_taken_as_the_original_takes_them(checkout: Path) -> None:
    odd = [row(""), row("  "), row("王\0一"), row("王", ("", "导演", "王")), row("王", ("王", "", "王"))]
    path = checkout / "raw_data/train_data.json"
    path.write_bytes(raw(*odd).replace("\n", "\r\n").encode())
    run("predicate_data_manager")
    made = contents(checkout / CLASSIFICATION_DATA)
    assert made["train/token_in.txt"] == "\n\n王 一\n王\n王\n"
    assert made["train/predicate_out.txt"] == "\n\n\n导演\n\n"
    assert (checkout / CLASSIFICATION_DATA / "train/text.txt").read_bytes() == "\n  \n王\0一\n王\n王\n".encode()
    # DuIE 2.0's objects of slots: stage 1 looks at predicates alone.
    slots = {"text": "王", "spo_list": [{"predicate": "导演", "subject": "王", "object": {"@value": "王"}}]}
    path.write_text(raw(slots), encoding="utf-8")
    run("predicate_data_manager")
    assert "'object' of a triple is an object" in refused("sequence_labeling_data_manager")
    path.write_bytes(b"")
    run("predicate_data_manager")
    assert contents(checkout / CLASSIFICATION_DATA)["train/text.txt"] == ""


def test_a_missing_raw_file_or_vocabulary_is_named(checkout: Path) -> None:
    (checkout / "raw_data/dev_data.json").unlink()
    assert "raw_data/dev_data.json: no such file" in refused("predicate_data_manager")
    (checkout / VOCABULARY).unlink()
    assert "pretrained_model" in refused("sequence_labeling_data_manager")


# Between the stages.


def predictions(checkout: Path, epochs: str, step: str, predicates: str = "导演\n\n", outputs: str = PREDICATE_OUTPUTS):
    folder = checkout / outputs / epochs / step
    commandline.write(folder / "predicate_predict.txt", predicates.encode())
    scores = " ".join(f"0.{k:02d}" for k in range(49))
    commandline.write(folder / "predicate_score_value.txt", f"{scores}\n{scores}\n".encode())
    commandline.write(folder / "token_label_predictions.txt", b"")
    return folder


def age(path: Path, seconds: int) -> None:
    os.utime(path, (10**9 + seconds, 10**9 + seconds))


def test_the_newest_folder_is_taken_and_named(checkout: Path) -> None:
    run("predicate_data_manager")
    old, new = predictions(checkout, "epochs6", "ckpt1"), predictions(checkout, "epochs9", "ckpt2")
    (new / "predicate_predict.txt").write_text("主演\n导演\n", encoding="utf-8")
    for path, seconds in ((old.parent, 5), (new.parent, 9), (new, 1)):
        age(path, seconds)
    # Newer files and hidden folders, over which the original stumbles.
    commandline.write(checkout / PREDICATE_OUTPUTS / ".DS_Store", b"")
    commandline.write(new.parent / ".ipynb_checkpoints/x", b"")
    age(new.parent, 9)
    _, announced = run("prepare_data_for_labeling_infer")
    assert announced[0] == f"predictions: {new}, the newest folder"
    rows = contents(checkout / LABELLING_DATA / "test")
    assert rows["text_and_one_predicate.txt"] == f"{TEXTS[0]}\t主演\n{TEXTS[1]}\t导演\n"
    run(SCRIPTS[4], f"--predicate_classifiction_infer_file_dir={PREDICATE_OUTPUTS}/epochs6/ckpt1")
    rows = contents(checkout / LABELLING_DATA / "test")
    assert rows["token_in_and_one_predicate.txt"].count("\n") == 11


def test_step_files_that_do_not_belong_together_are_refused(checkout: Path) -> None:
    script = "prepare_data_for_labeling_infer"
    assert "text.txt: no such file" in (predictions(checkout, "a", "b") and refused(script))
    run("predicate_data_manager")
    predictions(checkout, "a", "b", predicates="导演\n")
    assert "holds 2 lines, but predicate_predict.txt beside it holds 1" in refused(script)
    (checkout / CLASSIFICATION_DATA / "test/text.txt").write_bytes("甲\r乙\n丙\n".encode())
    assert "text.txt:1: a carriage return inside" in refused(script)
    # Windows line ends are no carriage returns of the text.
    (checkout / CLASSIFICATION_DATA / "test/text.txt").write_bytes("甲\r\n丙\r\n".encode())
    predictions(checkout, "a", "b")
    run(script)
    assert contents(checkout / LABELLING_DATA / "test")["text_and_one_predicate.txt"].startswith("甲\t导演\n丙\t")


def test_without_predictions_the_way_to_them_is_named(checkout: Path) -> None:
    run("predicate_data_manager")
    assert "--output_dir=output/predicate_infer_out/RUN/CHECKPOINT" in refused("prepare_data_for_labeling_infer")
    (checkout / PREDICATE_OUTPUTS / "epochs6").mkdir(parents=True)
    assert "holds no folder of a checkpoint" in refused("prepare_data_for_labeling_infer")


def test_the_result_file(checkout: Path) -> None:
    source = checkout / LABELLING_DATA / "test"
    commandline.write(source / "text_and_one_predicate.txt", f"{TEXTS[0]}\t导演\n{TEXTS[1]}\t导演\n".encode())
    tokens = f"{' '.join(TEXTS[0])}\t导演\n{' '.join(TEXTS[1])}\t导演\n"
    commandline.write(source / "token_in_not_UNK_and_one_predicate.txt", tokens.encode())
    folder = predictions(checkout, "a", "b", outputs="output/sequnce_infer_out")
    labels = "[CLS] O B-SUB I-SUB O O B-OBJ I-OBJ I-OBJ O O [SEP]\n[CLS] O [SEP]\n"
    (folder / "token_label_predictions.txt").write_text(labels, encoding="utf-8")
    for arguments in ((), ("--MODEL_OUTPUT_DIR=output/sequnce_infer_out/a/b",)):
        run("produce_submit_json_file", *arguments)
        (name,) = contents(checkout / RESULTS)
        assert name == "keep_empty_spo_list_subject_predicate_object_predict_output.json"
        first, second = map(json.loads, contents(checkout / RESULTS)[name].splitlines())
        assert (first["spo_list"][0]["subject"], second) == ("归途", {"text": TEXTS[1], "spo_list": []})
        (checkout / RESULTS / name).unlink()
    (folder / "token_label_predictions.txt").write_text("O\n", encoding="utf-8")
    assert "1 lines of predicted labels for 2 rows" in refused("produce_submit_json_file")
    (source / "token_in_not_UNK_and_one_predicate.txt").write_text(tokens.replace("导演\n", "主演\n", 1), "utf-8")
    assert "token_in_not_UNK_and_one_predicate.txt:1: the predicate is '主演'" in refused("produce_submit_json_file")
    (source / "text_and_one_predicate.txt").write_text("甲\t乙\t导演\n丙\t导演\n", "utf-8")
    assert "2 TABs in the line" in refused("produce_submit_json_file")


# Evaluation.


def test_the_predicates_are_compared_line_by_line(checkout: Path) -> None:
    assert "output/predicate_infer_out" in refused("evaluate_classifiction")
    gold = checkout / CLASSIFICATION_DATA / "test/predicate_out.txt"
    folder = predictions(checkout, "a", "b", predicates="导演\n导演 主演\n导演\n\n\n国籍 \n")
    assert "--Competition_Mode=false" in refused("evaluate_classifiction")
    commandline.write(gold, "导演\n导演\n主演 导演 导演\n\n导演\n国籍\n".encode())
    written, _ = run("evaluate_classifiction")
    assert written == [
        f"predicate_predict_file_path:\t {folder}/predicate_predict.txt",
        f"golden_file_path:\t {gold}",
        "correct_line: 3, line: 6, percentage: 50.0000%",
        "superset_line: 1, line: 6, percentage: 16.6667%",
        "subset_line: 1, line: 6, percentage: 16.6667%",
    ]
    gold.write_text("导演\n", encoding="utf-8")
    assert "holds 6 lines" in refused("evaluate_classifiction")


@pytest.fixture
def scored(tmp_path: Path) -> tuple[Path, Path]:
    gold, predicted = tmp_path / "gold.json", tmp_path / "result.zip"
    gold.write_text(raw(*ROWS), encoding="utf-8")
    with zipfile.ZipFile(predicted, "w") as archive:
        archive.writestr("result.json", raw(row(TEXTS[0], ("《归途》", "导演", "王一鸣"), ("山", "导演", "鸣"))))
    return gold, predicted


def test_the_scorer_of_the_challenge(scored: tuple[Path, Path], tmp_path: Path) -> None:
    gold, predicted = scored
    prefix = "<_io.TextIOWrapper name='<stderr>' mode='w' encoding='UTF-8'> "
    arguments = ["--golden_file", str(gold), f"--predict_file={predicted}"]
    written, _ = run("calc_pr", *arguments)
    assert written[:3] == [
        f"{prefix}correct spo num =  1.0",
        f"{prefix}submitted spo num =  2.0",
        f"{prefix}golden set spo num =  3.0",
    ]
    assert json.loads(written[3])["data"][1] == {"name": "recall", "value": 0.3333}
    alias = tmp_path / "alias.tsv"
    alias.write_text("山\t归途\n鸣\t王一鸣\n", encoding="utf-8")
    assert run("calc_pr", *arguments, f"--alias_file={alias}")[0][0].endswith("2.0")


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("predict", b"{}", 1, "is no zip"),
        ("predict", [b'{"text"'], 3, "result.json:1"),
        ("predict", [b'{"text": "x"}'], 4, "spo_list"),
        ("predict", [b'{"text": "x", "spo_list": [{"subject": "a", "predicate": "b"}]}'], 4, "'object'"),
        ("golden", b'{"text": "x", "spo_list": []}\n\n', 3, "blank line"),
        ("golden", b'{"text": "x"}\n', 4, "spo_list"),
        ("alias", None, 1, "no such file"),
        ("loc", b"\xff", 1, "not UTF-8"),
    ],
)
def test_the_scorer_writes_the_original_s_error_codes(
    scored: tuple[Path, Path], tmp_path: Path, name: str, content: Any, code: int, words: str
) -> None:
    files = {"golden": scored[0], "predict": scored[1], "loc": tmp_path / "loc", "alias": tmp_path / "alias"}
    for table in ("loc", "alias"):
        files[table].write_text("", encoding="utf-8")
    if isinstance(content, list):
        with zipfile.ZipFile(files[name], "w") as archive:
            archive.writestr("result.json", content[0])
    elif content is None:
        files[name].unlink()
    else:
        files[name].write_bytes(content)
    written: Lines = []
    with pytest.raises(InputError) as caught:
        run_script("calc_pr", [f"--{key}_file={path}" for key, path in files.items()], written.append, print)
    assert words in str(caught.value)
    assert written[0] == f"{name} file is error" and json.loads(written[1])["errorCode"] == code


# The original's own files.


def unpacked(source: Path, target: Path) -> Path:
    for path in source.rglob("*"):
        if path.is_file():
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            commandline.write(target / str(path.relative_to(source)).removesuffix(".gz"), data)
    return target


@pytest.fixture
def duie(shared: Path, zh_vocab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the sentences that the original's files were made from."""
    for name in ("dev_data.json", "test1_data_postag.json"):
        commandline.write(tmp_path / "raw_data" / name, (shared / "data/duie1" / name).read_bytes())
    train = (shared / "data/duie1/train_data.json").read_bytes().split(b"\n")[:2601]
    commandline.write(tmp_path / "raw_data/train_data.json", b"\n".join(train) + b"\n")
    commandline.write(tmp_path / VOCABULARY, zh_vocab.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_data_managers_write_the_original_s_files(duie: Path, goldens: Path, tmp_path: Path) -> None:
    run("predicate_data_manager")
    run("sequence_labeling_data_manager")
    expected = unpacked(goldens / "e2e/train_valid_data", tmp_path / "expected")
    unpacked(goldens / "e2e/test/classification_data_test", expected / "classification_data/test")
    for made in (CLASSIFICATION_DATA, LABELLING_DATA):
        names = commandline.contents(expected / Path(made).name)
        assert commandline.contents(duie / made) == names and len(names) >= 10


def submission(path: Path) -> list[tuple[str, Counter[str]]]:
    rows = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
    return [(item["text"], Counter(json.dumps(x, sort_keys=True) for x in item["spo_list"])) for item in rows]


@pytest.mark.parametrize("split", ["test", "dev"])
def test_the_whole_chain_by_the_old_commands(duie: Path, goldens: Path, tmp_path: Path, split: str) -> None:
    e2e = goldens / "e2e"
    competition = "true" if split == "test" else "false"
    run("predicate_data_manager", f"--Competition_Mode={competition}", "--Valid_Mode=true")
    common = [
        *("--task_name=SKE_2019", "--do_predict=true", f"--vocab_file={VOCABULARY}", "--max_seq_length=128"),
        f"--bert_config_file={e2e / 'init_ckpt/bert_config.json'}",
    ]
    first, second = "predicate_infer_out/epochs24/ckpt1950", "sequnce_infer_out/epochs24/ckpt825"
    run(
        *("run_predicate_classification.py", *common, f"--data_dir={CLASSIFICATION_DATA}"),
        *(f"--init_checkpoint={e2e / 'ckpt_stage1/model.ckpt-1950'}", f"--output_dir=output/{first}"),
    )
    run("bin/predicate_classifiction/prepare_data_for_labeling_infer.py")
    run(
        *("run_sequnce_labeling", *common, f"--data_dir={LABELLING_DATA}"),
        *(f"--init_checkpoint={e2e / 'ckpt_stage2/model.ckpt-825'}", f"--output_dir=output/{second}"),
    )
    run("produce_submit_json_file.py")

    expected = unpacked(e2e / split, tmp_path / "expected")
    result = "keep_empty_spo_list_subject_predicate_object_predict_output.json"
    for folder, golden in (
        (duie / CLASSIFICATION_DATA / "test", "classification_data_test"),
        (duie / LABELLING_DATA / "test", "sequence_labeling_data_test"),
        (duie / "output" / first, "predicate_infer_out"),
        (duie / "output" / second, "sequnce_infer_out"),
    ):
        made, wanted = commandline.contents(folder), commandline.contents(expected / golden)
        assert made.keys() == wanted.keys()
        # Probabilities may differ in the last digit of a float32.
        for name in made.keys() - {"predicate_score_value.txt", "predicate_probabilities.txt"}:
            assert made[name] == wanted[name], (golden, name)
    assert submission(duie / RESULTS / result) == submission(expected / result)
    if split == "dev":
        for name in ("evaluate_classifiction", "evaluate_labeling"):
            lines = (expected / f"{name}.out").read_text("utf-8").replace("LEGACY", str(duie)).splitlines()
            assert run(name)[0] == lines
        with zipfile.ZipFile(duie / "result.zip", "w") as archive:
            archive.write(duie / RESULTS / result, result)
        written, _ = run("calc_pr", "--golden_file=raw_data/dev_data.json", "--predict_file=result.zip")
        assert written == (expected / "calc_pr.out").read_text("utf-8").splitlines()
