"""`search.yaml`: what may be searched, and one clear error for what may not."""

import shutil
from pathlib import Path

import pytest

from tests.code.commands import call
from thaw.errors import ThawError
from thaw.params import Params, load_params
from thaw.tuning.space import DEFAULT, Choices, Range, Space, override, read_space

ROOT = Path(__file__).parents[2]


def read(folder: Path, text: str, params: Params | None = None) -> Space:
    path = folder / "search.yaml"
    path.write_text(text, encoding="utf-8")
    return read_space(path, params or Params())


def test_ranges_and_choices_are_read_as_optuna_takes_them(tmp_path: Path) -> None:
    space = read(
        tmp_path,
        """
        train_frozen:
          learning_rate: {low: 1e-4, high: 1e-2, log: true}
          epochs: {low: 5, high: 20, step: 5}
          optimizer: [adamw, sgd]
        model:
          dropout: {low: 0, high: 0.6}
          hidden_units: {choices: [64, 128]}
        """.replace("model:\n", "model:\n          head: [dense]\n"),
    )
    assert space.keys == [
        "train_frozen.learning_rate", "train_frozen.epochs", "train_frozen.optimizer", "model.head", "model.dropout",
        "model.hidden_units",
    ]  # fmt: skip
    rate, epochs, *_ = (entry.distribution() for entry in space.entries)
    assert (rate.low, rate.high, rate.log) == (1e-4, 1e-2, True)
    assert (epochs.low, epochs.high, epochs.step) == (5, 20, 5)
    assert not space.is_of_heads()  # another head has other features


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train_frozen: {learning_rate: {low: 0, high: 1}}", ["train_frozen.learning_rate: low 0", "a number above 0"]),
        ("model: {dropout: {low: 0.1, high: 1.0}}", ["model.dropout: high 1.0", "at least 0 and below 1", "Give a high"]),
        ("train_frozen: {epochs: {low: 5.5, high: 9}}", ["train_frozen.epochs: low 5.5", "a whole number at least 0"]),
        ("train_frozen: {epochs: [true]}", ["choice True", "a whole number"]),
        ("train_frozen: {weight_decay: [.inf]}", ["choice inf"]),
        ("train_frozen: {optimizer: [adamw, sgdd]}", ["choice 'sgdd'", "one of adam, adamw, sgd, rmsprop"]),
        ("train_frozen: {optimizer: {low: 1, high: 2}}", ["takes no range"]),
        ("train_frozen: {learning_rate: {low: 1e-2, high: 1e-4}}", ["low 0.01 is not below high 0.0001"]),
        ("train_frozen: {weight_decay: {low: 0, high: 1, log: true}}", ["low 0 has no logarithm"]),
        ("train_frozen: {epochs: {low: 5, high: 12, step: 5}}", ["do not end at 12", "Write high: 10"]),
        ("train_frozen: {learning_rate: {low: 0.1, high: 0.2, step: -1}}", ["step -1 is not a number above 0"]),
        ("train_frozen: {learning_rate: {low: 0.1, high: 0.2, step: 0.1, log: true}}", ["step beside log"]),
        ("train_frozen: {learning_rate: {lo: 0.1, high: 0.2}}", ["unknown word 'lo'", "Did you mean low?"]),
        ("train_frozen: {learning_rate: 0.1}", ["neither range nor choices"]),
        ("train_frozen: {learning_rate: [0.1, 0.1]}", ["given twice"]),
        ("train_frozen: {learning_rte: [0.1]}", ["unknown key train_frozen.learning_rte", "train_frozen.learning_rate?"]),
        ("trainfrozen: {learning_rate: [0.1]}", ["unknown key trainfrozen", "train_frozen?"]),
        ("seed: {low: 1, high: 9}", ["seed is not to be searched", "`thaw seeds`"]),
        ("evaluate: {threshold: [0.4]}", ["evaluate is not to be searched"]),
        ("train_frozen: {devices: [cpu]}", ["changes no model"]),
        ("train_frozen: {momentum: {low: 0.5, high: 0.9}}", ["no effect beside train_frozen.optimizer: adamw"]),
        ("train_frozen: {learning_rate: [0.1]\n", ["not YAML"]),
        ("- 1", ["holds no sections"]),
    ],
)
def test_what_cannot_be_searched_is_one_message_with_a_cure(tmp_path: Path, text: str, said: list[str]) -> None:
    with pytest.raises(ThawError) as refused:
        read(tmp_path, text)
    assert refused.value.reason.startswith("search.yaml: ") and refused.value.cure
    for part in said:
        assert part in str(refused.value)


def test_a_parameter_without_effect_beside_others_stays_as_it_is(tmp_path: Path) -> None:
    space = read(tmp_path, "train_frozen: {optimizer: [adamw, sgd], momentum: {low: 0.5, high: 0.8}}")
    drawn = {"train_frozen.optimizer": "adamw", "train_frozen.momentum": 0.6}
    assert space.overrides(drawn) == {}
    assert space.overrides(drawn | {"train_frozen.optimizer": "sgd"}) == drawn | {"train_frozen.optimizer": "sgd"}
    sgd = override(Params(), {"train_frozen.optimizer": "sgd", "train_frozen.momentum": 0.95})
    from_sgd = Space(space.entries, sgd)
    assert from_sgd.overrides(drawn) == {"train_frozen.optimizer": "adamw", "train_frozen.momentum": 0.9}
    override(sgd, from_sgd.overrides(drawn))


def test_drawn_numbers_are_short_and_stay_within_their_range() -> None:
    rate = Range("train_frozen.learning_rate", 1.2345e-4, 1e-2, True, None, False)
    steps = Range("model.dropout", 0.0, 0.6, False, 0.1, False)
    space = Space((rate, steps), Params())
    drawn = {"train_frozen.learning_rate": 0.0023847239847, "model.dropout": 0.1 + 0.1 + 0.1}
    assert space.overrides(drawn) == {"train_frozen.learning_rate": 0.00238}  # 0.3 is today's dropout
    assert rate.rounded(1.2345e-4) == 1.2345e-4
    assert Choices("model.dropout", (0.12345,)).rounded(0.12345) == 0.12345


def test_the_built_in_space_fits_the_projects_own_parameters(tmp_path: Path) -> None:
    params = load_params(ROOT / "params.yaml")
    space = read_space(tmp_path / "search.yaml", params)
    assert space == read(tmp_path, DEFAULT, params)
    assert space.is_of_heads() and space.today() is not None


def test_the_command_refuses_a_range_outside_of_bounds_and_changes_nothing(tmp_path: Path) -> None:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / "search.yaml").write_text("model: {dropout: {low: 0.1, high: 1.5}}")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*")}
    said = call("search", cwd=tmp_path)
    assert "search.yaml: model.dropout: high 1.5 is outside of what it takes: a number at least 0 and below 1" in said
    assert "search.yaml: is there already" in call("search", "--init", cwd=tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_init_writes_what_is_built_in(tmp_path: Path) -> None:
    shutil.copyfile(ROOT / "dvc.yaml", tmp_path / "dvc.yaml")
    assert call("search", "--init", cwd=tmp_path) == ""
    assert (tmp_path / "search.yaml").read_text() == DEFAULT
