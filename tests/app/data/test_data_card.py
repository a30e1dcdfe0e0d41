"""The card of two species as a page shows it."""

from __future__ import annotations

import pytest

from app.data.card import card_html, gallery_html, species_choices
from dait.errors import UserError


def test_a_card_names_and_shows_every_difference() -> None:
    (one, first), (other, second) = species_choices()[:2]
    html = card_html(first, second)
    assert one in html and other in html and "Both are of the family" in html
    assert html.count('class="ds-difference"') in (2, 3)
    assert html.count("<img") == html.count('alt="') >= 2 + 2


def test_a_card_of_one_species_is_refused() -> None:
    key = species_choices()[0][1]
    with pytest.raises(UserError, match="one species twice"):
        card_html(key, key)


def test_the_gallery_offers_every_species() -> None:
    html = gallery_html()
    assert all(f'data-key="{key}"' in html for _, key in species_choices())
