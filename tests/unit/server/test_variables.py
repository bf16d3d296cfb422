"""What came into a file from a variable appears in no text; the name of the variable does (attack 7)."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from iii.protocol.start_failure import StartFailure
from iii.server import config_file
from iii.server.variables import Variables
from tests.unit.server.test_places import KEYS, Key, at

SECRETS = {
    "word": "hunter2hunter2",
    "short": "s3cr3t",
    "long": "Zq9" + "x7Yp" * 40,
    "cut to a prefix": "k" * 59 + "Z" * 60,
    "symbols": "p@ss/w0rd+=&%",
    "comma": "first-s3cret,second-s3cret",
    "number": "70000123",
    "invisible": "hid\u200bden\u200bsecret",
}
LEVELS: list[Any] = [
    {"${S}": 1}, {"port": "${S}"}, {"registration_namespace_grace_ms": "${S}"}, {"workers": "${S}"}, {"workers": ["${S}"]},
    {"workers": {"${S}": 1}}, {"workers": [{"${S}": 1}]}, {"workers": [{"name": "${S}"}]}, {"workers": [{"name": "x${S}y"}]},
    {"workers": [{"name": ["${S}"]}]}, {"workers": [{"class": "${S}"}]}, {"workers": [{"name": "iii-state", "${S}": 1}]},
    {"workers": [{"name": "iii-state", "image": "${S}"}]}, {"workers": [{"name": "iii-state", "config": "${S}"}]},
    {"workers": [{"name": "iii-state#${S}", "config": 1}]}, {"workers": [{"name": "iii-state", "config": {"${S}": {}}}]},
    {"workers": [{"name": "iii-state", "config": {"adapter": {"name": "${S}"}}}]},
    {"workers": [{"name": "iii-state", "config": {"adapter": {"class": "a::${S}"}}}]},
    {"workers": [{"name": "iii-queue", "config": {"queue_configs": {"${S}": {"type": "nope"}}}}]},
    {"workers": [{"name": "iii-observability", "config": {"level": "a${S}b", "format": "a${S}b"}}]},
    {"workers": [{"class": "modules::state::StateModule", "config": {"${S}": "${S}"}}]},
]  # fmt: skip


def texts(document: Any, secret: str, folder: Path) -> str:
    """Everything that reading the file says."""
    file = folder / "config.yaml"
    file.write_text(document if isinstance(document, str) else yaml.safe_dump(document, sort_keys=False, width=10_000))
    try:
        return "\n".join(config_file.load(file, environment={"S": secret}).warnings)
    except StartFailure as failure:
        return str(failure)


def assert_hidden(text: str, secret: str) -> None:
    for part in secret.split(","):
        for form in (part, part[:20], ascii(part)[1:-1]):
            assert form not in text, text


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_attack_7_no_value_of_a_variable_is_told_wherever_it_stands(secret: str, tmp_path: Path) -> None:
    for document in LEVELS:
        assert_hidden(texts(document, secret, tmp_path), secret)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_attack_7_no_value_of_a_variable_is_told_by_any_key(key: Key, tmp_path: Path) -> None:
    secret = "hunter2-" * 12
    for value in ("a${S}b", {"${S}": ["${S}"]}):
        for block in (at(key.path, value), at((*key.path[:-1], "${S}"), value)):
            if key.adapter is not None:
                block["adapter"]["name"] = key.adapter
            assert_hidden(texts({"workers": [{"name": key.module, "config": block}]}, secret, tmp_path), secret)


def test_attack_7_the_variable_is_named_instead(tmp_path: Path) -> None:
    port = {"workers": [{"name": "iii-worker-manager", "config": {"port": "${S}"}}]}
    assert texts(port, "hunter2", tmp_path).endswith('port: expected a whole number, got "${S}"')
    assert texts(port, "70000", tmp_path).endswith("<= 65535, got ${S}") or 'got "${S}"' in texts(
        port, "70000", tmp_path
    )
    assert "Unknown worker '${S}'" in texts({"workers": [{"name": "${S}"}]}, "hunter2", tmp_path)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("true", "expected true or false"),
        ("info", "expected one of trace, debug, info, warn"),
        ("3111", "127.0.0.1:3111 is already in use"),
        ("iii-http", "workers[0] (iii-http): cannot start"),
        ("127.0.0.1", "cannot listen on 127.0.0.1:80"),
        ("a", "a text with a letter, 'a bird' too"),
        ("", 'got ""'),
    ],
)
def test_plain_values_do_not_make_texts_unreadable(value: str, text: str) -> None:
    assert Variables([("NAME", value)]).hidden(text) == text
