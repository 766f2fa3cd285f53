"""`linewarden export`: a model's files for another engine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.cli_options import JsonOut, check_writable, write_json


class ExportedEngine(StrEnum):
    """The engines that need files of their own."""

    OPENVINO = "openvino"
    OPENVINO_BF16 = "openvino-bf16"
    OPENVINO_INT8 = "openvino-int8"
    ONNX = "onnx"


def export_for_engine(
    model: Annotated[Path, typer.Argument(help="A model that `linewarden train` wrote.")],
    engine: Annotated[ExportedEngine, typer.Option(help="What is to run it.")] = ExportedEngine.OPENVINO,
    good: Annotated[
        list[Path] | None, typer.Option(help="A set whose good pictures are looked at, as they are and spoilt.")
    ] = None,
    labelled: Annotated[
        list[Path] | None, typer.Option(help="A set with labelled test pictures: a better judge than spoilt ones.")
    ] = None,
    threads: Annotated[int, typer.Option(help="How many cores the engine has meanwhile.", min=1)] = 1,
    json_out: JsonOut = None,
) -> None:
    """Write an engine's files beside a model, if the engine judges pictures as the reference does."""
    from deploy.model_making import export_model

    check_writable(json_out)
    console = Console()
    parity = export_model(
        model, engine.value, good=good or (), labelled=labelled or (), threads=threads, console=console
    )
    table = Table("product", "pictures", "rank correlation", "AUROC lost", "pixel AP lost", "good scores moved")
    for one in parity:
        lost = "-" if one.pixel_ap_lost is None else f"{one.pixel_ap_lost:+.2f}"
        table.add_row(
            one.product,
            f"{one.pictures} {one.source}",
            f"{one.rank_correlation:.5f}",
            f"{one.image_auroc_lost:+.2f}",
            lost,
            f"{one.good_score_moved:+.3f}",
        )
    console.print(table)
    console.print(f"Exported for {engine.value} beside the model in {model}. Losses are in points.")
    write_json(json_out, {"engine": engine.value, "parity": [one.numbers() for one in parity]})
