"""The model card that lies beside the weights."""

from __future__ import annotations

from typing import Any

from detector.model.head_shape import PROMPT


def model_card(numbers: dict[str, Any]) -> str:
    """Return the card, Markdown, for the numbers of a model.toml."""
    settings = numbers["settings"]
    products = "\n".join(_product(table) for table in numbers["products"])
    return f"""# A linewarden model of good parts

- Profile `{settings["name"]}`, tower `{settings["tower"]}`, frozen: weights sha256 {numbers["weights_sha256"][:12]}.
- Trained with the seed {numbers["seed"]}, {numbers["created_utc"]}. It has seen no defect but those made in good
  pictures.
- {_heads(numbers["heads"], text=settings["tower"] != _WITHOUT_TEXT)}
- {_crops(settings["crop_side_px"], settings["crops_most"])}
- Keeps {settings["bank_size"]} patches a view at most; a patch is as anomalous as its nearest neighbour there is far,
  in multiples of what is usual at its place.

## Products
{products}

## Scores
The calibrated score is -log10 of the probability that a good picture scores at least as high: 3 means one good part in
a thousand. It was fitted on held-out good scores. Beyond what their number can tell it extrapolates an exponential
tail, so that a threshold above that is an estimate: measure the false-reject rate on fresh good parts before you rely
on it. A product that is not calibrated has too few pictures, and all its parts get the highest score.

## Limits
Valid for the camera, product and lighting of the training pictures. Anything new scores high, a harmless change of
set-up too. Thin low-contrast lines, a few pixels wide at the canvas's size, are the weakest kind.
"""


_WITHOUT_TEXT = "linewarden-lite"


def _product(table: dict[str, Any]) -> str:
    training, pictures = table["training"], table["calibration"]["pictures"]
    known = (
        f"calibrated on {pictures}, which tell scores up to about {len(str(pictures)) - 1}"
        if table["calibration"]["knots"]
        else "not calibrated"
    )
    shown = len(table["gallery"]["names"]) if "gallery" in table else 0
    return (
        f"- `{table['name']}`: {training['pictures']} pictures of good parts "
        f"(sha256 of the set {training['data_sha256'][:12]}), {known}. It is looked at at {_views(table['views'])}. "
        f"{shown} of the pictures are in this model, small, to be shown beside a part that it finds odd."
    )


def _views(lenses: list[dict[str, Any]]) -> str:
    sides = " and ".join(f"{lens['side_px']} pixels a side" for lens in lenses)
    return f"{sides}, its light levelled" if lenses[0]["level_light"] else sides


def _heads(shapes: list[dict[str, Any]], *, text: bool) -> str:
    if not shapes:
        return "It has no prompt and no refiner: the bank alone judges."
    kinds = [shape["kind"] for shape in shapes]
    told = " and ".join(f"{shape['members']} of the kind {shape['kind']}" for shape in shapes)
    if PROMPT not in kinds:
        prompt = "It has no prompt: the refiner stands in for CLIP-ADA's."
    elif text:
        prompt = "Its prompts went through the text tower that belongs to these weights, and are cached."
    else:
        prompt = (
            "This tower has no trained text side: free directions, learnt like prompts, stand in for CLIP-ADA's "
            "learnable prompt."
        )
    return f"Heads learnt from made defects: {told}. {prompt}"


def _crops(side_px: int, most: int) -> str:
    if not side_px:
        return "It looks at each picture once."
    return (
        f"Frames that are finer than what it sees are looked at again where in doubt: at most {most} windows of "
        f"{side_px} camera pixels a side."
    )
