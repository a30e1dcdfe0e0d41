from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.spatial.distance import cosine
from scipy.special import softmax
from scipy.stats import entropy

from dait.losses import (
    classification,
    condensed_distance,
    cosine_distance,
    distillation,
    spatial_distance,
    zero_shot_logits,
)


def test_cosine_distance_by_hand() -> None:
    a = torch.tensor([[3.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
    b = torch.tensor([[5.0, 0.0], [1.0, 0.0], [-2.0, 0.0]])
    expected = (0 + (1 - math.sqrt(0.5)) + 2) / 3
    assert cosine_distance(a, b).item() == pytest.approx(expected, abs=1e-6)


def test_cosine_distance_is_scipys() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 7))
    expected = np.mean([cosine(x, y) for x, y in zip(a, b, strict=True)])
    assert cosine_distance(torch.tensor(a), torch.tensor(b)).item() == pytest.approx(expected)


def test_distillation_is_scipys_divergence_of_teacher_from_student() -> None:
    rng = np.random.default_rng(1)
    student, teacher = rng.normal(size=(2, 6, 4)) * 3
    for tau in (1.0, 2.0, 5.0):
        p, q = softmax(teacher / tau, axis=1), softmax(student / tau, axis=1)
        expected = tau**2 * np.mean(entropy(p, q, axis=1))
        found = distillation(torch.tensor(student), torch.tensor(teacher), tau)
        assert found.item() == pytest.approx(expected)


def test_distillation_by_hand() -> None:
    # softmax: (3/4, 1/4) against (1/2, 1/2).
    teacher, student = torch.tensor([[math.log(3.0), 0.0]]), torch.zeros(1, 2)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert distillation(student, teacher, 1.0).item() == pytest.approx(expected, abs=1e-6)


def test_equal_logits_have_nothing_to_teach() -> None:
    logits = torch.randn(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shifted = logits + torch.arange(5.0).view(5, 1)  # softmax does not see a constant
    assert distillation(shifted, logits, 3.0).item() == pytest.approx(0, abs=1e-12)
    assert distillation(logits, logits.flip(0), 3.0).item() > 0.01


def test_tau_squared_keeps_the_size_of_the_gradient() -> None:
    """Hinton et al. 2015, section 2.1: at high temperature the gradient is that of (z − v) / C."""
    rng = torch.Generator().manual_seed(0)
    teacher = torch.randn(1, 4, generator=rng, dtype=torch.float64)
    teacher -= teacher.mean()
    student = torch.randn(1, 4, generator=rng, dtype=torch.float64)
    student = (student - student.mean()).requires_grad_()
    (gradient,) = torch.autograd.grad(distillation(student, teacher, 1000.0), student)
    torch.testing.assert_close(gradient, (student - teacher).detach() / 4, rtol=1e-2, atol=1e-4)


def test_zero_shot_logits_normalise_the_image_side() -> None:
    embeddings = torch.tensor([[0.0, 10.0], [3.0, 4.0]])
    prototypes = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.6, 0.8]])
    expected = 20 * torch.tensor([[1.0, 0.0, 0.8], [0.8, 0.6, 1.0]])
    torch.testing.assert_close(zero_shot_logits(embeddings, prototypes, 20.0), expected)


def test_spatial_distance_is_the_mean_over_positions() -> None:
    rng = np.random.default_rng(2)
    student, teacher = rng.normal(size=(2, 2, 3, 4, 5))
    expected = np.mean(
        [
            cosine(student[b, :, i, j], teacher[b, :, i, j])
            for b in range(2)
            for i in range(4)
            for j in range(5)
        ]
    )
    found = spatial_distance(torch.tensor(student), torch.tensor(teacher))
    assert found.item() == pytest.approx(expected)


def test_a_small_student_map_is_brought_to_the_teachers_grid() -> None:
    # One column of a gradient from (1, 0) to (0, 1): bilinear interpolation is known by hand.
    student = torch.tensor([[[1.0], [0.0]], [[0.0], [1.0]]]).view(1, 2, 2, 1)
    teacher = torch.ones(1, 2, 4, 1)
    weights = np.array([1.0, 0.75, 0.25, 0.0])  # half-pixel centres
    vectors = np.stack([weights, 1 - weights], axis=1)
    expected = np.mean([cosine(vector, [1, 1]) for vector in vectors])
    assert spatial_distance(student, teacher).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("student_side", [2, 4, 6, 11])
def test_the_teachers_map_is_never_resized(student_side: int) -> None:
    """The gradient with respect to the teacher at each position is that position's alone."""
    rng = torch.Generator().manual_seed(0)
    teacher = torch.randn(1, 3, 4, 4, generator=rng, requires_grad=True)
    student = torch.randn(1, 3, student_side, student_side, generator=rng)
    before = spatial_distance(student, teacher)
    with torch.no_grad():
        louder = teacher.clone()
        louder[:, :, 1, 2] *= 100  # a cosine does not see how long a vector is
    # Had the teacher been interpolated, its neighbours would have changed.
    assert spatial_distance(student, louder).item() == pytest.approx(before.item(), abs=1e-6)


def test_maps_of_other_widths_ask_for_an_adapter() -> None:
    with pytest.raises(ValueError, match="8 and 16 channels"):
        spatial_distance(torch.zeros(1, 8, 2, 2), torch.zeros(1, 16, 2, 2))


def test_losses_of_a_batch_are_means() -> None:
    rng = torch.Generator().manual_seed(3)
    a, b = torch.randn(2, 4, 6, generator=rng)
    maps = torch.randn(2, 4, 3, 2, 2, generator=rng)
    for loss, left, right in (
        (cosine_distance, a, b),
        (lambda x, y: distillation(x, y, 2.0), a, b),
        (spatial_distance, maps[0], maps[1]),
    ):
        one_by_one = torch.stack([loss(left[i : i + 1], right[i : i + 1]) for i in range(4)])
        torch.testing.assert_close(loss(left, right), one_by_one.mean())


def test_condensed_distance_by_hand() -> None:
    a = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    b = torch.tensor([[1.0, 0.0], [0.0, 9.0]])
    # Of unit length: (0.6, 0.8) against (1, 0), and (0, 1) against itself.
    expected = (abs(0.6 - 1) + abs(0.8 - 0) + 0 + 0) / 4
    assert condensed_distance(a, b).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_images_without_a_label_do_not_count(smoothing: float) -> None:
    torch.manual_seed(0)
    logits = torch.randn(6, 4, requires_grad=True)
    some = classification(logits, torch.tensor([2, -1, 0, -1, -1, 3]), smoothing)
    (found,) = torch.autograd.grad(some, logits)
    rows = torch.tensor([0, 2, 5])
    expected = F.cross_entropy(logits[rows], torch.tensor([2, 0, 3]), label_smoothing=smoothing)
    assert some.item() == pytest.approx(expected.item(), rel=1e-6)
    assert not found[[1, 3, 4]].any() and found[rows].abs().min() > 0


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_where_no_image_has_a_label_there_is_no_loss(smoothing: float) -> None:
    logits = torch.randn(3, 4, requires_grad=True)
    loss = classification(logits, torch.full((3,), -1), smoothing)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == 0 and not gradient.any()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_where_every_image_has_a_label_the_loss_is_torchs_to_the_bit(smoothing: float) -> None:
    torch.manual_seed(1)
    logits, labels = torch.randn(50, 7, requires_grad=True), torch.arange(50) % 7
    losses = (
        classification(logits, labels, smoothing),
        F.cross_entropy(logits, labels, label_smoothing=smoothing),
    )
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in losses]
    assert torch.equal(*losses) and torch.equal(*gradients)
