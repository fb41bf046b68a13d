"""Methods of tissue as text: settings that ran stand in it, whatever was left to its default."""

from pipelines.report.methods_tissue import stains_sentence, tissue_sentence
from pipelines.study.density import Density
from pipelines.study.neighbours import Neighbours
from pipelines.study.spots import Spots
from pipelines.study.transcripts import Transcripts
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


def test_stains_are_named_with_their_colours_and_the_pigment_apart():
    stains = {"haematoxylin": "haematoxylin", "p21": "fast_red", "il1b": [0.3, 0.6, 0.7]}
    text = stains_sentence({**stains, "pigment": "lipofuscin"})
    assert "(haematoxylin, p21: fast red, il1b: red, green and blue 0.3, 0.6, 0.7)" in text
    assert "told from each other" in text
    assert text.endswith("; pigment: lipofuscin was told from the stain most like it.")
    assert "from neutral grey" in stains_sentence({"brown": "dab"})
    assert stains_sentence({}) == stains_sentence(None) == ""


def test_spots_say_their_threshold_and_what_is_left_out():
    unused = {"channel": "blank", "ratio": 0.5}
    text = said(Spots(type="spots", channel="il1b", unused=unused, threshold=5))
    assert "higher than 5 SDs of the noise, spots with 0.5 times their contrast" in text
    assert "in blank left out" in text
    assert "(the mean around the mode of isolated spots)" in text
    plain = said(Spots(type="spots", channel="il1b", single=120.0))
    assert "told from those of each image; molecules" in plain
    assert "(120)" in plain
    text = said(Transcripts(type="transcripts", table="t.csv", unit="px", ignore=("Neg*",)))
    assert "(Neg* left out)" in text
