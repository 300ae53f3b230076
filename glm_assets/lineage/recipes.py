"""The heads' recipes as a profile scales them."""

from __future__ import annotations

from typing import cast

from glm_assets.heads.recipes import RECIPES, HeadRecipe, RecipeName
from glm_assets.heads.shapes import Version
from glm_assets.profiles.profile import Profile


def head_recipe(profile: Profile, name: str, dimension: int, recipe: RecipeName | None = None) -> HeadRecipe:
    """The recipe of one head.

    Args:
        profile: Gives recipe, widths, epochs, batch size, precision and seed.
        name: `head_v0` to `head_v3`.
        dimension: Width of the encoder's vectors.
        recipe: Another recipe than the profile's.
    """
    version = cast("Version", name.removeprefix("head_"))
    scale = profile.heads[version]
    return RECIPES[recipe or profile.recipe][version].scaled(
        in_dim=dimension,
        widths=scale.widths,
        epochs=scale.epochs,
        batch_size=scale.batch_size,
        seed=profile.seed,
        mixed_precision=scale.mixed_precision,
    )
