import numpy as np
import pytest
from PIL import Image

from thaw.decision import probabilities_of
from thaw.evaluation import Predictions
from thaw.evaluation.examples import caption, choose_examples, examples_of
from thaw.evaluation.mistakes import draw_mistakes
from thaw.evaluation.plots import draw_learning_curves, draw_predictions

HEADER = "epoch,loss,accuracy,validation_loss,validation_accuracy,learning_rate\n"
AWKWARD = ["_hidden", "$x^$", "猫", "a name so long that it would not fit anywhere at all", "e", "f"]


def judge(classes, count):
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, count)
    return Predictions(
        AWKWARD[:classes], labels, probabilities_of(random.normal(size=(count, classes))), np.ones(count)
    )


def curves(folder, frozen, fine_tuned):
    for name, rows in (("frozen", frozen), ("fine", fine_tuned)):
        (folder / f"{name}.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return folder / "frozen.csv", folder / "fine.csv", folder / "curves.png"


def pictures(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_pictures_are_the_same_bytes_again_and_carry_no_metadata(tmp_path, classes):
    predictions = judge(classes, 100)
    for name in ("one", "two"):
        draw_predictions(predictions, 1.0, tmp_path / name)
    assert pictures(tmp_path / "one") == pictures(tmp_path / "two")
    assert set(pictures(tmp_path / "one")) == {
        "roc.png", "precision_recall.png", "confusion.png", "reliability.png",
    }  # fmt: skip
    for path in (tmp_path / "one").iterdir():
        image = Image.open(path)
        assert "Software" not in image.info
        assert np.asarray(image.convert("L")).std() > 10


@pytest.mark.parametrize(
    "labels",
    [np.zeros(1, int), np.ones(3, int), np.zeros(5, int)],
    ids=["one image", "positives", "negatives"],
)
def test_degenerate_splits_are_drawn_all_the_same(tmp_path, labels):
    shares = np.tile([0.5, 0.5], (len(labels), 1))
    draw_predictions(Predictions(["a", "b"], labels, shares, np.ones(len(labels))), 1.0, tmp_path)
    assert len(pictures(tmp_path)) == 4


def test_a_hundred_classes_are_drawn(tmp_path):
    random = np.random.default_rng(0)
    shares = probabilities_of(random.normal(size=(300, 100)))
    names = [f"class {i}" for i in range(100)]
    draw_predictions(Predictions(names, random.integers(0, 100, 300), shares, np.ones(300)), 1.0, tmp_path)
    assert max(Image.open(tmp_path / "confusion.png").size) < 2000


def rows(count, start=1.0):
    return [
        f"{i + 1},{start * 0.9**i},{1 - 0.5 * 0.9**i},{start * 0.95**i},{1 - 0.5 * 0.95**i},0.001"
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("frozen", "fine_tuned"),
    [
        (rows(8), rows(5, 0.5)),
        (rows(3), []),
        ([], rows(3)),
        ([], []),
        (["1,0.5,0.8,,,0.1", "2,0.4,0.9,,,0.1"], ["1,0,1,,,0.1"]),
        (["1,nan,0.8,inf,,0.1"], []),
    ],
    ids=["both", "frozen alone", "fine-tuned alone", "none", "no validation", "not finite"],
)
def test_learning_curves_of_any_training_are_drawn(tmp_path, frozen, fine_tuned):
    paths = curves(tmp_path, frozen, fine_tuned)
    draw_learning_curves(*paths)
    first = paths[2].read_bytes()
    draw_learning_curves(*paths)
    assert paths[2].read_bytes() == first


def test_curves_run_on_over_both_phases(tmp_path, monkeypatch):
    from thaw.evaluation import plots as module

    figures = []
    monkeypatch.setattr(module, "_save", lambda figure, path: figures.append(figure))
    draw_learning_curves(*curves(tmp_path, rows(8), rows(5)))
    linear, log, accuracy = figures[0].axes
    assert (linear.get_yscale(), log.get_yscale()) == ("linear", "log")
    for axes in (linear, log, accuracy):
        assert list(axes.lines[0].get_xdata()) == list(range(1, 14))
        assert [line.get_label() for line in axes.lines] == ["train", "validation", "thawed"]
        assert axes.lines[2].get_xdata()[0] == 8.5


def test_the_worst_mistake_stands_first(tmp_path):
    shares = np.array([[0.9, 0.1], [0.05, 0.95], [0.4, 0.6], [0.2, 0.8]])
    predictions = Predictions(["a", "b"], np.array([0, 0, 0, 1]), shares, np.ones(4))
    asked = []

    def decode(path):
        asked.append(path)
        return Image.new("RGB", (8, 8), (255, 0, 0))

    draw_mistakes(predictions, ["right", "worst", "bad", "right too"], decode, tmp_path / "mistakes.png")
    assert asked == ["worst", "bad"]
    pixels = np.asarray(Image.open(tmp_path / "mistakes.png"))
    red = (pixels == (255, 0, 0)).all(axis=2)
    assert red.sum() == 2 * 160 * 160  # small pictures are enlarged
    first = (tmp_path / "mistakes.png").read_bytes()
    draw_mistakes(predictions, ["right", "worst", "bad", "right too"], decode, tmp_path / "mistakes.png")
    assert (tmp_path / "mistakes.png").read_bytes() == first


def test_a_model_without_mistakes_has_a_sheet(tmp_path):
    predictions = Predictions(["a", "b"], np.array([0]), np.array([[0.9, 0.1]]), np.ones(1))
    draw_mistakes(predictions, ["x"], lambda path: Image.new("RGB", (8, 8)), tmp_path / "mistakes.png")
    assert Image.open(tmp_path / "mistakes.png").size[0] > 500


def test_the_surest_mistakes_and_right_answers_are_explained_class_by_class():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7], [0.95, 0.05], [0.99, 0.01]])
    predictions = Predictions(["a", "b"], np.array([0, 1, 1, 0, 1, 0]), probabilities, np.ones(6))
    assert choose_examples(predictions, 4) == [4, 3, 5, 1], "the surest mistakes, then one right answer a class"
    assert choose_examples(predictions, 0) == []
    assert sorted(choose_examples(predictions, 99)) == list(range(6))
    assert caption(predictions, 4, "b/5.png") == "95% a, but it is b: b/5.png"
    assert caption(predictions, 1, "b/2.png") == "80% b, rightly: b/2.png"


def test_of_more_classes_the_surest_has_the_highest_probability():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.0, 0.1, 0.9], [0.6, 0.0, 0.4]])
    predictions = Predictions(["a", "b", "c"], np.array([0, 0, 1, 2, 0]), probabilities, np.ones(5), threshold=0.9)
    assert predictions.certainty.tolist() == [0.7, 0.8, 0.4, 0.9, 0.6]
    assert choose_examples(predictions, 4) == [1, 2, 0, 3], "two mistakes, then of each class the surest"
    assert choose_examples(predictions, 5) == [1, 2, 0, 3, 4]
    assert choose_examples(predictions, 3) == [1, 0, 3]
    assert caption(predictions, 1, "x.png") == "80% b, but it is a: x.png"


def test_surest_is_how_far_beyond_the_threshold():
    """With a threshold of 0.9 a probability of 0.1 is a sure negative, and one of 0.91 a doubtful positive."""
    positive = np.array([0.91, 0.1, 0.89, 0.99])
    predictions = Predictions(
        ["no", "yes"], np.array([0, 1, 1, 0]), np.column_stack([1 - positive, positive]), np.ones(4), threshold=0.9
    )
    assert predictions.certainty == pytest.approx([0.1, 8 / 9, 1 / 90, 0.9])
    assert choose_examples(predictions, 8) == [3, 1, 0, 2]
    assert caption(predictions, 2, "x.png") == "no: 89% yes, 90% needed, but it is yes: x.png"
    assert caption(predictions, 3, "y.png") == "yes: 99% yes, 90% needed, but it is no: y.png"


def test_who_reads_the_rounded_probabilities_finds_the_same_examples():
    """Beyond six digits the order of the surest is in no file: the report would show others than were explained."""
    positive = 1 - np.array([5e-9, 4e-8, 1e-9, 0.3, 3e-8])
    labels, names = np.array([1, 1, 1, 0, 0]), ["no", "yes"]
    exact, told = (
        examples_of(Predictions(names, labels, np.column_stack([1 - shares, shares]), np.ones(5)), 2)
        for shares in (positive, positive.round(6))
    )
    assert exact == told == ([4, 3], [3, 4], [0, 1])
    assert exact.all() == [4, 3, 0, 1]
