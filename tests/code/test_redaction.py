"""Secrets are hidden in whatever form an address or a message writes them."""

import json
import logging

import pytest

from thaw.redaction import hide_in_logs, redact

PLANTED = "pl@nted/S3cret"
QUOTED = "pl%40nted%2FS3cret"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at http://me:hunter2@host:5000/x failed", "at http://***@host:5000/x failed"),
        ("postgresql+psycopg2://me:p@ss@db/thaw", "postgresql+psycopg2://***@db/thaw"),
        ("https://token@host", "https://***@host"),
        ("http://host/a?to=b@c", "http://host/a?to=b@c"),
        ("mail me@host, see http://host:80", "mail me@host, see http://host:80"),
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
        ("(Caused by 'http://a:b@h/') http://c:d@h", "(Caused by 'http://***@h/') http://***@h"),
    ],
)
def test_the_user_of_an_address_is_hidden(text: str, shown: str) -> None:
    assert redact(text, {}) == shown


@pytest.mark.parametrize(
    "name", ["MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "PREFECT_API_KEY", "AWS_SECRET_ACCESS_KEY"]
)
def test_a_secret_of_the_environment_is_hidden_alone(name: str) -> None:
    assert redact(f"refused {PLANTED} ({QUOTED})", {name: PLANTED}) == "refused *** (***)"


@pytest.mark.parametrize(
    "address", [f"http://me:{QUOTED}@host/", f"postgresql://me:{QUOTED}@host/db?sslmode=require"]
)
@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "PREFECT_API_URL", "https_proxy"])
def test_the_password_of_an_address_is_hidden_apart_from_it(name: str, address: str) -> None:
    shown = redact(f"password {PLANTED!r}, {QUOTED}, {json.dumps(PLANTED)}, {address}", {name: address})
    assert PLANTED not in shown and QUOTED not in shown


def test_a_user_with_a_password_in_one_variable() -> None:
    assert redact("no such user: swordfish", {"PREFECT_API_AUTH_STRING": "me:swordfish"}) == "no such user: ***"


def test_text_without_a_secret_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "abc")
    assert redact("validate: 3 findings; abc") == "validate: 3 findings; abc"


def test_logs_hide_secrets_in_messages_arguments_and_tracebacks(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{QUOTED}@host")
    before = logging.getLogRecordFactory()
    hide_in_logs()
    try:
        raise ValueError(f"http://me:{QUOTED}@host is down")
    except ValueError:
        logging.getLogger("other.library").exception("%s refused", PLANTED)
    finally:
        logging.setLogRecordFactory(before)
    assert "*** refused" in caplog.text and "ValueError: http://***@host is down" in caplog.text
    assert PLANTED not in caplog.text and QUOTED not in caplog.text
