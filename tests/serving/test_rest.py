"""TensorFlow Serving's JSON: what is read, what is refused and with which words."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from kerasbert.keras import tf
from kerasbert.serving.rest import RequestError, read_request, write_response

SPECS = {
    "serving_default": {"text": tf.TensorSpec([None], tf.string)},
    "ids": {"ids": tf.TensorSpec([None, None], tf.int32)},
    "two": {"a": tf.TensorSpec([None], tf.float32), "b": tf.TensorSpec([None, 2], tf.string)},
}


def body(**data: Any) -> bytes:
    return json.dumps(data).encode()


@pytest.mark.parametrize(
    ("data", "name", "expected", "by_row"),
    [
        ({"instances": ["a", "青"]}, "text", [b"a", "青".encode()], True),
        ({"instances": [{"text": "a"}]}, "text", [b"a"], True),
        ({"instances": [{"b64": base64.b64encode(b"\xff").decode()}]}, "text", [b"\xff"], True),
        ({"inputs": ["a"]}, "text", [b"a"], False),
        ({"inputs": {"text": ["a", "b"]}, "signature_name": "serving_default"}, "text", [b"a", b"b"], False),
        ({"inputs": []}, "text", [], False),
        ({"instances": [[1, 2], [3, 4]], "signature_name": "ids"}, "ids", [[1, 2], [3, 4]], True),
        ({"inputs": [[]], "signature_name": "ids"}, "ids", [[]], False),
    ],
)
def test_requests(data: dict[str, Any], name: str, expected: list[Any], by_row: bool) -> None:
    asked = read_request(body(**data), SPECS)
    assert asked.inputs[name].tolist() == expected and asked.by_row == by_row
    assert asked.signature == data.get("signature_name", "serving_default")


def test_several_inputs() -> None:
    rows = [{"a": 1, "b": ["x", "y"]}, {"b": ["z", "w"], "a": 2.5}]
    asked = read_request(body(signature_name="two", instances=rows), SPECS)
    assert asked.inputs["a"].dtype == np.float32 and asked.inputs["a"].tolist() == [1.0, 2.5]
    assert asked.inputs["b"].tolist() == [[b"x", b"y"], [b"z", b"w"]]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "JSON Parse error"),
        (b"\xff", "JSON Parse error"),
        (b"[" * 100_000, "JSON Parse error"),
        (b"[1]", "not an object"),
        (b"{}", "Missing 'inputs' or 'instances' key"),
        (body(inputs=["a"], instances=["a"]), "both"),
        (body(instances=[]), "non-empty list"),
        (body(instances="a"), "non-empty list"),
        (body(instances=[1]), "int where string"),
        (body(instances=[None]), "NoneType where string"),
        (body(instances=["a", ["b"]]), "list where string"),
        (body(instances=[{"words": "a"}]), "instance 0 has words; expecting text"),
        (body(instances=["a", {}]), "instance 1 has no input"),
        (body(instances=[{"b64": "!"}]), "input 'text'"),
        (body(inputs={"b64": 7}), "expecting text"),
        (b'{"instances": ["\\ud800"]}', "surrogates not allowed"),
        (body(inputs="a"), "nested 1 deep"),
        (body(signature_name="other", inputs=["a"]), "not found in signature def"),
        (body(signature_name=7, inputs=["a"]), "not found in signature def"),
        (body(signature_name="ids", inputs=[[1], [2, 3]]), "lists of 1 values"),
        (body(signature_name="ids", inputs=[[1.5]]), "float where int32"),
        (body(signature_name="ids", inputs=[[True]]), "bool where int32"),
        (body(signature_name="ids", inputs=[[1 << 40]]), "does not fit int32"),
        (body(signature_name="two", inputs={"a": [1], "b": [["x", "y"], ["x", "y"]]}), "different batch sizes"),
        (body(signature_name="two", instances=[1]), "names no input"),
    ],
)
def test_requests_that_are_refused(raw: bytes, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_request(raw, SPECS)
    assert caught.value.status == 400 and words in caught.value.message, caught.value.message


def test_responses() -> None:
    strings = np.asarray([["青".encode(), b""]], object)
    outputs = {"subject": strings, "count": np.asarray([1], np.int32)}
    assert json.loads(write_response(outputs, True)) == {"predictions": [{"subject": ["青", ""], "count": 1}]}
    assert json.loads(write_response(outputs, False)) == {"outputs": {"subject": [["青", ""]], "count": [1]}}
    assert json.loads(write_response({"count": outputs["count"]}, True)) == {"predictions": [1]}
    assert json.loads(write_response({"count": outputs["count"]}, False)) == {"outputs": [1]}
