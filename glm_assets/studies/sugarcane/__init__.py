"""Study `sugarcane`: adapting a language model to a crop genome, and judging what that changes."""
