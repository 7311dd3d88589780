"""What the plots show, held against scikit-learn: the numbers of each curve, bar and cell before they are pixels."""

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from scipy.stats import norm
from sklearn import metrics as reference

from thaw.decision import probabilities_of
from thaw.evaluation import Predictions, plots
from thaw.evaluation.confusion import confusion, order_by_likeness
from thaw.statistics.calibration import smooth_calibration_error

FILES = ("roc", "precision_recall", "confusion", "reliability")


def judge(classes, count=200, names=None, decimals=1):
    random = np.random.default_rng(classes)
    labels = random.integers(0, classes, count)
    logits = random.normal(size=(count, classes)).round(decimals)  # some scores are equal
    logits[np.arange(count), labels] += 1
    names = names or [f"class {i}" for i in range(classes)]
    return Predictions(names, labels, probabilities_of(logits), np.ones(count))


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draws predictions and gives the axes by the picture's name; `curves` draws learning curves and gives the three panels."""
    figures = {}
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.__setitem__(path.stem, figure))

    def draw(predictions, temperature=1.0):
        plots.draw_predictions(predictions, temperature, tmp_path)
        return {name: figures[name].axes[0] for name in FILES}

    def draw_curves(frozen, fine_tuned):
        for name, text in (("frozen", frozen), ("fine", fine_tuned)):
            (tmp_path / f"{name}.csv").write_text(text)
        plots.draw_learning_curves(tmp_path / "frozen.csv", tmp_path / "fine.csv", tmp_path / "curves.png")
        return figures["curves"].axes

    draw.curves = draw_curves
    return draw


def lines(axes):
    """The labelled lines by label."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def of_each_class(predictions):
    """Name, which images are of it, and their scores: of the positive one of two, else of all, the largest first."""
    if len(predictions.classes) == 2:
        return [(predictions.classes[1], predictions.labels == 1, predictions.probabilities[:, 1])]
    sizes = np.bincount(predictions.labels, minlength=len(predictions.classes))
    return [
        (predictions.classes[i], predictions.labels == i, predictions.probabilities[:, i])
        for i in sorted(range(len(sizes)), key=lambda i: -sizes[i])
    ]


@pytest.mark.parametrize("classes", [2, 4])
def test_roc_curves_are_those_of_scikit_learn(drawn, classes):
    predictions = judge(classes)
    axes = drawn(predictions)["roc"]
    curves = lines(axes)
    wanted = of_each_class(predictions)
    assert list(curves) == [
        f"{name}: area {reference.roc_auc_score(positive, scores):.3f}" for name, positive, scores in wanted
    ]
    for line, (_, positive, scores) in zip(curves.values(), wanted, strict=True):
        false, true, _ = reference.roc_curve(positive, scores, drop_intermediate=False)
        np.testing.assert_allclose(line.get_data(), [false, true])
    np.testing.assert_array_equal(axes.lines[0].get_data(), [[0, 1], [0, 1]])  # by chance
    assert axes.get_xlabel().startswith("false positive rate") and axes.get_ylabel().startswith(
        "true positive rate"
    )
    assert axes.get_legend() is not None


@pytest.mark.parametrize("classes", [2, 4])
def test_precision_recall_curves_are_those_of_scikit_learn(drawn, classes):
    predictions = judge(classes)
    axes = drawn(predictions)["precision_recall"]
    curves = lines(axes)
    wanted = of_each_class(predictions)
    assert list(curves) == [
        f"{name}: average precision {reference.average_precision_score(positive, scores):.3f}"
        for name, positive, scores in wanted
    ]
    for line, (_, positive, scores) in zip(curves.values(), wanted, strict=True):
        precision, recall, _ = reference.precision_recall_curve(positive, scores)
        # scikit-learn ends at recall 0 with precision 1, which no threshold gives; here the first threshold's goes on.
        np.testing.assert_allclose(line.get_data(), [recall[::-1], [precision[-2], *precision[-2::-1]]])
        assert line.get_drawstyle() == "steps-pre"
    chance = [line for line in axes.lines if line.get_label().startswith("_")]
    np.testing.assert_allclose([line.get_ydata()[0] for line in chance], [each[1].mean() for each in wanted])
    assert [line.get_color() for line in chance] == [line.get_color() for line in curves.values()]


def test_of_many_classes_the_five_lowest_have_a_curve_and_all_of_them_their_mean(drawn):
    predictions = judge(15, 600, decimals=9)
    axes, truth = drawn(predictions), np.eye(15)[predictions.labels]
    for plot, measure in (("roc", reference.roc_auc_score), ("precision_recall", reference.average_precision_score)):
        values = measure(truth, predictions.probabilities, average=None)
        lowest = [predictions.classes[number] for number in np.argsort(values)[:5]]
        mean = ["mean of all 15"] if plot == "roc" else []
        assert [label.split(":")[0] for label in lines(axes[plot])] == mean + lowest
    area = reference.roc_auc_score(truth, predictions.probabilities)
    average = lines(axes["roc"])[f"mean of all 15: area {area:.3f}"]
    assert np.trapezoid(average.get_ydata(), average.get_xdata()) == pytest.approx(area, abs=0.005)


@pytest.mark.parametrize("label", [0, 1])
def test_a_curve_that_is_not_defined_is_left_out(drawn, label):
    alone = Predictions(
        ["a", "b"], np.full(3, label), np.array([[0.2, 0.8], [0.6, 0.4], [0.5, 0.5]]), np.ones(3)
    )
    axes = drawn(alone)
    assert not lines(axes["roc"]) and axes["roc"].get_legend() is None
    assert len(lines(axes["precision_recall"])) == label  # with positives alone precision is 1


@pytest.mark.parametrize(
    ("classes", "numbered", "shared"),
    [(2, True, True), (8, True, True), (9, True, False)],
)
def test_the_confusion_matrix_is_that_of_scikit_learn(drawn, classes, numbered, shared):
    predictions = judge(classes, 400)
    axes = drawn(predictions)["confusion"]
    counts = reference.confusion_matrix(predictions.labels, predictions.predicted)
    shares = reference.confusion_matrix(predictions.labels, predictions.predicted, normalize="true")
    np.testing.assert_allclose(axes.images[0].get_array(), shares)
    assert axes.images[0].get_clim() == (0, 1)
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == predictions.classes
    texts = {text.get_position(): text for text in axes.texts}
    assert len(texts) == (classes**2 if numbered else 0)
    for (column, row), text in texts.items():
        share = f"\n{shares[row, column]:.1%}" if shared else ""
        assert text.get_text() == f"{counts[row, column]}{share}"
        assert text.get_color() == (
            "white" if shares[row, column] > 0.5 else "black"
        )  # on a dark or a light cell
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")


@pytest.mark.parametrize(("classes", "together"), [(40, 1), (450, 3)])
def test_a_confusion_of_many_classes_has_those_together_that_are_taken_for_each_other(drawn, classes, together):
    """Each class is taken for its twin, which stands elsewhere in the order of the labels, or for itself."""
    labels = np.repeat(np.arange(classes), 6)
    said = np.where(np.arange(6 * classes) % 6 < 2, (labels + classes // 2) % classes, labels)
    said[:1] = 7  # the most frequent of all else
    predictions = Predictions([f"class {i}" for i in range(classes)], labels, np.eye(classes)[said], np.ones(len(labels)))
    order = order_by_likeness(confusion(predictions))
    places = np.argsort(order)
    assert sorted(order) == list(range(classes))
    assert (np.abs(places - places[(np.arange(classes) + classes // 2) % classes]) == 1).all()
    axes = drawn(predictions)["confusion"]
    shown = np.asarray(axes.images[0].get_array())
    assert len(shown) == classes / together and shown.sum(axis=1) == pytest.approx(1)
    shares = reference.confusion_matrix(labels, said, normalize="true")[np.ix_(order, order)]
    if together == 1:
        np.testing.assert_allclose(shown, shares)
        assert [tick.get_text() for tick in axes.get_xticklabels()] == [f"class {number}" for number in order]
    else:
        np.testing.assert_allclose(shown, shares.reshape(150, 3, 150, 3).sum(axis=3).mean(axis=1))
    [listed] = (text.get_text() for text in axes.texts)
    assert listed.count(" for class ") == 30 and "2 (33%)" in listed


def test_a_class_without_images_has_a_row_of_zeros(drawn):
    predictions = Predictions(["a", "b", "c"], np.array([0, 2]), np.eye(3)[[0, 1]], np.ones(2))
    np.testing.assert_array_equal(
        drawn(predictions)["confusion"].images[0].get_array(), [[1, 0, 0], [0, 0, 0], [0, 1, 0]]
    )


@pytest.mark.parametrize(
    ("names", "rotation"),
    [(["a", "b"], 0), (["x" * 14, "b"], 0), (["x" * 15, "b"], 90), (list("abc"), 0), (list("abcd"), 90)],
)
def test_names_of_classes_are_turned_where_they_would_overlap(drawn, names, rotation):
    axes = drawn(judge(len(names), names=names))["confusion"]
    assert {tick.get_rotation() for tick in axes.get_xticklabels()} == {rotation}


def test_long_names_are_cut_to_28_letters(drawn):
    fits, long = "x" * 28, "y" * 29
    axes = drawn(judge(2, names=[fits, long]))
    assert [tick.get_text() for tick in axes["confusion"].get_xticklabels()] == [fits, "y" * 27 + "…"]
    assert next(iter(lines(axes["roc"]))).startswith("y" * 27 + "…: area")


def test_names_that_matplotlib_would_hide_or_typeset_are_shown_as_they_are(drawn):
    assert next(iter(lines(drawn(judge(2, names=["a", "_$x$"]))["roc"]))).startswith("\u200b_\\$x\\$: area")


@pytest.mark.parametrize("classes", [2, 4])
def test_reliability_is_the_average_about_each_probability_before_and_after(drawn, classes):
    """Against an average of the images by a Gaussian of the error's width, folded at both ends."""
    predictions = judge(classes, 500)
    axes = drawn(predictions, temperature=2.0)["reliability"]
    np.testing.assert_array_equal(axes.lines[0].get_data(), [[0, 1], [0, 1]])  # as it should be
    sharper = predictions.probabilities**2 / (predictions.probabilities**2).sum(axis=1, keepdims=True)
    for name, shares in (("observed", predictions.probabilities), ("before the temperature", sharper)):
        said = shares[:, 1] if classes == 2 else shares.max(axis=1)
        true = predictions.labels == 1 if classes == 2 else predictions.correct
        at, observed = lines(axes)[name].get_data()
        near = sum(norm.pdf(at[:, None], image, smooth_calibration_error(said, true)) for image in (said, -said, 2 - said))
        known = np.isfinite(observed)
        np.testing.assert_allclose(observed[known], (near @ true / near.sum(axis=1))[known], atol=5e-3)
    about = "class 1" if classes == 2 else "the likeliest class"
    assert axes.get_xlabel() == f"predicted probability of {about}"
    assert "before the temperature" not in lines(drawn(predictions)["reliability"])


def test_the_unit_square_is_seen_whole(drawn):
    axes = drawn(judge(2))
    for name in ("roc", "precision_recall", "reliability"):
        for low, high in (axes[name].get_xlim(), axes[name].get_ylim()):
            assert -0.05 < low < 0 and 1 < high < 1.05
        assert axes[name].get_legend() is not None


def test_learning_curves_are_the_cells_of_the_files(drawn):
    header = "epoch,loss,accuracy,validation_loss,validation_accuracy,learning_rate\n"
    frozen, fine_tuned = header + "1,0.9,0.5,nan,,1\n2,0.8,0.6,0.85,,1\n", header + "1,0.4,0.7,0.5,0.8,1\n"
    axes = drawn.curves(frozen, fine_tuned)
    expected = {"train": ([1, 2, 3], [0.9, 0.8, 0.4]), "validation": ([2, 3], [0.85, 0.5])}
    for panel, scale in zip(axes[:2], ("linear", "log"), strict=True):
        assert (panel.get_ylabel(), panel.get_title(), panel.get_yscale()) == (
            "loss",
            f"loss ({scale})",
            scale,
        )
        for name, points in expected.items():
            np.testing.assert_array_equal(lines(panel)[name].get_data(), points)
    np.testing.assert_array_equal(lines(axes[2])["train"].get_data(), [[1, 2, 3], [0.5, 0.6, 0.7]])
    np.testing.assert_array_equal(lines(axes[2])["validation"].get_data(), [[3], [0.8]])
    for panel in axes:
        assert panel.get_legend() is not None
        assert all(tick == round(tick) for tick in panel.get_xticks())  # whole epochs
        np.testing.assert_array_equal(lines(panel)["thawed"].get_xdata(), [2.5, 2.5])
        colours = {name: to_hex(line.get_color()) for name, line in lines(panel).items()}
        assert len(set(colours.values())) == 3


@pytest.mark.parametrize("phase", ["frozen", "fine-tuned"])
def test_one_phase_alone_has_no_thawing_and_its_legend(drawn, phase):
    header, row = "epoch,loss,accuracy,validation_loss,validation_accuracy\n", "1,0.9,0.5,0.8,0.4\n"
    axes = drawn.curves(*((header + row, header) if phase == "frozen" else (header, header + row)))
    assert [set(lines(panel)) for panel in axes] == [{"train", "validation"}] * 3
    assert all(panel.get_legend() is None for panel in drawn.curves(header, header))


def test_the_colours_of_a_dark_cell_and_its_number_differ(drawn):
    axes = drawn(Predictions(["a", "b"], np.array([0, 1]), np.eye(2), np.ones(2)))["confusion"]
    image = axes.images[0]
    for text in axes.texts:
        column, row = text.get_position()
        cell = image.cmap(image.norm(image.get_array()[row, column]))[:3]
        assert abs(np.mean(cell) - np.mean(to_rgb(text.get_color()))) > 0.5
