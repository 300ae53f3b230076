"""A ClinVar record of the synthetic genome and its INFO column in ClinVar's dialect."""

from __future__ import annotations

from dataclasses import dataclass

from glm_assets.demo.changes import Change, hgvs, variant_class
from glm_assets.demo.classifications import MULTIPLE, SINGLE, Classification
from glm_assets.demo.consequences import SEQUENCE_ONTOLOGY
from glm_assets.demo.genes import Gene
from glm_assets.demo.genome import Contig

_CONDITIONS = 12
_CONFLICT = "Uncertain_significance(2)|Likely_benign(1)"


@dataclass(frozen=True)
class Record:
    """One row of the VCF; everything else in it follows from these.

    Attributes:
        contig: The sequence it lies on.
        change: REF and ALT at their place.
        classification: What ClinVar says of it.
        gene: The gene it lies in, if any.
        consequence: Its term in MC, if any.
        variation_id: ClinVar's number; 0 until the whole set is numbered.
    """

    contig: Contig
    change: Change
    classification: Classification
    gene: Gene | None = None
    consequence: str | None = None
    variation_id: int = 0

    def line(self) -> str:
        """The row, tab-separated, without line end."""
        change = self.change
        fields = (self.contig.name, change.pos, self.variation_id, change.ref, change.alt, ".", ".", self.info())
        return "\t".join(map(str, fields))

    def info(self) -> str:
        """The INFO column: keys in alphabetical order, keys without a value left out."""
        name, ontology = variant_class(self.change, self.contig.sequence)
        fields = {
            "ALLELEID": str(self.variation_id + 1_000_000),
            "CLNHGVS": hgvs(self.change, self.contig.accession, self.contig.sequence),
            "CLNVC": name,
            "CLNVCSO": ontology,
            "GENEINFO": self._gene_info(),
            "MC": self._molecular_consequence(),
            "ORIGIN": "0" if self.variation_id % 13 == 0 else "1",
            "RS": self.rs,
            **self._classification_fields(),
        }
        return ";".join(f"{key}={value}" for key, value in sorted(fields.items()) if value is not None)

    def _classification_fields(self) -> dict[str, str | None]:
        condition = self.variation_id % _CONDITIONS
        names, identifiers = f"Synthetic_condition_{condition}", f"MedGen:SYN{condition:06d}"
        significance, review = self.classification.significance, self.classification.review
        if significance is None:
            return {"ONC": "Likely_oncogenic", "ONCDISDB": identifiers, "ONCDN": names, "ONCREVSTAT": SINGLE}
        accession = f"SCV{self.variation_id:09d}"
        several = review == MULTIPLE
        return {
            "AF_EXAC": f"{(1 + self.variation_id % 97) / 1e4:.5f}" if self.classification.label == 0 else None,
            "CLNDISDB": f"{identifiers}|MedGen:C3661900" if several else identifiers,
            "CLNDN": f"{names}|not_provided" if several else names,
            "CLNREVSTAT": review,
            "CLNSIG": significance,
            "CLNSIGCONF": _CONFLICT if significance.startswith("Conflicting") else None,
            "CLNSIGSCV": f"{accession}|SCV{self.variation_id + 50_000_000:09d}" if several else accession,
        }

    def _gene_info(self) -> str | None:
        if self.gene is None:
            return None
        own = f"{self.gene.symbol}:{self.gene.gene_id}"
        antisense = f"{self.gene.symbol}-AS1:{self.gene.gene_id - 100_000_000}"
        return f"{own}|{antisense}" if self.variation_id % 17 == 0 else own

    def _molecular_consequence(self) -> str | None:
        if self.consequence is None:
            return None
        term = f"{SEQUENCE_ONTOLOGY[self.consequence]}|{self.consequence}"
        return f"{term},SO:0001619|non-coding_transcript_variant" if self.variation_id % 5 == 0 else term

    @property
    def rs(self) -> str | None:
        """Number in dbSNP, which the alleles of one site share; a tenth of the records has none."""
        if self.variation_id % 10 == 0:
            return None
        digits = "".join(filter(str.isdigit, self.contig.accession.split(".")[0]))
        return f"9{digits[-3:]}{self.change.pos:07d}"
