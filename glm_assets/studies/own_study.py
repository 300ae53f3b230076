"""What the studies beside the main one have in common: the main study, and values of their own."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, Generic

from glm_assets.lineage.study import Study
from glm_assets.storage.products import Product
from glm_assets.studies.configuration import Values, chosen_name, read_configuration


class OwnStudy(Generic[Values]):
    """A study in the main study's data root.

    Args:
        main: The main study: its data root, settings and machine.
        values: What it is a function of, besides the data; by default those that the study's environment variable
            names, which are read when they are first needed.
    """

    PREFIX: ClassVar[str]
    """Of its assets' keys, and name of its package and of its setting."""

    VARIABLE: ClassVar[str]
    """The environment variable that names its values."""

    VALUES: ClassVar[type]
    """What its values must be."""

    def __init__(self, main: Study, values: Values | None = None) -> None:
        self.main = main
        self._given = values

    @cached_property
    def values(self) -> Values:
        """The study's values.

        Raises:
            SettingsError: The environment variable names no file, or a value in it is wrong.
        """
        if self._given is not None:
            return self._given
        name = chosen_name(getattr(self.main.settings, self.PREFIX), self.main.profile.name)
        return read_configuration(self.VALUES, f"glm_assets.studies.{self.PREFIX}", self.VARIABLE, name)

    def versions(self, *products: Product) -> dict[str, str]:
        """Data versions of products that others are made from, by asset.

        Raises:
            MissingUpstreamError: One is absent or out of date.
        """
        return {product.asset: self.main.require(product).data_version for product in products}
