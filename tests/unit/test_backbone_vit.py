"""ViT towers: built at random and held against an independent computation from open_clip's own modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from detector.model.backbone.build import build_clip
from detector.model.backbone.text import TextTower
from detector.model.backbone.tower import Tower, build_tower, vision_half
from detector.model.backbone.value_attention import ValueTower
from detector.model.backbone.weights import RANDOM, read_weights
from detector.model.lens import Size
from detector.model.profiles import PAPER, PAPER_518, PAPER_518_VV
from shared.errors import ConfigError, ModelCorruptError, ModelMissingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import nn

SMALL = "ViT-B-16"
WORD = "metal part"


@pytest.fixture(scope="module", autouse=True)
def inference() -> Iterator[None]:
    """No test here needs a gradient but one, which asks for it."""
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def clip() -> nn.Module:
    """One random ViT-B-16 for the module."""
    return build_clip(SMALL)


def patch_maps(clip: nn.Module, batch: torch.Tensor, indices: Sequence[int]) -> list[torch.Tensor]:
    """Compute patch tokens block by block from the ViT's modules, none of open_clip's forwards."""
    visual = cast("Any", clip).visual
    patches = visual.conv1(batch)
    rows = patches.flatten(2).transpose(1, 2)
    first = visual.class_embedding.expand(rows.shape[0], 1, -1)
    rows = visual.ln_pre(torch.cat([first, rows], dim=1) + visual.positional_embedding)
    found = []
    for index, block in enumerate(visual.transformer.resblocks):
        width, heads = rows.shape[-1], block.attn.num_heads
        mixed = functional.linear(block.ln_1(rows), block.attn.in_proj_weight, block.attn.in_proj_bias)
        query, key, value = (
            part.view(*part.shape[:2], heads, -1).transpose(1, 2) for part in torch.split(mixed, width, dim=-1)
        )
        weights = (query @ key.transpose(-1, -2) / (width // heads) ** 0.5).softmax(dim=-1)
        rows = rows + block.attn.out_proj((weights @ value).transpose(1, 2).flatten(2))
        rows = rows + block.mlp(block.ln_2(rows))
        if index in indices:
            found.append(rows[:, 1:].transpose(1, 2).reshape(patches.shape))
    return found


def noise(*shape: int) -> torch.Tensor:
    """Return the same noise each time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("name", "side", "indices"), [(SMALL, 224, (2, 5, 8, 11)), ("ViT-L-14-336", 336, (5, 11, 17, 23))]
)
def test_stages_equal_an_independent_computation(name: str, side: int, indices: tuple[int, ...]) -> None:
    """Patch features of four blocks agree to 1e-5 with the tower's modules applied by hand."""
    model = build_clip(name)
    batch = noise(1, 3, side, side)
    ours = Tower(vision_half(model)).stages(batch, indices)
    for stage, expected in zip(ours, patch_maps(model, batch, indices), strict=True):
        assert stage.shape == expected.shape
        assert float((stage - expected).abs().max() / expected.abs().max()) < 1e-5


@pytest.mark.parametrize("name", [SMALL, "ViT-L-14-336"])
def test_a_prompt_of_words_equals_open_clips_own_text_features(name: str) -> None:
    """A context that holds the vectors of real words gives what encode_text gives for these words, to 1e-5."""
    model = build_clip(name)
    text = TextTower(model, name)
    ours = text.encode(text.word_vectors("a damaged photo of a"), WORD)
    ids = open_clip.get_tokenizer(name)(f"a damaged photo of a {WORD}")
    expected = cast("Any", model).encode_text(ids, normalize=True)[0]
    assert float((ours - expected).abs().max()) < 1e-5


def test_positions_are_interpolated_once_to_any_canvas(clip: nn.Module, tmp_path: Path) -> None:
    """At 518 x 518, and on a wide canvas, a checkpoint of 224 loads, and the stages have the canvas' grid."""
    path = tmp_path / "clip.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in clip.state_dict().items()}, path)
    for canvas in (Size(518 // 16 * 16, 518 // 16 * 16), Size(96, 160)):
        weights = read_weights(SMALL, str(path), canvas)
        tower = build_tower(SMALL, weights.tensors, canvas)
        assert torch.allclose(weights.tensors["positional_embedding"], interpolated(clip, canvas), atol=1e-5)
        (stage,) = tower.stages(noise(1, 3, canvas.height_px, canvas.width_px), (11,))
        assert stage.shape == (1, 768, canvas.height_px // 16, canvas.width_px // 16)


def interpolated(clip: nn.Module, canvas: Size) -> torch.Tensor:
    """Return the positions for a canvas: the class token's as it is, the patches' 14 x 14 grid by bicubic curves."""
    positions = cast("Any", clip).visual.positional_embedding
    grid = positions[1:].reshape(1, 14, 14, -1).permute(0, 3, 1, 2)
    size = (canvas.height_px // 16, canvas.width_px // 16)
    wider = functional.interpolate(grid, size=size, mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([positions[:1], wider.permute(0, 2, 3, 1).reshape(-1, positions.shape[1])])


def test_the_paper_profiles_have_the_activation_of_the_released_weights() -> None:
    """OpenAI's weights were trained with QuickGELU, which has no tensors that would tell."""
    for profile in (PAPER, PAPER_518, PAPER_518_VV):
        config = open_clip.get_model_config(profile.tower)
        assert config is not None
        assert config["quick_gelu"]
    block = cast("Any", build_clip("ViT-B-16-quickgelu")).visual.transformer.resblocks[0]
    assert isinstance(block.mlp.gelu, open_clip.model.QuickGELU)


def test_a_tag_of_another_activation_is_refused_with_those_that_fit() -> None:
    """`tag:openai` for the plain ViT-B-16 would load and be wrong."""
    with pytest.raises(ModelMissingError, match=r"'openai' were trained with another activation.*laion400m_e31"):
        read_weights(SMALL, "tag:openai")


def test_the_large_tower_takes_518_pixels() -> None:
    """ViT-L-14-336, built for a canvas of 518 pixels, gives 37 x 37 patches."""
    canvas = Size(518, 518)
    weights = read_weights("ViT-L-14-336", RANDOM, canvas)
    tower = build_tower("ViT-L-14-336", weights.tensors, canvas)
    (stage,) = tower.stages(noise(1, 3, 518, 518), (5,))
    assert stage.shape == (1, 1024, 37, 37)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_local_checkpoint_gives_the_same_output(clip: nn.Module, tmp_path: Path, suffix: str) -> None:
    """What open_clip's model computes, the tower computes that was loaded from the file of it."""
    path = tmp_path / f"clip{suffix}"
    state = {name: tensor.clone().contiguous() for name, tensor in clip.state_dict().items()}
    if suffix == ".pt":
        torch.save({"state_dict": state}, path)
    else:
        save_file(state, path)
    weights = read_weights(SMALL, str(path))
    batch = noise(1, 3, 224, 224)
    (ours,) = build_tower(SMALL, weights.tensors).stages(batch, (11,))
    (expected,) = patch_maps(clip, batch, (11,))
    assert float((ours - expected).abs().max()) < 1e-4
    assert len(weights.source_sha256) == 64


def test_a_tower_without_weights_says_which_file_to_bring() -> None:
    """Random weights are never a silent stand-in."""
    with pytest.raises(ModelMissingError, match=r"--weights FILE.*laion400m_e31"):
        read_weights(SMALL)
    with pytest.raises(ModelMissingError, match="nowhere"):
        read_weights(SMALL, "nowhere.safetensors")
    with pytest.raises(ModelMissingError, match=r"Choose one of: .*openai"):
        read_weights(SMALL, "tag:imaginary")


def test_a_checkpoint_of_another_tower_is_refused(tmp_path: Path) -> None:
    """The error names the file and the tower that it does not fit."""
    path = tmp_path / "other.safetensors"
    save_file({"visual.class_embedding": torch.zeros(3)}, path)
    with pytest.raises(ModelCorruptError, match=r"other\.safetensors does not fit ViT-B-16"):
        read_weights(SMALL, str(path))
    path.write_bytes(b"no tensors at all")
    with pytest.raises(ModelCorruptError, match=r"other\.safetensors"):
        read_weights(SMALL, str(path))


def test_a_prompt_that_is_too_long_is_refused(clip: nn.Module) -> None:
    """CLIP reads 77 tokens."""
    text = TextTower(clip, SMALL)
    with pytest.raises(ConfigError, match="77 tokens"):
        text.encode(torch.zeros(80, text.width), WORD)


def test_the_gradient_reaches_the_context_alone() -> None:
    """Training a prompt leaves the text tower as it was."""
    with torch.inference_mode(mode=False):
        fresh = build_clip(SMALL)
        text = TextTower(fresh, SMALL)
        context = torch.zeros(4, text.width, requires_grad=True)
        torch.autograd.backward(text.encode(context, WORD).sum())
        assert context.grad is not None
        assert float(context.grad.abs().max()) > 0
        assert all(parameter.grad is None for parameter in fresh.parameters())


def test_value_attention_leaves_early_blocks_alone_and_changes_late_ones(clip: nn.Module) -> None:
    """Blocks before the start are the plain tower's; from there on the second path adds value attention alone."""
    visual = vision_half(clip)
    batch = noise(1, 3, 224, 224)
    plain = Tower(visual).stages(batch, (2, 7, 8))
    ours = ValueTower(visual, start=8).stages(batch, (2, 7, 8))
    assert torch.equal(ours[0], plain[0])
    assert torch.equal(ours[1], plain[1])
    block = cast("Any", visual).transformer.resblocks[8]
    tokens = cast("Any", visual).forward_intermediates(
        batch, indices=[7], output_fmt="NLC", output_extra_tokens=True, intermediates_only=True, stop_early=True
    )
    rows = torch.cat([tokens["image_intermediates_prefix"][0], tokens["image_intermediates"][0]], dim=1)
    value = functional.linear(block.ln_1(rows), block.attn.in_proj_weight[1536:], block.attn.in_proj_bias[1536:])
    heads = value.view(*value.shape[:2], 12, 64).transpose(1, 2)
    mixed = (heads @ heads.transpose(-1, -2) / 8.0).softmax(dim=-1) @ heads
    expected = rows + block.attn.out_proj(mixed.transpose(1, 2).flatten(2))
    assert torch.allclose(ours[2], expected[:, 1:].transpose(1, 2).reshape(ours[2].shape), atol=1e-5)


def test_value_attention_needs_a_vit_and_a_block_that_there_is(clip: nn.Module) -> None:
    """A convolutional tower, or a start beyond the last block, is refused."""
    with pytest.raises(ConfigError, match="needs a ViT"):
        ValueTower(vision_half(build_clip("linewarden-lite")), start=2)
    with pytest.raises(ConfigError, match="block 12 of 12"):
        ValueTower(vision_half(clip), start=12)
