"""The command line. Nothing heavy is imported before a command needs it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipelines.errors import SenescopeError
from pipelines.run.layout import Layout, results_of, run_folder

IMAGES_FAILED = 1
STUDY_WRONG = 2

app = typer.Typer(
    name="senescope",
    help="Measure cellular senescence in microscope images, cell by cell.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # the help then starts in half the time
)

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="The study's YAML file.")]
OutputFolder = Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the results.")]
Workers = Annotated[
    int | None, typer.Option("--workers", "-w", min=1, help="Images worked on at the same time.")
]


def main() -> None:
    """Entry point of the `senescope` command."""
    try:
        app()
    except ImportError as error:
        from pipelines.clash import explanation

        clash = explanation()
        if not clash:
            raise
        typer.secho(f"{error}. {clash}", err=True, fg=typer.colors.RED)
        sys.exit(STUDY_WRONG)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"senescope {installed('senescope')}")
        raise typer.Exit


@app.command()
def run(
    study: StudyFile,
    output: OutputFolder = None,
    workers: Workers = None,
    only: Annotated[
        str | None, typer.Option(help="Only image ids that match this pattern, e.g. 'plate1_*'.")
    ] = None,
    restart: Annotated[bool, typer.Option(help="Forget earlier results in the folder.")] = False,
) -> None:
    """Measure a study: images to tables, pictures and a report.

    A run that was stopped goes on where it was: images whose settings and files did not change
    are left untouched, failed ones are tried again. The exit code is 1 where an image failed.
    """
    from pipelines.run.workers import warm_up

    warm_up()
    with errors_for_people():
        from pipelines.console import run_with_progress

        folder = output or results_of(study)
        summary = run_with_progress(study, folder, workers=workers, only=only, restart=restart)
    raise typer.Exit(IMAGES_FAILED if summary.n_failed else 0)


@app.command()
def sweep(study: StudyFile, output: OutputFolder = None, workers: Workers = None) -> None:
    """Measure what is new in a folder that images are still written to.

    Files that are being written are left for the next sweep, renamed ones are known again, copies
    are not counted twice. The exit code is 1 where an image failed or is gone.
    """
    from pipelines.run.workers import warm_up

    warm_up()
    with errors_for_people():
        from pipelines.console import sweep_with_progress

        failed = sweep_with_progress(study, output or results_of(study), workers)
    raise typer.Exit(IMAGES_FAILED if failed else 0)


@app.command()
def check(
    study: StudyFile,
    output: OutputFolder = None,
    diameter: Annotated[
        bool,
        typer.Option("--diameter", help="Also measure the objects' diameter in three images."),
    ] = False,
) -> None:
    """Find everything that is wrong with a study before anything is computed."""
    with errors_for_people():
        from dataclasses import replace

        from pipelines.console import print_check
        from pipelines.study.check import check_study

        checked = check_study(study)
        layout = Layout((output or results_of(study)).resolve())
        found = list(checked.problems)
        if layout.review.is_dir():
            from pipelines.run.given import given_label_problems

            found += given_label_problems(checked, layout)
        if diameter:
            from pipelines.inspection.diameter import diameter_problems

            found += diameter_problems(checked)
        checked = replace(checked, problems=tuple(found))
        print_check(checked)
    wrong = any(problem.level == "error" for problem in checked.problems)
    raise typer.Exit(STUDY_WRONG if wrong else 0)


@app.command("inspect")
def inspect_(
    image: Annotated[Path, typer.Argument(metavar="FILE", help="Any image that can be read.")],
    scene: Annotated[
        str | None, typer.Option("--scene", "-s", help="Name or number from 0; else the first.")
    ] = None,
    time: Annotated[int, typer.Option(min=0, help="Time point, from 0.")] = 0,
    channel: Annotated[
        str | None,
        typer.Option("--channel", "-c", help="Whose objects are measured; else the first."),
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="That finds the objects.")
    ] = "compact",
    diameter: Annotated[
        bool, typer.Option(help="Measure the diameter of the objects: some seconds.")
    ] = True,
    picture: Annotated[
        Path | None, typer.Option("--picture", "-p", help="PNG; else NAME_inspect.png here.")
    ] = None,
) -> None:
    """Show what a file holds: scenes, axes, channels, sizes, grey values, a picture, a diameter."""
    with errors_for_people():
        from pipelines.inspection.console import inspect_file

        inspect_file(
            image,
            scene=scene,
            time=time,
            channel=channel,
            model=model if diameter else "",
            picture=picture or Path(f"{image.name.split('.')[0]}_inspect.png"),
        )


@app.command()
def segment(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images to segment.")],
    diameter: Annotated[
        float, typer.Option("--diameter", "-d", min=1.0, help="Typical object diameter in px.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the label images.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="compact, a Cellpose name, or a weights file.")
    ] = "compact",
    channel: Annotated[
        str | None,
        typer.Option("--channel", "-c", help="Index or name; may be left out where there is one."),
    ] = None,
    scene: Annotated[
        str | None, typer.Option("--scene", "-s", help="Name or number from 0, where several.")
    ] = None,
    time: Annotated[
        int | None, typer.Option("--time", "-t", min=0, help="Time point from 0, where several.")
    ] = None,
) -> None:
    """Outline nuclei or cells in images, without a study: NAME_labels.tif, uint32.

    Everything is in pixels. The exit code is 1 where an image failed.
    """
    with errors_for_people():
        from pipelines.console import segment_with_progress
        from pipelines.segment_files import Which

        which = Which(channel, scene, time)
        failed = segment_with_progress(images, diameter, output, model, which)
    raise typer.Exit(IMAGES_FAILED if failed else 0)


@app.command()
def train(  # noqa: PLR0913  (each is an option of the command line)
    images: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="Folder, or CSV with columns image and mask.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the new model.")],
    masks: Annotated[
        Path | None, typer.Option(help="Folder of masks, where they do not lie beside the images.")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="Where to start: a name or a weights file.")
    ] = "compact",
    from_scratch: Annotated[
        bool, typer.Option(help="Train compact from random weights: hours without a GPU.")
    ] = False,
    channel: Annotated[str | None, typer.Option("--channel", "-c", help="Index or name.")] = None,
    diameter: Annotated[
        float | None,
        typer.Option("--diameter", "-d", min=1.0, help="In px; otherwise the masks' median."),
    ] = None,
    validation: Annotated[
        float, typer.Option(min=0.0, max=0.5, help="Share of the images held out to score.")
    ] = 0.2,
    steps: Annotated[int | None, typer.Option(min=1, help="Batches at most.")] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Crops of 256 px: 8, from scratch 32, of Cellpose 1.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate at its highest.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all chance.")] = 0,
    restart: Annotated[bool, typer.Option(help="Forget an earlier training there.")] = False,
) -> None:
    """Train a model further on your own images and masks.

    Writes model.pt, to give to --model, and its card. A training that was stopped goes on where
    it was with the same command.
    """
    with errors_for_people():
        from pipelines.training.pairs import find_pairs

        pairs = find_pairs(images, masks)
        from pipelines.training.console import train_with_progress
        from pipelines.training.plan import Plan, default_settings

        start = None if from_scratch else model
        settings = default_settings(start, seed=seed, steps=steps, batch=batch, learning_rate=rate)
        plan = Plan(pairs, output, start, channel, diameter, validation, settings)
        train_with_progress(plan, restart=restart)


@app.command()
def score(
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="Label image, or a folder.")],
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="Annotated one, or a folder.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of scores.csv and pictures.")
    ] = None,
) -> None:
    """Score label images against annotated ones.

    Prints a line an image and a summary. The exit code is 1 where an image could not be scored.
    """
    with errors_for_people():
        from pipelines.scoring import Scored, score_files, summary

        def say(one: Scored) -> None:
            found = one.quality
            line = one.error if found is None else f"AP 0.5 {found.ap50:.3f}, 0.75 {found.ap75:.3f}"
            typer.echo(f"{one.name}: {line}", err=found is None)

        results = score_files(labels, truth, output, say)
        typer.echo(summary(results))
    raise typer.Exit(IMAGES_FAILED if any(one.quality is None for one in results) else 0)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
) -> None:
    """Write the report of a run again."""
    with errors_for_people():
        layout = Layout(run_folder(folder))
        from pipelines.report import build_report

        typer.echo(build_report([folder], layout.report))


@app.command("open")
def open_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    image: Annotated[str | None, typer.Option(help="Image id; else the first.")] = None,
    study_folder: Annotated[
        Path | None, typer.Option(help="Folder of the study file; else the one above DIR.")
    ] = None,
) -> None:
    """Look at an image of a run in napari, leave out cells and correct labels.

    What is decided is stored in DIR/review and applied by the next run.
    """
    with errors_for_people():
        from pipelines.review.viewer import open_run

        open_run(folder, image, study_folder)


@app.command()
def decode(  # noqa: PLR0913  (each is an option of the command line)
    rounds: Annotated[
        Path, typer.Argument(metavar="ROUNDS", help="CSV: image_id, round, image (the file).")
    ],
    codebook: Annotated[
        Path, typer.Option("--codebook", "-b", help="CSV: gene, and a column a round.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the tables.")],
    nuclei: Annotated[str, typer.Option(help="Channel of the nuclear stain: index or name.")],
    dots: Annotated[
        str, typer.Option(help="Channels of the dots, with commas, as the codebook counts them.")
    ],
    sigma: Annotated[float, typer.Option(min=0.5, help="SD of a dot in px.")] = 1.5,
    empty: Annotated[str, typer.Option(help="Names of words without a gene.")] = "empty*",
    quality: Annotated[float, typer.Option(min=0.0, max=1.0, help="Lowest of a read.")] = 0.5,
    corrections: Annotated[
        int | None, typer.Option(min=0, help="Wrong rounds of a read; else what the words allow.")
    ] = None,
    residual: Annotated[float, typer.Option(help="Largest residual shift of a round, px.")] = 1.0,
) -> None:
    """Decode in situ sequencing: x, y and gene of every transcript, for a study's `transcripts`.

    Writes IMAGE.csv for each image, and decoding.csv. The exit code is 1 where an image failed.
    """
    with errors_for_people():
        from pipelines.decode import DecodeSettings, decode_files

        names = tuple(name.strip() for name in dots.split(","))
        settings = DecodeSettings(nuclei, names, sigma, empty, quality, corrections, residual)
        failed = decode_files(rounds, codebook, output, settings, typer.echo)
    raise typer.Exit(IMAGES_FAILED if failed else 0)


class ExportFormat(StrEnum):
    """What cells can be exported to."""

    CSV = "csv"
    SAMPLES = "samples"
    FCS = "fcs"
    ANNDATA = "anndata"


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    to: Annotated[
        ExportFormat, typer.Option(help="csv, samples: R, Prism, Excel; fcs: cytometry.")
    ],
    output: OutputFolder = None,
    by: Annotated[
        str | None, typer.Option(help="fcs: one file for each value, e.g. image_id; else a unit.")
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option(help="fcs: patterns of columns, e.g. '*_unmixed'.")
    ] = None,
    decimal_comma: Annotated[
        bool, typer.Option("--decimal-comma", help="csv: 1,5 and semicolons, as Excel in Europe.")
    ] = False,
) -> None:
    """Write the cells of a run for other software; by default into DIR/export."""
    with errors_for_people():
        from pipelines.export.run import export_run

        for sentence in export_run(
            folder, to.value, output, by=by, columns=columns or (), decimal_comma=decimal_comma
        ):
            typer.echo(sentence)


class Assay(StrEnum):
    """What can be simulated."""

    FOCI = "foci"
    BETA_GAL = "beta_gal"
    REPORTERS = "reporters"
    TISSUE = "tissue"
    RNA = "rna"
    RNA_BRIGHTFIELD = "rna_brightfield"
    LOBULE = "lobule"
    HYBISS = "hybiss"
    SLIDE = "slide"


@app.command()
def simulate(
    assay: Annotated[Assay, typer.Argument(help="What is simulated.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the study.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same images.")] = 0,
    side: Annotated[int, typer.Option(help="Rows and columns of a slide, px.")] = 4096,
) -> None:
    """Write a small study of simulated images with known truth, ready to run."""
    with errors_for_people():
        from pipelines.simulate import write_study

        if assay is Assay.SLIDE:
            from pipelines.simulate.slide import write_slide_study

            typer.echo(write_slide_study(output, seed, side))
            return
        typer.echo(write_study(assay.value, output, seed))


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the results.")] = Path(
        "senescope-demo"
    ),
    workers: Workers = None,
) -> None:
    """Run three small studies of real images and two of simulated ones, and report them."""
    from pipelines.run.workers import warm_up

    warm_up()
    with errors_for_people():
        from pipelines.demo import run_demo

        failed = run_demo(output, workers)
    raise typer.Exit(IMAGES_FAILED if failed else 0)


@contextmanager
def errors_for_people() -> Iterator[None]:
    """Print an error that was written for the user without a traceback, and leave with code 2."""
    from pipelines.clash import refuse_strangers

    try:
        refuse_strangers()
        yield
    except SenescopeError as error:
        typer.secho(str(error), err=True, fg=typer.colors.RED)
        sys.exit(STUDY_WRONG)
    except KeyboardInterrupt:
        typer.echo("Stopped. What is done is kept: the same command goes on from here.", err=True)
        sys.exit(130)
