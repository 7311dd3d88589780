"""`params.yaml`: read strictly, changed in place."""

import random
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from thaw.errors import ThawError
from thaw.params import Params, load_params, parse_params
from thaw.params.completing import add_missing
from thaw.params.editing import check_overrides, override_params, parse_overrides
from thaw.params.rendering import render_yaml


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(render_yaml(), encoding="utf-8")
    return path


def test_every_default_is_read_back(path: Path) -> None:
    assert load_params(path) == Params()


def test_an_unknown_key_names_the_nearest(path: Path) -> None:
    path.write_text(path.read_text().replace("  learning_rate: ", "  learning_rat: ", 1))
    with pytest.raises(ThawError, match=r"unknown key train_frozen\.learning_rat\n.*train_frozen\.learning_rate"):
        load_params(path)


def test_a_missing_key_is_named(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("seed")]
    path.write_text("\n".join(lines))
    with pytest.raises(ThawError, match="missing key seed"):
        load_params(path)


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_a_seed_that_is_let_through_seeds_numpy(seed: int) -> None:
    """Of the generators that `keras.utils.set_random_seed` seeds, NumPy's takes the fewest numbers."""
    let_through = parse_params(Params().model_dump(by_alias=True) | {"seed": seed}).seed
    assert let_through == seed
    np.random.seed(let_through)


@pytest.mark.parametrize("text", ["", "- a\n", "seed: [\n", "model: 3\n"])
def test_what_is_no_parameter_file_is_refused(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(ThawError):
        load_params(path)


@pytest.mark.parametrize(
    ("set_together", "message"),
    [
        ({"class_sampling": "balanced", "class_weights": "balanced"}, "rare classes count twice"),
        ({"swa_epoch_start": 0.5, "ema_momentum": 0.9}, "one average alone"),
        ({"swa_epoch_start": 0.5, "batch_norm": "train"}, "statistics are of the last weights"),
    ],
)
def test_what_contradicts_itself_is_refused(set_together: dict[str, object], message: str) -> None:
    values = Params().model_dump(by_alias=True)
    with pytest.raises(ThawError, match=message):
        parse_params(values | {"fine_tune": values["fine_tune"] | set_together})


def test_all_missing_keys_are_named_with_what_adds_them(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line.split(":")[0].strip() not in ("seed", "mixup", "blur")]
    path.write_text("\n".join(lines))
    message = r"missing keys seed, augment\.blur, train_frozen\.mixup, fine_tune\.mixup\n.*--add-missing"
    with pytest.raises(ThawError, match=message):
        load_params(path)


def _without(path: Path, keys: Sequence[str], indent: int = 2) -> list[str]:
    """Take keys out of the file as another writer of YAML does, at another indentation; its lines then."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 200
    yaml.indent(mapping=indent, sequence=indent, offset=0)
    document = yaml.load(path.read_text())
    for key in keys:
        *parents, last = key.split(".")
        section = document
        for parent in parents:
            section = section.get(parent, {})
        section.pop(last, None)
        if not section and parents:
            document.pop(parents[0], None)
    with path.open("w") as file:
        yaml.dump(document, file)
    return path.read_text().splitlines()


@pytest.mark.parametrize("indent", [2, 4])
@pytest.mark.parametrize("seed", range(8))
def test_missing_keys_are_added_and_no_line_is_changed(path: Path, seed: int, indent: int) -> None:
    """Any keys and sections, those of another value among the rest: the values are there, in order, and each line that was."""
    rng = random.Random(seed)
    whole = Params()
    everything = [*whole.flat(whole.sections()), *whole.sections(), "validate.limits"]
    override_params(path, {"fine_tune.epochs": 3, "split.positive_class": "猫: bad"} if seed % 2 else {})
    before = load_params(path)
    gone = rng.sample(everything, rng.choice([1, 3, 30]))
    gone = [key for key in gone if key not in ("fine_tune", "fine_tune.epochs", "split", "split.positive_class")]
    lines = _without(path, gone, indent)
    added = add_missing(path)
    assert load_params(path) == before
    remaining = iter(path.read_text().splitlines())
    assert all(line in remaining for line in lines)
    keys = {line.split(":")[0] for line in added}
    assert {key for key in gone if key in whole.flat(whole.sections())} <= keys
    assert add_missing(path) == []


def test_a_key_is_added_with_its_comment_where_it_belongs(path: Path) -> None:
    whole = path.read_text()
    start = whole.index("  # The alpha of CutMix's Beta distribution")
    end = whole.index("\n", whole.index("  cutmix:")) + 1
    path.write_bytes((whole[:start] + whole[end:]).replace("\n", "\r\n").encode())
    assert add_missing(path) == ["fine_tune.cutmix: 0.0"]
    assert path.read_bytes() == whole.replace("\n", "\r\n").encode()


def test_a_section_on_one_line_is_left_as_it_is(path: Path) -> None:
    lines = path.read_text()
    start, end = lines.index("\nevaluate:"), lines.index("\n# ", lines.index("\nevaluate:"))
    path.write_text(lines[:start] + "\nevaluate: {threshold: 0.5}\n" + lines[end:])
    before = path.read_bytes()
    with pytest.raises(ThawError, match="cannot be put in by lines"):
        add_missing(path)
    assert path.read_bytes() == before


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ThawError, match=r"beside dvc\.yaml"):
        load_params(tmp_path / "params.yaml")


def test_numbers_as_dvc_writes_them_are_numbers(path: Path) -> None:
    override_params(path, {"fine_tune.learning_rate": 1e-3})
    text = path.read_text()
    head, tail = text.split("\nfine_tune:", 1)
    path.write_text(f"{head}\nfine_tune:{tail.replace('learning_rate: 0.001', 'learning_rate: 5e-06', 1)}")
    assert load_params(path).fine_tune.learning_rate == 5e-6


def test_an_override_changes_one_value_and_keeps_comments(path: Path) -> None:
    before = path.read_text().splitlines()
    override_params(path, parse_overrides(["fine_tune.epochs=7"]))
    after = path.read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    assert changed[0][1].strip() == "epochs: 7"
    assert load_params(path).fine_tune.epochs == 7


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("fine_tune.epoch=7", "unknown key fine_tune.epoch"),
        ("fine_tune.epochs=-1", "greater than or equal to 0"),
        ("fine_tune.epochs=many", "valid integer"),
        ("fine_tune.epochs=[", "not YAML"),
        ("fine_tune.epochs={a: 1}", "valid integer"),
        ("fine_tune.epochs=2024-99-99", "valid integer"),
        ("fine_tune.learning_rate=.inf", "finite number"),
        ("fine_tune.learning_rate=1e999", "finite number"),
        ("evaluate.threshold=.nan", "finite number"),
        ("fine_tun.epochs=1", "Did you mean fine_tune?"),
        ("validate.limit.formats=1", "Did you mean validate.limits?"),
        ("nothing.at.all=1", "no section nothing"),
        ("seed.x=1", "seed is a value"),
        ("seed=-1", "greater than or equal to 0"),
        ("seed=4294967296", "less than 4294967296"),
        ("fine_tune.epochs.x=1", "fine_tune.epochs is a value"),
        ("fine_tune=1", "fine_tune is not a section"),
        ("fine_tune.=1", "unknown key fine_tune."),
        ("=1", "no key"),
    ],
)
def test_a_wrong_override_leaves_the_file_alone(path: Path, assignment: str, said: str) -> None:
    before = path.read_bytes()
    for change in (override_params, check_overrides):
        with pytest.raises(ThawError, match=re.escape(said)):
            change(path, parse_overrides([assignment]))
        assert path.read_bytes() == before


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(ThawError, match=r"seed.*twice"):
        parse_overrides(["seed=1", "seed=2"])


@pytest.mark.parametrize("text", ["2024-01-01", "2024-99-99", "2024-01-01 10:00:00", "on", "12:30"])
def test_what_is_no_number_and_no_list_is_the_text_as_typed(path: Path, text: str) -> None:
    override_params(path, parse_overrides([f"split.positive_class={text}"]))
    assert load_params(path).split.positive_class == text


def test_overrides_are_looked_at_without_a_change(path: Path) -> None:
    before = path.read_bytes()
    assert check_overrides(path, {"fine_tune.epochs": 7})["fine_tune"]["epochs"] == 7
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["epochs: .inf", "epochs: 2024-99-99", "learning_rate: .nan", "epochs: 1\n  epochs: 2"])
def test_a_file_with_a_wrong_value_is_refused(path: Path, text: str) -> None:
    path.write_text(re.sub(rf"(?m)^  {text.split(':')[0]}: .*$", f"  {text}", path.read_text()))
    with pytest.raises(ThawError):
        load_params(path)
    with pytest.raises(ThawError):
        override_params(path, {"seed": 2})


def test_whatever_is_typed_gives_values_or_an_error_with_a_cure(path: Path) -> None:
    seed = random.Random(20)
    keys = ["seed", "fine_tune.epochs", "split.positive_class", "validate.limits.formats", "model", ".", ""]
    signs = "[]{}:,&*!|>'\"%@`#-?.~=0123456789einfa \t\n\x00\u2028\U0001f600"
    refused = 0
    for _ in range(150):
        value = "".join(seed.choices(signs, k=seed.randrange(12)))
        try:
            check_overrides(path, parse_overrides([f"{seed.choice(keys)}={value}"]))
        except ThawError as error:
            assert error.reason and error.cure
            refused += 1
    assert 0 < refused < 150


def test_an_override_without_a_value_is_refused() -> None:
    with pytest.raises(ThawError, match="key=value"):
        parse_overrides(["fine_tune.epochs"])


@pytest.mark.parametrize(
    ("section", "line", "new"),
    [("validate", "workers: 3", "compute.workers"), ("fine_tune", "cache_gb: 2.5", "compute.cache_gb")],
)
def test_a_file_of_an_earlier_version_is_told_where_its_keys_are(path: Path, section: str, line: str, new: str) -> None:
    text = path.read_text(encoding="utf-8").split("\n# How the work is done")[0]
    path.write_text(text.replace(f"\n{section}:\n", f"\n{section}:\n  {line}\n"), encoding="utf-8")
    key = f"{section}.{line.split(':')[0]}"
    with pytest.raises(ThawError, match=rf"{key} is {new} now\n.*put `{line}` below `compute:`"):
        load_params(path)
    with pytest.raises(ThawError, match=f"Write {new} for {key}"):
        override_params(path, {key: 1})


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("solar #1", "solar #1"),
        ("[2024-01-01, b]", ["2024-01-01", "b"]),
        ("2024-01-01", "2024-01-01"),
        ("'a: b'", "a: b"),
        ("5e-6", 5e-6),
        ("[1, 2]", [1, 2]),
        ("", None),
    ],
)
def test_a_value_is_what_was_typed(typed, value):
    assert parse_overrides([f"key={typed}"]) == {"key": value}


def test_a_value_of_many_brackets_is_one_message():
    with pytest.raises(ThawError, match="not YAML"):
        parse_overrides(["seed=" + "[" * 3000])
