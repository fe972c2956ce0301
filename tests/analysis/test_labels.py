from hypothesis import given
from hypothesis import strategies as st

from gansearch.analysis.labels import fit_label, fit_labels


@given(st.lists(st.text("aB:_. "), unique=True), st.integers(8, 20), st.integers(1, 3))
def test_labels_fit_and_differ(texts, width, lines):
    labels = fit_labels(texts, width, lines)
    assert len(set(labels)) == len(texts)
    assert all(len(label.split("\n")) <= lines and max(map(len, label.split("\n"))) <= width for label in labels)


def test_a_label_is_a_class_or_loses_its_middle():
    assert fit_labels(["bce", "mine:WithAGradientPenalty"], 12, 2) == ["bce", "WithAGrad…nt\nPenalty"]
    assert fit_labels(["one:Hinge", "other:Hinge"], 9) == ["one:Hinge", "othe…inge"]
    assert fit_labels(["a_long_x_name", "a_long_y_name"], 8) == ["1 a_…ame", "2 a_…ame"]
    assert fit_label("wgan-gp", 9) == "wgan-gp"
