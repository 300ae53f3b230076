from __future__ import annotations

import numpy as np
import pytest

from glm_assets.demo.sites import frame_site, intron_site, missense_site, silent_site, splice_site, stop_site

IN_EXON = {"nonsense", "frameshift_variant", "inframe_deletion", "inframe_insertion"}
SPLICE = {"splice_donor_variant", "splice_acceptor_variant"}


@pytest.mark.parametrize(
    ("site", "allowed"),
    [
        (stop_site, {"nonsense", "synonymous_variant"}),
        (silent_site, {"synonymous_variant"}),
        (frame_site, IN_EXON),
        (splice_site, SPLICE),
        (intron_site, {"intron_variant"}),
        (missense_site, {"missense_variant"}),
    ],
)
def test_a_site_gives_only_its_own_consequences(genome, site, allowed):
    rng = np.random.default_rng(0)
    contig = genome["21"]
    effects = [e for gene in contig.genes for _ in range(20) for e in site(gene, contig.sequence, rng)]
    assert {effect.consequence for effect in effects} == allowed


def test_most_sites_hold_several_alleles_of_one_position(genome):
    rng = np.random.default_rng(0)
    contig = genome["22"]
    for site in (stop_site, silent_site, splice_site, intron_site):
        drawn = [site(gene, contig.sequence, rng) for gene in contig.genes]
        assert np.mean([len(effects) for effects in drawn]) > 1.3
        assert all(len({e.change.start for e in effects if len(e.change.ref) == 1}) <= 1 for effects in drawn)


@pytest.mark.parametrize("site", [splice_site, intron_site])
def test_genes_without_introns_have_no_such_site(genome, site):
    contig = genome["MT"]
    assert site(contig.genes[0], contig.sequence, np.random.default_rng(0)) == []
