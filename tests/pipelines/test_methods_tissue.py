"""Methods of tissue as text: settings that ran stand in it, whatever was left to its default."""

from pipelines.report.methods_tissue import tissue_sentence
from pipelines.study.density import Density
from pipelines.study.neighbours import Neighbours
from pipelines.study.zonation import Zonation


def said(settings):
    return tissue_sentence(settings.model_dump(mode="json"))


def test_zones_name_their_genes_and_the_reference():
    text = said(
        Zonation(
            type="zonation", zones={"base": ("lgr5",), "surface": ("krt20", "guca2a")},
            reference={"dox": "none"}, width_um=25,
        )
    )  # fmt: skip
    for part in ("base (lgr5), surface (krt20 + guca2a)", "SD 25 µm", "dox none", "10 counts"):
        assert part in text


def test_densities_say_of_which_area():
    text = said(Density(type="density", name="m", cells={"m_positive": True}, sums=("il1b",)))
    assert text.startswith("Cells with m_positive True were counted for each mm² of tissue, as was")
    text = said(Density(type="density", name="m", cells={"class": ("a", "b")}, area="image"))
    assert "Cells with class a or b" in text
    assert "of the image;" in text


def test_spread_says_its_null_and_its_seed():
    text = said(Neighbours(type="neighbours", source={"c": "x"}, response="p", seed=7))
    assert "999 random shifts of the sources within each section (seed 7)" in text
    assert tissue_sentence({"type": "morphology"}) == ""
