"""The bucket matrix against updates that are done by hand, one token after the other."""

from __future__ import annotations

from itertools import pairwise

import pytest

from glm_assets.encoders.plant_lm.memory import BucketMemory
from glm_assets_tests.encoders.plant_lm.conftest import small_batch, small_config, small_network

torch = pytest.importorskip("torch")

RATE = 0.25


def tables():
    generator = torch.Generator().manual_seed(7)
    return torch.randn(16, 16, generator=generator), torch.randn(40, 16, generator=generator)


def update(memory, batch, valid=None):
    token_table, position_table = tables()
    tokens, positions, species = batch
    statistics = memory.statistics(
        tokens, positions, species, token_table=token_table, position_table=position_table, valid=valid
    )
    memory.update(statistics)


def unit(vector):
    return vector / vector.norm()


def vectors_by_hand(rule, tokens, positions):
    """(token, vector) of every occurrence in a window."""
    token_table, position_table = tables()
    if rule == "sum":
        return [(token, position_table[place]) for token, place in zip(tokens, positions, strict=True)]
    if rule == "ema":
        mean = sum(position_table[place] for place in positions) / len(positions)
        return [(token, mean) for token in tokens]
    found = []
    for token, following in pairwise(tokens):
        after = unit(token_table[following])
        found.append((token, unit(token_table[token]) + torch.cat([after[8:], after[:8]])))
    return found


def by_hand(rule, batches, *, per_species, normalise_steps):
    """Matrices (species, 16, 16) and counts after updates, with no torch beyond vectors."""
    matrix, counts = torch.zeros(2 if per_species else 1, 16, 16), torch.zeros(2 if per_species else 1, 16)
    for step, (tokens, positions, species) in enumerate(batches, 1):
        seen = {}
        for row in range(len(tokens)):
            where = int(species[row]) if per_species else 0
            for token, vector in vectors_by_hand(rule, tokens[row].tolist(), positions[row].tolist()):
                seen.setdefault((where, token), []).append(vector)
        for (where, token), vectors in seen.items():
            counts[where, token] += len(vectors)
            rate = max(RATE, len(vectors) / counts[where, token].item()) if rule == "content" else RATE
            if rule == "sum":
                matrix[where, token] += sum(vectors)
            else:
                matrix[where, token] = (1 - rate) * matrix[where, token] + rate * sum(vectors) / len(vectors)
        if step % normalise_steps == 0:
            matrix = torch.stack([row / row.norm() if row.any() else row for row in matrix.flatten(0, 1)])
            matrix = matrix.view(-1, 16, 16)
    return matrix, counts


@pytest.mark.parametrize("rule", ["sum", "ema", "content"])
@pytest.mark.parametrize("per_species", [True, False])
@pytest.mark.parametrize("trained", [True, False])
def test_three_updates_equal_those_by_hand(rule, per_species, trained):
    config = small_config(
        memory=rule,
        memory_per_species=per_species,
        memory_is_trained=trained,
        memory_rate=RATE,
        normalise_steps=2,
    )
    memory = BucketMemory(config)
    batches = [small_batch(sequences=3, length=5, seed=seed) for seed in range(3)]
    for batch in batches:
        update(memory, batch)
    matrix, counts = by_hand(rule, batches, per_species=per_species, normalise_steps=2)
    assert torch.allclose(memory.matrix, matrix, atol=1e-6)
    assert torch.equal(memory.counts.float(), counts)
    assert memory.matrix.requires_grad is trained
    assert memory.matrix.grad_fn is None


@pytest.mark.parametrize("rule", ["sum", "ema", "content"])
def test_rows_have_length_one_after_a_normalisation_and_rows_of_zeros_stay(rule):
    memory = BucketMemory(small_config(memory=rule, normalise_steps=3))
    for seed in range(3):
        update(memory, small_batch(sequences=1, length=6, seed=seed))
    norms = memory.matrix.norm(dim=-1)
    seen = memory.counts > 0
    assert seen[0].any()
    assert not seen[0].all()
    assert torch.allclose(norms[seen], torch.ones(int(seen.sum())), atol=1e-6)
    assert torch.equal(memory.matrix[~seen], torch.zeros_like(memory.matrix[~seen]))


@pytest.mark.parametrize("rule", ["sum", "ema", "content"])
def test_statistics_add_up_over_parts_of_a_batch(rule):
    """So that accumulated micro-batches and processes that exchange sums update as one batch does."""
    network = small_network(memory=rule)
    tokens, positions, species = small_batch(sequences=4)
    whole = network.memory_statistics(tokens, positions, species)
    parts = [network.memory_statistics(tokens[rows], positions[rows], species[rows]) for rows in ([0, 1], [2, 3])]
    together = parts[0] + parts[1]
    assert torch.allclose(together.sums, whole.sums, atol=1e-6)
    assert torch.equal(together.counts, whole.counts)


@pytest.mark.parametrize("rule", ["sum", "ema", "content"])
def test_padding_adds_nothing(rule):
    network = small_network(memory=rule)
    tokens, positions, species = small_batch(sequences=2, length=9)
    valid = torch.ones_like(tokens, dtype=torch.bool)
    valid[0, 6:] = False
    padded = network.memory_statistics(tokens, positions, species, valid)
    short = network.memory_statistics(tokens[:1, :6], positions[:1, :6], species[:1])
    long = network.memory_statistics(tokens[1:], positions[1:], species[1:])
    assert torch.allclose(padded.sums, (short + long).sums, atol=1e-6)
    assert torch.equal(padded.counts, (short + long).counts)


@pytest.mark.parametrize("rule", ["sum", "ema", "content"])
def test_equal_batches_make_equal_matrices_to_the_last_bit(rule):
    made = []
    for _ in range(2):
        network = small_network(memory=rule)
        for seed in range(3):
            network.update_memory(network.memory_statistics(*small_batch(sequences=6, seed=seed)))
        made.append(network.memory.matrix)
    assert torch.equal(made[0], made[1])


def test_positions_beyond_the_table_begin_again():
    network = small_network(memory="sum")
    tokens, positions, species = small_batch()
    beyond = network.memory_statistics(tokens, positions + 40, species)
    assert torch.equal(beyond.sums, network.memory_statistics(tokens, positions, species).sums)


def test_an_update_leaves_no_trace_in_gradients():
    network = small_network(memory="content").train()
    tokens, positions, species = small_batch()
    statistics = network.memory_statistics(tokens, positions, species)
    assert not statistics.sums.requires_grad
    loss = network(tokens, positions, species).square().mean()
    loss.backward()
    before = network.tokens.weight.grad.clone()
    network.update_memory(statistics)
    assert torch.equal(network.tokens.weight.grad, before)
