"""KEY=VALUE words and JSON of `iii trigger` (07 §8.2)."""

import pytest

from iii.cli.payload import PayloadMistake, payload_of


@pytest.mark.parametrize(
    ("pairs", "json", "payload"),
    [
        ([], None, "{}"),
        ([], "[1, 2]", "[1, 2]"),
        ([], " null ", "null"),
        ([], "12345678901234567890123.5", "12345678901234567890123.5"),
        (["a=10"], None, '{"a":10}'),
        (["a=true", "b=null", "c=[1]"], None, '{"a":true,"b":null,"c":[1]}'),
        (['a="x"'], None, '{"a":"x"}'),
        (["name=alice", "empty="], None, '{"name":"alice","empty":""}'),
        (["a=b=c"], None, '{"a":"b=c"}'),
        (["zip=01234", "n=NaN", "i=Infinity", "e=1e999"], None, '{"zip":"01234","n":"NaN","i":"Infinity","e":"1e999"}'),
        (["big=18446744073709551617"], None, '{"big":18446744073709551617}'),
        (["a=1", "a=2"], None, '{"a":2}'),
        (["a=1"], '{"a": 5, "b": {"c": 1.50}}', '{"a":1,"b":{"c": 1.50}}'),
        (["ü=é"], None, '{"ü":"é"}'),
        (["deep=" + "[" * 5000], None, '{"deep":"' + "[" * 5000 + '"}'),
    ],
)
def test_07_s8_2_payload_rules(pairs: list[str], json: str | None, payload: str) -> None:
    assert bytes(payload_of(pairs, json)).decode() == payload


@pytest.mark.parametrize(
    ("pairs", "json", "text"),
    [
        (["a=1"], "[1]", "--json must be an object when combined with kv pairs"),
        (["word"], None, "expected key=value, got 'word'; give the value a name, as in name=word"),
        (
            ["0.1"],
            None,
            "expected key=value, got '0.1'; give the value a name, as in value=0.1, or make it the whole payload: --json 0.1",
        ),
        (['{"a":1}'], None, "expected key=value, got '{\"a\":1}'; pass a JSON payload with --json"),
        (["=v"], None, "payload key must not be empty (got '=v')"),
        ([], "{", "--json: invalid JSON: unexpected end"),
        ([], "", "--json: invalid JSON: unexpected end"),
        ([], "{'a': 1}", "--json: invalid JSON: object keys must be strings (byte 1)"),
        ([], "[" * 200_000, "--json: invalid JSON: nested too deeply"),
    ],
)
def test_07_check_61_mistakes(pairs: list[str], json: str | None, text: str) -> None:
    with pytest.raises(PayloadMistake) as mistake:
        payload_of(pairs, json)
    assert str(mistake.value) == text


def test_07_s8_2_the_old_spelling_has_its_own_text() -> None:
    with pytest.raises(PayloadMistake, match=r"^Invalid JSON payload: "):
        payload_of([], "{", "--payload")
