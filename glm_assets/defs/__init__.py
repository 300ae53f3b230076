"""Everything that Dagster sees; no algorithm lives here."""
