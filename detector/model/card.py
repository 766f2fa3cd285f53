"""The model card that lies beside the weights."""

from __future__ import annotations

from typing import Any


def model_card(numbers: dict[str, Any]) -> str:
    """Return the card, Markdown, for the numbers of a model.toml."""
    settings, training = numbers["settings"], numbers["training"]
    calibration = numbers["calibration"]
    return f"""# A linewarden model of good parts

- Profile `{settings["name"]}`, tower `{settings["tower"]}`. It looks at a picture at
  {_views(numbers["views"])}.
- Trained on {training["pictures"]} pictures of good parts (sha256 of the set {training["data_sha256"][:12]}),
  seed {training["seed"]}, {training["created_utc"]}. It has seen no defect.
- Frozen trunk weights: sha256 {training["weights_sha256"][:12]}.
- {_refinement(numbers)}
- Keeps {settings["bank_size"]} patches a view at most; a patch is as anomalous as its nearest neighbour there is far,
  in multiples of what is usual at its place.

## Scores
The calibrated score is -log10 of the probability that a good picture scores at least as high: 3 means one good part in
a thousand. It was fitted on {calibration["pictures"]} held-out good scores in {training["folds"]} folds. Beyond about
{_log10_floor(calibration["pictures"])} it extrapolates an exponential tail, so that a threshold above that is an
estimate: measure the false-reject rate on fresh good parts before you rely on it.

## Limits
Valid for the camera, product and lighting of the training pictures. Anything new scores high, a harmless change of
set-up too. Thin low-contrast lines, a few pixels wide at the canvas's size, are the weakest kind.
"""


def _log10_floor(pictures: int) -> str:
    return f"{len(str(pictures)) - 1}"


def _views(lenses: list[dict[str, Any]]) -> str:
    sides = " and ".join(f"{lens['side_px']} pixels a side" for lens in lenses)
    return f"{sides}, its light levelled" if lenses[0]["level_light"] else sides


def _refinement(numbers: dict[str, Any]) -> str:
    if "refinement" not in numbers:
        return "It has no refiner and no prompt: this tower has no trained text side, and the bank alone judges."
    return (
        "Two refiners, learnt from defects made in good pictures, sharpen the map. This tower has no trained text "
        "side: they stand in for CLIP-ADA's learnable prompt."
    )
