"""What the split of a chromosome's windows is a function of, besides its own variants."""

from __future__ import annotations

from typing import Any

from glm_assets.genome.splits import SplitRule, check_chromosome_sides
from glm_assets.lineage.source_catalogue import SourceCatalogue
from glm_assets.profiles.profile import Profile
from glm_assets.variants.splitting import partner_of


def split_rule(profile: Profile) -> SplitRule:
    """The profile's split rule.

    Raises:
        SettingsError: Its chromosomes cannot be the sides of a split.
    """
    split = profile.split
    if split.rule == "chromosome":
        check_chromosome_sides(split.test_chromosomes, split.val_chromosomes, profile.chromosomes)
    return SplitRule(split.rule, test_chromosomes=split.test_chromosomes, val_chromosomes=split.val_chromosomes)


def split_partner(catalogue: SourceCatalogue, chrom: str) -> str | None:
    """The chromosome that is split together with this one (X with Y), where study and release have it."""
    partner = partner_of(chrom, split_rule(catalogue.profile))
    has_it = partner in catalogue.profile.chromosomes and partner in catalogue.release().facts["chromosomes"]
    return partner if has_it else None


def split_inputs(catalogue: SourceCatalogue, chrom: str) -> dict[str, str]:
    """Data versions that the split needs besides the chromosome's variants.

    The partner's variants are made again from the release, so that X does not wait for the partition Y.
    """
    inputs = {}
    if split_partner(catalogue, chrom):
        inputs["clinvar_release"] = catalogue.release().data_version
    if catalogue.profile.split.rule == "temporal":
        inputs["clinvar_release/train"] = catalogue.train_release().data_version
    return inputs


def split_recipe(catalogue: SourceCatalogue, chrom: str) -> dict[str, Any]:
    """Values of the profile that the split of a chromosome is a function of.

    Under the rule `chromosome` that is its own side only: another fold makes only two chromosomes anew.
    """
    rule = split_rule(catalogue.profile)
    recipe: dict[str, Any] = {"rule": rule.name}
    if rule.name == "chromosome":
        recipe["side"] = rule.side(chrom)
    labels = {"labels": catalogue.profile.labels.model_dump()}
    if partner := split_partner(catalogue, chrom):
        recipe |= {"partner": partner, **labels}
    if rule.name == "temporal":
        recipe |= labels
    return recipe
