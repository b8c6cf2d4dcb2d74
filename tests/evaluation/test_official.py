"""Every rule of the two official protocols by a case computed by hand, and what the published scripts gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerasbert.errors import InputError
from kerasbert.evaluation.official import normalise, score_official1, score_official2
from kerasbert.evaluation.scores import EvaluationReport, Scores

from .duie import spo, write_rows, write_table

Rows = list[tuple[str, list[dict[str, Any]]]]
TableRows = list[tuple[str, ...]]


def counted(scores: Scores) -> tuple[int, int, int]:
    assert scores.recalled == scores.correct
    return scores.correct, scores.submitted, scores.gold


def official1(
    tmp: Path, gold: Rows, predicted: Rows, alias: TableRows | None = None, location: TableRows | None = None
) -> EvaluationReport:
    return score_official1(
        write_rows(tmp / "gold.json", *gold),
        write_rows(tmp / "predicted.json", *predicted),
        None if alias is None else write_table(tmp / "alias.tsv", *alias),
        None if location is None else write_table(tmp / "location.tsv", *location),
    )


def official2(tmp: Path, gold: Rows, predicted: Rows, alias: TableRows | None = None) -> EvaluationReport:
    return score_official2(
        write_rows(tmp / "gold.json", *gold),
        write_rows(tmp / "predicted.json", *predicted),
        None if alias is None else write_table(tmp / "alias.tsv", *alias),
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("《红楼梦》", "红楼梦"),
        ("《红楼梦", "《红楼梦"),
        ("红楼梦》", "红楼梦》"),
        ("《a》和《B》", "a》和《b"),
        ("《《x》》", "《x》"),
        ("《》", ""),
        ("《", "《"),
        ("", ""),
        (" MIX ", " mix "),
        ("《x》 ", "《x》 "),
    ],
)
def test_normalise(name: str, expected: str) -> None:
    assert normalise(name) == expected


@pytest.mark.parametrize(
    ("predicted", "right"),
    [
        (spo("WHO", "导演", "片"), True),
        (spo("《who》", "导演", "《片》"), True),
        (spo("《who", "导演", "片"), False),
        (spo("who ", "导演", "片"), False),
        (spo("who", "编剧", "片"), False),
        (spo("片", "导演", "who"), False),
        ({**spo("who", "导演", "片"), "subject_type": "x", "object_type": "y", "extra": 1}, True),
    ],
)
def test_names_are_compared_in_lower_case_without_title_marks(
    tmp_path: Path, predicted: dict[str, Any], right: bool
) -> None:
    report = official1(tmp_path, [("t", [spo("Who", "导演", "《片》")])], [("t", [predicted])])
    assert counted(report.overall) == (int(right), 1, 1)


def test_predicates_keep_their_case(tmp_path: Path) -> None:
    report = official1(tmp_path, [("t", [spo("a", "P", "b")])], [("t", [spo("a", "p", "b")])])
    assert counted(report.overall) == (0, 1, 1)
    assert report.per_predicate == {"P": Scores(0, 0, 1, 0), "p": Scores(0, 1, 0, 0)}


def test_duplicates_after_normalisation_count_once(tmp_path: Path) -> None:
    report = official1(
        tmp_path,
        [("t", [spo("a", "p", "b"), spo("A", "p", "《b》"), spo("c", "p", "d")])],
        [("t", [spo("a", "p", "b"), spo("a", "p", "B"), spo("a", "p", "B")])],
    )
    assert counted(report.overall) == (1, 1, 2)
    assert report.counts["gold_duplicate_triples"] == 1
    assert report.counts["predicted_duplicate_triples"] == 2


def test_measures_are_the_counts_unrounded(tmp_path: Path) -> None:
    gold = [("t", [spo("a", "p", "b"), spo("c", "p", "d"), spo("e", "q", "f")])]
    report = official1(tmp_path, gold, [("t", [spo("a", "p", "b"), spo("x", "q", "y")])])
    assert (report.overall.precision, report.overall.recall) == (1 / 2, 1 / 3)
    assert report.overall.f1 == pytest.approx(2 / 5, abs=1e-15)
    assert report.per_predicate == {"p": Scores(1, 1, 2, 1), "q": Scores(0, 1, 1, 0)}
    assert report.macro.f1 == pytest.approx((2 / 3 + 0) / 2, abs=1e-15)
    assert report.exact_sentences is None


def test_the_last_line_of_a_text_counts_on_both_sides(tmp_path: Path) -> None:
    report = official1(
        tmp_path,
        [("t", [spo("old", "p", "old"), spo("old", "p", "older")]), ("u", []), ("t", [spo("a", "p", "b")])],
        [("t", [spo("old", "p", "old")]), ("t", [spo("a", "p", "b"), spo("a", "p", "c")])],
    )
    assert counted(report.overall) == (1, 2, 1)
    assert report.sentences == 2
    assert report.counts["gold_lines_replaced"] == 1
    assert report.counts["predicted_lines_replaced"] == 1
    assert report.counts["gold_texts_without_prediction"] == 1


def test_unknown_texts_are_ignored_and_counted(tmp_path: Path) -> None:
    report = official1(
        tmp_path,
        [("t", [spo("a", "p", "b")])],
        [("T", [spo("a", "p", "b"), spo("a", "p", "c")]), ("t", [spo("a", "p", "b")]), ("t ", [])],
    )
    assert counted(report.overall) == (1, 1, 1)
    assert report.counts["predicted_lines_ignored"] == 2
    assert report.counts["predicted_triples_ignored"] == 2


def test_alias_expands_predicted_names_only(tmp_path: Path) -> None:
    alias = [("USA", "America", "美国")]
    right = official1(tmp_path, [("t", [spo("america", "p", "x")])], [("t", [spo("usa", "p", "x")])], alias)
    assert counted(right.overall) == (1, 1, 1)
    both = official1(tmp_path, [("t", [spo("美国", "p", "AMERICA")])], [("t", [spo("USA", "p", "《usa》")])], alias)
    assert counted(both.overall) == (1, 1, 1)
    reverse = official1(tmp_path, [("t", [spo("usa", "p", "x")])], [("t", [spo("america", "p", "x")])], alias)
    assert counted(reverse.overall) == (0, 1, 1)
    sideways = official1(tmp_path, [("t", [spo("美国", "p", "x")])], [("t", [spo("america", "p", "x")])], alias)
    assert counted(sideways.overall) == (0, 1, 1)


def test_several_predictions_may_hit_one_gold_triple_and_recall_shares_their_count(tmp_path: Path) -> None:
    report = official1(
        tmp_path,
        [("t", [spo("a", "p", "x")])],
        [("t", [spo("a", "p", "x"), spo("b", "p", "x")])],
        alias=[("b", "a")],
    )
    assert counted(report.overall) == (2, 2, 1)
    assert report.overall.recall == 2.0


def test_location_expands_the_gold_object_only(tmp_path: Path) -> None:
    location = [("北京市海淀区", "北京", "海淀")]
    right = official1(
        tmp_path, [("t", [spo("a", "p", "北京市海淀区")])], [("t", [spo("a", "p", "北京")])], None, location
    )
    assert counted(right.overall) == (1, 1, 1)
    reverse = official1(
        tmp_path, [("t", [spo("a", "p", "北京")])], [("t", [spo("a", "p", "北京市海淀区")])], None, location
    )
    assert counted(reverse.overall) == (0, 1, 1)
    subject = official1(
        tmp_path, [("t", [spo("北京市海淀区", "p", "a")])], [("t", [spo("北京", "p", "a")])], None, location
    )
    assert counted(subject.overall) == (0, 1, 1)
    predicate = official1(
        tmp_path, [("t", [spo("a", "q", "北京市海淀区")])], [("t", [spo("a", "p", "北京")])], None, location
    )
    assert counted(predicate.overall) == (0, 1, 1)


def test_alias_and_location_do_not_add_up(tmp_path: Path) -> None:
    gold: Rows = [("t", [spo("a", "p", "海淀区")])]
    location = [("海淀区", "北京")]
    subject = official1(tmp_path, gold, [("t", [spo("b", "p", "北京")])], [("b", "a")], location)
    assert counted(subject.overall) == (0, 1, 1)
    object_ = official1(tmp_path, gold, [("t", [spo("a", "p", "帝都")])], [("帝都", "北京")], location)
    assert counted(object_.overall) == (0, 1, 1)


def test_later_table_lines_replace_earlier_ones(tmp_path: Path) -> None:
    gold: Rows = [("t", [spo("a", "p", "x"), spo("c", "p", "x")])]
    report = official1(tmp_path, gold, [("t", [spo("b", "p", "x")])], [("B", "a"), ("b", "c"), ("b", "d")])
    assert counted(report.overall) == (0, 1, 2)
    assert report.counts["alias_lines_replaced"] == 2
    assert "location_lines_replaced" not in report.counts


def test_nothing_predicted_scores_zero(tmp_path: Path) -> None:
    report = official1(tmp_path, [("t", [spo("a", "p", "b")])], [("t", [])])
    assert (report.overall.precision, report.overall.recall, report.overall.f1) == (0.0, 0.0, 0.0)


def test_official2_compares_all_slots(tmp_path: Path) -> None:
    gold: Rows = [("t", [spo("演员", "饰演", {"@value": "孙悟空", "inWork": "《西游记》"})])]
    for slots, right in (
        ({"inWork": "西游记", "@value": "孙悟空"}, True),
        ({"@value": "孙悟空"}, False),
        ({"@value": "孙悟空", "inWork": "西游记", "period": ""}, False),
        ({"@value": "孙悟空", "onDate": "西游记"}, False),
        ({"@value": "孙悟空", "inWork": "红楼梦"}, False),
    ):
        for alias in (None, [("无关", "其他")]):
            report = official2(tmp_path, gold, [("t", [spo("演员", "饰演", slots)])], alias)
            assert counted(report.overall) == (int(right), 1, 1), slots


def test_official2_merges_duplicates_whatever_the_order_of_their_slots(tmp_path: Path) -> None:
    items = [spo("a", "p", {"@value": "B", "inArea": "c"}), spo("A", "p", {"inArea": "《C》", "@value": "b"})]
    report = official2(tmp_path, [("t", items)], [("t", items)])
    assert counted(report.overall) == (1, 1, 1)
    assert report.counts["gold_duplicate_triples"] == report.counts["predicted_duplicate_triples"] == 1


def test_official2_subject_aliases_go_from_the_triple_looked_for(tmp_path: Path) -> None:
    def value(name: str) -> dict[str, str]:
        return {"@value": name}

    gold: Rows = [("t", [spo("g", "p", value("x"))])]
    predicted: Rows = [("t", [spo("s", "p", value("x"))])]
    # Precision looks for the prediction in the gold, recall for the gold in the predictions.
    assert official2(tmp_path, gold, predicted, [("s", "g")]).overall == Scores(1, 1, 1, 0)
    assert official2(tmp_path, gold, predicted, [("g", "s")]).overall == Scores(0, 1, 1, 1)
    both = official2(tmp_path, gold, predicted, [("g", "s"), ("s", "G")])
    assert both.overall == Scores(1, 1, 1, 1)
    wrong = official2(tmp_path, gold, [("t", [spo("s", "q", value("x"))])], [("g", "s"), ("s", "g")])
    assert wrong.overall == Scores(0, 1, 1, 0)


def test_official2_object_aliases_must_be_mutual(tmp_path: Path) -> None:
    gold: Rows = [("t", [spo("a", "p", {"@value": "g", "inWork": "w"})])]
    predicted: Rows = [("t", [spo("a", "p", {"@value": "s", "inWork": "w"})])]
    assert official2(tmp_path, gold, predicted, [("s", "g")]).overall == Scores(0, 1, 1, 0)
    assert official2(tmp_path, gold, predicted, [("g", "s")]).overall == Scores(0, 1, 1, 0)
    assert official2(tmp_path, gold, predicted, [("s", "g"), ("g", "s")]).overall == Scores(1, 1, 1, 1)


def test_official2_looks_for_predictions_in_the_merged_gold(tmp_path: Path) -> None:
    x = {"@value": "x"}
    # "c" is merged into "b", so that "d", an alias of "c" alone, finds nothing.
    gold: Rows = [("t", [spo("b", "p", x), spo("c", "p", x)])]
    report = official2(tmp_path, gold, [("t", [spo("d", "p", x)])], [("c", "b"), ("d", "c")])
    assert report.overall == Scores(correct=0, submitted=1, gold=1, recalled=0)
    assert report.counts["gold_duplicate_triples"] == 1


def test_official2_merges_aliases_and_recalls_from_what_was_submitted(tmp_path: Path) -> None:
    x = {"@value": "x"}
    gold: Rows = [("t", [spo("g", "p", x)])]
    # "c" is merged into "b" (its alias); "b" is no alias of "g", so only the merged "c" was a hit for recall.
    predicted: Rows = [("t", [spo("b", "p", x), spo("c", "p", x)])]
    report = official2(tmp_path, gold, predicted, [("c", "b", "g"), ("g", "c")])
    assert report.overall == Scores(correct=0, submitted=1, gold=1, recalled=1)
    assert report.counts["predicted_duplicate_triples"] == 1
    swapped: Rows = [("t", [spo("c", "p", x), spo("b", "p", x)])]
    report = official2(tmp_path, gold, swapped, [("c", "b", "g"), ("g", "c")])
    assert report.overall == Scores(correct=1, submitted=2, gold=1, recalled=1)


@pytest.mark.parametrize(
    ("protocol", "item", "problem"),
    [
        (official1, {"predicate": "p", "object": "o"}, "no 'subject' among 'predicate', 'object'"),
        (official1, {"subject": "s", "object": "o"}, "no 'predicate'"),
        (official1, {"subject": "s", "predicate": "p"}, "no 'object'"),
        (official1, spo("s", "p", {"@value": "o"}), "official2"),
        (official1, spo("s", "p", None), "'object' is null"),
        (official1, spo("s", ["p"], "o"), "'predicate' is a list"),  # type: ignore[arg-type]
        (official1, ["s", "p", "o"], "'spo_list' holds a list"),
        (official2, spo("s", "p", "o"), "official1"),
        (official2, spo("s", "p", {"@value": 3}), "'@value' is a number"),
        (official2, spo("s", "p", 3), "'object' is a number"),
        (official2, {"subject": "s", "predicate": "p"}, "no 'object'"),
        (official2, "s p o", "'spo_list' holds a string"),
    ],
)
@pytest.mark.parametrize("side", ["gold", "predicted"])
def test_malformed_items_name_file_and_line(tmp_path: Path, protocol: Any, item: Any, problem: str, side: str) -> None:
    fine: Rows = [("t", []), ("u", [])]
    broken: Rows = [("t", []), ("u", [item])]
    with pytest.raises(InputError) as caught:
        protocol(tmp_path, broken if side == "gold" else fine, broken if side == "predicted" else fine)
    assert str(caught.value).startswith(f"{tmp_path / side}.json:2: ")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("file", "counts", "measures"),
    [
        ("ceiling/oracle_submit_dev_data_L128.json", (1856, 1881, 2073), (0.9867, 0.8953, 0.9388)),
        (
            "e2e/dev/keep_empty_spo_list_subject_predicate_object_predict_output.json",
            (393, 1068, 2073),
            (0.368, 0.1896, 0.2502),
        ),
    ],
)
def test_official1_gives_what_the_published_script_gave(
    shared: Path, goldens: Path, file: str, counts: tuple[int, int, int], measures: tuple[float, float, float]
) -> None:
    report = score_official1(shared / "data" / "duie1" / "dev_data.json", goldens / file)
    assert counted(report.overall) == counts
    overall = report.overall
    assert (round(overall.precision, 4), round(overall.recall, 4), round(overall.f1, 4)) == measures
    assert report.sentences == 1000
    assert sum(score.gold for score in report.per_predicate.values()) == counts[2]
    assert set(report.counts.values()) == {0}


def test_real_annotations_score_one_against_themselves(shared: Path) -> None:
    gold1 = shared / "data" / "duie1" / "dev_data.json"
    assert counted(score_official1(gold1, gold1).overall) == (2073, 2073, 2073)
    gold2 = shared / "data" / "duie2" / "duie2_train_merged.json"
    with gold2.open(encoding="utf-8", newline="\n") as handle:
        items = sum(len(json.loads(line)["spo_list"]) for line in handle)
    report = score_official2(gold2, gold2)
    assert report.overall.f1 == 1.0
    assert report.overall.gold + report.counts["gold_duplicate_triples"] == items


NAMES = st.sampled_from(["a", "A", "《a》", "b", "b ", "《", "", "Σσ"])
ITEMS1 = st.builds(spo, NAMES, st.sampled_from("pq"), NAMES)
ITEMS2 = st.builds(spo, NAMES, st.sampled_from("pq"), st.dictionaries(st.sampled_from(["@value", "inWork"]), NAMES))
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def rows_of(items: st.SearchStrategy[dict[str, Any]], least: int = 0) -> st.SearchStrategy[Rows]:
    row = st.tuples(st.sampled_from(["t", "u", "v"]), st.lists(items, min_size=least, max_size=5))
    return st.lists(row, min_size=1, max_size=3, unique_by=lambda row: row[0])


@pytest.mark.parametrize(("protocol", "items"), [(official1, ITEMS1), (official2, ITEMS2)])
def test_properties(tmp_path: Path, protocol: Any, items: st.SearchStrategy[dict[str, Any]]) -> None:
    @SETTINGS
    @given(gold=rows_of(items, least=1), predicted=rows_of(items), data=st.data())
    def check(gold: Rows, predicted: Rows, data: st.DataObject) -> None:
        itself = protocol(tmp_path, gold, gold).overall
        assert (itself.precision, itself.recall, itself.f1) == (1.0, 1.0, 1.0)

        report = protocol(tmp_path, gold, predicted)
        assert 0 <= report.overall.correct <= min(report.overall.submitted, report.overall.gold)

        shuffled = [(text, data.draw(st.permutations(triples))) for text, triples in predicted]
        assert protocol(tmp_path, gold, data.draw(st.permutations(shuffled))).to_dict() == report.to_dict()

        # On the texts that both sides hold, exchanging them exchanges precision and recall.
        known = {text for text, _ in gold} & {text for text, _ in predicted}
        if known:
            left = [row for row in gold if row[0] in known]
            right = [row for row in predicted if row[0] in known]
            one, other = protocol(tmp_path, left, right).overall, protocol(tmp_path, right, left).overall
            assert (one.precision, one.recall) == (other.recall, other.precision)
            assert one.f1 == other.f1

    check()


def test_the_whole_is_the_sum_of_its_predicates(tmp_path: Path) -> None:
    @SETTINGS
    @given(gold=rows_of(ITEMS1), predicted=rows_of(ITEMS1))
    def check(gold: Rows, predicted: Rows) -> None:
        report = official1(tmp_path, gold, predicted, [("a", "b"), ("b ", "b")], [("b", "a")])
        for name in ("correct", "submitted", "gold", "recalled"):
            total = sum(getattr(scores, name) for scores in report.per_predicate.values())
            assert getattr(report.overall, name) == total

    check()
