"""Prompts: learnt through a text tower or freely, and cached so that the tower is not needed afterwards."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from detector.model.backbone.build import build_clip
from detector.model.backbone.text import TextTower
from detector.model.prompt_map import PromptMap
from detector.training.losses import map_loss
from detector.training.prompts import FreePrompts, TextPrompts

CHANNELS = 16


def planted(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return levels (6, 16, 8, 8) of noise with one direction added inside a square, and the squares (6, 8, 8)."""
    generator = torch.Generator().manual_seed(seed)
    level = torch.randn(6, CHANNELS, 8, 8, generator=generator)
    masks = torch.zeros(6, 8, 8)
    for index in range(6):
        row, column = (int(place) for place in torch.randint(0, 5, (2,), generator=generator))
        masks[index, row : row + 3, column : column + 3] = 1.0
    direction = torch.zeros(CHANNELS)
    direction[:4] = 3.0
    return level + masks[:, None] * direction[:, None, None], masks


def learn(prompt_map: PromptMap, prompts: torch.nn.Module, steps: int) -> None:
    """Train adapters and prompts together on fresh planted signals."""
    learnt = [*prompt_map.parameters(), *prompts.parameters()]
    optimiser = torch.optim.Adam(learnt, 1e-2)
    for step in range(steps):
        level, masks = planted(step)
        loss = map_loss(prompt_map.similarity([level], prompts()), masks)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()


def separation(prompt_map: PromptMap) -> float:
    """Return the share of pairs of a planted and a plain cell that the map ranks rightly, on unseen pictures."""
    level, masks = planted(10_000)
    with torch.inference_mode():
        logits = prompt_map([level], None, None)
    inside, outside = logits[masks > 0], logits[masks == 0]
    return float((inside[:, None] > outside[None, :]).float().mean())


@pytest.mark.parametrize("count", [1, 2])
def test_free_prompts_find_a_planted_signal(count: int) -> None:
    """One abnormal prompt, or a normal and an abnormal one, learn the direction that was added."""
    torch.manual_seed(0)
    prompt_map, prompts = PromptMap([CHANNELS], 32, count), FreePrompts(32, count=count)
    learn(prompt_map, prompts, 120)
    prompt_map.prompts.copy_(prompts().detach())
    assert separation(prompt_map) > 0.95


def test_a_context_through_the_text_tower_finds_it_and_its_cached_vectors_are_the_towers_output() -> None:
    """The learnt context works through a frozen random tower, and once cached the tower is not needed."""
    torch.manual_seed(0)
    clip = build_clip("ViT-S-16")
    text = TextTower(clip, "ViT-S-16")
    prompts = TextPrompts(text, "tile", context_length=4, count=2)
    prompt_map = PromptMap([CHANNELS], 384, 2)
    before = prompts.contexts.detach().clone()
    learn(prompt_map, prompts, 25)
    assert not torch.equal(prompts.contexts, before)
    assert all(parameter.grad is None for parameter in clip.parameters())
    prompt_map.prompts.copy_(prompts().detach())
    assert separation(prompt_map) > 0.9
    level, _ = planted(5)
    with torch.inference_mode():
        cached, live = prompt_map([level], None, None), prompt_map.similarity([level], prompts())
    assert torch.allclose(cached, live, atol=1e-6)
    assert torch.allclose(prompts().norm(dim=1), torch.ones(2), atol=1e-6)


def test_levels_of_other_sizes_are_averaged_on_the_grid() -> None:
    """Two levels that say the same give what each says alone."""
    torch.manual_seed(1)
    both, one = PromptMap([4, 4], 8, 2), PromptMap([4], 8, 2)
    both.adapters[1].load_state_dict(both.adapters[0].state_dict())
    one.adapters[0].load_state_dict(both.adapters[0].state_dict())
    rows = functional.normalize(torch.randn(2, 8), dim=1)
    flat = torch.randn(1, 4, 1, 1)
    fine, coarse = flat.expand(1, 4, 8, 8), flat.expand(1, 4, 2, 2)
    assert torch.allclose(both.similarity([fine, coarse], rows), one.similarity([fine], rows), atol=1e-5)
