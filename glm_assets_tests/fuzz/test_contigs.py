"""The contig mapper on names that nobody would choose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm_assets.genome.contigs import CHROMOSOMES, ContigMap, chromosome_key
from glm_assets_tests.fuzz.tally import Tally, examples

pytestmark = pytest.mark.system

# Independent of the code: what each name means by NCBI's and UCSC's naming.
ACCESSIONS = {f"NC_{number:06d}": name for number, name in enumerate([*map(str, range(1, 23)), "X", "Y"], start=1)}
MEANT = (
    {name: name for name in CHROMOSOMES} | {f"chr{name}": name for name in CHROMOSOMES} | {"M": "MT", "chrM": "MT"}
)
MEANT |= {f"{accession}.{version}": name for accession, name in ACCESSIONS.items() for version in (1, 9, 14)}
MEANT |= {"NC_012920.1": "MT"}

HOSTILE = [
    "../1",
    "1/../../x",
    "/etc/passwd",
    "chr1\0",
    "%2e%2e%2f1",
    "CON",
    "1\u2215x",
    "chr" * 99,
    "NC_" + "0" * 5000,
    "NC_012920.1/../x",
]
PIECES = st.sampled_from([*"01MX./ ", "chr", "NC_0000", "NC_", "NT_", "13", "MT", ".1", "..", "\0", "\uff11"])
ODD = st.sampled_from(HOSTILE) | st.lists(PIECES, max_size=5).map("".join) | st.text(max_size=12)
NAMES = st.lists(st.sampled_from(sorted(MEANT)) | ODD, min_size=15, max_size=40)


def test_names_of_contigs():
    tally = Tally()

    @examples(900)
    @given(names=NAMES, lengths=st.lists(st.integers(0, 2**40) | st.just(16569), min_size=40, max_size=40))
    def fuzz(names, lengths):
        for name in names:
            key = chromosome_key(name)
            tally["cases"] += 1
            tally["known" if key else "unknown"] += 1
            assert key in (*CHROMOSOMES, None)
            assert key == MEANT.get(name, key)
            assert chromosome_key(name) == key
            if key and name not in MEANT:
                assert set(name) <= set("chrNCMTXY_.0123456789")  # no path is made of these
        contigs = ContigMap.from_fasta(names, lengths[: len(names)])
        assert set(contigs.aliases.values()) <= set(names)
        assert set(contigs.chromosomes()) <= set(CHROMOSOMES)
        assert all(contigs.resolve(name) == name for name in names)  # a name of the file is never another's

    fuzz()
    tally.require("known", "unknown")
