"""Commands that take images, without a study: inspect, segment, train, score, decode."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.app import IMAGES_FAILED, app, errors_for_people


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
    """Show what a file holds: channels, sizes, picture, diameter.

    Scenes, axes, channels by name, pixel size and grey values are printed; the picture has every
    channel, and the diameter is that of the objects in one.
    """
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
    """Outline nuclei or cells in images, without a study.

    Writes NAME_labels.tif (uint32) for each. Everything is in pixels. The exit code is 1 where an
    image failed.
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
    """Decode in situ sequencing: a table of transcripts.

    Writes IMAGE.csv, x, y and gene of every transcript, for each image, which a study takes as
    `transcripts`, and decoding.csv. The exit code is 1 where an image failed.
    """
    with errors_for_people():
        from pipelines.decode import DecodeSettings, decode_files

        names = tuple(name.strip() for name in dots.split(","))
        settings = DecodeSettings(nuclei, names, sigma, empty, quality, corrections, residual)
        failed = decode_files(rounds, codebook, output, settings, typer.echo)
    raise typer.Exit(IMAGES_FAILED if failed else 0)
